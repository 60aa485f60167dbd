//! The one table of keys: what each is called, where it belongs, what it may hold, and what it costs.
//!
//! The parser takes names, ranges and defaults from here, and so do suggestions, the help text, and whatever else is
//! generated for people (a page of documentation, a JSON Schema).

mod adapter;
mod plugin;

pub(crate) use adapter::*;
pub(crate) use plugin::*;

use crate::adapter::AdapterType;
use crate::backend::Backend;

/// One key of the JSON.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Field {
    /// The key.
    pub name: &'static str,
    /// The object it lies in.
    pub place: Place,
    /// The adapters that know it.
    pub adapters: &'static [AdapterType],
    /// The backends that know it.
    pub backends: &'static [Backend],
    /// What it may hold.
    pub kind: Kind,
    /// Whether it must be given (by those adapters, with those backends).
    pub required: bool,
    /// What stands for it when it is not given.
    pub default: Preset,
    /// The unit of a number.
    pub unit: Option<&'static str>,
    /// What it is, in a sentence or two.
    pub about: &'static str,
    /// What one gives for what.
    pub trade_off: Option<&'static str>,
    /// Who uses it.
    pub role: Role,
}

/// The objects of the JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The object that is the whole text.
    Top,
    /// The object under `backend_params`.
    BackendParams,
    /// The object under `eviction`.
    Eviction,
}

impl Place {
    /// Every place, from the outside in.
    pub const ALL: &'static [Self] = &[Self::Top, Self::BackendParams, Self::Eviction];

    /// Its JSON path; empty for the top level.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Top => "",
            Self::BackendParams => "backend_params",
            Self::Eviction => "eviction",
        }
    }
}

/// What a key may hold. Numbers and booleans may also be given as texts: `"10"`, `"false"`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// A whole number in a range.
    Integer {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// A number above 0.
    Number {
        /// The most.
        max: f64,
    },
    /// A number, 0 or above.
    NumberFromZero {
        /// The most.
        max: f64,
    },
    /// A text without NUL.
    Text {
        /// Whether it may be empty, or nothing but white space.
        may_be_blank: bool,
    },
    /// One of these texts, in exactly this spelling.
    Choice(&'static [&'static str]),
    /// A JSON object.
    Object,
}

impl Kind {
    /// What it is called in a fault, with its article: "a whole number".
    #[must_use]
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Boolean => "a boolean",
            Self::Integer { .. } => "a whole number",
            Self::Number { .. } | Self::NumberFromZero { .. } => "a number",
            Self::Text { .. } | Self::Choice(_) => "a text",
            Self::Object => "an object",
        }
    }

    /// What is allowed, for people.
    #[must_use]
    pub fn allowed(self) -> String {
        match self {
            Self::Boolean => "true or false".to_owned(),
            Self::Integer { min, max } if max >= MOST_BYTES => format!("a whole number, {min} or more"),
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Number { max } => format!("a number above 0, up to {max}"),
            Self::NumberFromZero { max } => format!("a number from 0 to {max}"),
            Self::Text { may_be_blank: true } => "a text".to_owned(),
            Self::Text { may_be_blank: false } => "a text that is not blank".to_owned(),
            Self::Choice(choices) => any_of(choices),
            Self::Object => "a JSON object".to_owned(),
        }
    }
}

/// What stands for a key that is not given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Preset {
    /// Nothing: it is required, or being without it is a choice of its own.
    None,
    /// A boolean.
    Boolean(bool),
    /// A number.
    Number(f64),
    /// What this sentence says; decided later, by whoever uses the value.
    Described(&'static str),
}

/// Who uses a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The adapter.
    Adapter,
    /// NIXL's plugin: it is checked and handed on.
    Plugin,
    /// The host. It is kept for it, with a note that it changes nothing here.
    Host,
    /// Nobody: it is refused, for ignoring it would change what is stored.
    Refused,
}

impl Field {
    /// Its JSON path.
    #[must_use]
    pub fn path(&self) -> String {
        crate::secret::path(self.place.path(), self.name)
    }

    /// What is allowed, with the unit, for people.
    #[must_use]
    pub fn allowed(&self) -> String {
        let allowed = self.kind.allowed();
        self.unit.map_or_else(|| allowed.clone(), |unit| format!("{allowed} ({unit})"))
    }

    /// Whether its value is a secret and is never shown.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        crate::secret::is_secret_name(self.name)
    }

    pub(crate) fn applies(&self, scope: Scope) -> bool {
        scope.adapter.is_none_or(|adapter| self.adapters.contains(&adapter))
            && scope.backend.is_none_or(|backend| self.backends.contains(&backend))
    }
}

/// What a text is about, as far as it is known: `None` stands for any.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope {
    pub(crate) adapter: Option<AdapterType>,
    pub(crate) backend: Option<Backend>,
}

impl Scope {
    pub(crate) const ANY: Self = Self { adapter: None, backend: None };
}

/// Every key, in the order in which people read about them.
pub static FIELDS: &[Field] = &[
    TYPE,
    BACKEND,
    BACKEND_PARAMS,
    POOL_SIZE,
    PERSIST_ENABLED,
    EVICTION,
    WORKERS,
    IO_TIMEOUT_SECONDS,
    SPIN_MICROSECONDS,
    PIN_TTL_SECONDS,
    INTEGRITY,
    LAYOUT_TAG,
    DURABILITY,
    RECOVER_SCAN,
    MIN_FREE_GB,
    AFFINITY_TAG,
    SHARED,
    SERDE,
    FILE_PATH,
    USE_DIRECT_IO,
    MAX_CAPACITY_GB,
    SHARD_DIRS,
    FILE_SIZE,
    SLOT_SIZE,
    OBJECT_PREFIX,
    USE_AIO,
    USE_URING,
    USE_POSIX_AIO,
    IOS_POOL_SIZE,
    KERNEL_QUEUE_SIZE,
    BATCH_POOL_SIZE,
    BATCH_LIMIT,
    MAX_REQUEST_SIZE,
    THREAD_COUNT,
    MOUNT_POINT,
    MEM_CONFIG,
    IOPOOL_SIZE,
    BUCKET,
    ENDPOINT_OVERRIDE,
    SCHEME,
    REGION,
    ACCESS_KEY,
    SECRET_KEY,
    SESSION_TOKEN,
    USE_VIRTUAL_ADDRESSING,
    REQ_CHECKSUM,
    RESP_CHECKSUM,
    CRT_MIN_LIMIT,
    THROUGHPUT_TARGET_GBPS,
    ACCELERATED,
    ACCELERATED_TYPE,
    ACCOUNT_URL,
    CONTAINER_NAME,
    CONNECTION_STRING,
    CA_BUNDLE,
    NUM_THREADS,
    EVICTION_POLICY,
    TRIGGER_WATERMARK,
    EVICTION_RATIO,
];

/// What most fields have in common.
const COMMON: Field = Field {
    name: "",
    place: Place::Top,
    adapters: AdapterType::ALL,
    backends: Backend::ALL,
    kind: Kind::Object,
    required: false,
    default: Preset::None,
    unit: None,
    about: "",
    trade_off: None,
    role: Role::Adapter,
};

/// The most bytes that a file offset can name.
const MOST_BYTES: u64 = i64::MAX.unsigned_abs();

/// `a, b or c`.
pub(crate) fn any_of(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{FIELDS, Kind, Preset, Role};
    use crate::{AdapterType, Backend, EvictionPolicyName};

    #[test]
    fn no_two_fields_share_a_path_and_each_is_described() {
        let mut paths = BTreeSet::new();
        for field in FIELDS {
            assert!(paths.insert(field.path()), "{} twice", field.path());
            assert!(field.about.ends_with('.'), "{}", field.path());
            assert!(!field.adapters.is_empty() && !field.backends.is_empty(), "{}", field.path());
            assert!(!(field.required && field.default != Preset::None), "{}", field.path());
        }
    }

    #[test]
    fn the_choices_of_the_table_are_those_of_the_types() {
        let choices = |path: &str| match FIELDS.iter().find(|field| field.path() == path).unwrap().kind {
            Kind::Choice(choices) => choices.to_vec(),
            other => panic!("{path} is {other:?}"),
        };
        assert_eq!(choices("type"), AdapterType::ALL.iter().map(|t| t.name()).collect::<Vec<_>>());
        assert_eq!(choices("backend"), Backend::ALL.iter().map(|b| b.name()).collect::<Vec<_>>());
        assert_eq!(
            choices("eviction.eviction_policy"),
            EvictionPolicyName::ALL.iter().map(|p| p.name()).collect::<Vec<_>>()
        );
    }

    #[test]
    fn only_credentials_count_as_secret() {
        let secret: Vec<_> =
            FIELDS.iter().filter(|field| field.is_secret()).map(|field| field.name).collect();
        assert_eq!(secret, ["access_key", "secret_key", "session_token", "connection_string"]);
        assert!(FIELDS.iter().all(|field| !field.is_secret() || field.role == Role::Plugin));
    }
}
