//! The storage backends: their names in the JSON, which are also the names of NIXL's plugins.

use std::fmt;

/// A storage backend, one NIXL plugin each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Backend {
    /// Files through the kernel's ordinary interfaces.
    Posix,
    /// GPU Direct Storage, in batches.
    Gds,
    /// GPU Direct Storage, with several threads.
    GdsMt,
    /// The 3FS shared file system.
    Hf3fs,
    /// An S3 object store.
    Obj,
    /// Azure Blob Storage.
    AzureBlob,
}

impl Backend {
    /// Every backend, in the order in which it is listed for people.
    pub const ALL: &'static [Self] =
        &[Self::Posix, Self::Gds, Self::GdsMt, Self::Hf3fs, Self::Obj, Self::AzureBlob];
    /// Those that keep each object in a file.
    pub const FILES: &'static [Self] = &[Self::Posix, Self::Gds, Self::GdsMt, Self::Hf3fs];
    /// Those that keep each object in an object store.
    pub const OBJECTS: &'static [Self] = &[Self::Obj, Self::AzureBlob];

    /// The name in the JSON, and the name of NIXL's plugin.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Posix => "POSIX",
            Self::Gds => "GDS",
            Self::GdsMt => "GDS_MT",
            Self::Hf3fs => "HF3FS",
            Self::Obj => "OBJ",
            Self::AzureBlob => "AZURE_BLOB",
        }
    }

    /// The backend of exactly this name; capital letters matter.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|backend| backend.name() == name)
    }

    /// Whether objects lie in files, so that a directory and direct I/O have a meaning.
    #[must_use]
    pub const fn is_file_based(self) -> bool {
        match self {
            Self::Posix | Self::Gds | Self::GdsMt | Self::Hf3fs => true,
            Self::Obj | Self::AzureBlob => false,
        }
    }

    /// Whether NIXL 1.5's plugin may say that a transfer of a file succeeded which was cut short or failed, so that what is
    /// loaded has to be compared with what was stored.
    #[must_use]
    pub const fn may_report_false_success(self) -> bool {
        matches!(self, Self::Gds | Self::Hf3fs)
    }

    /// Whether NVIDIA's cuFile moves the bytes. It takes no file that was opened without a name or with more than plain flags
    /// (`O_TMPFILE`, `O_NOFOLLOW`: its error 5019), and opens one that is open for direct I/O once more by its name (5031).
    #[must_use]
    pub const fn is_moved_by_cufile(self) -> bool {
        matches!(self, Self::Gds | Self::GdsMt)
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Backend;

    #[test]
    fn a_name_leads_back_to_its_backend_and_case_matters() {
        for &backend in Backend::ALL {
            assert_eq!(Backend::from_name(backend.name()), Some(backend));
            assert_eq!(Backend::from_name(&backend.name().to_lowercase()), None);
        }
    }

    #[test]
    fn cufile_moves_files_alone() {
        let named: Vec<_> = Backend::ALL.iter().filter(|backend| backend.is_moved_by_cufile()).collect();
        assert_eq!(named, [&Backend::Gds, &Backend::GdsMt]);
        assert!(named.iter().all(|backend| backend.is_file_based()));
    }

    #[test]
    fn every_backend_is_either_of_files_or_of_objects() {
        for &backend in Backend::ALL {
            assert_eq!(backend.is_file_based(), Backend::FILES.contains(&backend));
            assert_eq!(!backend.is_file_based(), Backend::OBJECTS.contains(&backend));
        }
    }
}
