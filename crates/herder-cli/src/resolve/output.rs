//! Who writes to our output streams, and what happens on the way.

use std::path::Path;
use std::time::Duration;

use herder::output::{LogFile, Redact};
use herder::{Capture, Command, Stdio};
use regex::Regex;

use crate::args::{Merge, OutputArgs};
use crate::decorate::Style;
use crate::passthrough::Window;
use crate::platform;

/// Who writes to our output streams.
#[derive(Debug)]
pub(crate) enum Output {
    /// The program itself.
    Inherited,
    /// We do.
    Through(Through),
}

/// What happens to the output on its way.
#[derive(Debug)]
pub(crate) struct Through {
    /// How much is shown, if not all.
    pub(crate) window: Option<Window>,
    pub(crate) style: Style,
    /// How both streams become one, if they do.
    pub(crate) merge: Option<Merge>,
    pub(crate) tee: Option<LogFile>,
    pub(crate) ready: Option<Regex>,
}

/// Sets it, and says what we do.
pub(super) fn output(
    command: &mut Command,
    args: &OutputArgs,
    idle: Option<Duration>,
) -> Result<Output, String> {
    let exact = args.merge == Some(Merge::Exact);
    if exact {
        check_exact(args, idle)?;
    }
    let window = (args.head.is_some() || args.tail.is_some())
        .then(|| Window { head: args.head.unwrap_or(0) as u64, tail: args.tail.unwrap_or(0) });
    let style = Style { prefix: args.prefix, timestamps: args.timestamps };
    let ready = args.ready_line.as_deref().map(ready_line).transpose()?;
    let redact = redaction(&args.redact)?;
    let tee = tee(args)?;
    let file = tee.is_some() || args.spill.is_some();
    let sees = window.is_some() || !style.is_plain() || ready.is_some() || !redact.is_empty();
    if !file && !sees && !exact && idle.is_none() {
        if args.merge.is_some() {
            command.stderr(Stdio::to_stdout());
        }
        return Ok(Output::Inherited);
    }
    let mut capture = Capture::tail(window.map_or(0, |window| window.tail));
    if let Some(path) = &args.spill {
        check_spill(path)?;
        capture = capture.spill_to(path);
    }
    let (stdout, stderr) = match args.merge {
        None => (Stdio::piped(), Stdio::piped()),
        Some(Merge::Plain) => (Stdio::piped(), Stdio::to_stdout()),
        Some(Merge::Exact) => (Stdio::stamped(), Stdio::stamped()),
    };
    command.stdout(stdout).stderr(stderr).capture(capture).redact(redact);
    Ok(Output::Through(Through { window, style, merge: args.merge, tee, ready }))
}

/// What the exact order of two streams can't be had with: the library reads no stream then.
fn check_exact(args: &OutputArgs, idle: Option<Duration>) -> Result<(), String> {
    if !platform::STAMPS {
        return Err("--merge=exact: only Linux tells when a write was made; --merge has one stream".into());
    }
    let others = [
        ("--head", args.head.is_some()),
        ("--tail", args.tail.is_some()),
        ("--spill", args.spill.is_some()),
        ("--idle", idle.is_some()),
    ];
    match others.into_iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(format!("--merge=exact: it can't be had with {name}; --merge can")),
        None => Ok(()),
    }
}

fn redaction(patterns: &[String]) -> Result<Redact, String> {
    let add = |redact: Redact, pattern: &String| redact.pattern(pattern);
    patterns.iter().try_fold(Redact::new(), add).map_err(|error| format!("--redact: {error}"))
}

fn ready_line(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|error| format!("--ready-line: {error}"))
}

/// Opens the file before the program is started: one that can't be had is better told before an hour of work.
fn tee(args: &OutputArgs) -> Result<Option<LogFile>, String> {
    let Some(path) = &args.tee else { return Ok(None) };
    let failed = |error| format!("--tee: can't write to {}: {error}", path.display());
    let file = LogFile::append(path).map_err(failed)?;
    Ok(Some(match args.rotate {
        Some(rotation) => file
            .rotate(rotation)
            .map_err(|error| format!("--rotate: can't rotate {}: {error}", path.display()))?,
        None => file,
    }))
}

/// The files are made when the program has been started; what can be known before is told before.
fn check_spill(path: &Path) -> Result<(), String> {
    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    if !folder.is_dir() {
        return Err(format!("--spill: there is no directory {}", folder.display()));
    }
    platform::check_folder(folder)
        .map_err(|error| format!("--spill: can't make files in {}: {error}", folder.display()))?;
    for stream in ["stdout", "stderr"] {
        let mut file = path.as_os_str().to_owned();
        file.push(".");
        file.push(stream);
        if Path::new(&file).symlink_metadata().is_ok() {
            return Err(format!(
                "--spill: {} is there already; remove it, or name another",
                Path::new(&file).display()
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Job};
    use clap::Parser;
    use std::fs::File;

    fn resolved(line: &[&str]) -> Result<Output, String> {
        let line = ["herder", "run"].iter().chain(line).chain(&["true"]);
        let Job::Run(args) = Cli::try_parse_from(line).unwrap().job else { panic!("not run") };
        output(&mut Command::new("true"), &args.output, args.limits.idle)
    }

    /// None if it is inherited.
    fn through(line: &[&str]) -> Option<Through> {
        match resolved(line).unwrap() {
            Output::Inherited => None,
            Output::Through(through) => Some(through),
        }
    }

    #[test]
    fn output_goes_through_us_only_where_it_has_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let path = path.to_str().unwrap();
        assert!(through(&["-t", "1"]).is_none());
        assert!(through(&["--merge"]).is_none());
        for line in [
            &["--idle", "1"][..],
            &["--spill", path],
            &["--tee", path],
            &["--redact", "x"],
            &["--ready-line", "x"],
            &["--prefix"],
            &["--timestamps", "--merge"],
        ] {
            assert!(through(line).is_some_and(|through| through.window.is_none()), "{line:?}");
        }
        assert_eq!(through(&["--merge=plain", "--prefix"]).unwrap().merge, Some(Merge::Plain));
        if platform::STAMPS {
            assert_eq!(through(&["--merge=exact"]).unwrap().merge, Some(Merge::Exact));
        }
        let window = |line: &[&str]| through(line).unwrap().window.unwrap();
        assert_eq!(window(&["--head", "1K"]), Window { head: 1024, tail: 0 });
        assert_eq!(window(&["--tail", "7"]), Window { head: 0, tail: 7 });
    }

    #[test]
    fn what_is_wrong_is_said() {
        let wrong = |line: &[&str]| resolved(line).unwrap_err();
        assert!(wrong(&["--spill", "/no/such/out"]).contains("/no/such"));
        for other in [["--head", "1"], ["--tail", "1"], ["--spill", "x"], ["--idle", "1"]] {
            let told = if platform::STAMPS { other[0] } else { "only Linux" };
            assert!(wrong(&["--merge=exact", other[0], other[1]]).contains(told), "{other:?}");
        }
        assert!(wrong(&["--tee", "/no/such/out"]).contains("/no/such/out"));
        #[cfg(unix)]
        assert!(wrong(&["--tee", "/dev/null", "--rotate", "1K,2"]).contains("regular file"));
        assert_eq!(wrong(&["--redact", "hunter2("]), "--redact: invalid pattern: unclosed group");
        assert!(wrong(&["--ready-line", "x("]).contains("--ready-line: regex parse error"));
        let folder = tempfile::tempdir().unwrap();
        File::create(folder.path().join("out.stderr")).unwrap();
        assert!(wrong(&["--spill", folder.path().join("out").to_str().unwrap()]).contains("out.stderr"));
    }
}
