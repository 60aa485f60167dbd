//! What may be shown of a text: secrets are hidden, control characters escaped, long texts cut.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::fields::{FIELDS, Field, Kind, Place, Role, Scope};
use crate::unknown;

/// What stands in place of a secret.
pub(crate) const REDACTED: &str = "<redacted>";

/// The most characters of a given value that are shown.
const SHOWN_CHARS: usize = 120;

/// Whether a key of this name holds a secret. Wide on purpose: a harmless value hidden costs little.
pub(crate) fn is_secret_name(key: &str) -> bool {
    let key = key.to_lowercase();
    ["secret", "token", "password", "key", "connection_string", "credential"]
        .iter()
        .any(|word| key.contains(word))
}

/// How much of what lies under a key may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Showing {
    /// The key is known, or nearly so, and holds no secret.
    Shown,
    /// The key holds a secret, or is a misspelled one that does.
    Secret,
    /// Nobody knows the key. What it holds may be anything, a password too.
    Unknown,
}

/// How much of what lies under a key, at any place, may be shown.
pub(crate) fn showing(key: &str) -> Showing {
    if is_secret_name(key) {
        return Showing::Secret;
    }
    let known = FIELDS.iter().find(|field| field.name == key);
    match known.or_else(|| unknown::nearest_field(Place::BackendParams, Scope::ANY, key)) {
        Some(field) if field.is_secret() => Showing::Secret,
        Some(_) => Showing::Shown,
        None => Showing::Unknown,
    }
}

/// The text under `key` as it may be shown, not yet quoted.
///
/// A directory, or another free text of our own, is shown as it is. What goes to a plugin, or stands where it does not
/// belong, can carry a secret inside (`https://user:password@host`, `…?sig=…`, `AccountKey=…`), which is taken out.
pub(crate) fn safe_text<'a>(key: &str, text: &'a str) -> Cow<'a, str> {
    if showing(key) != Showing::Shown {
        return Cow::Borrowed(REDACTED);
    }
    let is_free_text = |field: &Field| field.role != Role::Plugin && matches!(field.kind, Kind::Text { .. });
    let ours = FIELDS.iter().any(|field| field.name == key && is_free_text(field));
    if ours { Cow::Borrowed(text) } else { without_credentials(text) }
}

fn without_credentials(text: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return if names_a_secret(text) { Cow::Borrowed(REDACTED) } else { Cow::Borrowed(text) };
    };
    let (rest, query) = rest.split_once('?').map_or((rest, ""), |(rest, _)| (rest, "?<redacted>"));
    if names_a_secret(scheme) || names_a_secret(rest) {
        return Cow::Borrowed(REDACTED);
    }
    let (authority, path) = rest.split_at(rest.find(['/', '#']).unwrap_or(rest.len()));
    match authority.rsplit_once('@') {
        Some((_, host)) => Cow::Owned(format!("{scheme}://{REDACTED}@{host}{path}{query}")),
        None if query.is_empty() => Cow::Borrowed(text),
        None => Cow::Owned(format!("{scheme}://{authority}{path}{query}")),
    }
}

/// Whether the text looks like `AccountKey=…` or its like, or like JSON (given as a text) with a secret in it.
fn names_a_secret(text: &str) -> bool {
    let json = text.contains('"') && is_secret_name(text);
    let text = text.to_lowercase();
    json || ["key=", "signature=", "sig=", "password=", "token="].iter().any(|mark| text.contains(mark))
}

/// The text as a JSON string that stays on one line and moves no cursor.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(SHOWN_CHARS) + 2);
    out.push('"');
    for (count, c) in text.chars().enumerate() {
        if count == SHOWN_CHARS {
            out.push('…');
            break;
        }
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if moves_the_cursor(c) => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Control characters, line and paragraph separators, and the marks that turn the direction of writing.
fn moves_the_cursor(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// At most [`SHOWN_CHARS`] characters and a few more for the quotes.
pub(crate) fn cut(shown: &str) -> String {
    match shown.char_indices().nth(SHOWN_CHARS + 8) {
        Some((end, _)) => shown.get(..end).map_or_else(String::new, |start| format!("{start}…")),
        None => shown.to_owned(),
    }
}

/// The path of `key` inside the object at `parent` (empty for the top level).
pub(crate) fn path(parent: &str, key: &str) -> String {
    let plain = !key.is_empty()
        && key.len() <= SHOWN_CHARS
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    match (parent, plain) {
        ("", true) => key.to_owned(),
        ("", false) => format!("$[{}]", quoted(key)),
        (parent, true) => format!("{parent}.{key}"),
        (parent, false) => format!("{parent}[{}]", quoted(key)),
    }
}

#[cfg(test)]
mod tests {
    use super::{path, quoted, safe_text};

    #[test]
    fn credentials_inside_a_url_are_taken_out() {
        let cases = [
            ("https://user:pw@host:9000/a", "https://<redacted>@host:9000/a"),
            ("https://a.blob.core.windows.net/?sv=1&sig=abc", "https://a.blob.core.windows.net/?<redacted>"),
            ("https://u@host?x", "https://<redacted>@host?<redacted>"),
            ("DefaultEndpointsProtocol=http;AccountKey=abc", "<redacted>"),
            (r#"{"secret_key": "abc"}"#, "<redacted>"),
            ("http://keystone:9000", "http://keystone:9000"),
            ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
            ("eu-west-1", "eu-west-1"),
        ];
        for (given, shown) in cases {
            assert_eq!(safe_text("endpoint_override", given), shown, "{given}");
        }
    }

    #[test]
    fn a_directory_is_shown_as_it_is() {
        assert_eq!(safe_text("file_path", "/data/key=3/?x"), "/data/key=3/?x");
    }

    #[test]
    fn a_quoted_text_stays_on_one_line() {
        assert_eq!(quoted("a\"b\\c\n\u{2028}\u{9b}"), r#""a\"b\\c\u000a\u2028\u009b""#);
        assert_eq!(quoted(&"x".repeat(1000)).chars().count(), 123);
    }

    #[test]
    fn a_path_names_any_key() {
        assert_eq!(path("", "type"), "type");
        assert_eq!(path("backend_params", "file_path"), "backend_params.file_path");
        assert_eq!(path("backend_params", "a.b"), r#"backend_params["a.b"]"#);
        assert_eq!(path("", ""), r#"$[""]"#);
    }
}
