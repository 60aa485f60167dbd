//! NIXL's C functions: the only place that names them.
//!
//! They are declared here rather than taken from nixl-sys's Rust layer, which cannot pass names of objects and whose
//! safe calls can be made to free memory in use. They link against nixl-sys's stubs, which forward to
//! `libnixl_capi.so`, and which abort the process when it is missing: so nothing here may be called before
//! [`crate::Nixl`] has opened the library and seen every one of [`SYMBOLS`] in it.
//!
//! In unit tests a stand-in in Rust takes their place (`stand_in.rs`), so that ownership and the order of calls can be
//! watched, and broken, without NIXL.

use std::ffi::{c_char, c_int, c_uint, c_void};

#[cfg(test)]
pub(crate) mod stand_in;

/// Any of NIXL's opaque handles.
pub(crate) type Handle = *mut c_void;
/// `nixl_capi_status_t`.
pub(crate) type Status = c_int;

/// Done.
pub(crate) const SUCCESS: Status = 0;
/// Under way.
pub(crate) const IN_PROGRESS: Status = 1;
/// `NIXL_CAPI_XFER_OP_READ`: from storage to memory.
pub(crate) const OP_READ: c_int = 0;
/// `NIXL_CAPI_XFER_OP_WRITE`: from memory to storage.
pub(crate) const OP_WRITE: c_int = 1;
/// `NIXL_CAPI_THREAD_SYNC_STRICT`: NIXL locks the agent in every call.
pub(crate) const SYNC_STRICT: c_int = 1;

/// `nixl_capi_agent_config_t`.
#[repr(C)]
pub(crate) struct AgentConfig {
    pub(crate) enable_prog_thread: bool,
    pub(crate) enable_listen_thread: bool,
    pub(crate) listen_port: c_int,
    pub(crate) thread_sync: c_int,
    pub(crate) num_workers: c_uint,
    pub(crate) pthr_delay_us: u64,
    pub(crate) lthr_delay_us: u64,
    pub(crate) capture_telemetry: bool,
}

/// Declares the functions, and lists their names so that the library can be searched for all of them.
macro_rules! c_functions {
    ($($name:ident($($argument:ident: $type:ty),* $(,)?);)*) => {
        /// The C functions that this crate calls.
        #[cfg(not(test))]
        pub(crate) const SYMBOLS: &[&str] = &[$(stringify!($name)),*];

        #[cfg(not(test))]
        mod real {
            use super::*;

            unsafe extern "C" {
                $(pub(crate) fn $name($($argument: $type),*) -> Status;)*
            }
        }
        #[cfg(not(test))]
        pub(crate) use real::*;
        #[cfg(test)]
        pub(crate) use stand_in::{$($name),*};
        // A stand-in has its function's type, or this does not compile.
        #[cfg(test)]
        const _: () = {
            $(let _: unsafe extern "C" fn($($type),*) -> Status = stand_in::$name;)*
        };
    };
}

c_functions! {
    nixl_capi_create_configured_agent(name: *const c_char, config: *const AgentConfig, agent: *mut Handle);
    nixl_capi_destroy_agent(agent: Handle);
    nixl_capi_get_available_plugins(agent: Handle, list: *mut Handle);
    nixl_capi_string_list_size(list: Handle, size: *mut usize);
    nixl_capi_string_list_get(list: Handle, index: usize, text: *mut *const c_char);
    nixl_capi_destroy_string_list(list: Handle);
    nixl_capi_get_plugin_params(agent: Handle, plugin: *const c_char, memories: *mut Handle, params: *mut Handle);
    nixl_capi_mem_list_size(list: Handle, size: *mut usize);
    nixl_capi_mem_list_get(list: Handle, index: usize, kind: *mut c_uint);
    nixl_capi_destroy_mem_list(list: Handle);
    nixl_capi_create_params(params: *mut Handle);
    nixl_capi_params_add(params: Handle, key: *const c_char, value: *const c_char);
    nixl_capi_params_create_iterator(params: Handle, iterator: *mut Handle);
    nixl_capi_params_iterator_next(
        iterator: Handle,
        key: *mut *const c_char,
        value: *mut *const c_char,
        has_next: *mut bool,
    );
    nixl_capi_params_is_empty(params: Handle, is_empty: *mut bool);
    nixl_capi_params_destroy_iterator(iterator: Handle);
    nixl_capi_destroy_params(params: Handle);
    nixl_capi_create_backend(agent: Handle, plugin: *const c_char, params: Handle, backend: *mut Handle);
    nixl_capi_destroy_backend(backend: Handle);
    nixl_capi_get_backend_params(agent: Handle, backend: Handle, memories: *mut Handle, params: *mut Handle);
    nixl_capi_create_opt_args(arguments: *mut Handle);
    nixl_capi_opt_args_add_backend(arguments: Handle, backend: Handle);
    nixl_capi_destroy_opt_args(arguments: Handle);
    nixl_capi_create_reg_dlist(kind: c_uint, list: *mut Handle);
    nixl_capi_reg_dlist_add_desc(
        list: Handle,
        address: usize,
        length: usize,
        device: u64,
        metadata: *const c_void,
        metadata_length: usize,
    );
    nixl_capi_destroy_reg_dlist(list: Handle);
    nixl_capi_register_mem(agent: Handle, list: Handle, arguments: Handle);
    nixl_capi_deregister_mem(agent: Handle, list: Handle, arguments: Handle);
    nixl_capi_create_xfer_dlist(kind: c_uint, list: *mut Handle);
    nixl_capi_xfer_dlist_add_desc(list: Handle, address: usize, length: usize, device: u64);
    nixl_capi_destroy_xfer_dlist(list: Handle);
    nixl_capi_create_xfer_req(
        agent: Handle,
        operation: c_int,
        local: Handle,
        remote: Handle,
        remote_agent: *const c_char,
        request: *mut Handle,
        arguments: Handle,
    );
    nixl_capi_post_xfer_req(agent: Handle, request: Handle, arguments: Handle);
    nixl_capi_get_xfer_status(agent: Handle, request: Handle);
    nixl_capi_release_xfer_req(agent: Handle, request: Handle);
    nixl_capi_destroy_xfer_req(request: Handle);
    nixl_capi_create_query_resp_list(list: *mut Handle);
    nixl_capi_query_mem(agent: Handle, list: Handle, responses: Handle, arguments: Handle);
    nixl_capi_query_resp_list_size(list: Handle, size: *mut usize);
    nixl_capi_query_resp_list_has_value(list: Handle, index: usize, has_value: *mut bool);
    nixl_capi_query_resp_list_get_params(list: Handle, index: usize, params: *mut Handle);
    nixl_capi_destroy_query_resp_list(list: Handle);
}

/// Whether nixl-sys could not open the library by its name. Remembers its first answer for ever: only to be asked
/// once the library is open.
#[cfg(not(test))]
pub(crate) fn is_stub() -> bool {
    nixl_sys::is_stub()
}
