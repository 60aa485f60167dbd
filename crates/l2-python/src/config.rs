//! Configurations, from text or from anything that `json` makes text of.

use nixl_l2::AdapterConfig;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::errors;

/// # Errors
/// ConfigError with every fault; what `json` raises.
pub(crate) fn parse(config: &Bound<'_, PyAny>) -> PyResult<AdapterConfig> {
    AdapterConfig::parse(&text(config)?)
        .map_err(|errors| errors::config(errors.to_string().lines().map(str::to_owned).collect()))
}

fn text(config: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Ok(text) = config.cast::<PyString>() {
        return Ok(text.to_str()?.to_owned());
    }
    config.py().import("json")?.call_method1("dumps", (config,))?.extract()
}

/// Raises ConfigError with every fault of a configuration; opens nothing.
#[pyfunction]
pub(crate) fn check_config(config: &Bound<'_, PyAny>) -> PyResult<()> {
    parse(config).map(drop)
}

/// Every key of a configuration: what it is, its values, range, unit and default.
#[pyfunction]
pub(crate) fn config_help() -> String {
    nixl_l2::help_text()
}
