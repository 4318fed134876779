//! What was typed.

use std::path::PathBuf;
use std::time::Duration;

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Action {
    Help,
    List,
    /// Cells, and what becomes of them.
    Judge(Wanted),
    /// The page of results that are there.
    Page {
        results: Vec<PathBuf>,
        page: PathBuf,
    },
    /// Plays the owner in a scenario.
    Adapter {
        contender: String,
        scenario: String,
    },
}

/// Which cells, and what is written.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// None: all.
    pub(crate) contenders: Vec<String>,
    pub(crate) scenarios: Vec<String>,
    pub(crate) json: Option<PathBuf>,
    pub(crate) page: Option<PathBuf>,
    pub(crate) patience: Duration,
    /// Whether a failure of anybody is a failure of this program.
    pub(crate) strict: bool,
}

pub(crate) const HELP: &str = "\
usage: herder-torture all [OPTION]...                    the table of all, its JSON, and docs/torture.md
       herder-torture herder [OPTION]...                 Herder's own column; a failure is an error
       herder-torture try CONTENDER[,..] [SCENARIO[,..]] [OPTION]...
       herder-torture page RESULT.json... [--page FILE]  docs/torture.md, from what was written
       herder-torture list

Options:
  --json FILE       where the results are written
  --page FILE       where the page is written
  --patience SECS   after how long something that did not happen is said not to happen (6; of Herder alone 20,
                    which costs nothing where nothing fails)
";

/// The page, in the repository.
const PAGE: &str = "docs/torture.md";

pub(crate) fn parse(arguments: &[String]) -> Result<Action, String> {
    let (mut words, mut json, mut page, mut patience) = (Vec::new(), None, None, None);
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        let mut value = || rest.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--json" => json = Some(PathBuf::from(value()?)),
            "--page" => page = Some(PathBuf::from(value()?)),
            "--patience" => {
                let seconds = value()?.parse().map_err(|_| "--patience takes seconds".to_owned())?;
                patience = Some(Duration::from_secs_f64(seconds));
            }
            "-h" | "--help" => return Ok(Action::Help),
            option if option.starts_with('-') => return Err(format!("unknown option {option}")),
            word => words.push(word.to_owned()),
        }
    }
    let names = |words: &str| words.split(',').map(str::to_owned).collect::<Vec<_>>();
    let judge = |contenders, scenarios, strict| {
        let usual = Duration::from_secs(if strict { 20 } else { 6 });
        let patience = patience.unwrap_or(usual);
        Wanted { contenders, scenarios, json: json.clone(), page: page.clone(), patience, strict }
    };
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => Ok(Action::Help),
        ["list"] => Ok(Action::List),
        ["all"] => {
            let mut wanted = judge(Vec::new(), Vec::new(), false);
            wanted.json.get_or_insert_with(|| "docs/torture.json".into());
            wanted.page.get_or_insert_with(|| PAGE.into());
            Ok(Action::Judge(wanted))
        }
        ["herder"] => Ok(Action::Judge(judge(vec!["herder".into()], Vec::new(), true))),
        ["try", contenders] => Ok(Action::Judge(judge(names(contenders), Vec::new(), false))),
        ["try", contenders, scenarios] => {
            Ok(Action::Judge(judge(names(contenders), names(scenarios), false)))
        }
        ["page", results @ ..] if !results.is_empty() => {
            let results = results.iter().map(PathBuf::from).collect();
            Ok(Action::Page { results, page: page.unwrap_or_else(|| PAGE.into()) })
        }
        ["adapter", contender, scenario] => {
            Ok(Action::Adapter { contender: (*contender).to_owned(), scenario: (*scenario).to_owned() })
        }
        _ => Err(format!("what is {:?}? See --help", words.join(" "))),
    }
}
