//! The command line.

use std::path::PathBuf;

use crate::contenders;
use crate::workloads::{Effort, Scale, WORKLOADS};

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Action {
    Help,
    Compare {
        workloads: Vec<&'static str>,
        effort: Effort,
        into: Into,
    },
    /// Writes what an earlier run has measured.
    Report {
        from: PathBuf,
        into: Into,
    },
    /// `count` operations of one contender and nothing else, for the counting of system calls.
    Loop {
        contender: String,
        output: bool,
        count: usize,
    },
}

/// Where the results go, besides stdout.
#[derive(Debug, Default)]
pub(crate) struct Into {
    pub(crate) json: Option<PathBuf>,
    /// A page whose marked parts are replaced.
    pub(crate) markdown: Option<PathBuf>,
    /// A folder that gets a plot of each workload.
    pub(crate) svg: Option<PathBuf>,
}

impl Into {
    /// The three places below the folder of the documentation.
    fn documents(folder: &str) -> Self {
        let folder = PathBuf::from(folder);
        Self {
            json: Some(folder.join("performance.json")),
            markdown: Some(folder.join("performance.md")),
            svg: Some(folder.join("performance")),
        }
    }
}

pub(crate) const HELP: &str = "\
Compares ways of running processes, side by side in one run.

Usage: herder-bench [OPTION...] all|WORKLOAD...
       herder-bench report JSON [--markdown PAGE] [--svg FOLDER]
       herder-bench loop CONTENDER spawn-wait|output COUNT

Options:
  --quick          fewer rounds
  --smoke          next to nothing, whether it still works
  --only NAMES     only these contenders, separated by commas (ratios need raw and tokio-ct)
  --json FILE      write the tables as JSON as well
  --markdown PAGE  replace the tables of this page, between its marks
  --svg FOLDER     write a plot of each workload
  --docs FOLDER    these three: performance.json, performance.md and performance/*.svg
  --help           show this
";

/// Reads the arguments after the program's name.
pub(crate) fn parse(arguments: &[String]) -> Result<Action, String> {
    if let [first, rest @ ..] = arguments
        && first == "loop"
    {
        return parse_loop(rest);
    }
    let mut arguments = arguments.iter();
    let mut effort = Effort { scale: Scale::Full, only: Vec::new() };
    let (mut workloads, mut into, mut report) = (Vec::new(), Into::default(), None);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--help" | "-h" => return Ok(Action::Help),
            "--quick" => effort.scale = Scale::Quick,
            "--smoke" => effort.scale = Scale::Smoke,
            "--json" => into.json = Some(PathBuf::from(value()?)),
            "--markdown" => into.markdown = Some(PathBuf::from(value()?)),
            "--svg" => into.svg = Some(PathBuf::from(value()?)),
            "--docs" => into = Into::documents(value()?),
            "--only" => effort.only = value()?.split(',').map(str::to_owned).collect(),
            "report" => report = Some(PathBuf::from(value()?)),
            "all" => workloads.extend(WORKLOADS.iter().map(|(name, _)| *name)),
            name => {
                let known = WORKLOADS.iter().map(|(known, _)| *known).find(|known| *known == name);
                workloads.push(known.ok_or_else(|| format!("no workload or option is called {name:?}"))?);
            }
        }
    }
    if let Some(unknown) = effort.only.iter().find(|only| !contenders::NAMES.contains(&only.as_str())) {
        return Err(format!(
            "no contender is called {unknown:?}; there are {}",
            contenders::NAMES.join(", ")
        ));
    }
    match report {
        Some(from) => Ok(Action::Report { from, into }),
        None if workloads.is_empty() => Ok(Action::Help),
        None => Ok(Action::Compare { workloads, effort, into }),
    }
}

fn parse_loop(arguments: &[String]) -> Result<Action, String> {
    let [contender, operation, count] = arguments else {
        return Err("loop needs a contender, an operation and a count".to_owned());
    };
    let output = match operation.as_str() {
        "spawn-wait" => false,
        "output" => true,
        _ => return Err(format!("loop runs spawn-wait or output, not {operation:?}")),
    };
    let count = count.parse().map_err(|_| format!("{count:?} is no count"))?;
    Ok(Action::Loop { contender: contender.clone(), output, count })
}

#[cfg(test)]
mod tests {
    use super::{Action, Scale, parse};

    fn parsed(line: &str) -> Result<Action, String> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn all_means_every_workload() {
        let Ok(Action::Compare { workloads, effort, into }) = parsed("all --docs docs") else {
            panic!("not understood")
        };
        assert_eq!(workloads.len(), super::WORKLOADS.len());
        assert!(effort.scale == Scale::Full && effort.only.is_empty());
        assert_eq!(into.markdown.unwrap().to_str(), Some("docs/performance.md"));
    }

    #[test]
    fn options_and_workloads_are_read() {
        let Ok(Action::Compare { workloads, effort, into }) =
            parsed("--quick --json x output --only raw,std")
        else {
            panic!("not understood")
        };
        assert_eq!(workloads, ["output"]);
        assert!(effort.scale == Scale::Quick && effort.only == ["raw", "std"] && into.json.is_some());
        assert!(matches!(parsed("loop raw output 20"), Ok(Action::Loop { output: true, count: 20, .. })));
        assert!(matches!(parsed("report x --svg y"), Ok(Action::Report { .. })));
        assert!(matches!(parsed(""), Ok(Action::Help)));
    }

    #[test]
    fn mistakes_are_named() {
        assert!(parsed("nothing").unwrap_err().contains("\"nothing\""));
        assert!(parsed("--json").unwrap_err().contains("--json"));
        assert!(parsed("--only nobody").unwrap_err().contains("raw-block"));
        assert!(parsed("loop raw").unwrap_err().contains("loop"));
    }
}
