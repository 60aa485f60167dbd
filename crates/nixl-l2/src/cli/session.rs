//! The adapters for the time of one command: their configurations from the command line, NIXL kept quiet, waits with a limit.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Error, Result, anyhow, bail};
use nixl_l2::{
    AdapterConfig, ConfigErrors, L2Adapter, Nixl, OpenError, OpenOptions, Region, Several, Shortfall, Task,
};

/// How long any answer of an adapter is waited for.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// What L1 is aligned to: O_DIRECT and NIXL's plugins take multiples of this.
pub(crate) const PAGE: usize = 4096;

/// The argument that every command has which opens adapters.
#[derive(Debug, clap::Args)]
pub(crate) struct AdapterArg {
    /// An adapter's configuration, one JSON object as LMCache takes it; `--help` lists its keys. Given several times, there
    /// are several adapters in that order: stores go to all, and loads come from the one that has most
    #[arg(long = "l2-adapter", id = "l2-adapter", value_name = "JSON", required = true)]
    json: Vec<String>,
}

impl AdapterArg {
    /// The text of the one adapter of a command that takes one.
    pub(crate) fn text(&self) -> Result<&str> {
        match self.json.as_slice() {
            [json] => Ok(json),
            several => bail!("--l2-adapter: this command takes one adapter, not {}", several.len()),
        }
    }

    /// The checked configuration of a command that takes one adapter.
    pub(crate) fn config(&self) -> Result<AdapterConfig> {
        AdapterConfig::parse(self.text()?).map_err(|faults| anyhow!("--l2-adapter: {}", listed(&faults)))
    }

    /// The checked configurations, in their order.
    pub(crate) fn configs(&self) -> Result<Vec<AdapterConfig>> {
        let parsed = self.json.iter().zip(1..).map(|(json, number)| {
            AdapterConfig::parse(json).map_err(|faults| format!("{}: {}", self.name(number), listed(&faults)))
        });
        let parsed: Vec<_> = parsed.collect();
        let faults: Vec<&str> =
            parsed.iter().filter_map(|parsed| parsed.as_ref().err()).map(String::as_str).collect();
        if !faults.is_empty() {
            bail!("{}", faults.join("; "));
        }
        Ok(parsed.into_iter().flatten().collect())
    }

    /// What an adapter is called in messages, by its place from 1.
    fn name(&self, number: usize) -> String {
        match self.json.len() {
            1 => "--l2-adapter".to_owned(),
            _ => format!("--l2-adapter #{number}"),
        }
    }

    /// The checked configurations, with the files kept at the end whatever they say: for commands that handle single
    /// objects, which must not empty the directory of the server whose configuration they were given.
    ///
    /// # Errors
    /// For a pool, which keeps nothing beyond the command.
    pub(crate) fn configs_that_keep_files(&self) -> Result<Vec<AdapterConfig>> {
        let mut configs = self.configs()?;
        for (config, number) in configs.iter_mut().zip(1..) {
            match config {
                AdapterConfig::Dynamic(dynamic) => dynamic.persist_enabled = true,
                AdapterConfig::Static(_) => bail!(
                    "{}: a nixl_store forgets everything when the command ends; this needs the type nixl_store_dynamic",
                    self.name(number)
                ),
            }
        }
        Ok(configs)
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

/// Adapters that were opened.
pub(crate) struct Opened {
    /// As one.
    pub(crate) all: Arc<dyn L2Adapter>,
    /// Each by itself, in their order.
    pub(crate) each: Vec<Arc<dyn L2Adapter>>,
    several: Option<Arc<Several>>,
}

impl Opened {
    /// What each of several could not do so far; nothing of a single one, whose errors are told.
    pub(crate) fn shortfalls(&self) -> Vec<Shortfall> {
        self.several.as_ref().map(|several| several.shortfalls()).unwrap_or_default()
    }
}

/// Opens the adapters for objects of so many bytes, with NIXL's own messages kept off stderr: what fails comes as an error.
pub(crate) fn open_each(configs: &[AdapterConfig], l1: &Region, chunk_bytes: usize) -> Result<Opened> {
    Nixl::load()?.silence();
    let options = OpenOptions::default().chunk_bytes(chunk_bytes as u64);
    if let [config] = configs {
        let one = nixl_l2::open_with(config, l1, &options).context("--l2-adapter")?;
        return Ok(Opened { all: Arc::clone(&one), each: vec![one], several: None });
    }
    let several = nixl_l2::open_several(configs, l1, &options).map_err(|error| match error {
        OpenError::At { place, error } => Error::new(*error).context(format!("--l2-adapter #{}", place + 1)),
        error => Error::new(error).context("--l2-adapter"),
    })?;
    let each = several.members().iter().map(|member| Arc::clone(member.adapter())).collect();
    Ok(Opened { all: Arc::clone(&several) as Arc<dyn L2Adapter>, each, several: Some(several) })
}

/// [`open_each`], as one.
pub(crate) fn open(configs: &[AdapterConfig], l1: &Region, chunk_bytes: usize) -> Result<Arc<dyn L2Adapter>> {
    Ok(open_each(configs, l1, chunk_bytes)?.all)
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
        let json = r#"{"type": "nixl_store_dynamic", "backend": "POSIX"}"#.to_owned();
        let text = AdapterArg { json: vec![json.clone()] }.configs().unwrap_err().to_string();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.starts_with("--l2-adapter: 3 faults: (1) backend_params.file_path: "), "{text}");
        let text = AdapterArg { json: vec![json, "{".to_owned()] }.configs().unwrap_err().to_string();
        assert!(
            text.starts_with("--l2-adapter #1: 3 faults: ") && text.contains("; --l2-adapter #2: "),
            "{text}"
        );
    }

    #[test]
    fn commands_for_single_objects_never_delete_the_files() {
        let json = r#"{"type": "nixl_store_dynamic", "backend": "POSIX", "persist_enabled": false,
            "backend_params": {"file_path": "/x", "use_direct_io": "false", "max_capacity_gb": "1"}}"#;
        let adapter = AdapterArg { json: vec![json.to_owned(); 2] };
        let persist = |configs: Vec<AdapterConfig>| {
            configs
                .iter()
                .filter(|config| matches!(config, AdapterConfig::Dynamic(dynamic) if dynamic.persist_enabled))
                .count()
        };
        assert_eq!(persist(adapter.configs().unwrap()), 0);
        assert_eq!(persist(adapter.configs_that_keep_files().unwrap()), 2);

        let json = r#"{"type": "nixl_store", "backend": "OBJ", "pool_size": 32}"#;
        let text =
            AdapterArg { json: vec![json.to_owned()] }.configs_that_keep_files().unwrap_err().to_string();
        assert!(text.contains("nixl_store_dynamic"), "{text}");
    }
}
