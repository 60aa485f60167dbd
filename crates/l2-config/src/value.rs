//! One raw value to a Rust value, or a short word on why not.
//!
//! Booleans and numbers may come as texts, for that is how LMCache's users write them. Nothing is ever guessed: `"yes"`,
//! `1` for a boolean, and `true` for a number are faults.

use crate::fields::Kind;
use crate::raw::Raw;

/// What is wrong with a value.
pub(crate) type Misfit = String;

pub(crate) const OUT_OF_RANGE: &str = "out of range";

pub(crate) fn not(kind: Kind) -> Misfit {
    format!("not {}", kind.noun())
}

pub(crate) fn boolean(raw: &Raw) -> Result<bool, Misfit> {
    match raw {
        Raw::Bool(value) => Ok(*value),
        Raw::Text(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Raw::Text(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(not(Kind::Boolean)),
    }
}

pub(crate) fn integer(raw: &Raw, min: u64, max: u64) -> Result<u64, Misfit> {
    let misfit = || not(Kind::Integer { min, max });
    // First as what it mostly is; else as a float, which also reads 2e6, 64.0, and what is far out of range.
    let (exact, float) = match raw {
        Raw::Number(number) => (number.as_u64(), number.as_f64()),
        Raw::Text(text) => (text.trim().parse().ok(), text.trim().parse().ok()),
        _ => (None, None),
    };
    let value = match (exact, float) {
        (Some(exact), _) => Some(exact),
        (None, Some(float)) if float.is_finite() && float.fract() == 0.0 => whole(float),
        _ => return Err(misfit()),
    };
    value.filter(|value| (min..=max).contains(value)).ok_or_else(|| OUT_OF_RANGE.to_owned())
}

/// A number in the range of its kind.
pub(crate) fn number(raw: &Raw, kind: Kind) -> Result<f64, Misfit> {
    let value: f64 = match raw {
        Raw::Number(number) => number.as_f64().ok_or_else(|| not(kind))?,
        Raw::Text(text) => text.trim().parse().map_err(|_| not(kind))?,
        _ => return Err(not(kind)),
    };
    let in_range = match kind {
        Kind::Number { max } => value > 0.0 && value <= max,
        Kind::NumberFromZero { max } => (0.0..=max).contains(&value),
        _ => false,
    };
    if value.is_nan() {
        Err(not(kind))
    } else if in_range {
        Ok(value)
    } else {
        Err(OUT_OF_RANGE.to_owned())
    }
}

pub(crate) fn text(raw: &Raw, may_be_blank: bool) -> Result<&str, Misfit> {
    match raw {
        Raw::Text(text) => checked(text, may_be_blank).map(|()| text.as_str()),
        _ => Err(not(Kind::Text { may_be_blank })),
    }
}

fn checked(text: &str, may_be_blank: bool) -> Result<(), Misfit> {
    if text.contains('\0') {
        Err("a text with a NUL in it".to_owned())
    } else if !may_be_blank && text.trim().is_empty() {
        Err("a blank text".to_owned())
    } else {
        Ok(())
    }
}

/// A checked value as the text that NIXL takes: `true`, `64`, or the text as it was given.
pub(crate) fn plugin_text(raw: &Raw, kind: Kind) -> Result<String, Misfit> {
    match kind {
        Kind::Boolean => boolean(raw).map(|value| value.to_string()),
        Kind::Integer { min, max } => integer(raw, min, max).map(|value| value.to_string()),
        Kind::Number { .. } | Kind::NumberFromZero { .. } => number(raw, kind).map(|value| value.to_string()),
        Kind::Text { may_be_blank } => match raw {
            Raw::Number(number) => Ok(number.to_string()),
            Raw::Bool(value) => Ok(value.to_string()),
            _ => text(raw, may_be_blank).map(str::to_owned),
        },
        Kind::Choice(choices) => choice(raw, choices, |name| name).map(str::to_owned),
        Kind::Object => match raw {
            Raw::Object(_) => Ok(String::new()),
            _ => Err(not(kind)),
        },
    }
}

/// The one of `choices` with exactly this name.
pub(crate) fn choice<T: Copy>(
    raw: &Raw,
    choices: &[T],
    name: impl Fn(T) -> &'static str,
) -> Result<T, Misfit> {
    let given = text(raw, true)?;
    let found = choices.iter().copied().find(|choice| name(*choice) == given);
    found.ok_or_else(|| "not one of the choices".to_owned())
}

/// A whole float as an integer, if it is not negative and small enough to be told apart from its neighbours.
fn whole(value: f64) -> Option<u64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value <= EXACT { truncated(value) } else { None }
}

/// The number without its fraction, if it is from 0 to 2⁶³.
pub(crate) fn truncated(value: f64) -> Option<u64> {
    const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
    if !(0.0..=TWO_TO_63).contains(&value) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "in range, and the fraction is meant to go")]
    #[expect(clippy::cast_sign_loss, reason = "not negative")]
    Some(value as u64)
}

#[cfg(test)]
mod tests {
    use serde_json::Number;

    use super::{boolean, integer, number, text};
    use crate::fields::Kind;
    use crate::raw::Raw;

    fn raw(json: &str) -> Raw {
        Raw::parse(json).unwrap_or_else(|fault| panic!("{json}: {fault}"))
    }

    #[test]
    fn a_boolean_is_true_or_false_in_any_case_and_nothing_else() {
        for (json, value) in [("true", true), ("\"True\"", true), ("false", false), ("\"FALSE\"", false)] {
            assert_eq!(boolean(&raw(json)), Ok(value), "{json}");
        }
        for json in ["1", "0", "\"yes\"", "\"\"", "\" true\"", "null", "[]", "{}"] {
            assert_eq!(boolean(&raw(json)), Err("not a boolean".to_owned()), "{json}");
        }
    }

    #[test]
    fn a_whole_number_may_be_written_in_several_ways() {
        for json in ["64", "64.0", "\"64\"", "\" 64 \"", "6.4e1", "\"64.0\""] {
            assert_eq!(integer(&raw(json), 1, 100), Ok(64), "{json}");
        }
        assert_eq!(integer(&raw("18446744073709551615"), 1, u64::MAX), Ok(u64::MAX));
        for json in ["1.5", "true", "\"\"", "\"x\"", "null", "\"nan\"", "\"inf\"", "[64]"] {
            assert_eq!(integer(&raw(json), 1, 100), Err("not a whole number".to_owned()), "{json}");
        }
        for json in ["0", "101", "-5", "\"-5\"", "1e300", "\"18446744073709551616\""] {
            assert_eq!(integer(&raw(json), 1, 100), Err("out of range".to_owned()), "{json}");
        }
    }

    #[test]
    fn a_number_is_finite_and_above_zero_or_from_zero_on() {
        let above = Kind::Number { max: 1.0 };
        let from = Kind::NumberFromZero { max: 1.0 };
        for kind in [above, from] {
            for json in ["0.5", "\"0.5\"", "\"5e-1\""] {
                assert_eq!(number(&raw(json), kind), Ok(0.5), "{json}");
            }
            for json in ["-1", "\"-1e-300\"", "1.01", "\"inf\"", "\"-inf\"", "\"1e999\""] {
                assert_eq!(number(&raw(json), kind), Err("out of range".to_owned()), "{json}");
            }
            for json in ["\"nan\"", "\"\"", "false", "null", "\"0x1\""] {
                assert_eq!(number(&raw(json), kind), Err("not a number".to_owned()), "{json}");
            }
        }
        for json in ["0", "0.0", "-0.0", "\"0\""] {
            assert_eq!(number(&raw(json), above), Err("out of range".to_owned()), "{json}");
            assert_eq!(number(&raw(json), from), Ok(0.0), "{json}");
        }
        assert!(Number::from_f64(f64::NAN).is_none());
    }

    #[test]
    fn a_text_has_no_nul_and_is_not_blank_where_that_is_asked() {
        assert_eq!(text(&raw("\"a\""), false), Ok("a"));
        assert_eq!(text(&raw("\" \""), true), Ok(" "));
        assert_eq!(text(&raw("\" \""), false), Err("a blank text".to_owned()));
        assert_eq!(text(&raw("\"a\\u0000\""), true), Err("a text with a NUL in it".to_owned()));
        assert_eq!(text(&raw("5"), true), Err("not a text".to_owned()));
    }
}
