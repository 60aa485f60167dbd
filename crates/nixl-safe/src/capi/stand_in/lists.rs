//! Lists, parameters, options and answers: what belongs to no agent.

use std::collections::BTreeMap;
use std::ffi::{CString, c_char, c_uint, c_void};
use std::sync::{Arc, Mutex};

use super::agents::{Backend, Engine};
use super::{Handle, INVALID, SUCCESS, Status, hand_out, locked, look, string, take_back};

/// Room for a key or value in an iterator.
const TEXT: usize = 64;

pub(super) struct StringList(pub(super) Vec<CString>);
pub(super) struct MemoryTypes(pub(super) Vec<c_uint>);
#[derive(Default)]
pub(super) struct Params(pub(super) Mutex<BTreeMap<String, String>>);
#[derive(Default)]
pub(super) struct OptArgs(pub(super) Mutex<Vec<Arc<Engine>>>);
#[derive(Default)]
pub(super) struct Responses(pub(super) Mutex<Vec<Option<BTreeMap<String, String>>>>);

/// One descriptor, as it was added.
#[derive(Debug, Clone)]
pub(super) struct Described {
    pub(super) address: usize,
    pub(super) length: usize,
    pub(super) device: u64,
    pub(super) name: Vec<u8>,
}

pub(super) struct RegList {
    pub(super) kind: c_uint,
    pub(super) described: Mutex<Vec<Described>>,
}

pub(super) struct XferList {
    pub(super) kind: c_uint,
    pub(super) described: Mutex<Vec<Described>>,
}

/// Like NIXL's, it has one buffer for keys and one for values, which each step overwrites.
struct ParamIterator {
    left: Mutex<std::vec::IntoIter<(String, String)>>,
    key: Mutex<[u8; TEXT]>,
    value: Mutex<[u8; TEXT]>,
}

fn overwrite(buffer: &Mutex<[u8; TEXT]>, text: &str) -> *const c_char {
    let mut buffer = locked(buffer);
    buffer.fill(0);
    buffer[..text.len()].copy_from_slice(text.as_bytes());
    buffer.as_ptr().cast()
}

macro_rules! destroyers {
    ($($function:ident: $kind:ty;)*) => {
        $(pub(crate) unsafe extern "C" fn $function(handle: Handle) -> Status {
            take_back::<$kind>(handle);
            SUCCESS
        })*
    };
}

destroyers! {
    nixl_capi_destroy_string_list: StringList;
    nixl_capi_destroy_mem_list: MemoryTypes;
    nixl_capi_destroy_params: Params;
    nixl_capi_params_destroy_iterator: ParamIterator;
    nixl_capi_destroy_opt_args: OptArgs;
    nixl_capi_destroy_reg_dlist: RegList;
    nixl_capi_destroy_xfer_dlist: XferList;
    nixl_capi_destroy_query_resp_list: Responses;
}

/// Writes a function's answer.
///
/// # Safety
/// `place` may be written.
pub(super) unsafe fn answer<T>(place: *mut T, value: T) -> Status {
    // SAFETY: this function's contract.
    unsafe { place.write(value) };
    SUCCESS
}

pub(crate) unsafe extern "C" fn nixl_capi_string_list_size(list: Handle, size: *mut usize) -> Status {
    // SAFETY: the caller's place.
    unsafe { answer(size, look::<StringList>(list).0.len()) }
}

pub(crate) unsafe extern "C" fn nixl_capi_string_list_get(
    list: Handle,
    index: usize,
    text: *mut *const c_char,
) -> Status {
    // SAFETY: the caller's place; the string lives as long as the list.
    unsafe { answer(text, look::<StringList>(list).0[index].as_ptr()) }
}

pub(crate) unsafe extern "C" fn nixl_capi_mem_list_size(list: Handle, size: *mut usize) -> Status {
    // SAFETY: the caller's place.
    unsafe { answer(size, look::<MemoryTypes>(list).0.len()) }
}

pub(crate) unsafe extern "C" fn nixl_capi_mem_list_get(
    list: Handle,
    index: usize,
    kind: *mut c_uint,
) -> Status {
    // SAFETY: the caller's place.
    unsafe { answer(kind, look::<MemoryTypes>(list).0[index]) }
}

pub(crate) unsafe extern "C" fn nixl_capi_create_params(params: *mut Handle) -> Status {
    // SAFETY: the caller's place.
    unsafe { answer(params, hand_out(Params::default())) }
}

pub(crate) unsafe extern "C" fn nixl_capi_params_add(
    params: Handle,
    key: *const c_char,
    value: *const c_char,
) -> Status {
    // SAFETY: the caller's string.
    let key = unsafe { string(key) };
    // SAFETY: the caller's string.
    let value = unsafe { string(value) };
    locked(&look::<Params>(params).0).insert(key, value);
    SUCCESS
}

pub(crate) unsafe extern "C" fn nixl_capi_params_is_empty(params: Handle, is_empty: *mut bool) -> Status {
    // SAFETY: the caller's place.
    unsafe { answer(is_empty, locked(&look::<Params>(params).0).is_empty()) }
}

pub(crate) unsafe extern "C" fn nixl_capi_params_create_iterator(
    params: Handle,
    iterator: *mut Handle,
) -> Status {
    let left: Vec<_> = locked(&look::<Params>(params).0).clone().into_iter().collect();
    let new = ParamIterator {
        left: Mutex::new(left.into_iter()),
        key: Mutex::new([0; TEXT]),
        value: Mutex::new([0; TEXT]),
    };
    // SAFETY: the caller's place.
    unsafe { answer(iterator, hand_out(new)) }
}

pub(crate) unsafe extern "C" fn nixl_capi_params_iterator_next(
    iterator: Handle,
    key: *mut *const c_char,
    value: *mut *const c_char,
    has_next: *mut bool,
) -> Status {
    let iterator = look::<ParamIterator>(iterator);
    let mut left = locked(&iterator.left);
    let Some((next_key, next_value)) = left.next() else {
        // SAFETY: the caller's place.
        return unsafe { answer(has_next, false) };
    };
    // SAFETY: the caller's place; the buffer lives as long as the iterator.
    unsafe { answer(key, overwrite(&iterator.key, &next_key)) };
    // SAFETY: as above.
    unsafe { answer(value, overwrite(&iterator.value, &next_value)) };
    // SAFETY: the caller's place.
    unsafe { answer(has_next, left.len() > 0) }
}

pub(crate) unsafe extern "C" fn nixl_capi_create_opt_args(arguments: *mut Handle) -> Status {
    // SAFETY: the caller's place.
    unsafe { answer(arguments, hand_out(OptArgs::default())) }
}

pub(crate) unsafe extern "C" fn nixl_capi_opt_args_add_backend(arguments: Handle, backend: Handle) -> Status {
    let engine = Arc::clone(&look::<Backend>(backend).engine);
    locked(&look::<OptArgs>(arguments).0).push(engine);
    SUCCESS
}

pub(crate) unsafe extern "C" fn nixl_capi_create_reg_dlist(kind: c_uint, list: *mut Handle) -> Status {
    // SAFETY: the caller's place.
    unsafe { answer(list, hand_out(RegList { kind, described: Mutex::default() })) }
}

pub(crate) unsafe extern "C" fn nixl_capi_reg_dlist_add_desc(
    list: Handle,
    address: usize,
    length: usize,
    device: u64,
    metadata: *const c_void,
    metadata_length: usize,
) -> Status {
    // SAFETY: the caller's bytes.
    let name = unsafe { std::slice::from_raw_parts(metadata.cast::<u8>(), metadata_length) }.to_vec();
    locked(&look::<RegList>(list).described).push(Described { address, length, device, name });
    SUCCESS
}

pub(crate) unsafe extern "C" fn nixl_capi_create_xfer_dlist(kind: c_uint, list: *mut Handle) -> Status {
    // SAFETY: the caller's place.
    unsafe { answer(list, hand_out(XferList { kind, described: Mutex::default() })) }
}

pub(crate) unsafe extern "C" fn nixl_capi_xfer_dlist_add_desc(
    list: Handle,
    address: usize,
    length: usize,
    device: u64,
) -> Status {
    locked(&look::<XferList>(list).described).push(Described { address, length, device, name: Vec::new() });
    SUCCESS
}

pub(crate) unsafe extern "C" fn nixl_capi_create_query_resp_list(list: *mut Handle) -> Status {
    // SAFETY: the caller's place.
    unsafe { answer(list, hand_out(Responses::default())) }
}

pub(crate) unsafe extern "C" fn nixl_capi_query_resp_list_size(list: Handle, size: *mut usize) -> Status {
    // SAFETY: the caller's place.
    unsafe { answer(size, locked(&look::<Responses>(list).0).len()) }
}

pub(crate) unsafe extern "C" fn nixl_capi_query_resp_list_has_value(
    list: Handle,
    index: usize,
    has_value: *mut bool,
) -> Status {
    // SAFETY: the caller's place.
    unsafe { answer(has_value, locked(&look::<Responses>(list).0)[index].is_some()) }
}

pub(crate) unsafe extern "C" fn nixl_capi_query_resp_list_get_params(
    list: Handle,
    index: usize,
    params: *mut Handle,
) -> Status {
    let Some(found) = locked(&look::<Responses>(list).0)[index].clone() else { return INVALID };
    // SAFETY: the caller's place.
    unsafe { answer(params, hand_out(Params(Mutex::new(found)))) }
}
