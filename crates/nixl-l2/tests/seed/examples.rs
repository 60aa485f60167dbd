//! The examples, as they are written for users, and whether these are all of them.

use std::fs;
use std::path::Path;

use crate::support::skipped;

const STATIC: &str = "Static pool — nixl_store";
const DYNAMIC: &str = "Dynamic (persist / recover) — nixl_store_dynamic";

/// One configuration of the users' page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Example {
    /// The section it stands in.
    pub(crate) section: &'static str,
    /// What it is called there.
    pub(crate) title: &'static str,
    /// The text between the quotes of `--l2-adapter '…'`, byte for byte.
    pub(crate) json: &'static str,
}

pub(crate) const STATIC_POSIX: Example = Example {
    section: STATIC,
    title: "POSIX backend",
    json: r#"{"type": "nixl_store", "backend": "POSIX", "backend_params": {"file_path": "/data/lmcache/l2", "use_direct_io": "false"}, "pool_size": 64}"#,
};
pub(crate) const STATIC_GDS: Example = Example {
    section: STATIC,
    title: "GDS backend",
    json: r#"{"type": "nixl_store", "backend": "GDS", "backend_params": {"file_path": "/data/nvme/lmcache", "use_direct_io": "true"}, "pool_size": 128}"#,
};
pub(crate) const STATIC_GDS_MT: Example = Example {
    section: STATIC,
    title: "GDS_MT backend",
    json: r#"{"type": "nixl_store", "backend": "GDS_MT", "backend_params": {"file_path": "/data/nvme/lmcache", "use_direct_io": "true"}, "pool_size": 128}"#,
};
pub(crate) const STATIC_HF3FS: Example = Example {
    section: STATIC,
    title: "HF3FS backend",
    json: r#"{"type": "nixl_store", "backend": "HF3FS", "backend_params": {"file_path": "/mnt/hf3fs/lmcache", "use_direct_io": "false"}, "pool_size": 64}"#,
};
pub(crate) const STATIC_OBJ: Example = Example {
    section: STATIC,
    title: "OBJ backend",
    json: r#"{"type": "nixl_store", "backend": "OBJ", "backend_params": {}, "pool_size": 32}"#,
};
pub(crate) const STATIC_AZURE_BLOB: Example = Example {
    section: STATIC,
    title: "AZURE_BLOB backend",
    json: r#"{"type": "nixl_store", "backend": "AZURE_BLOB", "backend_params": {"account_url": "https://<account_name>.blob.core.windows.net", "container_name": "<container_name>"}, "pool_size": 32}"#,
};
pub(crate) const DYNAMIC_POSIX: Example = Example {
    section: DYNAMIC,
    title: "Basic dynamic POSIX backend (persist enabled by default)",
    json: r#"{"type": "nixl_store_dynamic", "backend": "POSIX", "backend_params": {"file_path": "/data/lmcache/l2", "use_direct_io": "false", "max_capacity_gb": "10"}}"#,
};
pub(crate) const DYNAMIC_WITHOUT_PERSIST: Example = Example {
    section: DYNAMIC,
    title: "Explicitly disable persist",
    json: r#"{"type": "nixl_store_dynamic", "backend": "POSIX", "backend_params": {"file_path": "/data/lmcache/l2", "use_direct_io": "false", "max_capacity_gb": "10"}, "persist_enabled": false}"#,
};
pub(crate) const DYNAMIC_WITH_EVICTION: Example = Example {
    section: DYNAMIC,
    title: "With eviction",
    json: r#"{"type": "nixl_store_dynamic", "backend": "GDS", "backend_params": {"file_path": "/data/nvme/l2", "use_direct_io": "true", "max_capacity_gb": "50"}, "eviction": {"eviction_policy": "LRU", "trigger_watermark": 0.9, "eviction_ratio": 0.1}}"#,
};

/// All, in the order of the page.
pub(crate) const ALL: [Example; 9] = [
    STATIC_POSIX,
    STATIC_GDS,
    STATIC_GDS_MT,
    STATIC_HF3FS,
    STATIC_OBJ,
    STATIC_AZURE_BLOB,
    DYNAMIC_POSIX,
    DYNAMIC_WITHOUT_PERSIST,
    DYNAMIC_WITH_EVICTION,
];

impl Example {
    /// Its text with another directory.
    pub(crate) fn at(&self, directory: &Path) -> String {
        let (before, rest) = self.json.split_once(r#""file_path": ""#).expect("it has a file_path");
        let (_, after) = rest.split_once('"').expect("the path ends");
        format!(r#"{before}"file_path": {directory:?}{after}"#)
    }

    /// The text with `old`, which is in it once, exchanged.
    #[track_caller]
    pub(crate) fn with(&self, old: &str, new: &str) -> String {
        exchanged(self.json, old, new)
    }
}

/// The text with `old`, which is in it once, exchanged.
#[track_caller]
pub(crate) fn exchanged(text: &str, old: &str, new: &str) -> String {
    assert_eq!(text.matches(old).count(), 1, "{old} in {text}");
    text.replace(old, new)
}

/// Section, title and text of each example of the page.
fn on_the_page(page: &str) -> Vec<(&str, &str, &str)> {
    let (mut section, mut title) = ("", "");
    let mut found = Vec::new();
    for line in page.lines() {
        if let Some(heading) = line.strip_suffix('#') {
            section = heading;
        } else if let Some(comment) = line.strip_prefix("# ") {
            title = comment;
        } else if let Some(rest) = line.strip_prefix("--l2-adapter '") {
            found.push((section, title, rest.strip_suffix('\'').expect("a closing quote")));
        }
    }
    found
}

#[test]
fn these_are_all_examples_of_the_users_page_byte_for_byte() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/seed.txt");
    let Ok(text) = fs::read_to_string(&page) else {
        return skipped("the users' page, shared/seed.txt, is not beside this repository");
    };
    assert_eq!(on_the_page(&text), ALL.map(|example| (example.section, example.title, example.json)));
    // None of another form, on some other line.
    assert_eq!(text.matches("l2-adapter").count(), ALL.len());
}

#[test]
fn an_example_at_another_place_differs_in_nothing_else() {
    assert_eq!(
        STATIC_POSIX.at(Path::new("/x y")),
        STATIC_POSIX.with("/data/lmcache/l2", "/x y"),
        "as if it had been typed"
    );
}
