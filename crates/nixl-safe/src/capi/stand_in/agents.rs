//! Agents, their plugins and backends, and what is registered with them.

use std::collections::BTreeMap;
use std::ffi::{CString, c_char, c_uint};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::super::AgentConfig;
use super::lists::{Described, MemoryTypes, OptArgs, Params, RegList, Responses, StringList, answer};
use super::world::World;
use super::{
    BACKEND, Handle, INVALID, NOT_FOUND, SUCCESS, Status, hand_out, locked, look, string, take_back,
};

pub(super) const DRAM: c_uint = 0;
pub(super) const VRAM: c_uint = 1;
pub(super) const OBJECT: c_uint = 3;
pub(super) const FILE: c_uint = 4;

/// The plugins there are, with their kinds of memory.
const PLUGINS: [(&str, &[c_uint]); 4] = [
    ("POSIX", &[DRAM, FILE]),
    ("OBJ", &[DRAM, OBJECT]),
    ("GDS", &[DRAM, VRAM, FILE]),
    ("GDS_MT", &[DRAM, VRAM, FILE]),
];

pub(super) struct Agent {
    pub(super) name: String,
    pub(super) world: Arc<World>,
    pub(super) registered: Mutex<Vec<Arc<Registered>>>,
    engines: Mutex<Vec<Arc<Engine>>>,
    pub(super) requests: AtomicUsize,
}

/// A plugin's backend; a handle to it is a [`Backend`].
pub(super) struct Engine {
    pub(super) plugin: String,
    pub(super) kinds: &'static [c_uint],
    /// Descriptors that may be in flight.
    pub(super) pool: usize,
    pub(super) in_flight: AtomicUsize,
}

/// A reference to an engine. It may outlive the agent, so it does not know it.
pub(super) struct Backend {
    pub(super) engine: Arc<Engine>,
    world: Arc<World>,
}

/// An entry of an agent's table.
pub(super) struct Registered {
    pub(super) engine: Arc<Engine>,
    pub(super) kind: c_uint,
    pub(super) described: Described,
    /// Requests that refer to it and are not released.
    pub(super) users: AtomicUsize,
}

impl Registered {
    fn is(&self, engine: &Arc<Engine>, kind: c_uint, described: &Described) -> bool {
        let mine = (self.described.address, self.described.length, self.described.device);
        let theirs = (described.address, described.length, described.device);
        Arc::ptr_eq(&self.engine, engine) && self.kind == kind && mine == theirs
    }

    /// Whether it covers a descriptor; one of length 0 covers everything from its address.
    pub(super) fn covers(&self, engine: &Arc<Engine>, kind: c_uint, wanted: &Described) -> bool {
        let mine = &self.described;
        Arc::ptr_eq(&self.engine, engine)
            && (self.kind, mine.device) == (kind, wanted.device)
            && mine.address <= wanted.address
            && (mine.length == 0 || wanted.address + wanted.length <= mine.address + mine.length)
    }
}

impl Agent {
    /// The one backend that a call's options must name.
    pub(super) fn engine(&self, call: &str, arguments: Handle) -> Arc<Engine> {
        let options = look::<OptArgs>(arguments);
        let named = locked(&options.0);
        let [engine] = named.as_slice() else { panic!("{call} with {} backends", named.len()) };
        let mine = locked(&self.engines).iter().any(|other| Arc::ptr_eq(engine, other));
        assert!(mine, "{call} with another agent's backend");
        Arc::clone(engine)
    }
}

pub(crate) unsafe extern "C" fn nixl_capi_create_configured_agent(
    name: *const c_char,
    config: *const AgentConfig,
    agent: *mut Handle,
) -> Status {
    // SAFETY: the caller's string.
    let name = unsafe { string(name) };
    // SAFETY: the caller's configuration.
    let thread_sync = unsafe { &*config }.thread_sync;
    let world = World::of_agent(&name).expect("an agent's name is that of its test's world");
    if let Some(status) = world.fault("create_configured_agent") {
        return status;
    }
    // `NIXL_CAPI_THREAD_SYNC_STRICT`.
    if thread_sync != 1 {
        world.breach(format!("an agent with thread_sync {thread_sync}, used from many threads"));
    }
    world.born("agent");
    world.note("create agent");
    let new = Agent {
        name,
        world,
        registered: Mutex::default(),
        engines: Mutex::default(),
        requests: AtomicUsize::new(0),
    };
    // SAFETY: the caller's place.
    unsafe { answer(agent, hand_out(new)) }
}

pub(crate) unsafe extern "C" fn nixl_capi_destroy_agent(agent: Handle) -> Status {
    let agent = take_back::<Agent>(agent);
    let requests = agent.requests.load(Ordering::SeqCst);
    let registered = locked(&agent.registered).len();
    if (requests, registered) != (0, 0) {
        agent
            .world
            .breach(format!("an agent ended before {requests} requests and {registered} registrations"));
    }
    agent.world.note("destroy agent");
    agent.world.died("agent");
    SUCCESS
}

pub(crate) unsafe extern "C" fn nixl_capi_get_available_plugins(agent: Handle, list: *mut Handle) -> Status {
    if let Some(status) = look::<Agent>(agent).world.fault("get_available_plugins") {
        return status;
    }
    let names = PLUGINS.map(|(name, _)| CString::new(name).unwrap()).to_vec();
    // SAFETY: the caller's place.
    unsafe { answer(list, hand_out(StringList(names))) }
}

fn parameters_of(plugin: &str) -> Params {
    let named: &[(&str, &str)] = match plugin {
        "POSIX" => &[("ios_pool_size", "65536"), ("kernel_queue_size", "256"), ("use_aio", "true")],
        _ => &[],
    };
    Params(Mutex::new(named.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()))
}

/// # Safety
/// `memories` and `params` may be written.
unsafe fn describe_plugin(
    plugin: &str,
    kinds: &[c_uint],
    memories: *mut Handle,
    params: *mut Handle,
) -> Status {
    // SAFETY: this function's contract.
    unsafe { answer(memories, hand_out(MemoryTypes(kinds.to_vec()))) };
    // SAFETY: this function's contract.
    unsafe { answer(params, hand_out(parameters_of(plugin))) }
}

pub(crate) unsafe extern "C" fn nixl_capi_get_plugin_params(
    agent: Handle,
    plugin: *const c_char,
    memories: *mut Handle,
    params: *mut Handle,
) -> Status {
    if let Some(status) = look::<Agent>(agent).world.fault("get_plugin_params") {
        return status;
    }
    // SAFETY: the caller's string.
    let name = unsafe { string(plugin) };
    let Some((_, kinds)) = PLUGINS.into_iter().find(|(known, _)| *known == name) else { return NOT_FOUND };
    // SAFETY: the caller's places.
    unsafe { describe_plugin(&name, kinds, memories, params) }
}

pub(crate) unsafe extern "C" fn nixl_capi_create_backend(
    agent: Handle,
    plugin: *const c_char,
    params: Handle,
    backend: *mut Handle,
) -> Status {
    let agent = look::<Agent>(agent);
    if let Some(status) = agent.world.fault("create_backend") {
        return status;
    }
    // SAFETY: the caller's string.
    let plugin = unsafe { string(plugin) };
    let Some((_, kinds)) = PLUGINS.into_iter().find(|(known, _)| *known == plugin) else { return BACKEND };
    let mut engines = locked(&agent.engines);
    if engines.iter().any(|engine| engine.plugin == plugin) {
        return BACKEND;
    }
    let asked = locked(&look::<Params>(params).0).get("ios_pool_size").map(|size| size.parse::<usize>());
    let pool = match (plugin.as_str(), asked) {
        (_, Some(Err(_))) => return BACKEND,
        ("POSIX", Some(Ok(size))) => size.clamp(64, 65536),
        ("POSIX", None) => 65536,
        _ => usize::MAX,
    };
    agent.world.born("backend");
    agent.world.note(format!("create backend {plugin}"));
    let engine = Arc::new(Engine { plugin, kinds, pool, in_flight: AtomicUsize::new(0) });
    engines.push(Arc::clone(&engine));
    // SAFETY: the caller's place.
    unsafe { answer(backend, hand_out(Backend { engine, world: Arc::clone(&agent.world) })) }
}

pub(crate) unsafe extern "C" fn nixl_capi_destroy_backend(backend: Handle) -> Status {
    take_back::<Backend>(backend).world.died("backend");
    SUCCESS
}

pub(crate) unsafe extern "C" fn nixl_capi_get_backend_params(
    agent: Handle,
    backend: Handle,
    memories: *mut Handle,
    params: *mut Handle,
) -> Status {
    if let Some(status) = look::<Agent>(agent).world.fault("get_backend_params") {
        return status;
    }
    let engine = Arc::clone(&look::<Backend>(backend).engine);
    // SAFETY: the caller's places.
    unsafe { describe_plugin(&engine.plugin, engine.kinds, memories, params) }
}

pub(crate) unsafe extern "C" fn nixl_capi_register_mem(
    agent: Handle,
    list: Handle,
    arguments: Handle,
) -> Status {
    let agent = look::<Agent>(agent);
    if let Some(status) = agent.world.fault("register_mem") {
        return status;
    }
    let engine = agent.engine("register_mem", arguments);
    let list = look::<RegList>(list);
    if !engine.kinds.contains(&list.kind) {
        return BACKEND;
    }
    let mut table = locked(&agent.registered);
    for described in locked(&list.described).iter() {
        if table.iter().any(|known| known.is(&engine, list.kind, described)) {
            agent.world.breach(format!(
                "registered twice, so that either may be taken for the other: {described:?}"
            ));
        }
        let new = Registered {
            engine: Arc::clone(&engine),
            kind: list.kind,
            described: described.clone(),
            users: AtomicUsize::new(0),
        };
        table.push(Arc::new(new));
        agent.world.born("registered");
        agent.world.note(format!("register {}", list.kind));
    }
    SUCCESS
}

pub(crate) unsafe extern "C" fn nixl_capi_deregister_mem(
    agent: Handle,
    list: Handle,
    arguments: Handle,
) -> Status {
    let agent = look::<Agent>(agent);
    let fault = agent.world.fault("deregister_mem");
    let engine = agent.engine("deregister_mem", arguments);
    let list = look::<RegList>(list);
    let mut table = locked(&agent.registered);
    for described in locked(&list.described).iter() {
        let Some(index) = table.iter().position(|known| known.is(&engine, list.kind, described)) else {
            agent.world.breach(format!("deregistered without having been registered: {described:?}"));
            return NOT_FOUND;
        };
        let gone = table.remove(index);
        if gone.users.load(Ordering::SeqCst) != 0 {
            agent.world.breach(format!("deregistered under a request: {described:?}"));
        }
        agent.world.note(format!("deregister {}", list.kind));
        agent.world.died("registered");
    }
    fault.unwrap_or(SUCCESS)
}

pub(crate) unsafe extern "C" fn nixl_capi_query_mem(
    agent: Handle,
    list: Handle,
    responses: Handle,
    arguments: Handle,
) -> Status {
    let agent = look::<Agent>(agent);
    if let Some(status) = agent.world.fault("query_mem") {
        return status;
    }
    let engine = agent.engine("query_mem", arguments);
    let list = look::<RegList>(list);
    if !engine.kinds.contains(&list.kind) {
        return INVALID;
    }
    let found = |described: &Described| {
        let name = std::str::from_utf8(&described.name).expect("the layer passes UTF-8");
        if list.kind == OBJECT {
            return agent.world.object(name).map(|_| BTreeMap::new());
        }
        let metadata = fs::metadata(name).ok()?;
        let facts = [("size", metadata.len()), ("mode", metadata.mode().into()), ("mtime", 0)];
        Some(facts.map(|(key, value)| (key.to_owned(), value.to_string())).into())
    };
    *locked(&look::<Responses>(responses).0) = locked(&list.described).iter().map(found).collect();
    SUCCESS
}
