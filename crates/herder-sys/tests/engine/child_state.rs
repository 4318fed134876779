//! What a child is like when its program begins.

use herder_sys::{Group, Resource, Signal, SpawnRequest};

use crate::support::{alone, code, everywhere, failure, launched, os, output, sh, status, strings};

/// A request whose program shows its own state and changes nothing of it.
fn show(file: &str) -> SpawnRequest {
    SpawnRequest::new(strings(&["/bin/cat", "/usr/bin/cat"]), strings(&["cat", file]))
}

fn line(request: SpawnRequest, name: &str) -> String {
    let text = output(request);
    let value = text.lines().find_map(|line| line.strip_prefix(name)).expect("the line");
    value.trim().to_owned()
}

fn status_line(change: impl FnOnce(&mut SpawnRequest), name: &str) -> String {
    let mut request = show("/proc/self/status");
    change(&mut request);
    line(request, name)
}

fn bits(change: impl FnOnce(&mut SpawnRequest), name: &str) -> u64 {
    u64::from_str_radix(&status_line(change, name), 16).expect("hexadecimal")
}

fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

#[test]
fn the_mask_is_empty_unless_it_is_inherited() {
    everywhere(|| {
        let before = os::mask();
        let odd = (bit(libc::SIGUSR1) | bit(33) | bit(64)) & !os::OUT_OF_REACH;
        os::set_mask(odd);
        assert_eq!(bits(|_| (), "SigBlk:"), 0);
        assert_eq!(bits(|r| r.inherit_signal_mask = true, "SigBlk:"), odd);
        assert_eq!(os::mask(), odd);
        os::set_mask(before);
    });
}

#[test]
fn ignored_signals_stay_so_or_are_reset_and_handlers_are_gone() {
    extern "C" fn handler(_: libc::c_int) {}
    alone(|| {
        everywhere(|| {
            os::set_action(libc::SIGHUP, libc::SIG_IGN, 0);
            os::set_action(libc::SIGUSR1, handler as *const () as libc::sighandler_t, 0);
            os::set_action(40, libc::SIG_IGN, 0);
            // Some are, perhaps, by whoever started the tests; SIGPIPE is, by Rust's runtime.
            let all = (1..).zip(os::actions()).filter(|(_, action)| action[0] == libc::SIG_IGN);
            let ignored =
                all.map(|(signal, _)| bit(signal)).sum::<u64>() & !bit(libc::SIGPIPE) & !os::OUT_OF_REACH;
            assert_eq!(ignored & (bit(libc::SIGHUP) | bit(40)), bit(libc::SIGHUP) | bit(40));
            assert_eq!(bits(|_| (), "SigIgn:") & !os::OUT_OF_REACH, ignored);
            assert_eq!(bits(|r| r.reset_ignored_signals = true, "SigIgn:") & !os::OUT_OF_REACH, 0);
            assert_eq!(bits(|_| (), "SigCgt:"), 0);
            assert_eq!(bits(|r| r.reset_ignored_signals = true, "SigCgt:"), 0);
        });
    });
}

/// Fields 3 to 6 of `/proc/self/stat`: parent, group, session, and the pid before them.
fn family(group: Group) -> [i32; 4] {
    let mut request = show("/proc/self/stat");
    request.group = group;
    let stat = output(request);
    let pid = stat.split(' ').next().expect("a pid").parse().expect("a number");
    let mut fields = stat.rsplit_once(") ").expect("a name").1.split(' ').skip(1);
    let mut next = || fields.next().expect("a field").parse().expect("a number");
    [pid, next(), next(), next()]
}

#[test]
fn groups_and_sessions() {
    // SAFETY: no arguments.
    let my_group = unsafe { libc::getpgrp() };
    // SAFETY: no pointers.
    let my_session = unsafe { libc::getsid(0) };
    let me = std::process::id() as i32;
    let [_, parent, group, session] = family(Group::Inherit);
    assert_eq!([parent, group, session], [me, my_group, my_session]);
    for new in [Group::New, Group::Join(0)] {
        let [pid, parent, group, session] = family(new);
        assert_eq!([parent, group, session], [me, pid, my_session]);
    }
    let [pid, parent, group, session] = family(Group::NewSession);
    assert_eq!([parent, group, session], [me, pid, pid]);
    let mut leader = sh("read x");
    let stdin = herder_sys::pipe(true).unwrap();
    leader.fds.push((0, herder_sys::FdSource::Fd(stdin.theirs.into())));
    leader.group = Group::New;
    let leader = launched(leader);
    assert_eq!(family(Group::Join(leader.process.pid()))[2], leader.process.pid());
    drop(stdin.ours);
    status(&leader.process);
}

fn takes_processors() {
    let allowed = status_line(|_| (), "Cpus_allowed_list:");
    let first: usize = allowed.split(['-', ',']).next().unwrap().parse().unwrap();
    for processors in [vec![first], vec![first, 4095]] {
        assert_eq!(status_line(|r| r.affinity = Some(processors), "Cpus_allowed_list:"), first.to_string());
    }
}

#[test]
#[cfg(herder_portable)]
fn processors_are_refused_and_not_left_out() {
    let mut request = sh("exit 0");
    request.affinity = Some(vec![0]);
    let error = herder_sys::spawn(request).unwrap_err();
    assert_eq!((error.step, error.errno), (herder_sys::SpawnStep::Affinity, libc::ENOTSUP));
}

#[test]
fn priorities_processors_masks_and_limits() {
    everywhere(|| {
        assert_eq!(
            output({
                let mut request = show("/proc/self/stat");
                request.nice = Some(7);
                request
            })
            .rsplit_once(") ")
            .unwrap()
            .1
            .split(' ')
            .nth(16),
            Some("7")
        );
        if cfg!(not(herder_portable)) {
            takes_processors();
        }
        assert_eq!(status_line(|r| r.umask = Some(0o027), "Umask:"), "0027");
        let mut request = show("/proc/self/limits");
        request.rlimits = vec![(Resource::Core, 0, 4096), (Resource::OpenFiles, 50, 60)];
        let text = output(request);
        let words = |name| {
            let line = text.lines().find_map(|line: &str| line.strip_prefix(name)).unwrap();
            line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(words("Max core file size"), "0 4096");
        assert_eq!(words("Max open files"), "50 60");
    });
}

#[test]
fn names_folders_and_variables() {
    everywhere(|| {
        let mut request = show("/proc/self/cmdline");
        request.argv = strings(&["an odd name", "/proc/self/cmdline"]);
        assert_eq!(output(request), "an odd name\0/proc/self/cmdline\0");
        let mut request = sh("pwd -P");
        request.cwd = Some("/proc".into());
        assert_eq!(output(request), "/proc\n");
        let mut request = show("/proc/self/environ");
        request.env = Some(strings(&["A=1", "B=", "ODD"]).into());
        assert_eq!(output(request), "A=1\0B=\0ODD\0");
        let mut request = show("/proc/self/environ");
        request.env = Some(strings(&[]).into());
        assert_eq!(output(request), "");
        let mine = std::env::var("PATH").unwrap();
        assert!(output(show("/proc/self/environ")).split('\0').any(|word| word == format!("PATH={mine}")));
    });
}

#[test]
fn a_relative_candidate_is_looked_up_in_the_new_folder() {
    everywhere(|| {
        let mut request = sh("exit 4");
        request.candidates = strings(&["./nowhere", "./sh"]);
        request.cwd = Some("/bin".into());
        assert_eq!(code(request), Some(4));
        // One that may not be executed is told, even if later ones are missing.
        let mut request = sh("exit 4");
        request.candidates = strings(&["/etc/passwd", "/nowhere"]);
        assert_eq!(failure(request).errno, libc::EACCES);
    });
}

#[test]
#[cfg_attr(herder_portable, ignore = "there is no parent-death signal but that of Linux")]
fn the_parent_death_signal_is_set_though_the_ids_changed() {
    everywhere(|| {
        // Not visible from outside: the program asks itself. Here it is enough that the option disturbs nothing.
        let mut request = sh("exit 3");
        request.die_with_owner = Some(Signal::TERM);
        if os::is_root() {
            request.uid = Some(65534);
        }
        assert_eq!(code(request), Some(3));
    });
}
