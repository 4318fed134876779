//! Which room of the library may know which: the table, and the paths that are held against it.

use std::collections::BTreeMap;

use crate::source::{bracketed, is_word, line_of};

/// Each room with the rooms that it may name, in the order in which data flows.
///
/// A command stores what was asked of the other rooms as plain values, so it may name them; nothing that lives
/// (a child, a report) is known before the fork.
pub(crate) const ROOMS: &[(&str, &[&str])] = &[
    ("host", &[]),
    ("error", &[]),
    ("output", &["error"]),
    ("terminate", &["error"]),
    ("contain", &["host", "error"]),
    ("command", &["host", "error", "output", "terminate", "contain"]),
    ("child", &["host", "error", "output", "terminate", "contain"]),
    ("spawn", &["host", "error", "output", "terminate", "contain", "command", "child"]),
    ("report", &["error", "output", "terminate", "contain", "child"]),
    ("run", &["error", "output", "terminate", "contain", "command", "child", "spawn", "report"]),
    ("herd", &["error", "terminate", "contain", "command", "child"]),
    ("os", &["error", "contain", "command", "child", "report"]),
];

/// The room of a file, by its path inside `src`; the crate's root has none.
pub(crate) fn room_of(path: &str) -> Option<&str> {
    let first = path.split('/').next()?;
    let room = first.strip_suffix(".rs").unwrap_or(first);
    (room != "lib").then_some(room)
}

/// The names that the crate's root exports, each with the room it comes from.
pub(crate) fn root_names(lib: &str) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for (_, tree) in statements(lib, "use") {
        for path in expand(&tree) {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let path = match path[..] {
                ["crate" | "self", ref rest @ ..] => rest,
                ref whole => whole,
            };
            if let [room, .., name] = path
                && known(room)
            {
                names.insert((*name).to_owned(), (*room).to_owned());
            }
        }
    }
    names
}

fn known(room: &str) -> bool {
    ROOMS.iter().any(|(name, _)| *name == room)
}

/// Every path of the file that enters a room it may not know: the line, and what is wrong.
///
/// `path` is that inside `src`; `code` is without comments, literals and tests.
pub(crate) fn trespasses(path: &str, code: &str, root: &BTreeMap<String, String>) -> Vec<(usize, String)> {
    let Some(room) = room_of(path) else { return Vec::new() };
    let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
        return vec![(1, format!("room `{room}` is not in the table of rooms"))];
    };
    let mut found = Vec::new();
    for (at, entered) in entries(path, code) {
        let target = root.get(&entered).map_or(entered.as_str(), String::as_str);
        let why = if target == room || allowed.contains(&target) {
            continue;
        } else if known(target) {
            format!("room `{room}` may not know room `{target}` (`crate::{entered}`)")
        } else {
            format!("`crate::{entered}` is in no room that the table knows")
        };
        found.push((line_of(code, at), why));
    }
    found
}

/// The first name behind the crate's root of each path that starts there, with its place.
fn entries(path: &str, code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (start, climb) in [("crate", 0), ("super", depth(path))] {
        for at in crate::source::words(code, start) {
            // `pub(crate)` and a `super` in the middle of a chain start nothing.
            let before = code[..at].trim_end();
            if before.ends_with("::") {
                continue;
            }
            let mut rest = &code[at + start.len()..];
            let mut climbed = usize::from(start == "super");
            while start == "super"
                && let Some(up) = rest.trim_start().strip_prefix("::").map(str::trim_start)
                && let Some(behind) = up.strip_prefix("super").filter(|rest| !rest.starts_with(is_letter))
            {
                climbed += 1;
                rest = behind;
            }
            if climbed < climb {
                continue;
            }
            let Some(names) = rest.trim_start().strip_prefix("::").map(str::trim_start) else { continue };
            let tree = match names.strip_prefix('{') {
                Some(_) => format!("{{{}}}", bracketed(names, 0)),
                None => names.chars().take_while(|&letter| is_letter(letter)).collect(),
            };
            found.extend(expand(&tree).into_iter().filter_map(|path| Some((at, path.into_iter().next()?))));
        }
    }
    found.sort();
    found.dedup();
    found
}

/// How many `super` lead from the file to the crate's root.
fn depth(path: &str) -> usize {
    path.split('/').count() - usize::from(path.ends_with("/mod.rs"))
}

fn is_letter(letter: char) -> bool {
    letter == '#' || !letter.is_ascii() || is_word(letter as u8)
}

/// What stands between each such keyword and its semicolon, with the place.
fn statements(code: &str, keyword: &str) -> Vec<(usize, String)> {
    let whole = |at: usize| {
        let rest = &code[at + keyword.len()..];
        rest.find(';').map(|end| (at, rest[..end].to_owned()))
    };
    crate::source::words(code, keyword).filter_map(whole).collect()
}

/// The single paths of a use tree: `a::{b, c::d as e}` gives `a::b` and `a::c::e`.
fn expand(tree: &str) -> Vec<Vec<String>> {
    let tree = tree.trim();
    if let Some(open) = tree.find('{') {
        let prefix: Vec<String> = names(&tree[..open]);
        let mut paths = Vec::new();
        for branch in branches(bracketed(tree, open)) {
            for path in expand(branch) {
                paths.push(prefix.iter().cloned().chain(path).collect());
            }
        }
        return paths;
    }
    let (path, alias) =
        tree.split_once(" as ").map_or((tree, None), |(path, alias)| (path, Some(alias.trim())));
    let mut path = names(path);
    if let (Some(alias), Some(last)) = (alias, path.last_mut())
        && alias != "_"
    {
        alias.clone_into(last);
    }
    if path.is_empty() { Vec::new() } else { vec![path] }
}

fn names(path: &str) -> Vec<String> {
    let names = path.split("::").map(|name| name.trim().trim_start_matches("r#"));
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Splits at the commas that stand in no inner bracket.
fn branches(list: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    list.split(|letter| {
        match letter {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        letter == ',' && depth == 0
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(path: &str, code: &str) -> Vec<String> {
        let root = root_names("pub use child::{Child, ChildHandle as Handle}; pub use crate::run::Cause;");
        trespasses(path, code, &root).into_iter().map(|(line, why)| format!("{line}: {why}")).collect()
    }

    #[test]
    fn the_table_has_no_cycle_and_no_stranger() {
        for (index, (room, allowed)) in ROOMS.iter().enumerate() {
            for other in *allowed {
                let place = ROOMS.iter().position(|(name, _)| name == other);
                assert!(
                    place.is_some_and(|place| place < index),
                    "{room} may know {other}, which comes later"
                );
            }
        }
    }

    #[test]
    fn allowed_paths_pass() {
        let code = "use crate::error::SpawnError; use crate::{command::Command, child};
            use std::io; use herder_sys::x; pub(crate) fn f(x: crate::output::Chunk) {} use crate::Child;";
        assert_eq!(wrong("spawn.rs", code), [""; 0]);
        assert_eq!(wrong("lib.rs", "use crate::anything;"), [""; 0]);
        assert_eq!(wrong("spawn/wire.rs", "use crate::spawn::x; use super::y;"), [""; 0]);
    }

    #[test]
    fn planted_paths_are_found() {
        for code in [
            "use crate::run::Run;",
            "use crate::{error::E, run::{self, Run}};",
            "use crate::{\n    error,\n    run,\n};",
            "fn f() -> crate::run::Run {}",
            "use crate :: run;",
            "use super::super::run::Run;",
            "use crate::Cause;",
        ] {
            let found = wrong("output/lines.rs", code);
            assert_eq!(found.len(), 1, "{code}: {found:?}");
            assert!(found[0].contains("may not know room `run`"), "{found:?}");
        }
        assert_eq!(wrong("output.rs", "\nuse super::run;").len(), 1);
        assert_eq!(wrong("output/mod.rs", "use super::run;").len(), 1);
        assert_eq!(wrong("output/lines.rs", "use super::run;").len(), 0);
        assert!(wrong("error.rs", "\n\nuse crate::Handle;")[0].starts_with("3: "));
    }

    #[test]
    fn strangers_are_named() {
        assert!(wrong("helpers.rs", "")[0].contains("`helpers` is not in the table"));
        assert!(wrong("run.rs", "use crate::helpers;")[0].contains("in no room"));
    }

    #[test]
    fn trees_expand() {
        let paths = expand("a::{b, c::{d, self}, e as f, g::*}");
        let joined: Vec<_> = paths.iter().map(|path| path.join("::")).collect();
        assert_eq!(joined, ["a::b", "a::c::d", "a::c::self", "a::f", "a::g::*"]);
    }
}
