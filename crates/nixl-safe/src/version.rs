//! Which version a library of NIXL is, by what was installed with it: a wheel's record, or pkg-config's.

use std::fs;
use std::path::Path;

/// The version of NIXL whose library is `library`.
pub(crate) fn beside(library: &Path) -> Option<String> {
    let directory = library.parent()?;
    of_wheel(directory).or_else(|| of_pkg_config(directory))
}

/// `.nixl_cu12.mesonpy.libs` has `nixl_cu12-<version>.dist-info` beside it.
fn of_wheel(libraries: &Path) -> Option<String> {
    let wheel = libraries.file_name()?.to_str()?.strip_prefix('.')?.strip_suffix(".mesonpy.libs")?;
    fs::read_dir(libraries.parent()?).ok()?.find_map(|entry| {
        let name = entry.ok()?.file_name().into_string().ok()?;
        let version = name.strip_prefix(wheel)?.strip_prefix('-')?.strip_suffix(".dist-info")?;
        Some(version.to_owned())
    })
}

/// `lib64` has `pkgconfig/nixl.pc`, with a line `Version: <version>`.
fn of_pkg_config(libraries: &Path) -> Option<String> {
    let record = fs::read_to_string(libraries.join("pkgconfig/nixl.pc")).ok()?;
    let version = record.lines().find_map(|line| line.strip_prefix("Version:"))?.trim();
    (!version.is_empty()).then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_beside_a_library_says_its_version() {
        let home = tempfile::tempdir().unwrap();
        let wheel = home.path().join(".nixl_cu13.mesonpy.libs");
        for made in [".nixl_cu13.mesonpy.libs", "nixl_cu12-1.0.0.dist-info", "nixl_cu13-1.5.1.dist-info"] {
            fs::create_dir(home.path().join(made)).unwrap();
        }
        assert_eq!(beside(&wheel.join("libnixl_capi.so")).as_deref(), Some("1.5.1"));

        let prefix = home.path().join("lib64");
        fs::create_dir_all(prefix.join("pkgconfig")).unwrap();
        assert_eq!(beside(&prefix.join("libnixl_capi.so")), None);
        fs::write(prefix.join("pkgconfig/nixl.pc"), "Name: nixl\nVersion: 1.5.2\n").unwrap();
        assert_eq!(beside(&prefix.join("libnixl_capi.so")).as_deref(), Some("1.5.2"));
    }
}
