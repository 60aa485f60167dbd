//! What is handed to NIXL's plugin: names and texts, some of them secret.

use std::collections::BTreeMap;
use std::fmt;

use crate::backend::Backend;
use crate::error::Reported;
use crate::fields::{
    ACCELERATED, ACCELERATED_TYPE, ACCESS_KEY, ACCOUNT_URL, CONNECTION_STRING, CRT_MIN_LIMIT, FIELDS, Field,
    MAX_REQUEST_SIZE, MAX_REQUEST_STEP, Place, Role, SECRET_KEY, SESSION_TOKEN, THROUGHPUT_TARGET_GBPS,
    USE_AIO, USE_POSIX_AIO, USE_URING,
};
use crate::host::Note;
use crate::reader::Reader;
use crate::secret;

/// The parameters of a NIXL plugin. `Debug` shows no secret; [`PluginParams::expose`] is the one way to them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PluginParams {
    params: BTreeMap<String, String>,
}

impl PluginParams {
    /// Sets one parameter. What it may be is checked with the configuration it is part of.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.params.insert(name.into(), value.into());
    }

    /// Names and values, **secrets in clear**, in the order of the names: for NIXL, and for nothing that is written down.
    pub fn expose(&self) -> impl Iterator<Item = (&str, &str)> {
        self.params.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The names alone, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.params.keys().map(String::as_str)
    }

    /// Whether a parameter is given.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.params.contains_key(name)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.params.is_empty()
    }

    /// Reads every parameter that the backend's plugin knows, and checks those that depend on each other.
    pub(crate) fn read(reader: &Reader<'_>) -> Result<Self, Reported> {
        let mut read = Self::default();
        let mut outcome = Ok(());
        for field in FIELDS.iter().filter(|f| f.place == Place::BackendParams && f.role == Role::Plugin) {
            match reader.plugin_text(field) {
                Ok(Some(value)) => read.set(field.name, value),
                Ok(None) => {}
                Err(reported) => outcome = Err(reported),
            }
        }
        outcome
            .and(read.check_queue(reader))
            .and(read.check_pieces(reader))
            .and(check_credentials(reader))?;
        Ok(read)
    }

    /// POSIX: at most one kind of queue, and never the one that cannot recover.
    fn check_queue(&self, reader: &Reader<'_>) -> Result<(), Reported> {
        if self.is_true(&USE_POSIX_AIO) {
            return Err(reader.reject(
                &USE_POSIX_AIO,
                "refused: after one I/O error this queue fails every transfer, and closing it crashes the process",
                "remove it for Linux AIO, or set \"use_uring\" to true",
            ));
        }
        if self.is_true(&USE_AIO) && self.is_true(&USE_URING) {
            return Err(reader.reject(
                &USE_URING,
                "only one kind of queue can be used, and use_aio is true as well",
                "keep one of them",
            ));
        }
        Ok(())
    }

    /// GDS: every piece but the last of a transfer has this length, so it decides where the others begin.
    fn check_pieces(&self, reader: &Reader<'_>) -> Result<(), Reported> {
        let size = self.params.get(MAX_REQUEST_SIZE.name).and_then(|text| text.parse::<u64>().ok());
        if size.is_some_and(|size| !size.is_multiple_of(MAX_REQUEST_STEP)) {
            return Err(reader.reject(
                &MAX_REQUEST_SIZE,
                format!("not a multiple of {MAX_REQUEST_STEP}, as direct I/O wants it"),
                "round it down",
            ));
        }
        Ok(())
    }

    /// What NIXL's plugin would pass over without a word.
    pub(crate) fn notes(&self, backend: Backend) -> Vec<Note> {
        let mut notes = Vec::new();
        let mut note = |applies: bool, field: &Field, text: &str| {
            if applies {
                notes.push(Note::new(field, text));
            }
        };
        if backend == Backend::Obj {
            let crt = self.params.get(CRT_MIN_LIMIT.name).is_some_and(|limit| limit != "0");
            note(
                self.is_given(&ACCELERATED_TYPE) && !self.is_true(&ACCELERATED),
                &ACCELERATED_TYPE,
                "without effect unless accelerated is true",
            );
            note(
                self.is_given(&THROUGHPUT_TARGET_GBPS) && !crt,
                &THROUGHPUT_TARGET_GBPS,
                "without effect unless crtMinLimit is above 0",
            );
        }
        note(
            self.is_given(&ACCOUNT_URL) && self.is_given(&CONNECTION_STRING),
            &ACCOUNT_URL,
            "without effect, because connection_string is given",
        );
        notes
    }

    fn is_true(&self, field: &Field) -> bool {
        self.params.get(field.name).is_some_and(|value| value == "true")
    }

    /// An empty text counts as not given, as it does for NIXL.
    fn is_given(&self, field: &Field) -> bool {
        self.params.get(field.name).is_some_and(|value| !value.is_empty())
    }
}

/// OBJ: NIXL drops half a credential without a word and looks for others; that would be the wrong account.
fn check_credentials(reader: &Reader<'_>) -> Result<(), Reported> {
    let pair = |given: &Field, needed: &Field| {
        if reader.is_filled(given) && !reader.is_filled(needed) {
            let problem = format!("of no use without {}", needed.name);
            return Err(reader.reject(given, problem, format!("add {}, or remove it", needed.name)));
        }
        Ok(())
    };
    pair(&ACCESS_KEY, &SECRET_KEY).and(pair(&SECRET_KEY, &ACCESS_KEY)).and(pair(&SESSION_TOKEN, &SECRET_KEY))
}

impl fmt::Debug for PluginParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.expose().map(|(name, value)| (name, secret::safe_text(name, value))))
            .finish()
    }
}
