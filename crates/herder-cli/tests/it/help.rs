//! The help, the completions and the manual pages.

#[cfg(unix)]
use herder::Stdio;

use crate::support::{herder, output, stdout};

async fn text(args: &[&str]) -> String {
    let report = output(&herder(args)).await;
    assert_eq!(report.status.code(), Some(0), "{args:?}");
    assert_eq!(report.stderr, b"", "{args:?}");
    stdout(&report)
}

#[tokio::test]
async fn the_help_teaches() {
    assert_eq!(text(&["--version"]).await, format!("herder {}\n", env!("CARGO_PKG_VERSION")));
    for words in [&["--help"][..], &["help"], &["-h"]] {
        assert!(text(words).await.contains("herder run -t 10s"), "{words:?}");
    }
    for words in [
        &["--help"][..],
        &["run", "-h"],
        &["run", "--help"],
        &["completions", "--help"],
        &["man", "--help"],
        &["doctor", "--help"],
    ] {
        let text = text(words).await;
        // The examples are to be copied: none may be broken by the terminal.
        let widest = text.lines().filter(|line| line.trim_start().starts_with("herder ")).map(str::len).max();
        assert!(widest.is_some_and(|widest| widest <= 80), "{words:?}: {widest:?}");
    }
    let short = text(&["run", "-h"]).await;
    assert!(short.contains("Examples:") && short.contains("--kill-after"), "{short}");
    assert!(!short.contains("\nExit codes:"), "{short}");
    for words in [["run", "--help"], ["help", "run"]] {
        let long = text(&words).await;
        assert!(long.len() > short.len());
        for wanted in ["Examples:", "Exit codes:", "124", "128+n", "--stop INT:5s,TERM:10s", "Ctrl-Z"] {
            assert!(long.contains(wanted), "{words:?} lacks {wanted}");
        }
        let widest = long.lines().map(str::len).max().unwrap();
        assert!(widest <= 120, "{widest} columns");
    }
}

#[tokio::test]
async fn completions_and_manual_pages_are_made() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = text(&["completions", shell]).await;
        assert!(script.contains("kill-after") && script.contains("herder"), "{shell}");
    }
    assert!(text(&["man"]).await.contains(".TH herder 1"));
    let page = text(&["man", "run"]).await;
    assert!(page.contains(".TH herder-run 1") && page.contains("idle"));
}

#[cfg(unix)]
#[tokio::test]
async fn bash_takes_its_completions() {
    let checked = output(
        herder::Command::new("bash")
            .args(["-n", "/dev/stdin"])
            .stdin(Stdio::bytes(text(&["completions", "bash"]).await)),
    )
    .await;
    assert_eq!((checked.status.code(), checked.stderr.as_slice()), (Some(0), &b""[..]));
}

#[cfg(unix)]
#[tokio::test]
async fn a_reader_that_has_seen_enough_is_no_error() {
    let line = format!("set -o pipefail; {} man run | true", env!("CARGO_BIN_EXE_herder"));
    let report = output(herder::Command::new("bash").args(["-c", &line])).await;
    assert_eq!((report.status.code(), report.stderr.as_slice()), (Some(0), &b""[..]));
}
