//! What a child and all that it starts may use together.

pub use herder_sys::Limit;
use herder_sys::{MECHANISMS, Scope};

use super::{Refusal, Strength};
use crate::host;

/// A limit, and how far it is in force.
pub type LimitResult = (Limit, Force);

/// How far a limit is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Force {
    /// For the child and all that it starts, together.
    Tree,
    /// For the child and each process that it starts by itself: ten of them may use ten times as much. And why it is
    /// not for all together.
    ///
    /// So it is for memory where no cgroup is to be had: `RLIMIT_DATA` counts a process's data segment and its private
    /// writable mappings, touched or not (threads' stacks, too), but not what it shares. A request for more fails with
    /// `ENOMEM`; nothing is killed. (Linux 4.7; before it counted the data segment only.) Never so on Windows.
    EachProcess(String),
    /// Not at all, and why.
    No(String),
}

impl Force {
    /// Whether it is in force for all together, as was asked for.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        matches!(self, Self::Tree)
    }

    /// Why it is not in force for all together.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Tree => None,
            Self::EachProcess(why) | Self::No(why) => Some(why),
        }
    }
}

/// Which limits this host can do, one of each kind, or why not.
///
/// Found out by setting each in a scope that nobody is in, to more than anybody needs; a controller that could be
/// handed down is handed down then.
#[must_use]
pub fn host_limits() -> Vec<LimitResult> {
    let limits = [Limit::Memory(1 << 50), Limit::Processes(1_000_000), Limit::Cpu(1_000_000)];
    match Scope::without_stats(MECHANISMS[0]) {
        Ok(scope) => apply(&limits, &scope),
        Err(error) => limits.map(|limit| instead(limit, format!("it takes a {}: {error}", taker()))).into(),
    }
}

/// What can limit: the strongest that this system may have.
fn taker() -> Strength {
    super::strength_of(MECHANISMS[0]).unwrap_or(Strength::Child)
}

/// Whether what holds a child takes limits for all in it.
pub(crate) fn takes_limits(strength: Strength) -> bool {
    strength == taker()
}

/// Sets each, in a scope that nobody was born into yet.
pub(crate) fn apply(limits: &[Limit], scope: &Scope) -> Vec<LimitResult> {
    limits.iter().map(|limit| apply_one(*limit, scope)).collect()
}

pub(crate) fn apply_one(limit: Limit, scope: &Scope) -> LimitResult {
    match scope.limit(limit) {
        Ok(()) => (limit, Force::Tree),
        Err(refusal) => instead(limit, refusal.to_string()),
    }
}

/// Where there is no scope of its own to set them in.
pub(crate) fn refuse(limits: &[Limit], in_herd: bool, refusals: &[Refusal]) -> Vec<LimitResult> {
    let taker = taker();
    let why = match refusals.iter().find(|refusal| refusal.strength == taker) {
        _ if in_herd => format!("the {taker} is that of its herd, for all in it"),
        Some(refusal) => format!("it takes a {taker}: {}", refusal.reason),
        None => format!("it takes a {taker}, and none was asked for"),
    };
    limits.iter().map(|limit| instead(*limit, why.clone())).collect()
}

/// What else there is for a limit that holds for no tree.
fn instead(limit: Limit, why: String) -> LimitResult {
    let force = match host::each_process(limit) {
        Ok(()) => Force::EachProcess(why),
        Err(and) => Force::No(why + and),
    };
    (limit, force)
}

/// The least memory that each process is to be limited to, if any. `taken` says why none may be.
pub(crate) fn stand_in(limits: &mut [LimitResult], taken: Option<&str>) -> Option<u64> {
    let mut least: Option<u64> = None;
    for (limit, force) in limits {
        if let (Limit::Memory(bytes), Force::EachProcess(why)) = (*limit, &*force) {
            if let Some(taken) = taken {
                *force = Force::No(format!("{why}; and {taken}"));
            } else {
                least = Some(least.map_or(bytes, |least| least.min(bytes)));
            }
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn each_limit_is_told_why_it_is_not_there() {
        let limits = [Limit::Memory(5), Limit::Cpu(1500), Limit::Processes(7)];
        let told = |in_herd, refusals: &[Refusal]| refuse(&limits, in_herd, refusals);
        let refusal = Refusal { strength: Strength::Cgroup, reason: "no".into() };
        let [(_, memory), (_, cpu), (_, pids)] = &told(false, &[refusal])[..] else { panic!() };
        assert_eq!(*memory, Force::EachProcess("it takes a cgroup: no".into()));
        assert_eq!(cpu.reason().unwrap(), "it takes a cgroup: no; there is no resource limit of that kind");
        assert!(matches!(pids, Force::No(why) if why.contains("RLIMIT_NPROC")), "{pids:?}");
        assert!(told(false, &[])[1].1.reason().unwrap().contains("none was asked for"));
        assert!(told(true, &[])[1].1.reason().unwrap().contains("herd"));
        assert_eq!(limits[1].to_string(), "1.500 processors");
        assert!(Force::Tree.is_whole() && !memory.is_whole() && Force::Tree.reason().is_none());
    }

    #[cfg(unix)]
    #[test]
    fn a_resource_limit_stands_in_for_memory_only_and_the_least_counts() {
        let limits = [Limit::Memory(500 << 20), Limit::Processes(5), Limit::Memory(300 << 20)];
        let mut told = refuse(&limits, false, &[]);
        assert_eq!(stand_in(&mut told, None), Some(300 << 20));
        assert_eq!(told, refuse(&limits, false, &[]));
        assert_eq!(stand_in(&mut told, Some("the command has a limit itself")), None);
        assert!(matches!(&told[0].1, Force::No(why) if why.contains("itself")), "{told:?}");
        assert_eq!(stand_in(&mut [(limits[0], Force::Tree)], None), None);
    }

    #[cfg(windows)]
    #[test]
    fn nothing_stands_in_for_a_job() {
        let limits = [Limit::Memory(5), Limit::Processes(7)];
        let mut told = refuse(&limits, false, &[]);
        assert_eq!(stand_in(&mut told, None), None);
        for (_, force) in told {
            assert_eq!(force, Force::No("it takes a job object, and none was asked for".into()));
        }
    }
}
