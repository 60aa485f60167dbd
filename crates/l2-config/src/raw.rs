//! The first stage: JSON text to a tree that keeps every key, also one given twice.
//!
//! `serde_json::Value` keeps the last of two equal keys in silence; here both stay, and the reader reports them.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::error::ConfigError;
use crate::secret::{self, Showing};

/// Any JSON value. It may hold secrets, so it has no `Debug`: [`Raw::shown`] is the way to show one.
#[derive(Clone)]
pub(crate) enum Raw {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Raw>),
    Object(Vec<(String, Raw)>),
}

impl Raw {
    /// Reads one JSON text. The fault names line and column, and quotes nothing of the text.
    pub(crate) fn parse(json: &str) -> Result<Self, ConfigError> {
        serde_json::from_str(json).map_err(|error| {
            let position = format!(" at line {} column {}", error.line(), error.column());
            let text = error.to_string();
            let cause = text.strip_suffix(&position).unwrap_or(&text);
            let problem =
                format!("not valid JSON at line {}, column {}: {cause}", error.line(), error.column());
            ConfigError::new("$", problem)
        })
    }

    /// A number, or, where JSON has no such number, its name.
    pub(crate) fn float(value: f64) -> Self {
        Number::from_f64(value).map_or_else(|| Self::Text(value.to_string()), Self::Number)
    }

    /// Compact JSON for people, on one line: secrets hidden, long texts cut. `key` is what the value is called; `None` if
    /// nothing is known of such a key, so that the value may be anything.
    pub(crate) fn shown(&self, key: &str) -> Option<String> {
        let plain = matches!(self, Self::Null | Self::Bool(_));
        if !plain && secret::showing(key) == Showing::Unknown {
            return None;
        }
        let mut shown = String::new();
        self.show(key, &mut shown);
        Some(secret::cut(&shown))
    }

    fn show(&self, key: &str, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            _ if secret::showing(key) != Showing::Shown => out.push_str(secret::REDACTED),
            Self::Number(number) => out.push_str(&number.to_string()),
            Self::Text(text) => out.push_str(&secret::quoted(&secret::safe_text(key, text))),
            Self::List(items) => {
                out.push('[');
                for (number, item) in items.iter().enumerate() {
                    if number > 0 {
                        out.push(',');
                    }
                    item.show(key, out);
                }
                out.push(']');
            }
            Self::Object(entries) => {
                out.push('{');
                for (number, (key, value)) in entries.iter().enumerate() {
                    if number > 0 {
                        out.push(',');
                    }
                    out.push_str(&secret::quoted(key));
                    out.push(':');
                    value.show(key, out);
                }
                out.push('}');
            }
        }
    }

    /// As a `serde_json` value with secrets hidden; of two equal keys the last stays.
    pub(crate) fn to_value(&self, key: &str) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(number) => Value::Number(number.clone()),
            Self::Text(text) => Value::String(secret::safe_text(key, text).into_owned()),
            Self::List(items) => items.iter().map(|item| item.to_value(key)).collect(),
            Self::Object(entries) => {
                let pairs = entries.iter().map(|(key, value)| (key.clone(), value.to_value(key)));
                Value::Object(pairs.collect::<Map<_, _>>())
            }
        }
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Raw, E> {
        Number::from_f64(value).map(Raw::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut object = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            object.push(entry);
        }
        Ok(Raw::Object(object))
    }
}
