//! Numbers as people read them.

use std::time::Duration;

/// Bytes in the largest unit that leaves 1 or more, with one digit after the point where it is not a whole number of
/// them (1 MiB is 1024² bytes).
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let scale = (bytes.max(1).ilog2() / 10) as usize;
    let Some(unit) = scale.checked_sub(1).and_then(|at| UNITS.get(at)) else {
        return format!("{bytes} B");
    };
    let one = 1u64 << (10 * scale);
    if bytes.is_multiple_of(one) {
        format!("{} {unit}", bytes / one)
    } else {
        format!("{:.1} {unit}", bytes as f64 / one as f64)
    }
}

/// Bytes that were moved, with the time and the rate in 10⁹ bytes a second.
pub(crate) fn moved(length: u64, time: Duration) -> String {
    let seconds = time.as_secs_f64().max(1e-9);
    format!("{} in {} ({:.2} GB/s)", bytes(length), milliseconds(time), length as f64 / seconds / 1e9)
}

pub(crate) fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_exact_where_they_are_whole() {
        for (given, shown) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (4096, "4 KiB"),
            (5000, "4.9 KiB"),
            (256 << 10, "256 KiB"),
            (32 << 20, "32 MiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(bytes(given), shown);
        }
    }

    #[test]
    fn what_was_moved_has_a_rate() {
        assert_eq!(moved(1 << 20, Duration::from_millis(1)), "1 MiB in 1.00 ms (1.05 GB/s)");
    }
}
