//! NIXL's lists as values that free themselves: descriptors, parameters, strings.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_uint};
use std::ptr;

use crate::capi::{self, Handle, Status};
use crate::error::Error;

/// A kind of memory, as NIXL counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum MemoryType {
    /// Main memory.
    Dram,
    /// Memory of a GPU.
    Vram,
    /// A block device.
    Block,
    /// An object of an object store.
    Object,
    /// A file.
    File,
}

impl MemoryType {
    pub(crate) fn code(self) -> c_uint {
        match self {
            Self::Dram => 0,
            Self::Vram => 1,
            Self::Block => 2,
            Self::Object => 3,
            Self::File => 4,
        }
    }

    fn from_code(code: c_uint) -> Option<Self> {
        [Self::Dram, Self::Vram, Self::Block, Self::Object, Self::File]
            .into_iter()
            .find(|kind| kind.code() == code)
    }
}

/// Turns a status into a result; the one place that does.
pub(crate) fn check(call: &'static str, status: Status, what: &str) -> Result<(), Error> {
    if status == capi::SUCCESS { Ok(()) } else { Err(Error::of_call(call, status, what)) }
}

/// A C string, or the error that it holds a NUL.
pub(crate) fn c_string(text: &str, what: &str) -> Result<CString, Error> {
    CString::new(text).map_err(|_| Error::invalid(format!("the {what} {text:?} holds a NUL character")))
}

/// The text behind a C string that NIXL owns, copied at once: the next call may overwrite it.
///
/// # Safety
/// `text` is null or points to a NUL-terminated string that lives until this returns.
unsafe fn copied(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: not null; terminated and alive by this function's contract.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// Defines an owner of a handle that is freed with one C call.
macro_rules! owned_handle {
    ($(#[$doc:meta])* $name:ident, $destroy:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name(Handle);

        impl $name {
            /// The handle, for a call; `self` keeps it valid.
            pub(crate) fn raw(&self) -> Handle {
                self.0
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                // SAFETY: the handle came from NIXL, is owned by this value alone, and is not used after.
                unsafe { capi::$destroy(self.0) };
            }
        }
    };
}

owned_handle!(
    /// A reference to a backend, which itself lives as long as its agent; may outlive both.
    BackendHandle, nixl_capi_destroy_backend
);
owned_handle!(
    /// A list of strings.
    StringList, nixl_capi_destroy_string_list
);
owned_handle!(
    /// A list of memory types.
    MemoryTypes, nixl_capi_destroy_mem_list
);
owned_handle!(
    /// Parameters of a plugin.
    Params, nixl_capi_destroy_params
);
owned_handle!(
    /// Descriptors to register.
    RegList, nixl_capi_destroy_reg_dlist
);
owned_handle!(
    /// Descriptors of one side of a transfer.
    XferList, nixl_capi_destroy_xfer_dlist
);
owned_handle!(
    /// Options of a call: here, which backend is meant.
    OptArgs, nixl_capi_destroy_opt_args
);
owned_handle!(
    /// Answers of a query.
    QueryResponses, nixl_capi_destroy_query_resp_list
);
owned_handle!(
    /// A walk over parameters.
    ParamIterator, nixl_capi_params_destroy_iterator
);

impl BackendHandle {
    /// # Safety
    /// `handle` is a reference to a backend that nobody else frees.
    pub(crate) unsafe fn from_raw(handle: Handle) -> Self {
        Self(handle)
    }
}

impl StringList {
    /// # Safety
    /// `handle` is a string list that nobody else frees.
    pub(crate) unsafe fn from_raw(handle: Handle) -> Self {
        Self(handle)
    }

    pub(crate) fn to_vec(&self) -> Result<Vec<String>, Error> {
        let mut size = 0;
        // SAFETY: a live list and a place for its size.
        let status = unsafe { capi::nixl_capi_string_list_size(self.raw(), &mut size) };
        check("nixl_capi_string_list_size", status, "cannot read a list")?;
        (0..size)
            .map(|index| {
                let mut text = ptr::null();
                // SAFETY: a live list, an index below its size, a place for the pointer.
                let status = unsafe { capi::nixl_capi_string_list_get(self.0, index, &mut text) };
                check("nixl_capi_string_list_get", status, "cannot read a list")?;
                // SAFETY: NIXL's pointer into the list, which lives as long as `self`.
                Ok(unsafe { copied(text) })
            })
            .collect()
    }
}

impl MemoryTypes {
    /// # Safety
    /// `handle` is a list of memory types that nobody else frees.
    pub(crate) unsafe fn from_raw(handle: Handle) -> Self {
        Self(handle)
    }

    pub(crate) fn to_vec(&self) -> Result<Vec<MemoryType>, Error> {
        let mut size = 0;
        // SAFETY: a live list and a place for its size.
        let status = unsafe { capi::nixl_capi_mem_list_size(self.raw(), &mut size) };
        check("nixl_capi_mem_list_size", status, "cannot read a list")?;
        let mut kinds = Vec::with_capacity(size);
        for index in 0..size {
            let mut code = 0;
            // SAFETY: a live list, an index below its size, a place for the code.
            let status = unsafe { capi::nixl_capi_mem_list_get(self.0, index, &mut code) };
            check("nixl_capi_mem_list_get", status, "cannot read a list")?;
            // A kind that this crate does not know cannot be used through it either.
            kinds.extend(MemoryType::from_code(code));
        }
        Ok(kinds)
    }
}

impl Params {
    pub(crate) fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, Error> {
        let mut handle = ptr::null_mut();
        // SAFETY: a place for the handle.
        let status = unsafe { capi::nixl_capi_create_params(&mut handle) };
        check("nixl_capi_create_params", status, "cannot make parameters")?;
        let params = Self(handle);
        for (key, value) in pairs {
            let name = key;
            let key = c_string(key, "parameter name")?;
            // It may be a secret: it is not shown.
            let value = CString::new(value).map_err(|_| {
                Error::invalid(format!("the value of parameter {name} holds a NUL character"))
            })?;
            // SAFETY: live parameters; NIXL copies both strings before it returns.
            let status = unsafe { capi::nixl_capi_params_add(params.0, key.as_ptr(), value.as_ptr()) };
            check("nixl_capi_params_add", status, "cannot add a parameter")?;
        }
        Ok(params)
    }

    /// # Safety
    /// `handle` is a parameter list that nobody else frees.
    pub(crate) unsafe fn from_raw(handle: Handle) -> Self {
        Self(handle)
    }

    pub(crate) fn to_map(&self) -> Result<BTreeMap<String, String>, Error> {
        let mut map = BTreeMap::new();
        let mut empty = true;
        // SAFETY: live parameters and a place for the answer.
        let status = unsafe { capi::nixl_capi_params_is_empty(self.0, &mut empty) };
        check("nixl_capi_params_is_empty", status, "cannot read parameters")?;
        if empty {
            return Ok(map);
        }
        let mut handle = ptr::null_mut();
        // SAFETY: live parameters, which outlive the iterator, and a place for it.
        let status = unsafe { capi::nixl_capi_params_create_iterator(self.0, &mut handle) };
        check("nixl_capi_params_create_iterator", status, "cannot read parameters")?;
        let iterator = ParamIterator(handle);
        let mut has_next = true;
        while has_next {
            let (mut key, mut value) = (ptr::null(), ptr::null());
            // SAFETY: a live iterator and places for its three answers.
            let status = unsafe {
                capi::nixl_capi_params_iterator_next(iterator.raw(), &mut key, &mut value, &mut has_next)
            };
            check("nixl_capi_params_iterator_next", status, "cannot read parameters")?;
            // SAFETY: the iterator's own buffer, valid until its next step.
            let key = unsafe { copied(key) };
            // SAFETY: as above.
            map.insert(key, unsafe { copied(value) });
        }
        Ok(map)
    }
}

impl RegList {
    pub(crate) fn new(kind: MemoryType) -> Result<Self, Error> {
        let mut handle = ptr::null_mut();
        // SAFETY: a place for the handle.
        let status = unsafe { capi::nixl_capi_create_reg_dlist(kind.code(), &mut handle) };
        check("nixl_capi_create_reg_dlist", status, "cannot make a descriptor list")?;
        Ok(Self(handle))
    }

    /// Adds a descriptor; `metadata` is an object's name, or empty.
    pub(crate) fn add(
        &mut self,
        address: usize,
        length: usize,
        device: u64,
        metadata: &[u8],
    ) -> Result<(), Error> {
        let name = metadata.as_ptr().cast();
        // SAFETY: a live list; NIXL copies the metadata before it returns, and does not use the address.
        let status = unsafe {
            capi::nixl_capi_reg_dlist_add_desc(self.0, address, length, device, name, metadata.len())
        };
        check("nixl_capi_reg_dlist_add_desc", status, "cannot add a descriptor")
    }
}

impl XferList {
    pub(crate) fn new(kind: MemoryType) -> Result<Self, Error> {
        let mut handle = ptr::null_mut();
        // SAFETY: a place for the handle.
        let status = unsafe { capi::nixl_capi_create_xfer_dlist(kind.code(), &mut handle) };
        check("nixl_capi_create_xfer_dlist", status, "cannot make a descriptor list")?;
        Ok(Self(handle))
    }

    /// Adds a descriptor. The memory is used only by a transfer, which has to own it.
    pub(crate) fn add(&mut self, address: usize, length: usize, device: u64) -> Result<(), Error> {
        // SAFETY: a live list; NIXL does not use the address here.
        let status = unsafe { capi::nixl_capi_xfer_dlist_add_desc(self.0, address, length, device) };
        check("nixl_capi_xfer_dlist_add_desc", status, "cannot add a descriptor")
    }
}

impl OptArgs {
    /// Options that name one backend.
    pub(crate) fn naming(backend: &BackendHandle) -> Result<Self, Error> {
        let mut handle = ptr::null_mut();
        // SAFETY: a place for the handle.
        let status = unsafe { capi::nixl_capi_create_opt_args(&mut handle) };
        check("nixl_capi_create_opt_args", status, "cannot make call options")?;
        let arguments = Self(handle);
        // SAFETY: live options and a live reference; NIXL notes the backend, not the reference.
        let status = unsafe { capi::nixl_capi_opt_args_add_backend(arguments.0, backend.raw()) };
        check("nixl_capi_opt_args_add_backend", status, "cannot name the backend")?;
        Ok(arguments)
    }
}

impl QueryResponses {
    pub(crate) fn new() -> Result<Self, Error> {
        let mut handle = ptr::null_mut();
        // SAFETY: a place for the handle.
        let status = unsafe { capi::nixl_capi_create_query_resp_list(&mut handle) };
        check("nixl_capi_create_query_resp_list", status, "cannot make a response list")?;
        Ok(Self(handle))
    }

    /// What was found for each descriptor, in order.
    pub(crate) fn to_vec(&self) -> Result<Vec<Option<BTreeMap<String, String>>>, Error> {
        let mut size = 0;
        // SAFETY: a live list and a place for its size.
        let status = unsafe { capi::nixl_capi_query_resp_list_size(self.0, &mut size) };
        check("nixl_capi_query_resp_list_size", status, "cannot read a response")?;
        (0..size)
            .map(|index| {
                let mut has_value = false;
                // SAFETY: a live list, an index below its size, a place for the answer.
                let status =
                    unsafe { capi::nixl_capi_query_resp_list_has_value(self.0, index, &mut has_value) };
                check("nixl_capi_query_resp_list_has_value", status, "cannot read a response")?;
                if !has_value {
                    return Ok(None);
                }
                let mut params = ptr::null_mut();
                // SAFETY: as above; the parameters are a copy that we own.
                let status =
                    unsafe { capi::nixl_capi_query_resp_list_get_params(self.0, index, &mut params) };
                check("nixl_capi_query_resp_list_get_params", status, "cannot read a response")?;
                // SAFETY: just made for us.
                unsafe { Params::from_raw(params) }.to_map().map(Some)
            })
            .collect()
    }
}
