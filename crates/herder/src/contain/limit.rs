//! What a child and all that it starts may use together.

pub use herder_sys::Limit;
use herder_sys::{MECHANISMS, Scope};

use super::{Refusal, Strength};

/// A limit, and whether it is in force, or why not.
pub type LimitResult = (Limit, Result<(), String>);

/// Which limits this host can do, one of each kind, or why not.
///
/// Found out by setting each in a scope that nobody is in, to more than anybody needs; a controller that could be
/// handed down is handed down then.
#[must_use]
pub fn host_limits() -> Vec<LimitResult> {
    let limits = [Limit::Memory(1 << 50), Limit::Processes(1_000_000), Limit::Cpu(1_000_000)];
    match Scope::without_stats(MECHANISMS[0]) {
        Ok(scope) => apply(&limits, &scope),
        Err(error) => limits.map(|limit| (limit, Err(format!("it takes a {}: {error}", taker())))).into(),
    }
}

/// What can limit: the strongest that this system may have.
fn taker() -> Strength {
    super::strength_of(MECHANISMS[0]).unwrap_or(Strength::Child)
}

/// Sets each, in a scope that nobody was born into yet.
pub(crate) fn apply(limits: &[Limit], scope: &Scope) -> Vec<LimitResult> {
    let set = |limit: &Limit| (*limit, scope.limit(*limit).map_err(|refusal| refusal.to_string()));
    limits.iter().map(set).collect()
}

/// Where there is no scope of its own to set them in.
pub(crate) fn refuse(limits: &[Limit], in_herd: bool, refusals: &[Refusal]) -> Vec<LimitResult> {
    let taker = taker();
    let why = match refusals.iter().find(|refusal| refusal.strength == taker) {
        _ if in_herd => format!("the {taker} is that of its herd, for all in it"),
        Some(refusal) => format!("it takes a {taker}: {}", refusal.reason),
        None => format!("it takes a {taker}, and none was asked for"),
    };
    limits.iter().map(|limit| (*limit, Err(why.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_told_why_it_is_not_there() {
        let limits = [Limit::Memory(5), Limit::Cpu(1500)];
        let why =
            |in_herd, refusals: &[Refusal]| refuse(&limits, in_herd, refusals)[1].1.clone().unwrap_err();
        let refusal = Refusal { strength: taker(), reason: "no".into() };
        assert_eq!(why(false, &[refusal]), format!("it takes a {}: no", taker()));
        assert!(why(false, &[]).contains("none was asked for"));
        assert!(why(true, &[]).contains("herd"));
        assert_eq!(limits[1].to_string(), "1.500 processors");
    }
}
