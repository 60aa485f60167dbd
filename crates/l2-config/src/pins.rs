//! How long the pin of a lookup lasts: the same key, read and described in the same way, for both adapters.

use std::time::Duration;

use crate::adapter::AdapterConfig;
use crate::error::Reported;
use crate::fields::PIN_TTL_SECONDS;
use crate::raw::Raw;
use crate::reader::Reader;

impl AdapterConfig {
    /// How long the pin of a lookup lasts when nothing is said: 600 seconds.
    pub const DEFAULT_PIN_TTL: Duration = Duration::from_secs(600);
    /// The longest that the pin of a lookup may last, if it is not to last for ever: 365 days.
    pub const MAX_PIN_TTL: Duration = Duration::from_secs(365 * 24 * 60 * 60);

    /// How long the pin of a lookup lasts if nobody gives it back; `None`: for ever.
    #[must_use]
    pub const fn pin_ttl(&self) -> Option<Duration> {
        match self {
            Self::Static(config) => config.pin_ttl,
            Self::Dynamic(config) => config.pin_ttl,
        }
    }
}

/// The time in the JSON, where 0 stands for ever.
pub(crate) fn read_ttl(top: &Reader<'_>) -> Result<Option<Duration>, Reported> {
    let seconds = top.need(&PIN_TTL_SECONDS, top.number(&PIN_TTL_SECONDS))?;
    if seconds == 0.0 {
        return Ok(None);
    }
    match Duration::try_from_secs_f64(seconds) {
        Ok(ttl) if !ttl.is_zero() => Ok(Some(ttl)),
        // So near to 0 that it would be none at all, and yet it is not the 0 that stands for ever.
        _ => Err(top.out_of_range(&PIN_TTL_SECONDS, "0, or a nanosecond or more")),
    }
}

/// What is read as this time.
pub(crate) fn describe_ttl(ttl: Option<Duration>) -> Raw {
    match ttl {
        None => Raw::float(0.0),
        // No number of the JSON means it, for 0 is for ever: a text that is refused.
        Some(Duration::ZERO) => Raw::Text(format!("{:?}", Duration::ZERO)),
        Some(ttl) if ttl > AdapterConfig::MAX_PIN_TTL => {
            // A nanosecond too much is lost in a float, and is too much all the same.
            let too_much = AdapterConfig::MAX_PIN_TTL.as_secs_f64().next_up();
            Raw::float(ttl.as_secs_f64().max(too_much))
        }
        Some(ttl) => Raw::float(ttl.as_secs_f64()),
    }
}
