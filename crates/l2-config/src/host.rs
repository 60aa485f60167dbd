//! Keys of the host: kept for it, without effect here, and said so in a note.

use std::fmt;

use crate::error::Reported;
use crate::fields::{AFFINITY_TAG, Field, SERDE, SHARED};
use crate::reader::Reader;

/// What the host may say of an adapter for its own use. Nothing in nixl-l2 depends on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostKeys {
    /// Which L1 of the host the adapter belongs to; not blank.
    pub affinity_tag: Option<String>,
    /// Whether the host reports the storage as shared.
    pub shared: Option<bool>,
}

impl HostKeys {
    pub(crate) fn read(top: &Reader<'_>) -> Result<Self, Reported> {
        let affinity_tag = top.text(&AFFINITY_TAG);
        let shared = top.boolean(&SHARED);
        if top.is_given(&SERDE) {
            return Err(top.reject(
                &SERDE,
                "not served: ignoring it would change the stored bytes",
                "remove it, or apply it in the host before the bytes come here",
            ));
        }
        Ok(Self { affinity_tag: affinity_tag?.map(str::to_owned), shared: shared? })
    }

    pub(crate) fn notes(&self) -> impl Iterator<Item = Note> {
        let given =
            [self.affinity_tag.as_ref().map(|_| &AFFINITY_TAG), self.shared.as_ref().map(|_| &SHARED)];
        given
            .into_iter()
            .flatten()
            .map(|field| Note::new(field, "the host's to use; it changes nothing here"))
    }
}

/// Something about a valid configuration that its writer may want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Note {
    /// The JSON path of the key.
    pub path: String,
    /// What is to be known, in one line.
    pub text: String,
}

impl Note {
    pub(crate) fn new(field: &Field, text: impl Into<String>) -> Self {
        Self { path: field.path(), text: text.into() }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.text)
    }
}
