// Every step is there on Unix.
#![cfg(unix)]

use super::*;

fn one(text: &str) -> Result<Step, Wrong> {
    step(OsStr::new(text))
}

fn all(arguments: &[&str]) -> Result<Script, Wrong> {
    parse(&arguments.iter().map(OsString::from).collect::<Vec<_>>())
}

#[test]
fn every_step_of_the_help_parses() {
    for (usage, _) in crate::step::TABLE.iter().filter(|(usage, _)| !usage.is_empty()) {
        one(usage).unwrap_or_else(|wrong| panic!("{usage}: {wrong}"));
    }
}

#[test]
fn text_keeps_colons_spaces_and_emptiness() {
    assert_eq!(one("print:a:b c"), Ok(Step::Write(Stream::Out, b"a:b c".to_vec())));
    assert_eq!(one("print:"), Ok(Step::Write(Stream::Out, Vec::new())));
    assert_eq!(one("eprintln:"), Ok(Step::Write(Stream::Err, b"\n".to_vec())));
}

#[test]
fn text_need_not_be_utf8() {
    use std::os::unix::ffi::OsStrExt;
    let step = step(OsStr::from_bytes(b"print:\xff\xfe"));
    assert_eq!(step, Ok(Step::Write(Stream::Out, b"\xff\xfe".to_vec())));
}

#[test]
fn numbers_sizes_and_durations() {
    assert_eq!(one("bytes:3"), Ok(Step::Bytes(Stream::Out, 3)));
    assert_eq!(one("ebytes:2K"), Ok(Step::Bytes(Stream::Err, 2048)));
    assert_eq!(one("both:100M"), Ok(Step::Both(100 << 20)));
    assert_eq!(one("sleep:1.5s"), Ok(Step::Sleep(Duration::from_millis(1500))));
    assert_eq!(one("sleep:2m"), Ok(Step::Sleep(Duration::from_secs(120))));
    assert_eq!(one("sleep:250ms"), Ok(Step::Sleep(Duration::from_millis(250))));
    assert_eq!(one("sleep:20us"), Ok(Step::Sleep(Duration::from_micros(20))));
    assert_eq!(one("tick:3:10ms"), Ok(Step::Tick(3, Duration::from_millis(10))));
    for wrong in ["bytes:", "bytes:x", "bytes:-1", "bytes:99999999999G", "sleep:1", "sleep:-1s", "sleep:nans"]
    {
        assert!(one(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn exit_codes_are_a_byte() {
    assert_eq!(one("exit:255"), Ok(Step::Exit(255)));
    assert!(one("exit:256").is_err());
    assert!(one("exit").is_err());
}

#[test]
fn signals_by_any_name() {
    for name in ["TERM", "SIGTERM", "term", "15"] {
        assert_eq!(one(&format!("kill-self:{name}")), Ok(Step::KillSelf(Signal::SIGTERM)), "{name}");
    }
    assert_eq!(one("ignore:TERM+INT"), Ok(Step::Ignore(vec![Signal::SIGTERM, Signal::SIGINT])));
    assert!(one("kill-self:NOPE").is_err());
    assert!(one("kill-self:99").is_err());
    assert!(one("catch:KILL").is_err());
    assert!(one("on:STOP:exit:1").is_err());
}

#[test]
fn handlers_run_scripts() {
    assert_eq!(one("on:TERM:exit:7"), Ok(Step::On(Signal::SIGTERM, vec![Step::Exit(7)])));
    assert_eq!(one("on:TERM"), Ok(Step::On(Signal::SIGTERM, vec![])));
    let two = vec![Step::Sleep(Duration::from_secs(1)), Step::Exit(7)];
    assert_eq!(one("on:TERM:[sleep:1s,exit:7]"), Ok(Step::On(Signal::SIGTERM, two)));
    assert!(one("on:TERM:ignore:INT").is_err());
    assert!(one("on:TERM:nonsense").is_err());
}

#[test]
fn nested_scripts_split_at_their_own_commas() {
    let spawn = |text: &str| match one(text) {
        Ok(Step::Spawn(Birth::Plain, parts)) => parts,
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(spawn("spawn:mark:a,hang"), ["mark:a", "hang"]);
    assert_eq!(spawn("spawn:[mark:a,hang]"), ["mark:a", "hang"]);
    assert_eq!(spawn("spawn:spawn:[mark:a,hang],exit:1"), ["spawn:[mark:a,hang]", "exit:1"]);
    assert_eq!(spawn("spawn:on:TERM:[mark:a,exit:7],hang"), ["on:TERM:[mark:a,exit:7]", "hang"]);
    assert_eq!(split("[a],[b]"), ["[a]", "[b]"]);
}

#[test]
fn a_slip_in_a_nested_script_shows_at_once() {
    let wrong = one("spawn:mark:a,hagn").unwrap_err().to_string();
    assert!(wrong.contains("hagn"), "{wrong}");
    assert!(one("spawn-detached:spawn:[exit:1,exit:x]").is_err());
}

#[test]
fn operands_are_not_steps() {
    let script = all(&["args", "--", "exit:1", "", "--"]).unwrap();
    assert_eq!(script.steps, [Step::Query(Query::Args)]);
    assert_eq!(script.operands, ["exit:1", "", "--"]);
    assert!(all(&[]).unwrap().steps.is_empty());
}

#[test]
fn steps_without_operand_refuse_one() {
    let wrong = one("hang:1s").unwrap_err().to_string();
    assert_eq!(wrong, "step \"hang\" takes no operand, not \"1s\"");
    assert!(one("pid:3").is_err());
}

#[test]
fn unknown_steps_are_named() {
    assert!(one("frobnicate:1").unwrap_err().to_string().contains("frobnicate"));
    assert!(one("").is_err());
}

#[test]
fn ignore_comes_before_handlers() {
    assert!(all(&["ignore:TERM", "on:INT:exit:1"]).is_ok());
    assert!(all(&["on:INT:exit:1", "ignore:TERM"]).is_err());
    assert!(all(&["catch:INT", "ignore:TERM"]).is_err());
}
