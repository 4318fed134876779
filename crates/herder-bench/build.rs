//! Builds the tiny static programs that the benchmark runs, with the same `rustc`, so that cargo alone is enough.
//!
//! They are not binaries of the package, because `cargo run` builds only the one binary that it runs.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const PEERS: [&str; 7] =
    ["tokio", "async-process", "duct", "subprocess", "process-wrap", "tokio-process-tools", "processkit"];

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    for (mode, variable) in
        [("exit", "HERDER_BENCH_TINY"), ("out", "HERDER_BENCH_TINY_OUT"), ("wait", "HERDER_BENCH_TINY_WAIT")]
    {
        let path = out.join(format!("tiny-{mode}"));
        let built = build(mode, &path);
        if !built {
            println!(
                "cargo::warning=tiny-{mode} can't be built for this target: the benchmark does without it"
            );
        }
        let value = if built { path.display().to_string() } else { String::new() };
        println!("cargo::rustc-env={variable}={value}");
    }
    let lock = Path::new("../../Cargo.lock");
    let text = fs::read_to_string(lock).unwrap_or_default();
    println!("cargo::rustc-env=HERDER_BENCH_PEERS={}", versions(&text, &PEERS));
    println!("cargo::rerun-if-changed={}", lock.display());
    println!("cargo::rerun-if-changed=tiny/tiny.rs");
    println!("cargo::rerun-if-changed=build.rs");
}

/// True when the program was built and can be executed.
#[expect(clippy::disallowed_methods, reason = "a build script has only the standard library at hand")]
fn build(mode: &str, path: &Path) -> bool {
    let rustc = env::var_os("RUSTC").expect("cargo sets RUSTC");
    let target = env::var("TARGET").expect("cargo sets TARGET");
    if !target.contains("linux") {
        return false;
    }
    Command::new(rustc)
        .args(["--edition", "2024", "--crate-name", "tiny", "--crate-type", "bin", "--target", &target])
        .args([
            "-C",
            "panic=abort",
            "-C",
            "opt-level=2",
            "-C",
            "relocation-model=static",
            "-C",
            "strip=symbols",
        ])
        .args(["-C", "link-arg=-nostartfiles", "-C", "link-arg=-nostdlib", "-C", "link-arg=-static"])
        .args(["--check-cfg", "cfg(mode, values(\"exit\", \"out\", \"wait\"))", "--cfg"])
        .arg(format!("mode=\"{mode}\""))
        .arg("-o")
        .arg(path)
        .arg("tiny/tiny.rs")
        .status()
        .is_ok_and(|status| status.success())
}

/// `name version` of each package, as the lock file has them.
fn versions(lock: &str, names: &[&str]) -> String {
    let mut found = Vec::new();
    let mut lines = lock.lines();
    while let Some(line) = lines.next() {
        let Some(name) = line.strip_prefix("name = \"").and_then(|rest| rest.strip_suffix('"')) else {
            continue;
        };
        let version = lines.next().and_then(|next| next.strip_prefix("version = \""));
        if let (true, Some(version)) = (names.contains(&name), version) {
            found.push(format!("{name} {}", version.trim_end_matches('"')));
        }
    }
    found.join(", ")
}
