//! An adapter for as long as it is open, in the process that opened it.

use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nixl_l2::{AdapterStatus, L2Adapter, L2Error};
use pyo3::prelude::*;

use crate::errors;
use crate::process::Process;

/// An adapter and the process that it works in. In a fork of that it is left alone.
pub(crate) struct Opened {
    adapter: ManuallyDrop<Arc<dyn L2Adapter>>,
    pub(crate) process: Process,
    closed: AtomicBool,
}

impl Opened {
    pub(crate) fn new(adapter: Arc<dyn L2Adapter>) -> Self {
        let adapter = ManuallyDrop::new(adapter);
        Self { adapter, process: Process::this(), closed: AtomicBool::new(false) }
    }

    /// # Errors
    /// ForkedError.
    pub(crate) fn check(&self) -> PyResult<()> {
        self.process.check()
    }

    /// The adapter, for what is to be refused once it is closed.
    ///
    /// # Errors
    /// ForkedError, ClosedError.
    pub(crate) fn adapter(&self) -> PyResult<&Arc<dyn L2Adapter>> {
        self.check()?;
        if self.is_closed() { Err(errors::closed()) } else { Ok(&self.adapter) }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// What the adapter says of itself, closed or not.
    ///
    /// # Errors
    /// ForkedError.
    pub(crate) fn status(&self) -> PyResult<AdapterStatus> {
        self.check()?;
        Ok(self.adapter.status())
    }

    pub(crate) fn close(&self) -> Result<(), L2Error> {
        self.closed.store(true, Ordering::Release);
        self.adapter.close()
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if !self.process.is_this() {
            return;
        }
        // SAFETY: `self` is being dropped, so that nobody uses it again.
        let adapter = unsafe { ManuallyDrop::take(&mut self.adapter) };
        // Closing waits. Where the interpreter is no more, nobody is kept waiting.
        let mut adapter = Some(adapter);
        Python::try_attach(|py| py.detach(|| drop(adapter.take())));
        drop(adapter);
    }
}
