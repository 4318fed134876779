//! Trees that try to get away, and what ends them.

use super::{Act, End, Reason, Scenario, Tree, What, row};

const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

const fn steps(steps: &'static [&'static str], ups: usize) -> Tree {
    Tree { what: What::Steps(steps), ups }
}

const fn child() -> Tree {
    steps(&["touch:{up}", "hang"], 1)
}

const fn family() -> Tree {
    steps(&["spawn:[touch:{up},hang]", "touch:{up}", "hang"], 2)
}

const fn stubborn() -> Tree {
    steps(&["spawn:[ignore:TERM+HUP+INT,touch:{up},hang]", "ignore:TERM+HUP+INT", "touch:{up}", "hang"], 2)
}

const fn stopped() -> Tree {
    steps(&["spawn:[touch:{up},stop-self]", "touch:{up}", "stop-self"], 2)
}

const fn own_group() -> Tree {
    steps(&["setpgid", "spawn:[touch:{up},hang]", "touch:{up}", "hang"], 2)
}

const fn session() -> Tree {
    steps(&["spawn-setsid:[touch:{up},hang]", "touch:{up}", "hang"], 2)
}

const fn double_fork() -> Tree {
    steps(&["spawn-detached:[touch:{up},hang]", "touch:{up}", "hang"], 2)
}

/// The leader has gone when all are up.
const fn daemon() -> Tree {
    steps(
        &[
            "spawn-detached:[spawn-setsid:[ignore:TERM,touch:{up},hang],touch:{up},hang]",
            "touch:{up}",
            "hang",
        ],
        3,
    )
}

const fn leader_goes() -> Tree {
    steps(&["spawn:[touch:{up},hang]", "wait-file:{go}", "exit:0"], 1)
}

const fn leader_of_session_goes() -> Tree {
    steps(&["spawn-setsid:[touch:{up},hang]", "wait-file:{go}", "exit:0"], 1)
}

/// The leader obeys TERM, its worker does not.
const fn polite_leader() -> Tree {
    steps(&["spawn:[ignore:TERM,touch:{up},hang]", "touch:{up}", "hang"], 2)
}

const fn two_hundred() -> Tree {
    let script = "i=0; while [ $i -lt 200 ]; do sleep 1000 & i=$((i+1)); done; : >\"$UP-1\"; wait";
    Tree { what: What::Script(script), ups: 1 }
}

/// Each one starts the next and goes; a file stops it, when all is over.
const fn chain() -> Tree {
    let script =
        "c='[ -e \"$STOP\" ] || sh -c \"$c\" &'; export c; eval \"$c\"; : >\"$UP-1\"; exec sleep 1000";
    Tree { what: What::Script(script), ups: 1 }
}

pub(super) fn scenarios() -> Vec<Scenario> {
    let mut rows = called_for();
    rows.extend(unasked());
    rows.extend(with_the_owner());
    rows
}

/// A row that a process group keeps.
fn held(name: &'static str, promise: &'static str, tree: Tree, end: End) -> Scenario {
    row(name, promise, Act::Meet(tree, end))
}

/// A row that takes more than a process group.
fn beyond(name: &'static str, promise: &'static str, tree: Tree, end: End, reason: Reason) -> Scenario {
    Scenario { beyond: Some(reason), ..held(name, promise, tree, end) }
}

/// What the caller ends.
fn called_for() -> Vec<Scenario> {
    use Reason::LeftGroup;
    vec![
        held("kill-child", "kill ends and reaps the child", child(), End::Kill),
        held("kill-family", "kill ends what the child started", family(), End::Kill),
        held("kill-stubborn", "kill ends a family that ignores TERM, INT and HUP", stubborn(), End::Kill),
        held("kill-stopped", "kill ends a family that is stopped", stopped(), End::Kill),
        held("kill-200", "kill ends two hundred at once", two_hundred(), End::Kill),
        beyond(
            "kill-own-group",
            "kill ends a child that moved to a new group",
            own_group(),
            End::Kill,
            LeftGroup,
        ),
        beyond(
            "kill-session",
            "kill ends a grandchild in a session of its own",
            session(),
            End::Kill,
            LeftGroup,
        ),
        beyond(
            "kill-double-fork",
            "kill ends a grandchild forked twice",
            double_fork(),
            End::Kill,
            LeftGroup,
        ),
        beyond("kill-daemon", "kill ends a daemon that ignores TERM", daemon(), End::Kill, LeftGroup),
        held(
            "kill-chain",
            "kill ends a chain in which each one starts the next and goes",
            chain(),
            End::Kill,
        ),
        held(
            "terminate-family",
            "asking a family to end, and then killing it, ends it",
            stubborn(),
            End::Terminate,
        ),
        held(
            "terminate-polite-leader",
            "a worker that ignores TERM does not outlive its leader that obeys",
            polite_leader(),
            End::Terminate,
        ),
        beyond(
            "terminate-session",
            "asking reaches a session of its own",
            session(),
            End::Terminate,
            LeftGroup,
        ),
        held("timeout-family", "a limit of time ends what the child started", family(), End::Timeout),
        held("timeout-stubborn", "a limit ends a family that ignores TERM", stubborn(), End::Timeout),
        held("timeout-stopped", "a limit ends a family that is stopped", stopped(), End::Timeout),
        held("timeout-200", "a limit ends two hundred at once", two_hundred(), End::Timeout),
        beyond("timeout-session", "a limit ends a session of its own", session(), End::Timeout, LeftGroup),
        beyond("timeout-daemon", "a limit ends a daemon", daemon(), End::Timeout, LeftGroup),
    ]
}

/// What ends without a call.
fn unasked() -> Vec<Scenario> {
    use Reason::LeftGroup;
    vec![
        held("drop-child", "dropping the child ends and reaps it", child(), End::Drop),
        held("drop-family", "dropping the child ends what it started", family(), End::Drop),
        beyond(
            "drop-session",
            "dropping the child ends a session of its own",
            session(),
            End::Drop,
            LeftGroup,
        ),
        beyond("drop-daemon", "dropping the child ends a daemon", daemon(), End::Drop, LeftGroup),
        held("drop-outside", "a drop after the runtime is gone ends the family", family(), End::DropOutside),
        held("panic-family", "a panic in the task that owns the child ends the family", family(), End::Panic),
        held("cancel-family", "dropping the future of a run ends the family", family(), End::Cancel),
        beyond(
            "cancel-session",
            "dropping the future of a run ends a session",
            session(),
            End::Cancel,
            LeftGroup,
        ),
        held(
            "shutdown-family",
            "the end of the runtime ends the family, and does not hang",
            family(),
            End::Shutdown,
        ),
        held("leftover", "what a child leaves behind when it exits is ended", leader_goes(), End::LeaderGoes),
        beyond(
            "leftover-session",
            "what a child leaves behind in a session of its own is ended",
            leader_of_session_goes(),
            End::LeaderGoes,
            LeftGroup,
        ),
    ]
}

fn with_the_owner() -> Vec<Scenario> {
    use Reason::{LeftGroup, OwnerGone};
    vec![
        held("owner-kill-child", "SIGKILL of our program ends the child", child(), End::Signal(SIGKILL)),
        beyond(
            "owner-kill-family",
            "SIGKILL of our program ends the family",
            family(),
            End::Signal(SIGKILL),
            OwnerGone,
        ),
        beyond(
            "owner-kill-session",
            "SIGKILL of our program ends a session",
            session(),
            End::Signal(SIGKILL),
            LeftGroup,
        ),
        beyond(
            "owner-kill-daemon",
            "SIGKILL of our program ends a daemon",
            daemon(),
            End::Signal(SIGKILL),
            LeftGroup,
        ),
        beyond(
            "owner-kill-chain",
            "SIGKILL of our program ends a chain",
            chain(),
            End::Signal(SIGKILL),
            OwnerGone,
        ),
        beyond(
            "owner-kill-group",
            "SIGKILL of our process group ends a session",
            session(),
            End::KillGroup,
            LeftGroup,
        ),
        beyond(
            "owner-term",
            "SIGTERM of our program ends the family",
            family(),
            End::Signal(SIGTERM),
            OwnerGone,
        ),
        beyond(
            "owner-int",
            "SIGINT of our program ends the family",
            stubborn(),
            End::Signal(SIGINT),
            OwnerGone,
        ),
        beyond(
            "owner-hup",
            "SIGHUP of our program ends the family",
            family(),
            End::Signal(SIGHUP),
            OwnerGone,
        ),
        beyond("owner-exit", "exit() of our program ends the family", family(), End::Exit, OwnerGone),
        beyond(
            "owner-return",
            "returning from main with a child in a static ends it all",
            session(),
            End::Return,
            LeftGroup,
        ),
        beyond("owner-abort", "abort() of our program ends the family", family(), End::Abort, OwnerGone),
    ]
}
