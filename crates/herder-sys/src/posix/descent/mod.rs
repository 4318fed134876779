//! Those who came of a child, wherever they went: FreeBSD's reaper (procctl(2)), which no other system has.

#[cfg(target_os = "freebsd")]
mod freebsd;
#[cfg(target_os = "freebsd")]
pub(super) use freebsd::{any_runs, begin, kill};

/// Whether children that are born from now on are followed: not here.
#[cfg(not(target_os = "freebsd"))]
pub(super) fn begin() -> bool {
    false
}

/// There is nobody who is followed.
#[cfg(not(target_os = "freebsd"))]
pub(super) fn kill(_child: i32) -> std::io::Result<()> {
    Ok(())
}

/// There is nobody who is followed.
#[cfg(not(target_os = "freebsd"))]
pub(super) fn any_runs(_child: i32) -> bool {
    false
}
