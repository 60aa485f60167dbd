//! Numbers of bytes, times and counts, as a person writes and reads them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytesize::ByteSize;
use nixl_l2::tools::Amount;

use super::table;

/// A number of bytes: with a unit of 1024 (KiB, MiB, GiB, TiB), of 1000 (kB, MB, GB, TB), or none.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, String> {
    let bytes = text.parse::<ByteSize>().map(|size| size.as_u64());
    let is_number = text.trim_start().starts_with(|first: char| first.is_ascii_digit());
    // A number with a point or an exponent is the parser's affair; what is no number is not.
    bytes
        .ok()
        .filter(|_| is_number)
        .ok_or_else(|| "give a number of bytes, as 4096, 512MiB or 10GiB".to_owned())
}

/// As [`parse_bytes`], of an object: none has no bytes.
pub(crate) fn parse_length(text: &str) -> Result<u64, String> {
    match parse_bytes(text)? {
        0 => Err("no object has 0 bytes; give the length that they have".to_owned()),
        bytes => Ok(bytes),
    }
}

/// A time span, as 90s, 36h or 7d.
pub(crate) fn parse_span(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; give a time span, as 90s, 36h or 7d"))
}

/// A whole number, also in hexadecimal after 0x.
pub(crate) fn parse_number(text: &str) -> Result<u64, String> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.map_err(|error| format!("{error}; give a whole number, or one in hexadecimal after 0x"))
}

/// A time in UTC to the second, as RFC 3339 has it.
pub(crate) fn time(time: SystemTime) -> String {
    // The last that has a year of four digits.
    const LAST: Duration = Duration::from_secs(253_402_300_799);
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default().min(LAST);
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string()
}

/// So many of something.
pub(crate) fn count(number: impl TryInto<u64>, what: &str) -> String {
    match number.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {what}"),
        number if what.ends_with('y') => format!("{number} {}ies", what.trim_end_matches('y')),
        number if what.ends_with('s') => format!("{number} {what}es"),
        number => format!("{number} {what}s"),
    }
}

/// So many objects, with their bytes.
pub(crate) fn objects(amount: Amount) -> String {
    format!("{} ({})", count(amount.objects, "object"), table::bytes(amount.bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_with_and_without_a_unit() {
        let cases = [
            ("0", 0),
            ("4096", 4096),
            ("512MiB", 512 << 20),
            ("10GiB", 10 << 30),
            ("10 GiB", 10 << 30),
            ("1.5 KiB", 1536),
            ("1TB", 1_000_000_000_000),
        ];
        for (text, bytes) in cases {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for text in ["", "x", "-1", "-1GiB", "nan", "inf", "NaN GiB", "10 apples", "GiB"] {
            assert!(parse_bytes(text).unwrap_err().contains("10GiB"), "{text}");
        }
    }

    #[test]
    fn no_object_has_no_bytes() {
        assert_eq!(parse_length("4KiB"), Ok(4096));
        for text in ["0", "0KiB"] {
            assert!(parse_length(text).unwrap_err().contains("no object"), "{text}");
        }
        assert!(parse_length("x").unwrap_err().contains("10GiB"));
    }

    #[test]
    fn spans_and_numbers_are_read_and_what_is_none_is_refused() {
        assert_eq!(parse_span("7d").unwrap(), Duration::from_secs(7 * 24 * 3600));
        assert_eq!(parse_span("1h 30m").unwrap(), Duration::from_secs(5400));
        for text in ["", "7", "d", "-1d", "7 apples"] {
            assert!(parse_span(text).unwrap_err().contains("36h"), "{text}");
        }
        assert_eq!((parse_number("17"), parse_number("0x04010401")), (Ok(17), Ok(0x0401_0401)));
        for text in ["", "-1", "0x", "ab", "99999999999999999999"] {
            assert!(parse_number(text).unwrap_err().contains("0x"), "{text}");
        }
    }

    #[test]
    fn any_time_has_a_text() {
        let cases = [
            (UNIX_EPOCH, "1970-01-01T00:00:00Z"),
            (UNIX_EPOCH - Duration::from_secs(9), "1970-01-01T00:00:00Z"),
            (UNIX_EPOCH + Duration::from_millis(1_600_000_000_999), "2020-09-13T12:26:40Z"),
            (UNIX_EPOCH + Duration::from_secs(1 << 60), "9999-12-31T23:59:59Z"),
        ];
        for (given, text) in cases {
            assert_eq!(time(given), text);
        }
    }

    #[test]
    fn one_is_not_many() {
        assert_eq!((count(1u64, "object"), count(2u64, "object")), ("1 object".into(), "2 objects".into()));
        assert_eq!(
            (count(0usize, "directory"), count(3u64, "pass")),
            ("0 directories".into(), "3 passes".into())
        );
    }
}
