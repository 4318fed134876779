//! The surroundings that a child is born into.

use std::fs::File;
use std::os::fd::OwnedFd;

use herder::contain::Strength;
use herder::error::{SpawnErrorKind, SpawnStep};
use herder::os::unix::{CommandExt, Resource};
use herder::{Command, Containment, Stdio};

use crate::support::{fixture, is_gone, line, run, strong, within};

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

async fn told(command: &Command) -> String {
    command.read().await.unwrap()
}

#[test]
fn settings_reach_the_child() {
    run(async {
        let mut command = fixture(&["umask", "nice", "rlimit:NOFILE", "cwd", "argv0"]);
        command.umask(0o27).nice(7).rlimit(Resource::OpenFiles, 64, 100);
        command.current_dir("/").arg0("moo");
        assert_eq!(told(&command).await, "0027\n7\n64 100\n/\nmoo");
    });
}

#[test]
#[cfg_attr(herder_portable, ignore = "processors can be chosen on Linux only")]
fn processors_reach_the_child() {
    run(async {
        let mut command = fixture(&["affinity"]);
        command.affinity([0]);
        assert_eq!(told(&command).await, "0");
    });
}

#[test]
fn both_forms_of_spawn_give_a_running_child() {
    run(async {
        for asynchronous in [false, true] {
            let mut command = fixture(&["pid", "ppid", "hang"]);
            command.stdout(Stdio::piped());
            let mut child =
                if asynchronous { command.spawn_async().await.unwrap() } else { command.spawn().unwrap() };
            let mut stdout = child.stdout.take().unwrap();
            assert_eq!(line(&mut stdout).await, child.id().unwrap().to_string());
            let parent = line(&mut stdout).await;
            assert_eq!(parent != std::process::id().to_string(), child.strength() == Strength::Keeper);
            assert_eq!(child.name(), "test-child");
            child.kill().await.unwrap();
            assert_eq!(child.id(), None);
        }
    });
}

#[test]
fn a_command_may_be_used_again_and_copied() {
    run(async {
        let mut command = fixture(&["env:A"]);
        command.env("A", "1");
        let mut copy = command.clone();
        copy.env("A", "2");
        assert_eq!(told(&command).await, "A=1");
        assert_eq!(told(&copy).await, "A=2");
        assert_eq!(told(&command).await, "A=1");
    });
}

#[test]
fn the_child_leads_a_group_of_its_own() {
    run(async {
        let mut command = fixture(&["pid", "pgid", "sid", "hang"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).containment(Containment::Group);
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.as_mut().unwrap();
        let (pid, group, session) = (line(stdout).await, line(stdout).await, line(stdout).await);
        assert_eq!(pid, group);
        assert_ne!(pid, session);
        assert_eq!(child.strength(), Strength::Group);
        child.kill().await.unwrap();
    });
}

#[test]
fn groups_and_sessions_as_asked() {
    run(async {
        let ours = nix::unistd::getpgrp().to_string();
        let steps = ["pid", "pgid", "sid"];
        let answers = |text: String| text.lines().map(str::to_owned).collect::<Vec<_>>();

        let mut command = fixture(&steps);
        command.containment(Containment::None);
        assert_eq!(answers(told(&command).await)[1], ours);

        let mut command = fixture(&steps);
        command.setsid();
        let told_by_leader = answers(told(&command).await);
        assert_eq!(told_by_leader[0], told_by_leader[1]);
        assert_eq!(told_by_leader[0], told_by_leader[2]);

        let mut leader =
            fixture(&["mark:up", "hang"]).process_group(0).stdout(Stdio::piped()).spawn().unwrap();
        line(leader.stdout.as_mut().unwrap()).await;
        let group = leader.id().unwrap();
        let mut command = fixture(&["pgid", "hang"]);
        command.process_group(i32::try_from(group).unwrap()).stdout(Stdio::piped());
        command.containment(Containment::Group);
        let mut member = command.spawn().unwrap();
        assert_eq!(line(member.stdout.as_mut().unwrap()).await, group.to_string());
        assert_eq!(member.strength(), Strength::Child);
        // The group is not the member's to kill.
        member.kill().await.unwrap();
        assert_eq!(leader.try_wait().unwrap(), None);
        leader.kill().await.unwrap();
    });
}

#[test]
fn a_group_that_is_not_there_is_an_error_that_names_the_step() {
    run(async {
        let error = fixture(&["hang"]).process_group(i32::MAX - 1).spawn().unwrap_err();
        assert_eq!((error.kind(), error.step()), (SpawnErrorKind::Setup, Some(SpawnStep::Group)));
        assert!(error.to_string().contains("process group"), "{error}");
    });
}

#[test]
fn limits_that_are_refused_are_errors_and_leave_nothing() {
    run(async {
        let mut command = fixture(&["hang"]);
        command.rlimit(Resource::OpenFiles, 2, 1);
        for _ in 0..2 {
            let error = command.spawn().unwrap_err();
            assert_eq!((error.kind(), error.step()), (SpawnErrorKind::Setup, Some(SpawnStep::Limits)));
        }
        let error = command.spawn_async().await.unwrap_err();
        assert_eq!(error.step(), Some(SpawnStep::Limits));
        let error = command.output().await.unwrap_err();
        assert_eq!(error.as_spawn_error().unwrap().step(), Some(SpawnStep::Limits));
    });
}

#[test]
fn another_user() {
    run(async {
        let mut command = fixture(&["uid", "gid", "groups"]);
        command.uid(65_534).gid(65_533);
        if is_root() {
            // The fixture may lie where only root can go.
            let dir = tempfile::tempdir().unwrap();
            let copy = dir.path().join("copy");
            std::fs::copy(test_child::path(), &copy).unwrap();
            std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
                .unwrap();
            let mut command = Command::new(&copy);
            command.args(["uid", "gid", "groups"]).uid(65_534).gid(65_533);
            assert_eq!(told(&command).await, "65534 65534 65534 65534\n65533 65533 65533 65533");
            command.groups(&[7, 8]);
            assert!(told(&command).await.ends_with("\n7 8"));
            for containment in strong() {
                command.containment(containment);
                let mut child = command.clone().args(["hang"]).stdout(Stdio::piped()).spawn().unwrap();
                assert!(child.strength() > Strength::Group);
                assert_eq!(line(child.stdout.as_mut().unwrap()).await, "65534 65534 65534 65534");
                within(child.kill()).await.unwrap();
                assert!(told(&command).await.ends_with("\n7 8"));
            }
        } else {
            let error = command.spawn().unwrap_err();
            assert_eq!(error.io_kind(), std::io::ErrorKind::PermissionDenied);
            assert_eq!(error.kind(), SpawnErrorKind::Setup);
        }
    });
}

#[test]
fn only_the_descriptors_that_were_given_are_there() {
    run(async {
        let file = tempfile::tempfile().unwrap();
        // Not close-on-exec: it would reach a child of std.
        let loose = nix::unistd::dup(&file).unwrap();
        let script = "cd /proc/self/fd; echo *";
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        let numbers = |text: String| -> Vec<String> { text.split(' ').map(str::to_owned).collect() };
        assert_eq!(numbers(told(&command).await)[..3], ["0", "1", "2"]);
        assert!(numbers(told(&command).await).len() <= 4, "{}", told(&command).await);

        command.fd(42, OwnedFd::from(File::open("/dev/zero").unwrap()));
        assert!(numbers(told(&command).await).contains(&"42".to_owned()));

        command.inherit_fds(true);
        let loose_number = std::os::fd::AsRawFd::as_raw_fd(&loose).to_string();
        assert!(numbers(told(&command).await).contains(&loose_number));
    });
}

#[test]
fn descriptors_may_trade_places() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let open = |name: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, name).unwrap();
            File::open(path).unwrap()
        };
        let (one, two) = (open("one"), open("two"));
        let number = std::os::fd::AsRawFd::as_raw_fd;
        let (first, second) = (number(&one), number(&two));
        // Each is wanted under the number that the other has now, and one more under its own.
        let mut command = fixture(&[&format!("read-fd:{first}"), "print: ", &format!("read-fd:{second}")]);
        command.fd(first, OwnedFd::from(two)).fd(second, OwnedFd::from(one));
        assert_eq!(told(&command).await, "two one");
    });
}

#[test]
fn a_child_starts_with_signals_as_a_program_expects_them() {
    run(async {
        let mut command = Command::new("grep");
        command.args(["^Sig[BIC]", "/proc/self/status"]);
        let text = told(&command).await;
        assert!(text.contains("SigBlk:\t0000000000000000"), "{text}");
        // The Rust runtime ignores SIGPIPE; the child must not. (What else is ignored, it may have from our parent.)
        let ignored = text.lines().find_map(|line| line.strip_prefix("SigIgn:\t")).unwrap();
        assert_eq!(u64::from_str_radix(ignored, 16).unwrap() & 1 << 12, 0, "{text}");
    });
}

#[test]
fn blocked_signals_reach_the_child_only_when_asked() {
    run(async {
        use nix::sys::signal::{SigSet, Signal};
        let mut block = SigSet::empty();
        block.add(Signal::SIGUSR1);
        block.thread_block().unwrap();
        let mut command = Command::new("grep");
        command.args(["^SigBlk", "/proc/self/status"]);
        assert_eq!(told(&command).await, "SigBlk:\t0000000000000000");
        command.die_with_owner(false).inherit_signal_mask(true);
        assert_eq!(told(&command).await, "SigBlk:\t0000000000000200");
        // And ours is as it was.
        assert_eq!(SigSet::thread_get_mask().unwrap(), block);
        block.thread_unblock().unwrap();
    });
}

#[test]
#[cfg_attr(herder_portable, ignore = "there is no parent-death signal but that of Linux")]
fn die_with_owner_is_the_default_and_can_be_turned_off() {
    run(async {
        let mut command = fixture(&["pdeathsig"]);
        assert!(told(&command).await.contains("KILL"));
        command.die_with_owner(false);
        assert_eq!(told(&command).await, "none");
    });
}

#[test]
fn a_failed_spawn_leaves_no_child_and_no_descriptor() {
    run(async {
        let mut command = Command::new("/no/such/program");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let leash = crate::support::Leash::tie(&mut command);
        for _ in 0..20 {
            command.spawn().unwrap_err();
            command.spawn_async().await.unwrap_err();
            command.output().await.unwrap_err();
        }
        drop(command);
        leash.wait_free();
    });
}

#[test]
fn the_report_tells_the_facts_of_the_run() {
    run(async {
        let before = std::time::SystemTime::now();
        let report = fixture(&["spin:50ms", "memory:8M", "pid"]).name("job").output().await.unwrap();
        assert_eq!(report.name(), "job");
        assert_eq!(report.stdout_lossy().trim(), report.id().to_string());
        assert!(is_gone(report.id()));
        assert!(report.started() >= before);
        assert!(report.elapsed().as_millis() >= 50);
        let usage = report.usage().unwrap();
        assert!(usage.user + usage.system >= std::time::Duration::from_millis(5), "{usage:?}");
        assert!(usage.max_rss >= 8 << 20, "{usage:?}");
    });
}
