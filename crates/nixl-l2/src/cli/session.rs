//! An adapter for the time of one command: its configuration from the command line, NIXL kept quiet, waits with a limit.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use nixl_l2::{AdapterConfig, ConfigErrors, L2Adapter, Nixl, OpenOptions, Region, Task};

/// How long any answer of an adapter is waited for.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// What L1 is aligned to: O_DIRECT and NIXL's plugins take multiples of this.
pub(crate) const PAGE: usize = 4096;

/// The argument that every command has which opens an adapter.
#[derive(Debug, clap::Args)]
pub(crate) struct AdapterArg {
    /// The adapter's configuration, one JSON object as LMCache takes it; `--help` lists its keys
    #[arg(long = "l2-adapter", id = "l2-adapter", value_name = "JSON")]
    json: String,
}

impl AdapterArg {
    /// The text as it was given.
    pub(crate) fn json(&self) -> &str {
        &self.json
    }

    /// The checked configuration.
    pub(crate) fn config(&self) -> Result<AdapterConfig> {
        AdapterConfig::parse(&self.json).map_err(|faults| anyhow!("--l2-adapter: {}", listed(&faults)))
    }

    /// The checked configuration, with the files kept at the end whatever it says: for commands that handle single
    /// objects, which must not empty the directory of the server whose configuration they were given.
    ///
    /// # Errors
    /// For a pool, which keeps nothing beyond the command.
    pub(crate) fn config_that_keeps_files(&self) -> Result<AdapterConfig> {
        let mut config = self.config()?;
        match &mut config {
            AdapterConfig::Dynamic(dynamic) => dynamic.persist_enabled = true,
            AdapterConfig::Static(_) => bail!(
                "--l2-adapter: a nixl_store forgets everything when the command ends; this needs the type \
                 nixl_store_dynamic"
            ),
        }
        Ok(config)
    }
}

/// What `--help` adds for a command with that argument: the example, and every key of the JSON.
pub(crate) fn long_help(example: &str) -> String {
    format!("{example}\n\n{}", nixl_l2::help_text())
}

/// Every fault on one line.
pub(crate) fn listed(faults: &ConfigErrors) -> String {
    match faults.as_slice() {
        [fault] => fault.to_string(),
        faults => {
            let numbered = faults.iter().enumerate().map(|(at, fault)| format!("({}) {fault}", at + 1));
            format!("{} faults: {}", faults.len(), numbered.collect::<Vec<_>>().join("; "))
        }
    }
}

/// Main memory for objects, a whole number of pages.
pub(crate) fn allocate(bytes: usize) -> Result<Region> {
    let pages = bytes.checked_next_multiple_of(PAGE).context("more memory than an address space has")?;
    Region::allocate(pages).with_context(|| format!("L1 memory of {pages} bytes"))
}

/// Opens the adapter for objects of so many bytes, with NIXL's own messages kept off stderr: what fails comes as an
/// error.
pub(crate) fn open(config: &AdapterConfig, l1: &Region, chunk_bytes: usize) -> Result<Arc<dyn L2Adapter>> {
    Nixl::load()?.silence();
    nixl_l2::open_with(config, l1, &OpenOptions::default().chunk_bytes(chunk_bytes as u64))
        .context("--l2-adapter")
}

/// The result of a task; an error if it takes longer than any storage should.
pub(crate) fn take<T>(task: Task<T>, what: impl Display) -> Result<T> {
    task.wait(LIMIT).map_err(|_| anyhow!("{what}: no answer within {} s", LIMIT.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_faults_are_one_line_that_names_each() {
        let adapter = AdapterArg { json: r#"{"type": "nixl_store_dynamic", "backend": "POSIX"}"#.to_owned() };
        let text = adapter.config().unwrap_err().to_string();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.starts_with("--l2-adapter: 3 faults: (1) backend_params.file_path: "), "{text}");
    }

    #[test]
    fn commands_for_single_objects_never_delete_the_files() {
        let json = r#"{"type": "nixl_store_dynamic", "backend": "POSIX", "persist_enabled": false,
            "backend_params": {"file_path": "/x", "use_direct_io": "false", "max_capacity_gb": "1"}}"#;
        let adapter = AdapterArg { json: json.to_owned() };
        let persists = |config| matches!(config, AdapterConfig::Dynamic(dynamic) if dynamic.persist_enabled);
        assert!(!persists(adapter.config().unwrap()));
        assert!(persists(adapter.config_that_keeps_files().unwrap()));

        let json = r#"{"type": "nixl_store", "backend": "OBJ", "pool_size": 32}"#;
        let text = AdapterArg { json: json.to_owned() }.config_that_keeps_files().unwrap_err().to_string();
        assert!(text.contains("nixl_store_dynamic"), "{text}");
    }
}
