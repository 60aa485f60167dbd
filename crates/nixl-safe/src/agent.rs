//! An agent: NIXL's unit of state, to which backends and registrations belong.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::path::PathBuf;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::backend::Backend;
use crate::capi::{self, Handle};
use crate::ending;
use crate::error::{Error, ErrorKind};
use crate::limits;
use crate::lists::{MemoryType, MemoryTypes, Params, StringList, c_string, check};
use crate::load::Nixl;
use crate::prerequisites;

/// What a plugin says of itself before a backend is made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginInfo {
    /// Its name, such as `POSIX`.
    pub name: String,
    /// The kinds of memory it can move.
    pub memory_types: Vec<MemoryType>,
    /// The parameters it names, with their defaults; some plugins accept more than they name.
    pub parameters: BTreeMap<String, String>,
}

/// What everything that belongs to an agent holds on to, so that the agent goes last.
#[derive(Debug)]
pub(crate) struct AgentInner {
    handle: Handle,
    name: CString,
    nixl: Nixl,
    next_object_id: AtomicU64,
}

// SAFETY: the handle is not tied to a thread; NIXL keeps no thread-local state for an agent.
unsafe impl Send for AgentInner {}
// SAFETY:
// - every agent of this crate is made with `SYNC_STRICT`: NIXL takes the agent's lock in each call on it, so they may
//   come from any thread at once; the exceptions take the plugin manager's lock (listing plugins) or read only the
//   backend that the options name (queries, which the plugins allow at any time);
// - requests, which want one thread at a time, are behind `&mut` (see `Request`).
unsafe impl Sync for AgentInner {}

impl AgentInner {
    pub(crate) fn raw(&self) -> Handle {
        self.handle
    }

    /// The agent's name: a transfer between memory and storage is one with itself.
    pub(crate) fn name(&self) -> &CString {
        &self.name
    }

    pub(crate) fn nixl(&self) -> Nixl {
        self.nixl
    }

    /// A device id for an object, used once: NIXL maps each id to one name.
    pub(crate) fn object_id(&self) -> u64 {
        self.next_object_id.fetch_add(1, Ordering::Relaxed)
    }
}

impl Drop for AgentInner {
    fn drop(&mut self) {
        let Some(_inside) = ending::enter() else { return };
        // SAFETY: the last reference: no registration or transfer of this agent is left, and the handle is not used
        // after. Backends free only their own handles, before or after.
        let status = unsafe { capi::nixl_capi_destroy_agent(self.handle) };
        if status != capi::SUCCESS {
            tracing::error!(status, agent = ?self.name, "NIXL could not destroy an agent");
        }
    }
}

/// An agent of NIXL. Cloning it clones a reference; it ends when the last backend, registration and transfer that
/// came from it have ended.
///
/// Agents are made with NIXL's strict locking, so they can be used from any thread. One agent does not scale over
/// threads, though: give each worker its own (2 µs, and 40 µs and 50 kB for a small POSIX backend).
#[derive(Debug, Clone)]
pub struct Agent(Arc<AgentInner>);

impl Agent {
    pub(crate) fn create(nixl: Nixl, name: &str) -> Result<Self, Error> {
        let name = c_string(name, "agent name")?;
        let config = capi::AgentConfig {
            // The plugins for storage make progress in the calls or on their own threads: no thread of NIXL's needed.
            enable_prog_thread: false,
            enable_listen_thread: false,
            listen_port: 0,
            thread_sync: capi::SYNC_STRICT,
            num_workers: 1,
            pthr_delay_us: 0,
            lthr_delay_us: 100_000,
            capture_telemetry: false,
        };
        let mut handle = ptr::null_mut();
        let _inside = ending::enter().ok_or_else(ending::error)?;
        // SAFETY: a terminated name, a whole configuration, and a place for the handle. The library is open: `nixl`.
        let status = unsafe { capi::nixl_capi_create_configured_agent(name.as_ptr(), &config, &mut handle) };
        check(
            "nixl_capi_create_configured_agent",
            status,
            "cannot create an agent; if there is a ~/.nixl.cfg or NIXL_CONFIG_FILE, check it",
        )?;
        Ok(Self(Arc::new(AgentInner { handle, name, nixl, next_object_id: AtomicU64::new(1) })))
    }

    /// Names of the plugins that are installed. Not each loads: libraries that it needs may be missing.
    ///
    /// # Errors
    /// [`ErrorKind::Failed`] when NIXL cannot list them.
    pub fn plugins(&self) -> Result<Vec<String>, Error> {
        let mut list = ptr::null_mut();
        // SAFETY: a live agent and a place for the list.
        let status = unsafe { capi::nixl_capi_get_available_plugins(self.0.raw(), &mut list) };
        check("nixl_capi_get_available_plugins", status, "cannot list plugins")?;
        // SAFETY: just made for us.
        unsafe { StringList::from_raw(list) }.to_vec()
    }

    /// Loads a plugin and asks what it can do.
    ///
    /// # Errors
    /// [`ErrorKind::PluginMissing`] when it is not installed or does not load; the message says what is missing.
    pub fn plugin(&self, name: &str) -> Result<PluginInfo, Error> {
        let c_name = c_string(name, "plugin name")?;
        let (mut memories, mut params) = (ptr::null_mut(), ptr::null_mut());
        let _inside = ending::enter().ok_or_else(ending::error)?;
        // SAFETY: a live agent, a terminated name, and places for two lists.
        let status = unsafe {
            capi::nixl_capi_get_plugin_params(self.0.raw(), c_name.as_ptr(), &mut memories, &mut params)
        };
        if status != capi::SUCCESS {
            return Err(self.why_no_plugin(name).unwrap_or_else(|| {
                Error::of_call("nixl_capi_get_plugin_params", status, "cannot be asked").with_plugin(name)
            }));
        }
        // SAFETY: just made for us.
        let memories = unsafe { MemoryTypes::from_raw(memories) };
        // SAFETY: just made for us.
        let params = unsafe { Params::from_raw(params) };
        Ok(PluginInfo {
            name: name.to_owned(),
            memory_types: memories.to_vec()?,
            parameters: params.to_map()?,
        })
    }

    /// Makes a backend of a plugin; an agent takes one of each. The backend itself lives as long as the agent.
    ///
    /// The parameters are the plugin's own, as text. For POSIX: `use_aio`, `use_uring`, `ios_pool_size` (64 to 65536
    /// descriptors in flight), `kernel_queue_size` (16 to 1024). For HF3FS `mem_config` is `dram` unless given.
    ///
    /// What the plugin needs is looked for first: its file, its libraries, the NVIDIA driver where it is linked to
    /// cuFile, a mount of 3FS where it is linked to that.
    ///
    /// # Errors
    /// [`ErrorKind::PluginMissing`] names what is missing and says how to get it; [`ErrorKind::Failed`] is NIXL's own
    /// answer; [`ErrorKind::InvalidInput`] for a parameter out of its range, and for those that would wedge a backend
    /// or move data elsewhere (POSIX's `use_posix_aio`, HF3FS's `mem_config` other than `dram`).
    pub fn backend<'a>(
        &self,
        plugin: &str,
        parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Backend, Error> {
        let mut all: BTreeMap<_, _> = limits::defaults(plugin).iter().copied().collect();
        all.extend(parameters);
        // A name that is none is the caller's mistake, not a missing file.
        c_string(plugin, "plugin name")?;
        let file = self.plugin_file(plugin)?;
        if let Some(file) = &file {
            prerequisites::check(plugin, file, &all)?;
        }
        Backend::create(&self.0, plugin, all).map_err(|error| match (&file, error.kind()) {
            (Some(file), ErrorKind::Failed) => error.about_file(file),
            _ => error,
        })
    }

    /// The file of a plugin; `None` when NIXL has it without one, or when where it looks is not known.
    fn plugin_file(&self, name: &str) -> Result<Option<PathBuf>, Error> {
        let missing = |what: String| Error::new(ErrorKind::PluginMissing, what).with_plugin(name);
        let Some(directory) = self.0.nixl().plugin_directory() else { return Ok(None) };
        if directory.as_os_str().is_empty() {
            let what =
                "cannot be found: NIXL_PLUGIN_DIR is set to nothing; unset it, or set it to a directory";
            return Err(missing(what.to_owned()));
        }
        let file = directory.join(format!("libplugin_{name}.so"));
        match file.metadata() {
            Ok(there) if there.is_file() => return Ok(Some(file)),
            // The loader would wait for ever for the other end of a pipe.
            Ok(_) => return Err(missing(format!("cannot be loaded: {} is not a file", file.display()))),
            Err(error) if file.symlink_metadata().is_ok() => {
                return Err(missing(format!("cannot be loaded: {}: {error}", file.display())));
            }
            Err(_) => {}
        }
        let mut known = self.plugins().unwrap_or_default();
        if known.iter().any(|known| known == name) {
            return Ok(None);
        }
        known.sort();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Err(missing(format!(
            "is not installed: there is no {} ({}); installed: {known}",
            file.display(),
            prerequisites::how_to_install(name)
        )))
    }

    /// Why a plugin cannot be used, if its file or its libraries are the reason.
    fn why_no_plugin(&self, name: &str) -> Option<Error> {
        let what = match self.plugin_file(name) {
            Err(error) => return Some(error),
            Ok(file) => prerequisites::loader_complaint(&file?)?,
        };
        Some(Error::new(ErrorKind::PluginMissing, what).with_plugin(name))
    }
}
