//! Plans, without a process.

use std::ffi::OsStr;
use std::sync::Arc;

use super::*;
use crate::Strings;

fn request() -> SpawnRequest {
    let mut words = Strings::new();
    words.push(&[OsStr::new("/bin/true")]).unwrap();
    SpawnRequest::new(words.clone(), words)
}

fn plan_of(change: impl FnOnce(&mut SpawnRequest)) -> io::Result<Plan> {
    let mut request = request();
    change(&mut request);
    let fds = std::mem::take(&mut request.fds);
    plan(request, &fds, None)
}

#[test]
fn a_plain_plan_changes_nothing_and_hands_on_nothing() {
    let plan = plan_of(|_| ()).unwrap();
    assert_eq!((plan.floor, plan.mask, plan.pipe.get()), (3, 0, -1));
    assert!(plan.moves.is_empty() && plan.limits.is_empty() && plan.groups.is_none() && plan.cwd.is_none());
    assert!(!matches!(plan.close, CloseFds::No));
    assert_eq!((plan.paths.len(), plan.argv.len()), (2, 2));
    assert!(matches!(plan_of(|r| r.inherit_fds = true).unwrap().close, CloseFds::No));
}

#[test]
fn what_another_move_overwrites_is_lifted_first() {
    let lifts = |fds: &[(RawFd, RawFd)]| -> Vec<bool> {
        let targets: Vec<RawFd> = fds.iter().map(|(target, _)| *target).collect();
        // Never dropped: the numbers are not ours.
        let source = |fd| std::mem::ManuallyDrop::new(FdSource::Fd(Arc::new(fd::own(fd))));
        let moves = fds.iter().map(|(target, from)| place(*target, &source(*from), &targets));
        moves.map(|m| matches!(m.source, Source::Fd(_, true))).collect()
    };
    assert_eq!(lifts(&[(0, 5), (1, 6)]), [false, false]);
    assert_eq!(lifts(&[(0, 1), (1, 0)]), [true, true]);
    assert_eq!(lifts(&[(1, 1)]), [false]);
    assert_eq!(lifts(&[(5, 5), (6, 5)]), [false, true]);
}

#[test]
fn the_floor_is_above_every_target() {
    let floor = |target| plan_of(|r| r.fds = vec![(target, FdSource::Null)]).unwrap().floor;
    assert_eq!(floor(0), 3);
    assert_eq!(floor(1000), 1001);
    assert_eq!(floor(-7), 3);
    assert_eq!(floor(RawFd::MAX), RawFd::MAX);
}

#[test]
fn processors_become_bits() {
    assert_eq!(processor_mask(&[]).unwrap(), [0; 0]);
    assert_eq!(processor_mask(&[0, 2]).unwrap(), [0b101]);
    assert_eq!(processor_mask(&[usize::BITS as usize]).unwrap(), [0, 1]);
    assert_eq!(processor_mask(&[PROCESSORS]).unwrap_err().raw_os_error(), Some(libc::EINVAL));
}

#[test]
fn a_nul_in_the_folder_is_refused() {
    let refused = plan_of(|r| r.cwd = Some("a\0b".into()));
    assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn root_gives_its_groups_away_with_its_id() {
    // SAFETY: no arguments.
    let root = unsafe { libc::geteuid() } == 0;
    assert_eq!(plan_of(|r| r.uid = Some(7)).unwrap().groups, root.then(Vec::new));
    assert_eq!(plan_of(|r| r.gid = Some(7)).unwrap().groups, None);
    let kept = plan_of(|r| (r.uid, r.groups) = (Some(7), Some(vec![3])));
    assert_eq!(kept.unwrap().groups, Some(vec![3]));
}

#[test]
fn a_table_is_shared_only_by_those_that_need_nothing_of_it() {
    let shares = |change: &dyn Fn(&mut SpawnRequest)| {
        let mut plan = plan_of(change).unwrap();
        plan.close = if matches!(plan.close, CloseFds::No) { CloseFds::No } else { CloseFds::Range };
        share_files(&mut plan)
    };
    assert!(shares(&|_| ()));
    assert!(shares(&|r| r.fds = vec![(0, FdSource::Null), (2, FdSource::Same(1))]));
    assert!(!shares(&|r| r.fds = vec![(2, FdSource::Same(3))]));
    assert!(!shares(&|r| r.inherit_fds = true));
    assert!(!shares(&|r| r.cwd = Some("/proc/self/fd/5".into())));
    assert!(!shares(&|r| r.candidates.push(&[OsStr::new("/dev/fd/5")]).unwrap()));
    let mut latched = plan_of(|_| ()).unwrap();
    latched.close = CloseFds::Range;
    latched.pipe = Cell::new(9);
    assert!(!share_files(&mut latched));
}
