//! The compact form of a termination policy, for command lines and configuration files.

use std::str::FromStr;
use std::time::Duration;

use herder_sys::{ParseSignalError, Signal};

use super::{Ask, Rung, Termination};

/// Why a text is no termination policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseTerminationError {
    /// The text, or the part between two commas, is empty.
    #[error("empty step; write steps such as TERM:10s or stdin:2s with commas between them, or kill alone")]
    Empty,
    /// A step has no grace period.
    #[error("step {step:?} has no grace period; write one after a colon, as in {step}:10s")]
    NoGrace {
        /// The step as written.
        step: String,
    },
    /// The grace period of a step is no duration.
    #[error("{grace:?} is no duration; write a number and us, ms, s, m, h or d, as in 500ms, 2s or 1.5m")]
    Grace {
        /// The duration as written.
        grace: String,
    },
    /// A step is neither `stdin` nor a signal.
    #[error("a step is stdin or a signal: {0}")]
    Step(#[source] ParseSignalError),
    /// `kill` stands before another step or has a grace period.
    #[error("kill ends the process at once, so it comes last and takes no grace period")]
    Kill,
}

impl FromStr for Termination {
    type Err = ParseTerminationError;

    /// Reads steps with commas between them, each `stdin` or a signal, a colon and a grace period.
    ///
    /// `stdin:2s,INT:1s,TERM:5s` closes standard input, then interrupts, then terminates, then kills. The kill at
    /// the end goes without saying but may be written as a last `kill`; alone, it is [`Termination::kill`].
    /// A duration is a number, with a fraction if need be, and `ms`, `s`, `m` or `h`; zero needs no unit.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut policy = Self::new();
        let mut killed = false;
        for part in text.split(',').map(str::trim) {
            if killed {
                return Err(ParseTerminationError::Kill);
            }
            if part.eq_ignore_ascii_case("kill") {
                killed = true;
            } else {
                policy.rungs.to_mut().push(parse_rung(part)?);
            }
        }
        Ok(policy)
    }
}

fn parse_rung(part: &str) -> Result<Rung, ParseTerminationError> {
    let (step, grace) = match part.split_once(':') {
        Some((step, grace)) => (step.trim(), Some(grace.trim())),
        None => (part, None),
    };
    let ask = if step.is_empty() {
        return Err(ParseTerminationError::Empty);
    } else if step.eq_ignore_ascii_case("kill") {
        return Err(ParseTerminationError::Kill);
    } else if step.eq_ignore_ascii_case("stdin") {
        Ask::CloseStdin
    } else {
        Ask::Signal(step.parse::<Signal>().map_err(ParseTerminationError::Step)?)
    };
    let grace = grace.ok_or_else(|| ParseTerminationError::NoGrace { step: step.to_owned() })?;
    let grace =
        parse_duration(grace).ok_or_else(|| ParseTerminationError::Grace { grace: grace.to_owned() })?;
    Ok(Rung { ask, grace })
}

/// Reads `500ms`, `2s`, `1.5m`, `1h`, `1d`, or a number of seconds, to the nanosecond and without a detour through floating point.
fn parse_duration(text: &str) -> Option<Duration> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let nanos_per_unit: u128 = match unit {
        "ns" => 1,
        "us" | "µs" => 1_000,
        "ms" => 1_000_000,
        "" | "s" => 1_000_000_000,
        "m" => 60 * 1_000_000_000,
        "h" => 3600 * 1_000_000_000,
        "d" => 86_400 * 1_000_000_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() {
        return None;
    }
    let mut nanos = whole.parse::<u64>().ok()? as u128 * nanos_per_unit;
    let mut place = nanos_per_unit;
    for digit in fraction.chars() {
        // Digits below a nanosecond have no effect, whatever their number.
        place /= 10;
        nanos += u128::from(digit.to_digit(10)?) * place;
    }
    let seconds = u64::try_from(nanos / 1_000_000_000).ok()?;
    let rest = u32::try_from(nanos % 1_000_000_000).ok()?;
    Some(Duration::new(seconds, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Termination, ParseTerminationError> {
        text.parse()
    }

    #[test]
    fn the_compact_form_is_read() {
        let secs = Duration::from_secs;
        let expected = Termination::new()
            .close_stdin(secs(2))
            .signal(Signal::INT, secs(1))
            .signal(Signal::TERM, secs(5));
        for text in ["stdin:2s,INT:1s,TERM:5s", " STDIN : 2s , sigint:1000ms, 15:5s , kill"] {
            assert_eq!(parse(text).as_ref(), Ok(&expected), "{text}");
        }
        assert_eq!(parse("kill"), Ok(Termination::kill()));
        assert_eq!(parse("TERM:10s"), Ok(Termination::default()));
    }

    #[test]
    fn durations_are_exact() {
        for (text, millis) in [
            ("500ms", 500),
            ("2s", 2000),
            ("1.5m", 90_000),
            ("1h", 3_600_000),
            ("5", 5_000),
            ("1d", 86_400_000),
            ("0", 0),
            ("0s", 0),
            ("0.1s", 100),
            ("0.0000000001s", 0),
        ] {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for bad in
            ["", "s", ".5s", "5.s", "1.2.3s", "-1s", "1 s", "99999999999999999999s", "5123456789012345678h"]
        {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn each_mistake_has_its_own_error() {
        assert_eq!(parse(""), Err(ParseTerminationError::Empty));
        assert_eq!(parse("TERM:1s,"), Err(ParseTerminationError::Empty));
        assert_eq!(parse(":1s"), Err(ParseTerminationError::Empty));
        assert_eq!(parse("TERM"), Err(ParseTerminationError::NoGrace { step: "TERM".into() }));
        assert_eq!(parse("TERM:soon"), Err(ParseTerminationError::Grace { grace: "soon".into() }));
        assert!(matches!(parse("FOO:1s"), Err(ParseTerminationError::Step(_))));
        assert_eq!(parse("kill,TERM:1s"), Err(ParseTerminationError::Kill));
        assert_eq!(parse("kill:1s"), Err(ParseTerminationError::Kill));
        let message = parse("TERM").unwrap_err().to_string();
        assert_eq!(message, "step \"TERM\" has no grace period; write one after a colon, as in TERM:10s");
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(rungs in prop::collection::vec((0..=64i32, 0..u64::MAX), 0..5)) {
            let mut policy = Termination::new();
            for (signal, nanos) in rungs {
                let grace = Duration::from_nanos(nanos);
                policy = match Signal::from_raw(signal) {
                    Some(signal) => policy.signal(signal, grace),
                    None => policy.close_stdin(grace),
                };
            }
            prop_assert_eq!(policy.to_string().parse(), Ok(policy));
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = text.parse::<Termination>();
            let _ = parse_duration(&text);
        }
    }
}
