//! The buffer protocol of `L1Memory`, which is in Python's stable interface only since 3.11, and has worked the same since 3.9.
//!
//! So the class that Python sees is made here, of the class of [`L1Memory`] and the one slot that PyO3 would give for 3.11.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

use pyo3::exceptions::PyBufferError;
use pyo3::prelude::*;
use pyo3::types::PyType;
use pyo3::{PyTypeInfo, ffi};

use crate::memory::L1Memory;

/// `Py_bf_getbuffer`.
const GET_BUFFER: c_int = 1;
/// `PyBUF_FORMAT`, `PyBUF_ND` and `PyBUF_STRIDES`: what is asked for beyond address and length.
const FORMAT: c_int = 0x4;
const SHAPE: c_int = 0x8;
const STRIDES: c_int = 0x10 | SHAPE;
/// Bytes, as `struct` calls them.
const BYTES: &CStr = c"B";
const NAME: &CStr = c"nixl_l2.L1Memory";

/// `Py_buffer`, whose layout has been fixed since 3.11, and was this before.
#[repr(C)]
struct Buffer {
    address: *mut c_void,
    owner: *mut ffi::PyObject,
    length: ffi::Py_ssize_t,
    item: ffi::Py_ssize_t,
    readonly: c_int,
    dimensions: c_int,
    format: *mut c_char,
    shape: *mut ffi::Py_ssize_t,
    strides: *mut ffi::Py_ssize_t,
    suboffsets: *mut ffi::Py_ssize_t,
    internal: *mut c_void,
}

/// Makes the class.
pub(crate) fn class(py: Python<'_>) -> PyResult<Bound<'_, PyType>> {
    let base = L1Memory::type_object(py);
    let doc = base.getattr("__doc__")?.extract::<String>()?;
    // Python copies it.
    let doc = std::ffi::CString::new(doc)?;
    let mut slots = [
        ffi::PyType_Slot { slot: GET_BUFFER, pfunc: get_buffer as *mut c_void },
        ffi::PyType_Slot { slot: ffi::Py_tp_doc, pfunc: doc.as_ptr().cast_mut().cast() },
        ffi::PyType_Slot { slot: 0, pfunc: std::ptr::null_mut() },
    ];
    let mut spec = ffi::PyType_Spec {
        name: NAME.as_ptr(),
        // The base's.
        basicsize: 0,
        itemsize: 0,
        flags: c_uint::try_from(ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_BASETYPE).unwrap_or_default(),
        slots: slots.as_mut_ptr(),
    };
    // SAFETY:
    // - the interpreter is attached, and the specification, its slots and their texts live until the call has returned; the
    //   name lives for ever;
    // - `get_buffer` has the signature of the slot's function, and works for every instance of the class, for they are of
    //   the base's too.
    let made = unsafe { ffi::PyType_FromSpecWithBases(&mut spec, base.as_ptr()) };
    // SAFETY: a new reference, or null with an exception set, as the call promises.
    let made = unsafe { Bound::from_owned_ptr_or_err(py, made) }?;
    Ok(made.cast_into::<PyType>()?)
}

/// Fills `view` in for the memory `object`, which it then keeps.
unsafe extern "C" fn get_buffer(object: *mut ffi::PyObject, view: *mut Buffer, flags: c_int) -> c_int {
    // SAFETY: Python calls this attached to the interpreter.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: Python calls this with an object that it holds for the time of the call.
    let object = unsafe { Bound::from_borrowed_ptr(py, object) };
    // SAFETY: `view` is null, or the caller's own, which nobody else uses.
    let view = unsafe { view.as_mut() };
    let Some(view) = view else {
        PyBufferError::new_err("there is no view to fill in").restore(py);
        return -1;
    };
    let Ok(memory) = object.cast::<L1Memory>() else {
        view.owner = std::ptr::null_mut();
        PyBufferError::new_err("this is no memory").restore(py);
        return -1;
    };
    let region = &memory.get().region;
    view.address = region.base().cast();
    view.length = isize::try_from(region.len()).unwrap_or_default();
    view.item = 1;
    view.readonly = 0;
    view.dimensions = 1;
    view.format = if flags & FORMAT == FORMAT { BYTES.as_ptr().cast_mut() } else { std::ptr::null_mut() };
    view.shape = if flags & SHAPE == SHAPE { &raw mut view.length } else { std::ptr::null_mut() };
    view.strides = if flags & STRIDES == STRIDES { &raw mut view.item } else { std::ptr::null_mut() };
    view.suboffsets = std::ptr::null_mut();
    view.internal = std::ptr::null_mut();
    view.owner = object.into_ptr();
    0
}
