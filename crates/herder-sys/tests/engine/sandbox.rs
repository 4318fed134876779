//! Sandboxes that refuse a system call: found at the first spawn, or beginning later.

use herder_sys::facts;

use crate::rungs::promises;
use crate::support::seccomp::refuse;
use crate::support::{alone_with, code, sh};

/// The first argument of waitid(2): `P_PIDFD`.
const BY_PIDFD: (u32, u32) = (0, 3);

#[derive(Clone, Copy)]
struct Refusal {
    call: libc::c_long,
    argument: Option<(u32, u32)>,
    errno: i32,
}

const REFUSALS: &[(&str, Refusal)] = &[
    ("clone3 ENOSYS", Refusal { call: libc::SYS_clone3, argument: None, errno: libc::ENOSYS }),
    ("clone3 EPERM", Refusal { call: libc::SYS_clone3, argument: None, errno: libc::EPERM }),
    ("clone3 EINVAL", Refusal { call: libc::SYS_clone3, argument: None, errno: libc::EINVAL }),
    ("clone3 E2BIG", Refusal { call: libc::SYS_clone3, argument: None, errno: libc::E2BIG }),
    ("pidfd_open ENOSYS", Refusal { call: libc::SYS_pidfd_open, argument: None, errno: libc::ENOSYS }),
    ("pidfd_open EPERM", Refusal { call: libc::SYS_pidfd_open, argument: None, errno: libc::EPERM }),
    ("waitid EINVAL", Refusal { call: libc::SYS_waitid, argument: Some(BY_PIDFD), errno: libc::EINVAL }),
    ("waitid EPERM", Refusal { call: libc::SYS_waitid, argument: Some(BY_PIDFD), errno: libc::EPERM }),
    ("send ENOSYS", Refusal { call: libc::SYS_pidfd_send_signal, argument: None, errno: libc::ENOSYS }),
    ("send EPERM", Refusal { call: libc::SYS_pidfd_send_signal, argument: None, errno: libc::EPERM }),
    ("close_range ENOSYS", Refusal { call: libc::SYS_close_range, argument: None, errno: libc::ENOSYS }),
    ("close_range EPERM", Refusal { call: libc::SYS_close_range, argument: None, errno: libc::EPERM }),
];

/// The refusal that this process is for.
fn this() -> (&'static str, Refusal) {
    let name = std::env::var("HERDER_TEST_REFUSAL").expect("set by the test");
    *REFUSALS.iter().find(|(known, _)| *known == name).expect("a known one")
}

#[test]
#[cfg_attr(herder_portable, ignore = "the facts are about Linux")]
fn a_sandbox_that_is_there_is_found_and_fallen_back_from() {
    for (name, _) in REFUSALS {
        alone_with(&[("HERDER_TEST_REFUSAL", name), ("HERDER_DISABLE", "")], || {
            let (name, refusal) = this();
            refuse(refusal.call, refusal.argument, refusal.errno);
            let found = *facts();
            println!("{name}: {found:?}");
            assert!(found.shared_memory);
            assert_eq!(found.clone3, !name.starts_with("clone3"));
            let useless = name.starts_with("waitid") || name.starts_with("send");
            assert_eq!(found.clone_pidfd, !useless);
            assert_eq!(found.pidfd, !useless && !name.starts_with("pidfd_open"));
            assert_eq!(found.close_range, !name.starts_with("close_range"));
            promises();
        });
    }
}

#[test]
fn a_sandbox_that_begins_after_the_first_spawn_is_fallen_back_from() {
    for (name, _) in REFUSALS {
        alone_with(&[("HERDER_TEST_REFUSAL", name), ("HERDER_DISABLE", "")], || {
            let (_, refusal) = this();
            assert_eq!(code(sh("exit 1")), Some(1));
            let before = *facts();
            refuse(refusal.call, refusal.argument, refusal.errno);
            promises();
            assert_eq!(*facts(), before, "found once, kept");
        });
    }
}

#[test]
#[cfg_attr(herder_portable, ignore = "the facts are about Linux")]
fn a_sandbox_without_any_pidfd_call_leaves_the_pid() {
    alone_with(&[("HERDER_DISABLE", "")], || {
        refuse(libc::SYS_pidfd_open, None, libc::EPERM);
        refuse(libc::SYS_pidfd_send_signal, None, libc::EPERM);
        refuse(libc::SYS_waitid, Some(BY_PIDFD), libc::EPERM);
        refuse(libc::SYS_clone3, None, libc::EPERM);
        let found = *facts();
        assert!(!found.clone3 && !found.clone_pidfd && !found.pidfd && found.shared_memory, "{found:?}");
        promises();
    });
}
