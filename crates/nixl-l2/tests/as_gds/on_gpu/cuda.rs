//! Memory on the GPU, through CUDA's runtime.

use std::ffi::c_void;
use std::ptr;

use libloading::os::unix::{Library, Symbol};
use nixl_l2::{MemoryKind, Region};

use crate::support::PAGE;

type Malloc = unsafe extern "C" fn(*mut *mut c_void, usize) -> i32;
type Copy = unsafe extern "C" fn(*mut c_void, *const c_void, usize, i32) -> i32;

const TO_GPU: i32 = 1;
const FROM_GPU: i32 = 2;

/// Memory on the first GPU. It stays until the process ends: tests are few.
pub(crate) struct Vram {
    base: *mut u8,
    bytes: usize,
    copy: Symbol<Copy>,
}

impl Vram {
    pub(crate) fn allocate(bytes: usize) -> Self {
        // SAFETY: CUDA's runtime is made to be loaded into any process.
        let library = unsafe { Library::new("libcudart.so.12") }.unwrap();
        // SAFETY: that is its type in cuda_runtime_api.h.
        let malloc: Symbol<Malloc> = unsafe { library.get(b"cudaMalloc") }.unwrap();
        // SAFETY: that is its type in cuda_runtime_api.h.
        let copy: Symbol<Copy> = unsafe { library.get(b"cudaMemcpy") }.unwrap();
        std::mem::forget(library);
        let mut base = ptr::null_mut();
        // SAFETY: `base` is where the address goes.
        let status = unsafe { malloc(&raw mut base, bytes) };
        assert_eq!(status, 0, "cudaMalloc");
        Self { base: base.cast(), bytes, copy }
    }

    /// As L1.
    pub(crate) fn region(&self) -> Region {
        // SAFETY: the memory is never freed; it is copied from and to while nothing is in flight alone.
        unsafe { Region::from_host(self.base, self.bytes, PAGE, MemoryKind::Vram { device: 0 }) }.unwrap()
    }

    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) {
        assert!(offset + bytes.len() <= self.bytes);
        // SAFETY: both ranges are as long as that, and nothing is in flight.
        let status = unsafe {
            (self.copy)(self.base.wrapping_add(offset).cast(), bytes.as_ptr().cast(), bytes.len(), TO_GPU)
        };
        assert_eq!(status, 0, "cudaMemcpy to the GPU");
    }

    pub(crate) fn read(&self, offset: usize, length: usize) -> Vec<u8> {
        assert!(offset + length <= self.bytes);
        let mut bytes = vec![0; length];
        // SAFETY: both ranges are as long as that, and nothing is in flight.
        let status = unsafe {
            (self.copy)(bytes.as_mut_ptr().cast(), self.base.wrapping_add(offset).cast(), length, FROM_GPU)
        };
        assert_eq!(status, 0, "cudaMemcpy from the GPU");
        bytes
    }
}
