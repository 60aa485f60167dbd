//! The faults of a configuration: one line each, all of them at once.

use std::cell::RefCell;
use std::fmt;

/// One fault of a configuration. Its text is one line without control characters, and holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigError {
    /// Where, as a JSON path such as `backend_params.max_capacity_gb`; `$` is the whole text.
    pub path: String,
    /// What was given there, as compact JSON, cut when long; `None` when there was nothing, or nothing that may be shown.
    pub given: Option<String>,
    /// What is wrong with it.
    pub problem: String,
    /// What is allowed there.
    pub allowed: Option<String>,
    /// What to do about it, where that can be said.
    pub suggestion: Option<String>,
}

impl ConfigError {
    pub(crate) fn new(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { path: path.into(), given: None, problem: problem.into(), allowed: None, suggestion: None }
    }

    pub(crate) fn given(self, given: impl Into<Option<String>>) -> Self {
        Self { given: given.into(), ..self }
    }

    pub(crate) fn allowed(self, allowed: impl Into<String>) -> Self {
        Self { allowed: Some(allowed.into()), ..self }
    }

    pub(crate) fn suggestion(self, suggestion: impl Into<Option<String>>) -> Self {
        Self { suggestion: suggestion.into(), ..self }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.problem)?;
        if let Some(given) = &self.given {
            write!(f, ", given {given}")?;
        }
        if let Some(allowed) = &self.allowed {
            write!(f, "; allowed: {allowed}")?;
        }
        if let Some(suggestion) = &self.suggestion {
            write!(f, "; {suggestion}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// Every fault of one configuration, at least one, in the order in which they were met.
///
/// Its text has one line for each; a single fault is a single line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    faults: Vec<ConfigError>,
}

impl ConfigErrors {
    /// The faults; never empty.
    #[must_use]
    pub fn as_slice(&self) -> &[ConfigError] {
        &self.faults
    }

    /// The faults, one after the other.
    pub fn iter(&self) -> std::slice::Iter<'_, ConfigError> {
        self.faults.iter()
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(fault: ConfigError) -> Self {
        Self { faults: vec![fault] }
    }
}

impl IntoIterator for ConfigErrors {
    type Item = ConfigError;
    type IntoIter = std::vec::IntoIter<ConfigError>;

    fn into_iter(self) -> Self::IntoIter {
        self.faults.into_iter()
    }
}

impl<'a> IntoIterator for &'a ConfigErrors {
    type Item = &'a ConfigError;
    type IntoIter = std::slice::Iter<'a, ConfigError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, fault) in self.faults.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Proof that a fault was recorded: only [`Faults::report`] makes one, so whatever fails has a line to show for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reported(());

/// Where all readers of one text put their faults.
#[derive(Default)]
pub(crate) struct Faults {
    list: RefCell<Vec<ConfigError>>,
}

impl Faults {
    pub(crate) fn report(&self, fault: ConfigError) -> Reported {
        self.list.borrow_mut().push(fault);
        Reported(())
    }

    /// The value if nothing at all was wrong, else every fault.
    pub(crate) fn settle<T>(self, value: Result<T, Reported>) -> Result<T, ConfigErrors> {
        let faults = self.list.into_inner();
        match value {
            Ok(value) if faults.is_empty() => Ok(value),
            _ => Err(ConfigErrors { faults }),
        }
    }
}
