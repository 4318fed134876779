//! Durations as they are typed: those of timeout(1), and smaller units.

use std::time::Duration;

/// Reads `5`, `5s`, `1.5m`, `2h`, `1d`, `500ms` or `250us`; a number alone is seconds, as with timeout(1).
///
/// Exact to the nanosecond: no detour through floating point.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    exact(text)
        .ok_or_else(|| "write a number and us, ms, s (or nothing), m, h or d, as in 90, 1.5m or 500ms".into())
}

fn exact(text: &str) -> Option<Duration> {
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit: u128 = match unit {
        "us" => 1_000,
        "ms" => 1_000_000,
        "" | "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()? };
    let mut nanos = u128::from(whole) * unit;
    let mut place = unit;
    for digit in fraction.chars() {
        place /= 10;
        nanos += u128::from(digit.to_digit(10)?) * place;
    }
    let seconds = u64::try_from(nanos / 1_000_000_000).ok()?;
    Some(Duration::new(seconds, u32::try_from(nanos % 1_000_000_000).ok()?))
}

/// A duration as a person would write it: `90s`, `1.5s`, `500ms`.
pub(crate) fn show(duration: Duration) -> String {
    format!("{duration:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_of_timeout_and_smaller_units() {
        for (text, millis) in [
            ("0", 0),
            ("5", 5_000),
            ("5s", 5_000),
            ("1.5m", 90_000),
            (".5", 500),
            ("2.", 2_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
            ("500ms", 500),
            ("1500us", 1),
        ] {
            assert_eq!(parse(text).map(|duration| duration.as_millis()), Ok(millis), "{text}");
        }
        assert_eq!(parse("0.000000001"), Ok(Duration::from_nanos(1)));
        assert!(parse("18446744073709551615").is_ok());
    }

    #[test]
    fn what_is_none_is_refused_with_an_example() {
        for text in
            ["", ".", "s", "-1", "+1", "1 s", "1e3", "5x", "1.2.3", "1m30s", "99999999999999999999", "inf"]
        {
            let error = parse(text).unwrap_err();
            assert!(error.contains("500ms"), "{text}: {error}");
        }
        assert!(parse("18446744073709551615d").is_err());
    }
}
