//! The escape matrix: what a tree does to get away, against what happens to it or to its owner, in each kind of place.
//!
//! The owner is this program again, with one test that is none: it starts the tree, says so, and meets its end. That
//! nobody is left is seen from outside, and so is that no folder is left.

mod cell;
mod owner;
mod place;

use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cell::{CTRL_C, cell, strength};
use place::Place;

/// Under which number the tree holds its end of the pipe.
const LEASH: i32 = 9;

/// The user that is nobody in particular.
const NOBODY: u32 = 65534;

/// What a tree does, as steps of the fixture, or as a script of sh; and how many say that they are up.
const TREES: [(&str, &[&str], usize); 12] = [
    ("same group", &["spawn:mark:up,hang", "mark:up", "hang"], 2),
    (
        "ignores TERM",
        &["spawn:[ignore:TERM+HUP+INT,mark:up,hang]", "ignore:TERM+HUP+INT", "mark:up", "hang"],
        2,
    ),
    ("stopped", &["spawn:[mark:up,stop-self]", "mark:up", "hang"], 2),
    ("200 at once", &["sh", "i=0; while [ $i -lt 200 ]; do sleep 1000 & i=$((i+1)); done; echo up; wait"], 1),
    ("leader goes", &["spawn:[mark:up,hang]", "mark:up", "exit:0"], 2),
    ("setpgid", &["spawn:[setpgid,mark:up,hang]", "mark:up", "hang"], 2),
    ("setsid", &["spawn-setsid:[mark:up,hang]", "mark:up", "hang"], 2),
    ("double fork", &["spawn-detached:[mark:up,hang]", "mark:up", "hang"], 2),
    (
        "daemon",
        &["spawn-detached:[spawn-setsid:[ignore:TERM,mark:up,hang],mark:up,hang]", "mark:up", "exit:0"],
        3,
    ),
    ("chain", &["sh", "c='sh -c \"$c\" &'; export c; eval \"$c\"; echo up; exec sleep 1000"], 1),
    ("another user", &["sh", "(setsid sleep 1000 &) ; echo up; exec sleep 1000"], 1),
    ("other cgroup", &["sh", "echo $$ > \"$ROOT/cgroup.procs\" && echo up; exec sleep 1000"], 1),
];

/// What a process group holds, while its owner lives.
const HELD_BY_GROUP: usize = 4;

/// What happens: to the tree alone, and then to the owner, by itself and from outside.
const ENDS: [&str; 16] = [
    "kill",
    "terminate",
    "timeout",
    "drop",
    "panic",
    "cancel",
    "shutdown",
    "exit",
    "return",
    "abort",
    "TERM",
    "INT",
    "HUP",
    "KILL",
    "KILL group",
    CTRL_C,
];
const WHILE_OWNER_LIVES: usize = 7;

/// The cells that are promised where this is the strongest that can be had; docs/who-ends-what.md has the reasons of
/// the others.
fn promised(place: &Place, best: &str, tree: usize, end: usize) -> bool {
    match TREES[tree].0 {
        _ if best == "process group" => tree < HELD_BY_GROUP && end < WHILE_OWNER_LIVES,
        "another user" => place.root,
        "other cgroup" => place.root && (best == "cgroup" || place.namespace),
        _ => true,
    }
}

fn table_of(place: &Place) {
    let best = strength(place);
    if best == "none" {
        return say(&format!("SKIPPED: {} HAS NONE HERE", place.name.to_uppercase()));
    }
    let cells: Vec<_> =
        (0..TREES.len()).flat_map(|tree| (0..ENDS.len()).map(move |end| (tree, end))).collect();
    let (next, table) = (AtomicUsize::new(0), Mutex::new(vec![vec![None; ENDS.len()]; TREES.len()]));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(&(tree, end)) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if promised(place, &best, tree, end) {
                        let answer = cell(place, TREES[tree].0, ENDS[end]);
                        table.lock().unwrap()[tree][end] = Some(answer);
                    }
                }
            });
        }
    });
    let table = table.into_inner().unwrap();
    let text = format!("{}, {best}: milliseconds until nobody is left\n{}", place.name, drawn(&table));
    say(&text);
    let failed: Vec<_> = table.iter().flatten().flatten().filter_map(|cell| cell.as_ref().err()).collect();
    assert!(failed.is_empty(), "{text}\n{failed:#?}");
}

fn drawn(table: &[Vec<Option<Result<Duration, String>>>]) -> String {
    let mut text = format!("{:14}", "");
    ENDS.iter().for_each(|end| write!(text, "{end:>11}").unwrap());
    for ((tree, ..), row) in TREES.iter().zip(table) {
        write!(text, "\n{tree:14}").unwrap();
        for cell in row {
            match cell {
                Some(Ok(took)) => write!(text, "{:>11}", took.as_millis()).unwrap(),
                Some(Err(_)) => write!(text, "{:>11}", "LEFT").unwrap(),
                None => write!(text, "{:>11}", "-").unwrap(),
            }
        }
    }
    text
}

#[test]
fn nobody_escapes() {
    table_of(&Place::here());
}

/// Said loudly where it can't be made: only root can.
fn table_of_made(place: Option<Place>) {
    match place {
        Some(place) => table_of(&place),
        None => say("SKIPPED: ONLY ROOT, WHERE CGROUPS ARE MOUNTED, CAN MAKE THIS PLACE"),
    }
}

#[expect(clippy::print_stderr, reason = "the table is what a person wants to see")]
fn say(text: &str) {
    eprintln!("{text}");
}

#[test]
fn nobody_escapes_an_ordinary_user_with_a_delegated_cgroup() {
    table_of_made(Place::delegated());
}

#[test]
fn nobody_escapes_an_ordinary_user_without_a_cgroup() {
    table_of_made(Place::ordinary());
}

#[test]
fn nobody_escapes_in_a_container_without_cgroups() {
    table_of_made(Place::container());
}

#[test]
fn nobody_escapes_from_a_pid_namespace() {
    table_of(&Place::namespaces());
}

#[test]
fn nobody_escapes_from_a_pid_namespace_of_root() {
    table_of_made(Place::namespaces_of_root());
}

/// What is won or lost by a moment, again and again: three times, or as often as is said.
#[test]
fn racy_rows_repeated() {
    let places = [Place::here(), Place::namespaces()].map(|place| (strength(&place), place));
    let often = std::env::var("HERDER_TEST_REPEATS").map_or(3, |often| often.parse().unwrap());
    for (round, (best, place)) in (0..often).flat_map(|round| places.iter().map(move |place| (round, place)))
    {
        for (tree, (name, ..)) in TREES.iter().enumerate() {
            for (end, how) in ENDS.iter().enumerate() {
                let racy = ["leader goes", "double fork", "daemon", "chain"].contains(name)
                    && ["kill", "drop", "exit", "abort", "KILL", "KILL group"].contains(how);
                if racy && best != "none" && promised(place, best, tree, end) {
                    cell(place, name, how)
                        .unwrap_or_else(|error| panic!("{}, {round}: {name} x {how}: {error}", place.name));
                }
            }
        }
    }
}
