//! What was typed.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use herder::Signal;

/// Runs commands and owns them: with limits, a stop ladder, and nothing left behind.
#[derive(Debug, Parser)]
#[command(name = "herder", version)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Run(Run),
}

/// Runs one command: a better timeout(1).
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  herder run --timeout 30s -- make test
  herder run -t 5m -s INT -k 20s -- ./server --port 8080

Exit codes: that of the command; 128+n if signal n ended it; 124 if a limit did;
125 if herder itself failed; 126 if the command can't be executed; 127 if it was not found.")]
pub(crate) struct Run {
    /// End the command after this long (30s, 1.5m, 2h; a bare number is seconds)
    #[arg(short, long, value_name = "DURATION", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,

    /// The signal that asks it to end
    #[arg(short, long, default_value = "TERM")]
    pub(crate) signal: Signal,

    /// How long to wait after asking before it is killed
    #[arg(short, long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub(crate) kill_after: Duration,

    /// Change to this directory first
    #[arg(short = 'C', long = "chdir", value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,

    /// Set an environment variable (repeatable)
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub(crate) env: Vec<String>,

    /// Start from an empty environment
    #[arg(long)]
    pub(crate) env_clear: bool,

    /// Run at this niceness, -20 to 19
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) nice: Option<i32>,

    /// When a limit ended it, exit with its own code instead of 124
    #[arg(long)]
    pub(crate) preserve_status: bool,

    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "PROGRAM")]
    pub(crate) command: Vec<OsString>,
}

/// A duration as timeout(1) takes it, or with units.
fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string());
    }
    if let Some((number, unit)) = text.split_at_checked(text.len().saturating_sub(1))
        && let Ok(number) = number.parse::<f64>()
        && let Some(unit) =
            [("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86400.0)].iter().find(|u| u.0 == unit)
    {
        return Duration::try_from_secs_f64(number * unit.1).map_err(|error| error.to_string());
    }
    humantime::parse_duration(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_timeout_and_more() {
        let millis = |text| duration(text).map(|d| d.as_millis()).ok();
        assert_eq!(millis("2"), Some(2000));
        assert_eq!(millis("0.5"), Some(500));
        assert_eq!(millis("1.5m"), Some(90_000));
        assert_eq!(millis("500ms"), Some(500));
        assert_eq!(millis("2d"), Some(172_800_000));
        for wrong in ["", "x", "-1", "5 parsecs"] {
            assert_eq!(millis(wrong), None, "{wrong}");
        }
    }
}
