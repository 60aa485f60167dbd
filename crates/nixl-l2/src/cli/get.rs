//! `nixl-l2 get`: the object of a key, loaded into a file.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nixl_l2::{L2Adapter, Lease, LoadItem, Looked, ObjectKey};

use super::key::KeyArg;
use super::print;
use super::session::{AdapterArg, PAGE, allocate, long_help, open, take};

const EXAMPLE: &str = r#"Example:
  nixl-l2 get --out chunk.bin \
    --key '{"model_name": "org/m", "kv_rank": 0, "object_group_id": 0,
      "chunk_hash_hex": "ab12"}' \
    --l2-adapter '{"type": "nixl_store_dynamic", "backend": "POSIX",
      "backend_params": {"file_path": "/data/l2", "use_direct_io": "false",
      "max_capacity_gb": "10"}}'"#;

/// Load the object of a key into a file
///
/// Without such an object the exit code is 1, and no file is made. The file appears under its name whole (or replaces
/// the one there), readable by its owner alone. The adapter's files stay, whatever its "persist_enabled" says.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE, after_long_help = long_help(EXAMPLE))]
pub(crate) struct Args {
    #[command(flatten)]
    adapter: AdapterArg,
    #[command(flatten)]
    key: KeyArg,
    /// Where to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let key = args.key.key()?;
    let mut configs = args.adapter.configs_that_keep_files()?;
    let directory = directory_of(&args.out)?;
    // To look something up makes no cache where there is none.
    let missing = configs.iter().find_map(|config| config.file_path().filter(|cache| !cache.is_dir()));
    let missing = missing.map(Path::to_path_buf);
    configs.retain(|config| config.file_path().is_none_or(Path::is_dir));
    if let (true, Some(cache)) = (configs.is_empty(), missing) {
        bail!("nothing is stored under key {key}: there is no directory {cache:?}");
    }
    let adapter = open(&configs, &allocate(PAGE)?, PAGE)?;
    let length = look_up(&*adapter, &key)?;
    let length = usize::try_from(length).with_context(|| format!("{length} bytes under key {key}"))?;
    let l1 = allocate(length)?;
    let loaded = load(&*adapter, &key, l1.lease(0, length)?)?;
    adapter.close()?;
    let bytes = loaded.as_slice().context("main memory can be read")?;
    write(&args.out, directory, bytes).with_context(|| format!("--out {:?}", args.out))?;
    print(format_args!("{length} bytes of key {key} written to {:?}", args.out))
}

/// The directory of a file that may be written there; whatever is in its place must be a file too.
fn directory_of(out: &Path) -> Result<&Path> {
    let about = || format!("--out {out:?}");
    match fs::symlink_metadata(out) {
        Ok(there) if !there.is_file() => bail!("--out {out:?} is there, and is not a regular file"),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error).with_context(about),
        _ => {}
    }
    let parent = out
        .parent()
        .filter(|_| out.file_name().is_some())
        .with_context(|| format!("--out {out:?} is not a file's name"))?;
    let directory = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    if !fs::metadata(directory).with_context(about)?.is_dir() {
        bail!("--out {out:?} is not in a directory");
    }
    Ok(directory)
}

/// Pins the object; its length in bytes.
fn look_up(adapter: &dyn L2Adapter, key: &ObjectKey) -> Result<u64> {
    let what = format_args!("lookup of key {key}");
    let report = take(adapter.submit_lookup_and_lock(vec![key.clone()]), what)?;
    match report.answers.into_iter().next().context("a lookup of one key has one answer")? {
        Looked::Hit { bytes } => Ok(bytes),
        Looked::Miss(error) if error.is_miss() => bail!("nothing is stored under key {key}"),
        Looked::Miss(error) => Err(error.into()),
    }
}

/// Loads the object that was looked up, and gives its pin back.
fn load(adapter: &dyn L2Adapter, key: &ObjectKey, memory: Lease) -> Result<Lease> {
    let task = adapter.submit_load(vec![LoadItem { key: key.clone(), memory }]);
    let report = take(task, format_args!("load of key {key}"));
    adapter.unlock(std::slice::from_ref(key));
    let outcome = report?.outcomes.into_iter().next().context("a load of one item has one outcome")?;
    outcome.result?;
    outcome.memory.context("a load that succeeded kept its memory")
}

/// Under a temporary name first, which is gone if anything fails.
fn write(out: &Path, directory: &Path, bytes: &[u8]) -> Result<()> {
    // Made with mode 0600.
    let mut file = tempfile::Builder::new().prefix(".nixl-l2-").tempfile_in(directory)?;
    file.write_all(bytes)?;
    file.persist(out)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_file_is_replaced_whole_and_for_its_owner_alone() {
        let home = tempfile::tempdir().unwrap();
        let out = home.path().join("out");
        for bytes in [&[1; 5000][..], &[2; 3]] {
            write(&out, directory_of(&out).unwrap(), bytes).unwrap();
            assert_eq!(fs::read(&out).unwrap(), bytes);
        }
        assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "no temporary is left");
    }

    #[test]
    fn a_write_that_fails_leaves_nothing() {
        let home = tempfile::tempdir().unwrap();
        let out = home.path().join("out");
        fs::create_dir(&out).unwrap();
        write(&out, home.path(), &[1]).unwrap_err();
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }

    #[test]
    fn only_a_file_is_written_over() {
        let home = tempfile::tempdir().unwrap();
        let link = home.path().join("link");
        symlink("target", &link).unwrap();
        for (out, says) in [
            (home.path(), "not a regular file"),
            (&link, "not a regular file"),
            (&home.path().join("no/file"), "No such file"),
            (Path::new("/dev/null/x"), "Not a directory"),
            (Path::new(""), "not a file's name"),
        ] {
            let error = format!("{:#}", directory_of(out).unwrap_err());
            assert!(error.contains(says) && error.contains("--out"), "{error}");
        }
        assert_eq!(directory_of(Path::new("file")).unwrap(), Path::new("."));
    }
}
