//! The caller's own state after every outcome: signal mask, signal actions, dumpable flag, descriptors, children.

use herder_sys::{
    FdSource, Group, LaunchError, PreExec, Resource, Signal, SpawnRequest, SpawnStep, facts, spawn,
};

use crate::support::{LIMIT, alone, by_keeper, code, everywhere, failure, launched, os, sh, status, strings};

/// What must be as it was.
#[derive(Debug, PartialEq, Eq)]
struct State {
    mask: u64,
    actions: Vec<[usize; 4]>,
    dumpable: i32,
    fds: Vec<i32>,
    children: Vec<i32>,
    umask: String,
    nice: i32,
}

fn state() -> State {
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs");
    State {
        mask: os::mask(),
        actions: os::actions(),
        dumpable: os::dumpable(),
        fds: os::open_fds().into_keys().collect(),
        children: os::children(),
        umask: status.lines().find(|line| line.starts_with("Umask")).expect("a umask").to_owned(),
        // SAFETY: numbers only.
        nice: unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) },
    }
}

extern "C" fn handler(_: libc::c_int) {}

/// An unusual state: signals blocked, the C library's own among them, handled and ignored.
fn be_unusual() {
    let bit = |signal: i32| 1u64 << (signal - 1);
    let mask = bit(libc::SIGUSR1) | bit(32) | bit(33) | bit(libc::SIGTERM) | bit(64);
    os::set_mask(mask & !os::OUT_OF_REACH);
    os::set_action(libc::SIGUSR2, handler as *const () as libc::sighandler_t, libc::SA_RESTART);
    os::set_action(libc::SIGHUP, libc::SIG_IGN, 0);
    // Whatever is made once is made now.
    let mut first = sh("exit 0");
    first.die_with_owner = Some(Signal::KILL);
    assert_eq!(code(first), Some(0));
}

/// A request that fails, and how.
type Case = (&'static str, SpawnRequest, SpawnStep, i32);

fn failing(change: impl FnOnce(&mut SpawnRequest), name: &'static str, step: SpawnStep, errno: i32) -> Case {
    let mut request = sh("exit 0");
    change(&mut request);
    (name, request, step, errno)
}

fn cases() -> Vec<Case> {
    let root = os::is_root();
    let broken = || {
        // SAFETY: it gives an error and does nothing else.
        unsafe { PreExec::new(|| Err(std::io::Error::from_raw_os_error(libc::EXDEV))) }
    };
    let mut cases = vec![
        failing(|r| r.group = Group::Join(999_999_999), "no group", SpawnStep::Group, libc::EPERM),
        failing(|r| r.affinity = Some(vec![4095]), "processor", SpawnStep::Affinity, libc::EINVAL),
        failing(|r| r.affinity = Some(vec![]), "no processor", SpawnStep::Affinity, libc::EINVAL),
        failing(|r| r.affinity = Some(vec![usize::MAX]), "wrong", SpawnStep::Prepare, libc::EINVAL),
        failing(|r| r.fds = vec![(-1, FdSource::Null)], "negative", SpawnStep::Fds, libc::EBADF),
        failing(|r| r.fds = vec![(i32::MAX, FdSource::Null)], "too high", SpawnStep::Fds, libc::EBADF),
        failing(|r| r.fds = vec![(5, FdSource::Same(4000))], "not open", SpawnStep::Fds, libc::EBADF),
        failing(|r| r.rlimits = vec![(Resource::Core, 2, 1)], "limits", SpawnStep::Limits, libc::EINVAL),
        failing(|r| r.uid = Some(u32::MAX), "uid", SpawnStep::Uid, libc::EINVAL),
        failing(|r| r.gid = Some(u32::MAX), "gid", SpawnStep::Gid, libc::EINVAL),
        failing(|r| r.cwd = Some("/nowhere".into()), "cwd", SpawnStep::Chdir, libc::ENOENT),
        failing(|r| r.cwd = Some("a\0b".into()), "NUL", SpawnStep::Prepare, libc::EINVAL),
        failing(|r| r.pre_exec = vec![broken()], "hook", SpawnStep::PreExec, libc::EXDEV),
        failing(|r| r.candidates = strings(&["/nowhere"]), "program", SpawnStep::Exec, libc::ENOENT),
        failing(|r| r.candidates = strings(&["/etc"]), "folder", SpawnStep::Exec, libc::EACCES),
        failing(|r| r.candidates = strings(&["/etc/passwd"]), "no bit", SpawnStep::Exec, libc::EACCES),
        failing(|r| r.candidates = strings(&[]), "nothing", SpawnStep::Exec, libc::ENOENT),
        failing(
            |r| r.argv = strings(&["sh", &"x".repeat(131_072)]),
            "too long",
            SpawnStep::Exec,
            libc::E2BIG,
        ),
    ];
    if cfg!(herder_portable) {
        // Refused before there is a child: child_state::processors_are_refused_and_not_left_out.
        cases.retain(|(_, request, ..)| request.affinity.is_none());
    }
    if !root {
        cases.extend([
            failing(|r| r.nice = Some(-5), "nice", SpawnStep::Nice, libc::EACCES),
            failing(|r| r.groups = Some(vec![0]), "groups", SpawnStep::Groups, libc::EPERM),
            failing(|r| r.gid = Some(0), "root's gid", SpawnStep::Gid, libc::EPERM),
            failing(|r| r.uid = Some(0), "root's uid", SpawnStep::Uid, libc::EPERM),
        ]);
    }
    cases
}

fn all_cases_leave_no_trace() {
    be_unusual();
    for latch in [false, true] {
        for (name, mut request, mut step, mut errno) in cases() {
            if by_keeper() && matches!(name, "no group" | "hook") {
                // Not to be had there.
                (step, errno) = (SpawnStep::Scope, libc::EOPNOTSUPP);
            }
            request.latch = latch;
            let before = state();
            let error = failure(request);
            assert_eq!((error.step, error.errno), (step, errno), "{name}");
            assert_eq!(state(), before, "{name}");
        }
    }
    let before = state();
    for change in [None, Some(true), Some(false)] {
        let mut request = sh("exit 3");
        request.latch = change.is_some();
        request.reset_ignored_signals = change == Some(true);
        request.inherit_signal_mask = change == Some(true);
        request.umask = Some(0o77);
        request.nice = Some(5);
        request.group = Group::NewSession;
        request.die_with_owner = Some(Signal::KILL);
        assert_eq!(code(request), Some(3));
        assert_eq!(state(), before);
    }
}

#[test]
fn every_failing_step_is_named_and_leaves_the_caller_as_it_was() {
    alone(|| everywhere(all_cases_leave_no_trace));
}

#[test]
fn the_same_for_an_ordinary_user() {
    alone(|| {
        os::drop_root();
        everywhere(all_cases_leave_no_trace);
        let mut raise = sh("exit 0");
        os::limit_fds(100);
        raise.rlimits = vec![(Resource::OpenFiles, 100, 1 << 40)];
        let error = failure(raise);
        assert_eq!((error.step, error.errno), (SpawnStep::Limits, libc::EPERM));
    });
}

#[test]
fn a_session_leader_or_a_group_leader_is_no_obstacle() {
    for group in [Group::New, Group::NewSession, Group::Join(0)] {
        let mut request = sh("exit 0");
        request.group = group;
        let spawned = launched(request);
        assert!(spawned.process.leads_group());
        status(&spawned.process);
    }
}

#[test]
fn a_hook_that_panics_does_not_become_a_second_program() {
    alone(|| {
        let mut request = sh("exit 0");
        // SAFETY: not safe, which is the point: it must be contained. No other thread holds a lock.
        request.pre_exec = vec![unsafe { PreExec::new(|| panic!("on purpose")) }];
        let LaunchError { step, .. } = failure(request);
        assert_eq!(step, SpawnStep::PreExec);
        println!("{}", std::process::id());
    });
}

#[test]
fn a_hook_may_fork() {
    let mut request = sh("exit 4");
    let hook = || {
        let pid = os::fork();
        if pid == 0 {
            os::exit_now(0);
        }
        assert_eq!(os::wait(pid), 0);
        Ok(())
    };
    // SAFETY: fork, _exit and waitpid are async-signal-safe.
    request.pre_exec = vec![unsafe { PreExec::new(hook) }];
    assert_eq!(code(request), Some(4));
}

#[test]
fn a_blocked_hook_does_not_keep_other_launches_open() {
    let (held, free) = (herder_sys::pipe(true).unwrap(), herder_sys::pipe(true).unwrap());
    let mut blocked = sh("exit 0");
    let gate = std::sync::Arc::new(held.theirs);
    let inner = std::sync::Arc::clone(&gate);
    let hook = move || {
        let mut byte = 0u8;
        // SAFETY: one byte of a live local.
        let read = unsafe { libc::read(std::os::fd::AsRawFd::as_raw_fd(&*inner), (&raw mut byte).cast(), 1) };
        if read < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
    };
    // SAFETY: read is async-signal-safe.
    blocked.pre_exec = vec![unsafe { PreExec::new(hook) }];
    let blocked = spawn(blocked).unwrap();
    assert_eq!(blocked.launch.outcome(), None);
    // SAFETY: does nothing.
    let nothing = || unsafe { PreExec::new(|| Ok(())) };
    for _ in 0..10 {
        let mut request = sh("exit 0");
        request.pre_exec = vec![nothing()];
        assert_eq!(code(request), Some(0));
    }
    assert_eq!(blocked.launch.wait(std::time::Duration::from_millis(1)), None);
    std::io::Write::write_all(&mut std::fs::File::from(held.ours), b"x").unwrap();
    blocked.launch.wait(LIMIT).unwrap().unwrap();
    assert_eq!(status(&blocked.process).code(), Some(0));
    drop(free);
    println!("{:?}", facts());
}
