//! A key as LMCache writes it in JSON.

use anyhow::{Context, Result, bail};
use nixl_l2::{KeyScope, ObjectKey};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The fields; each is checked by itself, so that a fault can name it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    model_name: Value,
    kv_rank: Value,
    object_group_id: Value,
    chunk_hash_hex: Value,
    cache_salt: Option<Value>,
}

/// The argument of the commands that are about one object.
#[derive(Debug, clap::Args)]
pub(crate) struct KeyArg {
    /// The object's key, as LMCache writes it:
    /// {"model_name":"org/m","kv_rank":0,"object_group_id":0,"chunk_hash_hex":"ab12","cache_salt":""}
    #[arg(long = "key", id = "key", value_name = "KEY")]
    json: String,
}

impl KeyArg {
    /// The key. Hexadecimal digits may be of either case, and `cache_salt` may be left out.
    pub(crate) fn key(&self) -> Result<ObjectKey> {
        parse(&self.json).context("--key")
    }
}

/// A key, to be written as LMCache does.
#[derive(Debug, Serialize)]
pub(crate) struct KeyText<'a> {
    model_name: &'a str,
    kv_rank: u64,
    object_group_id: u64,
    chunk_hash_hex: String,
    cache_salt: &'a str,
}

impl<'a> From<&'a ObjectKey> for KeyText<'a> {
    fn from(key: &'a ObjectKey) -> Self {
        Self {
            model_name: key.model_name(),
            kv_rank: key.kv_rank(),
            object_group_id: key.object_group_id(),
            chunk_hash_hex: key.chunk_hash_hex(),
            cache_salt: key.cache_salt(),
        }
    }
}

fn parse(json: &str) -> Result<ObjectKey> {
    if !json.trim_start().starts_with('{') {
        // The parser would take an array for the fields in their order.
        bail!("not a JSON object");
    }
    let fields: Fields = serde_json::from_str(json)?;
    let salt = fields.cache_salt.unwrap_or_default();
    let salt = if salt.is_null() { "" } else { text("cache_salt", &salt)? };
    let scope = KeyScope::new(
        text("model_name", &fields.model_name)?,
        number("kv_rank", &fields.kv_rank)?,
        number("object_group_id", &fields.object_group_id)?,
        salt,
    )?;
    let digits = text("chunk_hash_hex", &fields.chunk_hash_hex)?;
    let hash = hex::decode(digits).with_context(|| format!("chunk_hash_hex {digits:?}"))?;
    scope.key(&hash).with_context(|| format!("chunk_hash_hex {digits:?}"))
}

fn text<'a>(field: &str, value: &'a Value) -> Result<&'a str> {
    match value.as_str() {
        Some(text) => Ok(text),
        None => bail!("{field} must be a text, not {value}"),
    }
}

fn number(field: &str, value: &Value) -> Result<u64> {
    match value.as_u64() {
        Some(number) => Ok(number),
        None => bail!("{field} must be a whole number from 0 to {}, not {value}", u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"model_name":"org/m","kv_rank":5,"object_group_id":2,"chunk_hash_hex":"ab12"}"#;

    #[test]
    fn a_key_is_read_with_and_without_its_salt() {
        let key = parse(GOOD).unwrap();
        assert_eq!((key.model_name(), key.kv_rank(), key.object_group_id()), ("org/m", 5, 2));
        assert_eq!((key.chunk_hash(), key.cache_salt()), (&[0xab, 0x12][..], ""));
        for salt in ["\"\"", "null"] {
            let with_salt = GOOD.replace('}', &format!(",\"cache_salt\":{salt}}}"));
            assert_eq!(parse(&with_salt).unwrap(), key);
        }
        assert_eq!(parse(&GOOD.replace('}', r#","cache_salt":"é"}"#)).unwrap().cache_salt(), "é");
        assert_eq!(parse(&GOOD.replace("ab12", "AB12")).unwrap(), key, "either case");
    }

    #[test]
    fn a_key_that_is_written_is_read_again() {
        for json in [GOOD.to_owned(), GOOD.replace('}', r#","cache_salt":"é\""}"#)] {
            let key = parse(&json).unwrap();
            let written = serde_json::to_string(&KeyText::from(&key)).unwrap();
            assert_eq!(parse(&written).unwrap(), key, "{written}");
        }
    }

    #[test]
    fn what_is_not_a_key_is_refused_in_one_line_that_names_the_field() {
        let cases = [
            (GOOD.replace("\"kv_rank\":5,", ""), "kv_rank"),
            (GOOD.replace(":5", ":-1"), "kv_rank must be a whole number"),
            (GOOD.replace(":5", ":5.5"), "kv_rank must be"),
            (GOOD.replace(":2", ":\"2\""), "object_group_id must be"),
            (GOOD.replace("\"org/m\"", "7"), "model_name must be a text"),
            (GOOD.replace("org/m", ""), "model_name"),
            (GOOD.replace("org/m", "a/../b"), "model_name"),
            (GOOD.replace("org/m", "a\\u0000b"), "model_name"),
            (GOOD.replace("ab12", "ab1"), "chunk_hash_hex"),
            (GOOD.replace("ab12", "xy"), "chunk_hash_hex"),
            (GOOD.replace("ab12", ""), "chunk_hash_hex"),
            (GOOD.replace("ab12", &"ab".repeat(65)), "chunk_hash_hex"),
            (GOOD.replace('}', r#","cache_salt":"a@b"}"#), "cache_salt"),
            (GOOD.replace('}', r#","cache_salt":1}"#), "cache_salt must be a text"),
            (GOOD.replace('}', r#","cache_sal":""}"#), "unknown field `cache_sal`"),
            (GOOD.replace('}', r#","kv_rank":5}"#), "duplicate field `kv_rank`"),
            (GOOD.replace('}', ""), "EOF"),
            (r#"["m", 0, 0, "ab", ""]"#.to_owned(), "not a JSON object"),
            (String::new(), "not a JSON object"),
        ];
        for (json, names) in cases {
            let text = format!("{:#}", parse(&json).unwrap_err());
            assert!(text.contains(names), "{json}: {text}");
            assert_eq!(text.lines().count(), 1, "{text}");
        }
    }
}
