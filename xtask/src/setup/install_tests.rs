//! Installing small wheels made by Python, from a directory in place of an index.

use std::ffi::OsStr;
use std::path::PathBuf;

use super::*;

const BUILD: Build = Build { arch: "any", platform: "any", sha256: "00", mib: 0 };
const WHEEL: Wheel = Wheel {
    title: "Thing",
    package: "thing",
    version: "1.0",
    dir: "thing",
    abi: None,
    keep: &["libs/", "thing-1.0.dist-info/licenses/"],
    builds: &[],
};

/// Makes a wheel; a RECORD line of `wrong` carries another file's hash.
const MAKE: &str = r#"
import base64, hashlib, sys, zipfile
out, wrong = sys.argv[1:3]
files = {"libs/liba.so": b"a" * 1000, "libs/plugins/libb.so": b"b", "code/big.py": b"c",
         "thing-1.0.dist-info/licenses/LICENSE": b"free"}
with zipfile.ZipFile(out, "w") as archive:
    rows = []
    for name, data in files.items():
        archive.writestr(name, data)
        digest = hashlib.sha256(b"other" if name == wrong else data).digest()
        rows.append("%s,sha256=%s,%d\n" % (name, base64.urlsafe_b64encode(digest).rstrip(b"=").decode(), len(data)))
    archive.writestr("thing-1.0.dist-info/RECORD", "".join(rows) + "thing-1.0.dist-info/RECORD,,\n")
"#;

struct Fixture {
    dir: tempfile::TempDir,
    python: Python,
}

impl Fixture {
    fn new(wrong: &str) -> (Self, PathBuf) {
        let fixture = Self { dir: tempfile::tempdir().unwrap(), python: Python::find().unwrap() };
        let wheel = fixture.dir.path().join("thing-1.0-py3-none-any.whl");
        let made = fixture.python.script(MAKE, &[wheel.as_os_str(), OsStr::new(wrong)]).unwrap();
        assert!(made.status.success(), "{}", made.stderr);
        (fixture, wheel)
    }

    fn place(&self) -> PathBuf {
        self.dir.path().join("thing")
    }

    fn publish(&self, archive: &Path) -> Result<()> {
        publish(self.dir.path(), &WHEEL, &BUILD, &self.python, archive)
    }
}

#[test]
fn only_the_kept_folders_are_put_in_place_and_found_whole() {
    let (fixture, wheel) = Fixture::new("");
    assert_eq!(state(&fixture.place(), &WHEEL, &BUILD), State::Absent);
    fixture.publish(&wheel).unwrap();
    assert_eq!(state(&fixture.place(), &WHEEL, &BUILD), State::Whole);
    assert_eq!(fs::read(fixture.place().join("libs/plugins/libb.so")).unwrap(), b"b");
    assert!(fixture.place().join("thing-1.0.dist-info/licenses/LICENSE").is_file());
    assert!(!fixture.place().join("code").exists());
}

#[test]
fn bytes_that_the_record_does_not_promise_are_refused() {
    let (fixture, wheel) = Fixture::new("libs/liba.so");
    let error = fixture.publish(&wheel).unwrap_err().to_string();
    assert!(error.contains("libs/liba.so"), "{error}");
    assert_eq!(state(&fixture.place(), &WHEEL, &BUILD), State::Absent);
}

#[test]
fn a_file_that_is_cut_or_gone_is_damage_and_publishing_again_repairs_it() {
    let (fixture, wheel) = Fixture::new("");
    fixture.publish(&wheel).unwrap();
    let library = fixture.place().join("libs/liba.so");
    fs::write(&library, b"a").unwrap();
    assert_eq!(
        state(&fixture.place(), &WHEEL, &BUILD),
        State::Damaged("libs/liba.so has 1 bytes, not 1000".into())
    );
    fs::remove_file(&library).unwrap();
    assert!(
        matches!(state(&fixture.place(), &WHEEL, &BUILD), State::Damaged(why) if why.contains("liba.so"))
    );
    fixture.publish(&wheel).unwrap();
    assert_eq!(state(&fixture.place(), &WHEEL, &BUILD), State::Whole);
}

#[test]
fn another_version_or_a_broken_stamp_is_not_whole() {
    let (fixture, wheel) = Fixture::new("");
    fixture.publish(&wheel).unwrap();
    let newer = Wheel { version: "1.1", ..WHEEL };
    assert!(matches!(state(&fixture.place(), &newer, &BUILD), State::Damaged(_)));
    for stamp in ["", "{}", "[1"] {
        fs::write(fixture.place().join(STAMP), stamp).unwrap();
        assert!(matches!(state(&fixture.place(), &WHEEL, &BUILD), State::Damaged(_)), "{stamp}");
    }
    fs::remove_file(fixture.place().join(STAMP)).unwrap();
    assert!(matches!(state(&fixture.place(), &WHEEL, &BUILD), State::Damaged(_)));
}

#[test]
fn what_a_killed_setup_left_is_removed() {
    let (fixture, wheel) = Fixture::new("");
    let left = fixture.dir.path().join("staging-1/unpacked/libs");
    fs::create_dir_all(&left).unwrap();
    clear_staging(fixture.dir.path());
    assert!(!fixture.dir.path().join("staging-1").exists() && wheel.exists());
}
