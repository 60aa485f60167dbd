//! The keys that the adapters themselves use, those of the host, and the one that is refused.

use super::{COMMON, Field, Kind, MOST_BYTES, Place, Preset, Role};
use crate::adapter::AdapterConfig;
use crate::adapter::AdapterType::{Dynamic, Static};
use crate::backend::Backend;
use crate::engine::EngineConfig;
use crate::eviction::EvictionConfig;

pub(crate) const TYPE: Field = Field {
    name: "type",
    kind: Kind::Choice(&["nixl_store", "nixl_store_dynamic"]),
    required: true,
    about: "The adapter: a static pool of descriptors made at start, or one file per object, opened for each operation.",
    trade_off: Some(
        "The static pool opens nothing while it works, but forgets everything at a restart; the dynamic adapter keeps its \
         files and is not bound by the limit of open files, but opens one for each object.",
    ),
    ..COMMON
};

pub(crate) const BACKEND: Field = Field {
    name: "backend",
    kind: Kind::Choice(&["POSIX", "GDS", "GDS_MT", "HF3FS", "OBJ", "AZURE_BLOB"]),
    required: true,
    about: "The storage, by the name of NIXL's plugin; nixl_store_dynamic takes those that keep files: POSIX, GDS, GDS_MT \
            and HF3FS.",
    trade_off: Some(
        "POSIX works on any file system; GDS and GDS_MT spare a copy where L1 is GPU memory and need NVMe with GDS; HF3FS \
         needs a 3FS mount; OBJ (S3) and AZURE_BLOB are shared and slow to answer.",
    ),
    ..COMMON
};

pub(crate) const BACKEND_PARAMS: Field = Field {
    name: "backend_params",
    kind: Kind::Object,
    default: Preset::Described("an empty object"),
    about: "Where and how the backend stores, and the keys of its plugin.",
    ..COMMON
};

pub(crate) const POOL_SIZE: Field = Field {
    name: "pool_size",
    adapters: &[Static],
    kind: Kind::Integer { min: 1, max: u32::MAX as u64 },
    required: true,
    unit: Some("descriptors"),
    about: "How many files or objects are made at start; each is one slot. The capacity is pool_size times the slot's size.",
    trade_off: Some(
        "Every file of the pool stays open and counts towards the process's limit of open files.",
    ),
    ..COMMON
};

pub(crate) const PERSIST_ENABLED: Field = Field {
    name: "persist_enabled",
    adapters: &[Dynamic],
    backends: Backend::FILES,
    kind: Kind::Boolean,
    default: Preset::Boolean(true),
    about: "Whether the files stay at shutdown, to be found again after a restart; false deletes all data files of the adapter.",
    ..COMMON
};

pub(crate) const EVICTION: Field = Field {
    name: "eviction",
    kind: Kind::Object,
    about: "How room is made. Without it nothing is ever evicted, and a full adapter rejects stores.",
    ..COMMON
};

pub(crate) const WORKERS: Field = Field {
    name: "workers",
    kind: Kind::Integer { min: 1, max: 64 },
    default: Preset::Described("chosen by the engine from the machine"),
    unit: Some("threads"),
    about: "How many threads move data, each with a NIXL agent of its own.",
    trade_off: Some("More threads keep a fast disk busy, and take processor time from the host."),
    ..COMMON
};

pub(crate) const IO_TIMEOUT_SECONDS: Field = Field {
    name: "io_timeout_seconds",
    kind: Kind::Number { max: 3600.0 },
    default: Preset::Number(EngineConfig::DEFAULT_IO_TIMEOUT.as_secs() as f64),
    unit: Some("seconds"),
    about: "How long one transfer may take, from when it is posted, before it counts as failed; what was waiting for its turn \
            then is not tried.",
    trade_off: Some("Short fails fast when storage hangs; too short fails large objects on slow storage."),
    ..COMMON
};

pub(crate) const SPIN_MICROSECONDS: Field = Field {
    name: "spin_microseconds",
    kind: Kind::Integer { min: 0, max: 1_000_000 },
    default: Preset::Number(EngineConfig::DEFAULT_SPIN.as_micros() as f64),
    unit: Some("microseconds"),
    about: "How long a thread that waits, for work or for a result, looks for it before it sleeps, at most: it does so only while \
            that has paid off lately, and yields to others. 0: never.",
    trade_off: Some(
        "Saves the time that waking takes, 5 to 100 µs each, and costs processor time after each burst of requests; 0 where that \
         is metered.",
    ),
    ..COMMON
};

pub(crate) const PIN_TTL_SECONDS: Field = Field {
    name: "pin_ttl_seconds",
    kind: Kind::NumberFromZero { max: AdapterConfig::MAX_PIN_TTL.as_secs() as f64 },
    default: Preset::Number(AdapterConfig::DEFAULT_PIN_TTL.as_secs() as f64),
    unit: Some("seconds"),
    about: "How long the pin of a lookup lasts if nobody gives it back: after that the object may be evicted and deleted again. \
            0: for ever.",
    trade_off: Some(
        "Short frees soon what a client that died has pinned; too short lets an object go while it is still needed.",
    ),
    ..COMMON
};

pub(crate) const INTEGRITY: Field = Field {
    name: "integrity",
    kind: Kind::Choice(&["size", "checksum"]),
    default: Preset::Described("size"),
    about: "What each load is compared with: the lengths, or also a checksum of all bytes, the key and the layout_tag, which \
            are kept beside the bytes (an extended attribute, or a side file). With checksum an object that has none, such as \
            LMCache's own files, is a miss, and the next store replaces it.",
    trade_off: Some(
        "checksum notices every changed byte, and reads each object once more in memory, at 10 GB/s or so.",
    ),
    ..COMMON
};

/// The longest layout tag, in bytes.
pub(crate) const MOST_TAG: usize = 256;

pub(crate) const LAYOUT_TAG: Field = Field {
    name: "layout_tag",
    adapters: &[Dynamic],
    kind: Kind::Text { may_be_blank: false },
    about: "What the bytes mean beyond what the key says: the model's revision, the data type of the KV, the shape of a page. \
            Objects that were stored under another tag, or none, are misses. At most 256 bytes.",
    trade_off: Some(
        "A tag that changes needlessly empties the cache; one that is missing lets old bytes be read as new ones.",
    ),
    ..COMMON
};

pub(crate) const DURABILITY: Field = Field {
    name: "durability",
    adapters: &[Dynamic],
    kind: Kind::Choice(&["none", "fsync"]),
    default: Preset::Described("none"),
    about: "Whether an object is on the device, and not only in the kernel's memory, before it is reported as stored.",
    trade_off: Some(
        "fsync keeps what was stored over a power cut, and makes each store wait for the device.",
    ),
    ..COMMON
};

pub(crate) const RECOVER_SCAN: Field = Field {
    name: "recover_scan",
    adapters: &[Dynamic],
    kind: Kind::Choice(&["background", "off"]),
    default: Preset::Described("background"),
    about: "Whether what an earlier run left in the directory is counted after a start, in the background. off: an object counts \
            towards max_capacity_gb, and can be evicted, only once it was looked up.",
    trade_off: Some(
        "off spares a large directory from being read, and lets the disk fill up beyond max_capacity_gb.",
    ),
    ..COMMON
};

pub(crate) const MIN_FREE_GB: Field = Field {
    name: "min_free_gb",
    adapters: &[Dynamic],
    kind: Kind::NumberFromZero { max: 1e9 },
    default: Preset::Number(0.0),
    unit: Some("GiB"),
    about: "So much of the file system is left to others: a store that would leave less evicts first, and is rejected when that \
            does not help.",
    trade_off: Some("More keeps others on the same disk from running out of room; less caches more."),
    ..COMMON
};

pub(crate) const AFFINITY_TAG: Field = Field {
    name: "affinity_tag",
    kind: Kind::Text { may_be_blank: false },
    about: "Which L1 of the host the adapter belongs to. The host's to use; it changes nothing here.",
    role: Role::Host,
    ..COMMON
};

pub(crate) const SHARED: Field = Field {
    name: "shared",
    kind: Kind::Boolean,
    about: "Whether the host reports the storage as shared. The host's to use; it changes nothing here.",
    role: Role::Host,
    ..COMMON
};

pub(crate) const SERDE: Field = Field {
    name: "serde",
    kind: Kind::Object,
    about: "A transformation of the bytes (compression, encryption) that LMCache offers. Refused: without it other bytes \
            would be stored than the configuration asks for.",
    role: Role::Refused,
    ..COMMON
};

pub(crate) const FILE_PATH: Field = Field {
    name: "file_path",
    place: Place::BackendParams,
    backends: Backend::FILES,
    kind: Kind::Text { may_be_blank: false },
    required: true,
    about: "The directory for the data; it is made when missing.",
    ..COMMON
};

pub(crate) const USE_DIRECT_IO: Field = Field {
    name: "use_direct_io",
    place: Place::BackendParams,
    backends: Backend::FILES,
    kind: Kind::Boolean,
    required: true,
    about: "Whether files are opened with O_DIRECT, past the page cache.",
    trade_off: Some(
        "Direct I/O leaves the page cache and its memory to others and is steady; buffered I/O answers repeated loads from \
         memory and takes any length. Direct I/O needs lengths that are multiples of the file system's block.",
    ),
    ..COMMON
};

pub(crate) const MAX_CAPACITY_GB: Field = Field {
    name: "max_capacity_gb",
    place: Place::BackendParams,
    adapters: &[Dynamic],
    backends: Backend::FILES,
    kind: Kind::Number { max: 4_294_967_296.0 },
    required: true,
    unit: Some("GiB, 1024³ bytes each"),
    about: "The most that is stored. What does not fit is rejected, or makes room by eviction where that is configured.",
    ..COMMON
};

pub(crate) const SHARD_DIRS: Field = Field {
    name: "shard_dirs",
    place: Place::BackendParams,
    adapters: &[Dynamic],
    backends: Backend::FILES,
    kind: Kind::Boolean,
    default: Preset::Boolean(false),
    about: "Whether files are spread over 65536 directories by the first two bytes of the chunk's hash.",
    trade_off: Some(
        "Keeps directories small where there are millions of files. A cache written the other way is not found.",
    ),
    ..COMMON
};

pub(crate) const FILE_SIZE: Field = Field {
    name: "file_size",
    place: Place::BackendParams,
    adapters: &[Static],
    kind: Kind::Integer { min: 1, max: MOST_BYTES },
    default: Preset::Described("L1's page on files; what one chunk needs on object stores"),
    unit: Some("bytes"),
    about: "The size of one slot: of each file, or of each object. A multiple of L1's page.",
    trade_off: Some(
        "An object takes as many slots as it needs: slots far smaller than an object cost many descriptors, larger ones \
         waste what the object leaves.",
    ),
    ..COMMON
};

pub(crate) const SLOT_SIZE: Field = Field {
    name: "slot_size",
    default: Preset::Described("file_size"),
    about: "Another name for file_size, for object stores.",
    trade_off: None,
    ..FILE_SIZE
};

/// The most bytes of a prefix: half of what S3 and Azure take for a name.
pub(crate) const MOST_PREFIX: usize = 512;

pub(crate) const OBJECT_PREFIX: Field = Field {
    name: "object_prefix",
    place: Place::BackendParams,
    adapters: &[Static],
    backends: Backend::OBJECTS,
    kind: Kind::Text { may_be_blank: false },
    default: Preset::Described("nixl-l2/, the host's name, and a number for each pool of this host"),
    about: "What the names of the pool's objects start with; at most 512 bytes, without control characters. No two \
            servers may share one: they would write over each other's objects. A server that starts again with the same \
            prefix writes over its own objects. To be set in containers, whose host's name may be shared or new each time.",
    ..COMMON
};

pub(crate) const EVICTION_POLICY: Field = Field {
    name: "eviction_policy",
    place: Place::Eviction,
    kind: Kind::Choice(&["LRU", "ARC", "IsolatedLRU", "noop"]),
    required: true,
    about: "Which objects go first: the least recently used, ARC's choice, the least recently used of the tenant that is \
            over its quota, or none.",
    ..COMMON
};

pub(crate) const TRIGGER_WATERMARK: Field = Field {
    name: "trigger_watermark",
    place: Place::Eviction,
    kind: Kind::Number { max: 1.0 },
    default: Preset::Number(EvictionConfig::DEFAULT_TRIGGER_WATERMARK),
    unit: Some("part of the capacity"),
    about: "Eviction begins when this much of the capacity is in use.",
    trade_off: Some("Low keeps room for bursts of stores; high keeps more objects."),
    ..COMMON
};

pub(crate) const EVICTION_RATIO: Field = Field {
    name: "eviction_ratio",
    place: Place::Eviction,
    kind: Kind::Number { max: 1.0 },
    default: Preset::Number(EvictionConfig::DEFAULT_EVICTION_RATIO),
    unit: Some("part of the stored objects"),
    about: "How much goes in one pass.",
    trade_off: Some("Small passes throw away little at a time and come often; large ones are rare."),
    ..COMMON
};
