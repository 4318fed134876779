//! The command line.

use std::path::PathBuf;

use crate::contenders;
use crate::workloads::{Effort, WORKLOADS};

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Action {
    Help,
    Compare {
        workloads: Vec<&'static str>,
        effort: Effort,
        json: Option<PathBuf>,
    },
    /// `count` operations of one contender and nothing else, for the counting of system calls.
    Loop {
        contender: String,
        output: bool,
        count: usize,
    },
}

pub(crate) const HELP: &str = "\
Compares ways of running processes, side by side in one run.

Usage: herder-bench [--quick] [--json FILE] [--only NAME,...] [WORKLOAD...]
       herder-bench loop CONTENDER spawn-wait|output COUNT

Options:
  --quick        fewer rounds: half a minute instead of three
  --json FILE    write the tables as JSON as well
  --only NAMES   only these contenders, separated by commas (ratios need raw and tokio-ct)
  --help         show this
";

/// Reads the arguments after the program's name.
pub(crate) fn parse(arguments: &[String]) -> Result<Action, String> {
    if let [first, rest @ ..] = arguments
        && first == "loop"
    {
        return parse_loop(rest);
    }
    let mut arguments = arguments.iter();
    let mut effort = Effort { quick: false, only: Vec::new() };
    let (mut workloads, mut json) = (Vec::new(), None);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--help" | "-h" => return Ok(Action::Help),
            "--quick" => effort.quick = true,
            "--json" => json = Some(PathBuf::from(value()?)),
            "--only" => effort.only = value()?.split(',').map(str::to_owned).collect(),
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
    if workloads.is_empty() {
        workloads.extend(WORKLOADS.iter().map(|(name, _)| *name));
    }
    Ok(Action::Compare { workloads, effort, json })
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
    use super::{Action, parse};

    fn parsed(line: &str) -> Result<Action, String> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn no_arguments_mean_every_workload() {
        let Ok(Action::Compare { workloads, effort, json }) = parsed("") else { panic!("not understood") };
        assert_eq!(workloads.len(), super::WORKLOADS.len());
        assert!(!effort.quick && effort.only.is_empty() && json.is_none());
    }

    #[test]
    fn options_and_workloads_are_read() {
        let Ok(Action::Compare { workloads, effort, json }) =
            parsed("--quick --json x output --only raw,std")
        else {
            panic!("not understood")
        };
        assert_eq!(workloads, ["output"]);
        assert!(effort.quick && effort.only == ["raw", "std"] && json.is_some());
        assert!(matches!(parsed("loop raw output 20"), Ok(Action::Loop { output: true, count: 20, .. })));
    }

    #[test]
    fn mistakes_are_named() {
        assert!(parsed("nothing").unwrap_err().contains("\"nothing\""));
        assert!(parsed("--json").unwrap_err().contains("--json"));
        assert!(parsed("--only nobody").unwrap_err().contains("raw-block"));
        assert!(parsed("loop raw").unwrap_err().contains("loop"));
    }
}
