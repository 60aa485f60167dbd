//! The keys that are handed to NIXL's plugins, with the limits that the plugins have.

use super::{COMMON, Field, Kind, MOST_BYTES, Place, Preset, Role};
use crate::backend::Backend;

const PLUGIN: Field = Field { place: Place::BackendParams, role: Role::Plugin, ..COMMON };
const POSIX: Field = Field { backends: &[Backend::Posix], ..PLUGIN };
const GDS: Field = Field { backends: &[Backend::Gds], ..PLUGIN };
const HF3FS: Field = Field { backends: &[Backend::Hf3fs], ..PLUGIN };
const OBJ: Field = Field { backends: &[Backend::Obj], ..PLUGIN };
const AZURE: Field = Field { backends: &[Backend::AzureBlob], ..PLUGIN };

const TEXT: Kind = Kind::Text { may_be_blank: true };
const CHECKSUM: Kind = Kind::Choice(&["required", "supported"]);

pub(crate) const USE_AIO: Field = Field {
    name: "use_aio",
    kind: Kind::Boolean,
    default: Preset::Described("NIXL's choice of queue, which is this one"),
    about: "Linux AIO as the queue.",
    trade_off: Some("The copy of buffered I/O is made by the thread that submits it."),
    ..POSIX
};

pub(crate) const USE_URING: Field = Field {
    name: "use_uring",
    kind: Kind::Boolean,
    default: Preset::Described("false"),
    about: "io_uring as the queue.",
    trade_off: Some("Cold buffered reads overlap; small writes cost more than with Linux AIO."),
    ..POSIX
};

pub(crate) const USE_POSIX_AIO: Field = Field {
    name: "use_posix_aio",
    kind: Kind::Boolean,
    default: Preset::Described("false"),
    about: "POSIX AIO as the queue. Only false is accepted: after one I/O error that queue fails every transfer, and \
            closing it ends the process.",
    ..POSIX
};

pub(crate) const IOS_POOL_SIZE: Field = Field {
    name: "ios_pool_size",
    kind: Kind::Integer { min: 64, max: 65536 },
    default: Preset::Described("chosen by the engine"),
    unit: Some("descriptors"),
    about: "The most descriptors in flight in one queue.",
    trade_off: Some("Each costs memory and time at start, whether used or not."),
    ..POSIX
};

pub(crate) const KERNEL_QUEUE_SIZE: Field = Field {
    name: "kernel_queue_size",
    kind: Kind::Integer { min: 16, max: 1024 },
    default: Preset::Described("chosen by the engine"),
    unit: Some("requests"),
    about: "The depth of the kernel's queue. With Linux AIO, all queues of the machine together stay below fs.aio-max-nr.",
    ..POSIX
};

/// What direct I/O wants offsets and lengths to be multiples of.
pub(crate) const MAX_REQUEST_STEP: u64 = 4096;

pub(crate) const BATCH_POOL_SIZE: Field = Field {
    name: "batch_pool_size",
    kind: Kind::Integer { min: 1, max: 1024 },
    default: Preset::Described("4, for each worker; the plugin's own is 16"),
    unit: Some("batches"),
    about: "The most cuFile batches in flight, for each agent.",
    trade_off: Some("Each costs memory at start, whether used or not."),
    ..GDS
};

pub(crate) const BATCH_LIMIT: Field = Field {
    name: "batch_limit",
    kind: Kind::Integer { min: 1, max: 128 },
    default: Preset::Described("8; the plugin's own is 128"),
    unit: Some("entries"),
    about: "The most entries of one cuFile batch, which is one request here.",
    trade_off: Some(
        "Without the kernel's module nvidia-fs, all entries in flight of the process together must find room in cuFile's \
         pool of buffers (posix_pool_slab_count in cufile.json; 64 of 1 MiB unless set), or transfers block for ever.",
    ),
    ..GDS
};

pub(crate) const MAX_REQUEST_SIZE: Field = Field {
    name: "max_request_size",
    kind: Kind::Integer { min: MAX_REQUEST_STEP, max: 16 << 20 },
    default: Preset::Described("16777216"),
    unit: Some("bytes"),
    about: "The size into which larger transfers are cut; a multiple of 4096.",
    ..GDS
};

pub(crate) const THREAD_COUNT: Field = Field {
    name: "thread_count",
    backends: &[Backend::GdsMt],
    kind: Kind::Integer { min: 1, max: 1024 },
    default: Preset::Described("4, for each worker; the plugin's own is half of the processor's threads"),
    unit: Some("threads"),
    about: "How many threads the plugin uses, for each agent.",
    ..PLUGIN
};

pub(crate) const MOUNT_POINT: Field = Field {
    name: "mount_point",
    kind: Kind::Text { may_be_blank: false },
    default: Preset::Described("/mnt/3fs/"),
    about: "Where 3FS is mounted: its mount, or a directory on it. Links are not followed.",
    ..HF3FS
};

pub(crate) const MEM_CONFIG: Field = Field {
    name: "mem_config",
    kind: Kind::Choice(&["dram"]),
    default: Preset::Described("dram"),
    about: "How bytes get from L1 to 3FS: dram copies them. The plugin's auto and dram_zc are refused: they exchange the \
            pages under memory that is in use, and with a second worker transfers would miss it.",
    ..HF3FS
};

pub(crate) const IOPOOL_SIZE: Field = Field {
    name: "iopool_size",
    kind: Kind::Integer { min: 1, max: 1 << 20 },
    default: Preset::Described("8, for each worker; the plugin's own is 64"),
    unit: Some("requests"),
    about: "The most I/O requests in flight, for each agent.",
    trade_off: Some(
        "Each request in flight has a thread that does not rest, and a buffer as large as its data.",
    ),
    ..HF3FS
};

pub(crate) const BUCKET: Field = Field {
    name: "bucket",
    kind: TEXT,
    default: Preset::Described("the environment's AWS_DEFAULT_BUCKET"),
    about: "The S3 bucket; it must exist.",
    ..OBJ
};

pub(crate) const ENDPOINT_OVERRIDE: Field = Field {
    name: "endpoint_override",
    kind: TEXT,
    default: Preset::Described(
        "the environment's AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL, else the region's own",
    ),
    about: "The address of an S3 server that is not Amazon's.",
    ..OBJ
};

pub(crate) const SCHEME: Field = Field {
    name: "scheme",
    kind: Kind::Choice(&["http", "https"]),
    default: Preset::Described("https"),
    about: "Whether the connection is encrypted.",
    ..OBJ
};

pub(crate) const REGION: Field = Field {
    name: "region",
    kind: TEXT,
    default: Preset::Described("us-east-1"),
    about: "The region of the S3 service.",
    ..OBJ
};

pub(crate) const ACCESS_KEY: Field = Field {
    name: "access_key",
    kind: TEXT,
    default: Preset::Described("the AWS SDK's own search: environment, profile, role"),
    about: "The access key's id; needs secret_key. Never shown.",
    ..OBJ
};

pub(crate) const SECRET_KEY: Field = Field {
    name: "secret_key",
    kind: TEXT,
    default: Preset::Described("as access_key"),
    about: "The secret access key; needs access_key. Never shown.",
    ..OBJ
};

pub(crate) const SESSION_TOKEN: Field = Field {
    name: "session_token",
    kind: TEXT,
    about: "The token of temporary credentials; needs access_key and secret_key. Never shown.",
    ..OBJ
};

pub(crate) const USE_VIRTUAL_ADDRESSING: Field = Field {
    name: "use_virtual_addressing",
    kind: Kind::Boolean,
    default: Preset::Described("false"),
    about: "Whether the bucket is part of the host's name rather than of the path.",
    ..OBJ
};

pub(crate) const REQ_CHECKSUM: Field = Field {
    name: "req_checksum",
    kind: CHECKSUM,
    default: Preset::Described("the AWS SDK's"),
    about: "Whether requests carry a checksum only where it is required, or wherever it is supported.",
    trade_off: Some("Servers other than Amazon's often know the required ones only."),
    ..OBJ
};

pub(crate) const RESP_CHECKSUM: Field = Field {
    name: "resp_checksum",
    kind: CHECKSUM,
    default: Preset::Described("the AWS SDK's"),
    about: "Whether checksums of answers are checked only where it is required, or wherever it is supported.",
    ..OBJ
};

pub(crate) const CRT_MIN_LIMIT: Field = Field {
    name: "crtMinLimit",
    kind: Kind::Integer { min: 0, max: MOST_BYTES },
    default: Preset::Described("0, which never uses it"),
    unit: Some("bytes"),
    about: "From this size on objects go through the AWS CRT client, in parts of this size.",
    trade_off: Some(
        "Parallel parts help large objects on fast links; S3 takes no part below 5 MiB but the last.",
    ),
    ..OBJ
};

pub(crate) const THROUGHPUT_TARGET_GBPS: Field = Field {
    name: "throughput_target_gbps",
    kind: Kind::Integer { min: 1, max: 1_000_000 },
    default: Preset::Described("10"),
    unit: Some("Gbit/s"),
    about: "How fast the AWS CRT client tries to be, which decides how many connections it opens.",
    ..OBJ
};

pub(crate) const ACCELERATED: Field = Field {
    name: "accelerated",
    kind: Kind::Boolean,
    default: Preset::Described("false"),
    about: "Whether an accelerated engine of the plugin is used.",
    ..OBJ
};

pub(crate) const ACCELERATED_TYPE: Field = Field {
    name: "type",
    kind: TEXT,
    about: "Which accelerated engine; of use with accelerated only.",
    ..OBJ
};

pub(crate) const ACCOUNT_URL: Field = Field {
    name: "account_url",
    kind: TEXT,
    default: Preset::Described("the environment's AZURE_STORAGE_ACCOUNT_URL"),
    about: "The address of the storage account.",
    ..AZURE
};

pub(crate) const CONTAINER_NAME: Field = Field {
    name: "container_name",
    kind: TEXT,
    default: Preset::Described("the environment's AZURE_STORAGE_CONTAINER_NAME"),
    about: "The container; it must exist.",
    ..AZURE
};

pub(crate) const CONNECTION_STRING: Field = Field {
    name: "connection_string",
    kind: TEXT,
    default: Preset::Described("the environment's AZURE_STORAGE_CONNECTION_STRING"),
    about: "Account and key in one text, in place of account_url and of Azure's own search for credentials. Never shown.",
    ..AZURE
};

pub(crate) const CA_BUNDLE: Field = Field {
    name: "ca_bundle",
    backends: Backend::OBJECTS,
    kind: TEXT,
    default: Preset::Described("the system's"),
    about: "A file of certificates of authorities to trust.",
    ..PLUGIN
};

pub(crate) const NUM_THREADS: Field = Field {
    name: "num_threads",
    backends: Backend::OBJECTS,
    kind: Kind::Integer { min: 1, max: 1024 },
    default: Preset::Described("8, for each worker; the plugin's own is half of the processor's threads"),
    unit: Some("threads"),
    about: "How many requests run at once, for each agent.",
    trade_off: Some(
        "The one thing that decides how fast many small objects go; each thread holds a connection.",
    ),
    ..PLUGIN
};
