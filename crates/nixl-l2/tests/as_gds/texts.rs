//! Configurations of both adapters on a backend, as the JSON that users write.

use std::path::Path;

use serde_json::{Map, Value, json};

/// Which adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Adapter {
    Static,
    Dynamic,
}

pub(crate) const BOTH: [Adapter; 2] = [Adapter::Static, Adapter::Dynamic];

/// Bytes of a file of the pool.
pub(crate) const FILE_BYTES: u64 = 256 << 10;
/// Files of the pool: 16 MiB together.
pub(crate) const FILES: u64 = 64;

/// A configuration in the making.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    top: Map<String, Value>,
    params: Map<String, Value>,
}

impl Text {
    /// A pool of 64 files of 256 KiB, or a cache of 1 GiB, in `directory`.
    pub(crate) fn new(adapter: Adapter, backend: &str, directory: &Path) -> Self {
        let text = Self { top: Map::new(), params: Map::new() }
            .top("backend", backend)
            .param("file_path", directory.to_str().unwrap())
            .param("use_direct_io", "false");
        match adapter {
            Adapter::Static => {
                text.top("type", "nixl_store").top("pool_size", FILES).param("file_size", FILE_BYTES)
            }
            Adapter::Dynamic => text.top("type", "nixl_store_dynamic").param("max_capacity_gb", "1"),
        }
    }

    pub(crate) fn direct(self, direct: bool) -> Self {
        self.param("use_direct_io", direct.to_string())
    }

    pub(crate) fn top(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.top.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn param(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.params.insert(name.to_owned(), value.into());
        self
    }

    /// With each parameter that NIXL's plugin of this name has.
    pub(crate) fn with_all_params(self) -> Self {
        let params = match self.top["backend"].as_str().unwrap() {
            "GDS" => json!({"batch_pool_size": "2", "batch_limit": 2, "max_request_size": "65536"}),
            "GDS_MT" => json!({"thread_count": 2}),
            "HF3FS" => json!({"mount_point": "/mnt/3fs/", "mem_config": "dram", "iopool_size": "4"}),
            other => panic!("{other} is not played here"),
        };
        let all = params.as_object().unwrap().clone();
        all.into_iter().fold(self, |text, (name, value)| text.param(&name, value))
    }

    pub(crate) fn json(&self) -> String {
        let mut top = self.top.clone();
        top.insert("backend_params".to_owned(), Value::Object(self.params.clone()));
        Value::Object(top).to_string()
    }
}
