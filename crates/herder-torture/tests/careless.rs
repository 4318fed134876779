//! A verdict that can't be a failure says nothing: a contender that does nothing right must fail every scenario, and
//! in every way that there is.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};

use serde_json::Value;

/// All the ways to fail, as they are written.
const WAYS: [&str; 13] = [
    "survivors",
    "zombies",
    "hang",
    "lost_bytes",
    "wrong_status",
    "leaked_descriptors",
    "leaked_folders",
    "blocked_executor",
    "secrets_shown",
    "error",
    "memory",
    "panic",
    "signals",
];

#[test]
fn a_careless_contender_fails_everything_in_every_way() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("results.json");
    let mut judge = Command::new(env!("CARGO_BIN_EXE_herder-torture"));
    judge.args(["try", "careless", "--patience", "1.5", "--json"]).arg(&json).stdin(Stdio::null());
    #[expect(clippy::disallowed_methods, reason = "the judge is not what is put to the test")]
    let output = judge.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let results: Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    let rows = results["rows"].as_array().unwrap();
    assert!(rows.len() >= 60, "{}", rows.len());
    let ways: BTreeMap<_, _> = rows.iter().map(|row| (row["name"].as_str().unwrap(), way(row))).collect();
    let kept: Vec<_> = ways.iter().filter(|(_, way)| way.is_none()).map(|(name, _)| name).collect();
    assert!(kept.is_empty(), "not failed: {kept:?}");
    let seen: BTreeSet<_> = ways.into_values().flatten().collect();
    let unseen: Vec<_> = WAYS.into_iter().filter(|way| !seen.contains(*way)).collect();
    assert!(unseen.is_empty(), "nobody failed by {unseen:?}");
}

/// In which way a row was failed. What nobody of these rights can do was not done, either.
fn way(row: &Value) -> Option<String> {
    let verdict = &row["verdicts"][0];
    if verdict.get("forbidden").is_some() {
        return Some("survivors".to_owned());
    }
    Some(verdict.get("failed")?.get("failure")?.as_str()?.to_owned())
}
