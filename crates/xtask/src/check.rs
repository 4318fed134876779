//! The rules, and the walk over the tree.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use crate::rooms;
use crate::source::{bracketed, code_only, line_of, without_tests, words};

/// Lines a file of the library may have, and from where a warning asks to split it.
const MOST_LINES: usize = 500;
const MANY_LINES: usize = 400;

/// One place that breaks a rule, or is about to.
#[derive(Debug)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    rule: &'static str,
    what: String,
}

impl Finding {
    /// Whether this is more than a warning.
    pub(crate) fn breaks(&self) -> bool {
        self.rule != "long-file"
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weight = if self.breaks() { "" } else { "warning: " };
        write!(f, "{}:{}: {weight}{}: {}", self.path, self.line, self.rule, self.what)
    }
}

/// Checks the whole workspace.
pub(crate) fn tree(root: &Path) -> io::Result<Vec<Finding>> {
    let mut paths = Vec::new();
    walk(root, "", &mut paths)?;
    paths.sort();
    let lib = fs::read_to_string(root.join("crates/herder/src/lib.rs"))?;
    let root_names = rooms::root_names(&code_only(&lib));
    let mut found = Vec::new();
    for path in paths {
        let bytes = fs::read(root.join(&path))?;
        match String::from_utf8(bytes) {
            Ok(text) => found.extend(file(&path, &text, &root_names)),
            Err(_) => found.push(Finding { path, line: 1, rule: "text", what: "is not UTF-8".into() }),
        }
    }
    Ok(found)
}

/// Collects the text files, by their paths from the root. What is hidden or built is not ours, save `.ci`.
fn walk(root: &Path, folder: &str, paths: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        if (name.starts_with('.') && name != ".ci") || name == "target" {
            continue;
        }
        let text = ["rs", "toml", "md", "sh"].iter().any(|end| name.ends_with(&format!(".{end}")));
        if entry.file_type()?.is_dir() {
            walk(root, &path, paths)?;
        } else if text || name == "justfile" || path == ".ci/run" {
            paths.push(path);
        }
    }
    Ok(())
}

/// Checks one file, by its path from the root.
fn file(path: &str, text: &str, root_names: &BTreeMap<String, String>) -> Vec<Finding> {
    let mut found = Findings { path, all: Vec::new() };
    hidden_letters(text, &mut found);
    if path.ends_with(".rs") && path.starts_with("crates/") {
        let code = code_only(text);
        length(text, &mut found);
        unsafe_code(&code, &mut found);
        platform(&code, &mut found);
        unfinished(&code, &mut found);
        foreign_code(&code, &mut found);
        if let Some(inside) = path.strip_prefix("crates/herder/src/")
            && !is_tests(path)
        {
            for (line, what) in rooms::trespasses(inside, &without_tests(&code), root_names) {
                found.add(line, "rooms", what);
            }
        }
    }
    found.all
}

/// Whether the file is the body of a `mod tests`.
fn is_tests(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.ends_with("_tests.rs") || path.contains("/tests/")
}

struct Findings<'a> {
    path: &'a str,
    all: Vec<Finding>,
}

impl Findings<'_> {
    fn add(&mut self, line: usize, rule: &'static str, what: impl Into<String>) {
        self.all.push(Finding { path: self.path.to_owned(), line, rule, what: what.into() });
    }

    /// Whether the file belongs to the source of one of Herder's crates.
    fn is_library(&self) -> bool {
        let folders = ["/src/", "crates/herder-sys/keeper/"];
        self.path.starts_with("crates/herder") && folders.iter().any(|folder| self.path.contains(folder))
    }
}

fn length(text: &str, found: &mut Findings<'_>) {
    let lines = text.lines().count();
    if !found.is_library() || lines <= MANY_LINES {
        return;
    }
    if lines > MOST_LINES {
        found.add(lines, "file-size", format!("{lines} lines; at most {MOST_LINES}: split it by subject"));
    } else {
        found.add(lines, "long-file", format!("{lines} lines; more than {MANY_LINES} is a reason to split"));
    }
}

fn unsafe_code(code: &str, found: &mut Findings<'_>) {
    let path = found.path;
    // The benchmarks' yardsticks are the raw system calls, and a child without a libc.
    let free = ["crates/herder-sys/", "crates/herder-bench/src/raw", "crates/herder-bench/tiny/"];
    if free.iter().any(|free| path.starts_with(free)) {
        return;
    }
    for at in words(code, "unsafe") {
        found.add(line_of(code, at), "unsafe", "`unsafe` belongs to crates/herder-sys");
    }
    let root = path.ends_with("/src/lib.rs") || path.ends_with("/src/main.rs");
    if root && !path.starts_with("crates/herder-bench/") && !code.contains("#![forbid(unsafe_code)]") {
        found.add(1, "unsafe", "the root of a crate without unsafe code says #![forbid(unsafe_code)]");
    }
}

fn platform(code: &str, found: &mut Findings<'_>) {
    let path = found.path;
    // The public modules that only some systems have, and what the library does differently there, as in std.
    let free = [
        "herder-sys/",
        "herder-bench/",
        "test-child/",
        "herder/src/os.rs",
        "herder/src/host/mod.rs",
        "herder-cli/src/platform/",
    ];
    let free =
        path.strip_prefix("crates/").is_some_and(|path| free.iter().any(|free| path.starts_with(free)));
    if free || !path.contains("/src/") || is_tests(path) {
        return;
    }
    let code = &without_tests(code);
    let names =
        ["target_os", "target_family", "target_arch", "target_env", "target_vendor", "unix", "windows"];
    for word in ["cfg", "cfg_attr"] {
        for at in words(code, word) {
            let rest = &code[at + word.len()..];
            let open = at + word.len() + usize::from(rest.starts_with('!'));
            let condition = bracketed(code, open);
            if let Some(name) = names.iter().find(|name| words(condition, name).next().is_some()) {
                found.add(
                    line_of(code, at),
                    "platform",
                    format!("`cfg({name})` belongs to crates/herder-sys"),
                );
            }
        }
    }
}

fn unfinished(code: &str, found: &mut Findings<'_>) {
    for name in ["todo", "unimplemented", "dbg"] {
        for at in words(code, name) {
            if code[at + name.len()..].starts_with('!') {
                found.add(line_of(code, at), "unfinished", format!("`{name}!` is not for the tree"));
            }
        }
    }
}

/// Identifiers are ASCII; comments and literals may hold any visible letter.
fn foreign_code(code: &str, found: &mut Findings<'_>) {
    for (index, line) in code.lines().enumerate() {
        if let Some(letter) = line.chars().find(|letter| !letter.is_ascii()) {
            found.add(index + 1, "letters", format!("code holds {}", letter.escape_unicode()));
        }
    }
}

/// Letters that a reader can't see or that reorder the line, in any text.
fn hidden_letters(text: &str, found: &mut Findings<'_>) {
    for (index, line) in text.split('\n').enumerate() {
        if let Some(letter) = line.chars().find(|&letter| is_hidden(letter)) {
            found.add(index + 1, "letters", format!("the hidden letter {}", letter.escape_unicode()));
        }
    }
}

fn is_hidden(letter: char) -> bool {
    letter.is_control() && letter != '\t'
        || matches!(letter, '\u{a0}' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(letter, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<String> {
        let found = file(path, text, &BTreeMap::new());
        found.iter().map(|finding| format!("{}:{}", finding.line, finding.rule)).collect()
    }

    #[test]
    fn the_tree_keeps_the_rules() {
        let found = tree(&crate::root()).unwrap();
        let broken: Vec<_> =
            found.iter().filter(|finding| finding.breaks()).map(ToString::to_string).collect();
        assert!(broken.is_empty(), "\n{}", broken.join("\n"));
    }

    #[test]
    fn findings_can_be_clicked() {
        let found = file("crates/herder/src/run.rs", "\ntodo!()", &BTreeMap::new());
        assert_eq!(
            found[0].to_string(),
            "crates/herder/src/run.rs:2: unfinished: `todo!` is not for the tree"
        );
    }

    #[test]
    fn long_files_of_the_library_are_found() {
        let lines = |count| "// x\n".repeat(count);
        assert_eq!(rules("crates/herder/src/run.rs", &lines(400)), [""; 0]);
        assert_eq!(rules("crates/herder/src/run.rs", &lines(401)), ["401:long-file"]);
        assert_eq!(rules("crates/herder/src/run.rs", &lines(500)), ["500:long-file"]);
        assert_eq!(rules("crates/herder-sys/src/linux/run.rs", &lines(501)), ["501:file-size"]);
        assert_eq!(rules("crates/herder-sys/keeper/run.rs", &lines(501)), ["501:file-size"]);
        assert_eq!(rules("crates/herder/tests/it/run.rs", &lines(501)), [""; 0]);
        assert_eq!(rules("crates/test-child/src/run.rs", &lines(501)), [""; 0]);
    }

    #[test]
    fn planted_unsafe_is_found() {
        let code = "// unsafe\n#![forbid(unsafe_code)]\nfn f() { unsafe { g() } }\n";
        assert_eq!(rules("crates/herder/src/run.rs", code), ["3:unsafe"]);
        assert_eq!(rules("crates/herder/tests/it/run.rs", code), ["3:unsafe"]);
        assert_eq!(rules("crates/herder-bench/src/main.rs", code), ["3:unsafe"]);
        assert_eq!(rules("crates/herder-bench/src/raw.rs", code), [""; 0]);
        assert_eq!(rules("crates/herder-bench/src/raw/linux.rs", code), [""; 0]);
        assert_eq!(rules("crates/herder-sys/src/linux/clone.rs", code), [""; 0]);
    }

    #[test]
    fn roots_forbid_it() {
        assert_eq!(rules("crates/herder-cli/src/main.rs", "//! A.\n"), ["1:unsafe"]);
        assert_eq!(rules("crates/herder-cli/src/main.rs", "//! A.\n#![forbid(unsafe_code)]\n"), [""; 0]);
    }

    #[test]
    fn planted_platforms_are_found() {
        for code in [
            "#[cfg(unix)]",
            "#[cfg(not(windows))]",
            "#[cfg(all(feature = \"x\", target_os = \"linux\"))]",
            "#[cfg_attr(target_arch = \"x86_64\", path = \"x\")]",
            "fn f() { if cfg!(target_os = \"linux\") {} }",
        ] {
            assert_eq!(rules("crates/herder/src/run.rs", code), ["1:platform"], "{code}");
            assert_eq!(rules("crates/herder-sys/src/linux/mod.rs", code), [""; 0]);
            assert_eq!(rules("crates/herder/tests/it/main.rs", code), [""; 0]);
        }
        for code in [
            "#[cfg(test)]",
            "#[cfg(feature = \"unix\")]",
            "use std::os::unix::x;",
            "mod tests { #[cfg(unix)] }",
        ] {
            assert_eq!(rules("crates/herder/src/run.rs", code), [""; 0], "{code}");
        }
    }

    #[test]
    fn unfinished_work_is_found() {
        assert_eq!(rules("crates/herder/src/run.rs", "fn f() { todo!() }"), ["1:unfinished"]);
        assert_eq!(rules("crates/test-child/tests/a.rs", "\ndbg!(unimplemented!())").len(), 2);
        assert_eq!(rules("crates/herder/src/run.rs", "let todo = \"todo!\"; // todo!"), [""; 0]);
    }

    #[test]
    fn rooms_are_checked_outside_tests() {
        let code = "mod tests { use crate::run; }\nuse crate::run;";
        assert_eq!(rules("crates/herder/src/output/lines.rs", code), ["2:rooms"]);
        assert_eq!(rules("crates/herder/src/output/tests.rs", code), [""; 0]);
        assert_eq!(rules("crates/herder-cli/src/args.rs", code), [""; 0]);
    }

    #[test]
    fn hidden_letters_are_found_everywhere() {
        assert_eq!(rules("README.md", "a\nb\u{a0}c\n"), ["2:letters"]);
        assert_eq!(rules("crates/herder/src/run.rs", "// a\u{202e}b\n"), ["1:letters"]);
        assert_eq!(rules("justfile", "a\r\n"), ["1:letters"]);
        assert_eq!(rules("README.md", "\u{2500}\u{25b6} \u{e9}\n"), [""; 0]);
        assert_eq!(rules("crates/herder/src/run.rs", "const A: &str = \"\u{e9}\"; // \u{e9}"), [""; 0]);
        assert_eq!(rules("crates/herder/src/run.rs", "fn \u{e9}() {}"), ["1:letters"]);
    }
}
