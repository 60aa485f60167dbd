//! The Python package `nixl_l2`, from Rust: `nixl_l2._native`.
//!
//! What Python sees is in `python/nixl_l2`: its `__init__.py` adds to these classes what is shorter in Python (where NIXL's
//! wheel is, closing at the end of the process), and its stubs and docstrings say how each call is used. The rules of this
//! side:
//!
//! * Keys become [`nixl_l2::ObjectKey`]s once, on the way in; results are bytes and numbers, made when they are taken. Nothing
//!   is made for each page.
//! * The interpreter is let go of before anything waits, and no thread of an adapter ever asks for it.
//! * Memory that Python owns is held until the last transfer has let go of it, one past its deadline included; and a load has not
//!   ended before for Python.
//! * After a `fork` the child has none of the threads: each call says so, and nothing is closed there.

mod adapter;
mod batch;
mod board;
mod buffer;
mod config;
mod errors;
mod events;
mod key;
mod keys;
mod listing;
mod maker;
mod memory;
mod opened;
mod parked;
mod process;
mod recent;
mod report;
mod waiting;

use pyo3::prelude::*;

/// The Rust side of `nixl_l2`.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    process::log_where_asked();
    module.add_class::<key::Key>()?;
    module.add("L1Memory", buffer::class(module.py())?)?;
    module.add_class::<adapter::Adapter>()?;
    module.add_class::<report::StoreReport>()?;
    module.add_class::<report::LookupReport>()?;
    module.add_class::<report::LoadReport>()?;
    module.add_class::<report::DeleteReport>()?;
    module.add_class::<report::Usage>()?;
    module.add_function(wrap_pyfunction!(process::load_nixl, module)?)?;
    module.add_function(wrap_pyfunction!(config::check_config, module)?)?;
    module.add_function(wrap_pyfunction!(config::config_help, module)?)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))
}
