//! The table as a terminal shows it.

use std::fmt::Write as _;

use crate::judge::Verdict;
use crate::run::Results;

/// In a cell.
pub(crate) fn short(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Kept => "ok".to_owned(),
        Verdict::Failed { failure, .. } => failure.to_string(),
        Verdict::NotOffered { .. } => "n/a".to_owned(),
        Verdict::Forbidden { mark, .. } => format!("({mark})"),
    }
}

/// How many promises were kept, broken, not offered, and can't be kept here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Score {
    pub(crate) kept: usize,
    pub(crate) failed: usize,
    pub(crate) not_offered: usize,
    pub(crate) forbidden: usize,
}

pub(crate) fn score(results: &Results, column: usize) -> Score {
    let mut score = Score::default();
    for row in &results.rows {
        match row.verdicts[column] {
            Verdict::Kept => score.kept += 1,
            Verdict::Failed { .. } => score.failed += 1,
            Verdict::NotOffered { .. } => score.not_offered += 1,
            Verdict::Forbidden { .. } => score.forbidden += 1,
        }
    }
    score
}

pub(crate) fn table(results: &Results) -> String {
    let mut text = String::new();
    let mut line = |name: &str, cells: &mut dyn Iterator<Item = String>| {
        let cells = cells.map(|cell| format!("{cell:14}")).collect::<String>();
        text += format!("{name:28}{}", cells).trim_end();
        text.push('\n');
    };
    line("", &mut results.contenders.iter().map(|column| column.name.chars().take(13).collect()));
    for row in &results.rows {
        line(&row.name, &mut row.verdicts.iter().map(short));
    }
    line(
        "kept/failed",
        &mut (0..results.contenders.len()).map(|column| {
            let score = score(results, column);
            format!("{}/{}", score.kept, score.failed)
        }),
    );
    for (index, column) in results.contenders.iter().enumerate() {
        for row in &results.rows {
            let verdict = &row.verdicts[index];
            if let Verdict::Failed { detail, .. } | Verdict::Forbidden { detail, .. } = verdict {
                _ = writeln!(text, "{}: {}: {}: {detail}", column.name, row.name, short(verdict));
            }
        }
    }
    text
}
