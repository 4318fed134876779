//! What a reaper's list says of those below it: who came of which child of ours, and who is left to us to be reaped.
//!
//! Only FreeBSD has such a list (procctl(2), `PROC_REAP_GETPIDS`); what it means is decided here, so that it is tested
//! wherever the tests run.

/// One process below a reaper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Below {
    pub(crate) pid: i32,
    /// The child of the reaper that it descends from: itself, if it is one from birth. It stays that when its parents end,
    /// whatever session or group it is in, and nobody else gets the number while anybody is left who has it.
    pub(crate) subtree: i32,
    /// Whether the reaper is its parent now.
    pub(crate) child: bool,
    /// Whether it waits to be reaped. (FreeBSD 12.1; older ones don't tell.)
    pub(crate) zombie: bool,
}

/// Whether anybody runs who came of this child.
pub(crate) fn any_runs(below: &[Below], child: i32) -> bool {
    below.iter().any(|one| one.subtree == child && !one.zombie)
}

/// Those that came to the reaper when their parents ended: nobody else can reap them, and nobody waits for them.
///
/// One that was its child from birth never is among them, whoever made it: it is somebody's to wait for.
pub(crate) fn adopted(below: &[Below]) -> impl Iterator<Item = i32> {
    below.iter().filter(|one| one.child && one.pid != one.subtree).map(|one| one.pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Our child 10 with a child and a grandchild; 20, which has ended, and whom it left to us, a dead one among them; and
    /// 30, alone and dead.
    fn list() -> Vec<Below> {
        let one = |pid, subtree, child, zombie| Below { pid, subtree, child, zombie };
        vec![
            one(10, 10, true, false),
            one(11, 10, false, false),
            one(12, 10, false, true),
            one(21, 20, true, false),
            one(22, 20, true, true),
            one(30, 30, true, true),
        ]
    }

    #[test]
    fn whoever_came_of_a_child_counts_until_it_is_dead() {
        let list = list();
        assert!(any_runs(&list, 10));
        // The child is gone; what it left is known by its number.
        assert!(any_runs(&list, 20));
        assert!(!any_runs(&list, 30));
        assert!(!any_runs(&list, 11), "a grandchild has no subtree of its own");
        assert!(!any_runs(&[], 10));
    }

    #[test]
    fn only_those_who_lost_their_parents_are_ours_to_reap() {
        // Alive or dead: who looks finds out. Not 10 and 30, which somebody waits for, nor 11 and 12, whose parent lives.
        assert_eq!(adopted(&list()).collect::<Vec<_>>(), [21, 22]);
    }
}
