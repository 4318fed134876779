//! Runs for the output, with children that make it hard.

use std::time::Duration;

use super::{Act, Capture, Expect, Input, Reason, Scenario, Stream, row};
use crate::protocol::Ended;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// Long enough for any child here to have done its part on a busy machine, and short enough to be waited for.
const SOON: Duration = Duration::from_millis(1500);

fn run(steps: &'static [&'static str], ended: i32, stdout: Stream) -> Capture {
    let expect = Expect { ended: Some(Ended::Code(ended)), stdout, stderr: Stream::Exactly(b"") };
    Capture { steps, input: Input::Null, limit: None, one_thread: false, expect }
}

/// One that the limit ends.
fn limited(steps: &'static [&'static str], stdout: Stream) -> Capture {
    let expect = Expect { ended: None, stdout, stderr: Stream::Any };
    Capture { steps, input: Input::Null, limit: Some(SOON), one_thread: false, expect }
}

fn with_input(input: Input, capture: Capture) -> Capture {
    Capture { input, ..capture }
}

pub(super) fn scenarios() -> Vec<Scenario> {
    let mut rows = unlimited();
    rows.extend(with_limits());
    for row in &mut rows {
        row.heavy = row.name.starts_with("huge");
        row.beyond = (row.name == "output-after-exit").then_some(Reason::Unseen);
    }
    rows
}

fn act(name: &'static str, promise: &'static str, capture: Capture) -> Scenario {
    row(name, promise, Act::Capture(capture))
}

fn unlimited() -> Vec<Scenario> {
    use Stream::{AllOrTold, Any, Bounded, Exactly, Pattern};
    vec![
        act(
            "exact-bytes",
            "no newline is added, none is taken",
            run(&["print:a\n\n b"], 0, Exactly(b"a\n\n b")),
        ),
        act("binary", "bytes that are no text arrive as they are", run(&["bytes:2048"], 0, Pattern(2 * KIB))),
        act("one-thread", "a capture works on a runtime of one thread", {
            Capture { one_thread: true, ..run(&["print:hello"], 0, Exactly(b"hello")) }
        }),
        act(
            "huge",
            "64 MiB arrive, or what was dropped is counted",
            run(&["bytes:64M"], 0, Pattern(64 * MIB)),
        ),
        act(
            "huge-default",
            "256 MiB at the defaults do not fill our memory",
            run(&["bytes:256M"], 0, Bounded(256 * MIB)),
        ),
        act("both-streams", "two full streams at once do not block each other", {
            let mut both = run(&["both:8M"], 0, Pattern(8 * MIB));
            // Some libraries take stderr for text.
            both.expect.stderr = Any;
            both
        }),
        act(
            "held-pipe",
            "a grandchild that keeps the pipe does not keep us",
            run(&["spawn-setsid:hang", "print:done", "exit:3"], 3, Exactly(b"done")),
        ),
        act(
            "output-after-exit",
            "what is printed after the exit arrives, or the end is told to be cut",
            run(&["spawn:[sleep:300ms,print:late]", "print:early,"], 0, AllOrTold(b"early,late")),
        ),
        act(
            "closed-early",
            "a child that closes its streams is waited for all the same",
            run(&["print:x", "close-stdout", "close-stderr", "sleep:300ms", "exit:3"], 3, Exactly(b"x")),
        ),
        act(
            "unread-input",
            "a child that ends without reading its input has its own status",
            with_input(Input::Pattern(8 * MIB), run(&["print:x", "exit:5"], 5, Exactly(b"x"))),
        ),
        act(
            "input-closed-early",
            "a child that closes its input and goes on has its own status",
            with_input(
                Input::Pattern(8 * MIB),
                run(&["close-stdin", "sleep:200ms", "print:x", "exit:5"], 5, Exactly(b"x")),
            ),
        ),
        act(
            "echo-8m",
            "8 MiB through a child that echoes do not deadlock",
            with_input(Input::Pattern(8 * MIB), run(&["cat"], 0, Pattern(8 * MIB))),
        ),
        act(
            "own-input",
            "a captured child does not read the input of our program unless told to",
            with_input(Input::Unset, run(&["cat"], 0, Exactly(b""))),
        ),
    ]
}

fn with_limits() -> Vec<Scenario> {
    use Stream::{Any, Exactly};
    vec![
        act(
            "limit-partial",
            "a limit keeps what was printed before",
            limited(&["print:begun", "hang"], Exactly(b"begun")),
        ),
        act(
            "limit-held-pipe",
            "a limit ends a run whose pipe is held from another session",
            limited(&["spawn-setsid:hang", "print:begun", "hang"], Exactly(b"begun")),
        ),
        act(
            "limit-chatter",
            "a limit ends a child that never stops printing",
            limited(&["lines:100000000000"], Any),
        ),
        act(
            "limit-unread-input",
            "a limit ends a child that never reads its input",
            with_input(Input::Pattern(8 * MIB), limited(&["print:begun", "hang"], Exactly(b"begun"))),
        ),
    ]
}
