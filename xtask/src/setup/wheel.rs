//! The wheels setup fetches: their versions, their hashes, and the folders kept of them.

use std::env::consts;

use anyhow::{Context, Result, bail};

/// A Python package used as a carrier of shared libraries.
pub(crate) struct Wheel {
    /// What messages call it.
    pub(crate) title: &'static str,
    pub(crate) package: &'static str,
    pub(crate) version: &'static str,
    /// Its directory under `target/nixl-l2`.
    pub(crate) dir: &'static str,
    /// The Python ABI in the wheel's name; none for a wheel of any Python.
    pub(crate) abi: Option<&'static str>,
    /// What is unpacked: every file whose path in the wheel starts so.
    pub(crate) keep: &'static [&'static str],
    pub(crate) builds: &'static [Build],
}

/// One architecture's file of a wheel.
pub(crate) struct Build {
    pub(crate) arch: &'static str,
    /// The platform tag in the wheel's name.
    pub(crate) platform: &'static str,
    pub(crate) sha256: &'static str,
    pub(crate) mib: u32,
}

/// NIXL. The two library folders keep their places beside each other: the libraries find one another by relative RPATH.
pub(crate) const NIXL: Wheel = Wheel {
    title: "NIXL",
    package: "nixl-cu12",
    version: "1.5.1",
    dir: "nixl",
    abi: Some("cp311"),
    keep: &[".nixl_cu12.mesonpy.libs/", "nixl_cu12.libs/", "nixl_cu12-1.5.1.dist-info/licenses/"],
    builds: &[
        Build {
            arch: "x86_64",
            platform: "manylinux_2_28_x86_64",
            sha256: "341d0dfa499f941c054614252f1d8047d1380e33f29c87707372ff5ec7d3779a",
            mib: 65,
        },
        Build {
            arch: "aarch64",
            platform: "manylinux_2_28_aarch64",
            sha256: "aced5529cc9781f8be1ee22e451c852630455460c1812b06cc863b05d797f2db",
            mib: 64,
        },
    ],
};

/// The library that holds NIXL's C interface, in [`NIXL`]'s directory.
pub(crate) const NIXL_LIBRARY: &str = ".nixl_cu12.mesonpy.libs/libnixl_capi.so";

/// libclang, which nixl-sys's build script (bindgen) opens.
pub(crate) const LIBCLANG: Wheel = Wheel {
    title: "libclang",
    package: "libclang",
    version: "18.1.1",
    dir: "libclang",
    abi: None,
    keep: &["libclang-18.1.1.data/platlib/clang/native/", "libclang-18.1.1.dist-info/LICENSE.TXT"],
    builds: &[
        Build {
            arch: "x86_64",
            platform: "manylinux2010_x86_64",
            sha256: "c533091d8a3bbf7460a00cb6c1a71da93bffe148f172c7d03b1c31fbf8aa2a0b",
            mib: 23,
        },
        Build {
            arch: "aarch64",
            platform: "manylinux2014_aarch64",
            sha256: "54dda940a4a0491a9d1532bf071ea3ef26e6dbaf03b5000ed94dd7174e8f9592",
            mib: 23,
        },
    ],
};

/// The folder of `libclang.so` in [`LIBCLANG`]'s directory.
pub(crate) const LIBCLANG_FOLDER: &str = "libclang-18.1.1.data/platlib/clang/native";

impl Wheel {
    /// The file of this wheel for the machine xtask runs on.
    pub(crate) fn build(&self) -> Result<&'static Build> {
        if consts::OS != "linux" {
            bail!("{} is published for Linux only, and this is {}", self.title, consts::OS);
        }
        let build = self.builds.iter().find(|build| build.arch == consts::ARCH);
        build.with_context(|| {
            format!("{} is published for x86_64 and aarch64, and this is {}", self.title, consts::ARCH)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wheel_has_a_whole_hash_for_both_architectures() {
        for wheel in [NIXL, LIBCLANG] {
            let arches = wheel.builds.iter().map(|build| build.arch).collect::<Vec<_>>();
            assert_eq!(arches, ["x86_64", "aarch64"]);
            for build in wheel.builds {
                assert!(build.platform.ends_with(build.arch));
                assert!(
                    build.sha256.len() == 64 && build.sha256.bytes().all(|byte| byte.is_ascii_hexdigit())
                );
            }
        }
    }

    #[test]
    fn what_is_opened_is_among_what_is_kept() {
        assert!(NIXL.keep.iter().any(|kept| NIXL_LIBRARY.starts_with(kept)));
        assert!(LIBCLANG.keep.contains(&format!("{LIBCLANG_FOLDER}/").as_str()));
    }
}
