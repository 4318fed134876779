//! Limits in force: for the whole tree where the kernel's controllers can be had, for each process elsewhere.

use std::io::Write;

use herder::contain::{Force, Limit, host_limits};
use herder::error::{SpawnErrorKind, SpawnStep};
use herder::os::unix::{CommandExt, Resource};
use herder::{Cause, Command, Containment, Herd, Stdio};

use crate::support::{fixture, line, run};

/// Whether this host limits whole trees in this respect; if not, says why.
fn can(limit: Limit) -> bool {
    let same = |other: &Limit| std::mem::discriminant(other) == std::mem::discriminant(&limit);
    let (_, force) = host_limits().into_iter().find(|(other, _)| same(other)).unwrap();
    if let Some(why) = force.reason() {
        let mut stderr = std::io::stderr();
        writeln!(stderr, "SKIPPED: {limit}: {why}").unwrap();
    }
    force.is_whole()
}

/// Says what the program itself knows of its limit of data.
fn asked(limit: Limit) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -d; ulimit -Hd"]).limit(limit);
    command
}

#[test]
fn a_herd_at_its_limit_of_processes_takes_nobody() {
    run(async {
        if !can(Limit::Processes(1)) {
            return;
        }
        let herd = Herd::new("workers").unwrap();
        assert_eq!(herd.limit(Limit::Processes(1)), Force::Tree);
        let mut command = fixture(&["mark:up", "hang"]);
        let mut child = herd.spawn(command.stdout(Stdio::piped())).unwrap();
        assert_eq!(line(child.stdout.as_mut().unwrap()).await, "up");
        let error = herd.spawn(&fixture(&[])).unwrap_err();
        assert_eq!((error.kind(), error.step()), (SpawnErrorKind::Containment, Some(SpawnStep::Scope)));
        assert!(error.to_string().contains("limit of processes"), "{error}");
        child.kill().await.unwrap();
        assert!(herd.spawn(&fixture(&[])).unwrap().wait().await.unwrap().success());
    });
}

#[test]
fn a_child_that_takes_too_much_memory_is_told_as_such() {
    run(async {
        let limit = Limit::Memory(32 << 20);
        if !can(limit) {
            return;
        }
        let report = fixture(&["memory:256M", "exit:0"]).limit(limit).output().await.unwrap();
        assert_eq!(report.cause(), Cause::OutOfMemory, "{}", report.status);
        assert_eq!((report.limits(), report.status.code()), (&[(limit, Force::Tree)][..], None));
        assert!(report.oom_kills() >= Some(1));
        let error = report.checked().unwrap_err();
        assert!(error.to_string().contains("want of memory"), "{error}");
        // Somebody whom it has started: it is told, and the child's own end is what it was.
        let report =
            fixture(&["spawn:memory:256M", "wait-children", "exit:3"]).limit(limit).output().await.unwrap();
        assert_eq!((report.cause(), report.status.code()), (Cause::Exited, Some(3)));
        assert!(report.oom_kills() >= Some(1));
        // What did not take too much was killed by somebody else.
        let mut child = fixture(&["mark:up", "hang"]);
        let mut child = child.limit(limit).stdout(Stdio::piped()).spawn().unwrap();
        assert_eq!(line(child.stdout.as_mut().unwrap()).await, "up");
        let pid = nix::unistd::Pid::from_raw(child.id().unwrap().cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
        let report = child.wait_with_output().await.unwrap();
        assert_eq!((report.cause(), report.oom_kills()), (Cause::Signaled, Some(0)));
    });
}

#[test]
fn without_a_cgroup_memory_is_limited_for_each_process() {
    run(async {
        let limit = Limit::Memory(200 << 20);
        let report = asked(limit).containment(Containment::Group).output().await.unwrap();
        assert_eq!(report.stdout_lossy(), "204800\n204800\n");
        assert!(
            matches!(&report.limits()[0].1, Force::EachProcess(why) if why.contains("none was asked for"))
        );
        assert_eq!((report.oom_kills(), report.cause()), (None, Cause::Exited));
        // In force: what a process asks for beyond it, it does not get. The one it starts has as much for itself.
        let taken = |steps: &[&str]| {
            let mut command = fixture(steps);
            command.limit(limit).containment(Containment::Group);
            async move { command.output().await.unwrap().status }
        };
        assert!(!taken(&["memory:400M", "exit:0"]).await.success());
        assert!(taken(&["memory:100M", "spawn:memory:150M", "wait-children", "exit:0"]).await.success());
        // It is not enough where one for all is required.
        let mut command = asked(limit);
        let error = command.containment(Containment::Group).require_limits(true).spawn().unwrap_err();
        assert_eq!(error.kind(), SpawnErrorKind::Containment);
    });
}

#[test]
fn what_the_command_says_itself_of_its_data_goes_before() {
    run(async {
        let mut command = asked(Limit::Memory(200 << 20));
        command.containment(Containment::Group).rlimit(Resource::Data, 300 << 20, 400 << 20);
        let report = command.output().await.unwrap();
        assert_eq!(report.stdout_lossy(), "307200\n409600\n");
        assert!(matches!(&report.limits()[0].1, Force::No(why) if why.contains("RLIMIT_DATA itself")));
    });
}

#[test]
fn a_hard_limit_that_is_lower_does_instead() {
    crate::support::alone::alone(|| {
        use nix::sys::resource::{Resource, setrlimit};
        setrlimit(Resource::RLIMIT_DATA, 300 << 20, 300 << 20).unwrap();
        run(async {
            let report =
                asked(Limit::Memory(1 << 40)).containment(Containment::Group).output().await.unwrap();
            assert_eq!(report.stdout_lossy(), "307200\n307200\n");
        });
    });
}

#[test]
fn a_herd_limits_nobody_by_itself() {
    run(async {
        let herd = Herd::contained("group", Containment::Group).unwrap();
        let force = herd.limit(Limit::Memory(1 << 30));
        assert!(matches!(&force, Force::No(why) if why.contains("none was asked for")), "{force:?}");
    });
}
