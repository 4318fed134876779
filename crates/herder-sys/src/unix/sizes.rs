//! How large arguments and environment may be (execve(2), "Limits on size of arguments and environment").

/// The longest argument or `KEY=value` in bytes, its NUL included; `None` where only the sum is limited.
///
/// On Linux 32 pages (`MAX_ARG_STRLEN`).
#[must_use]
pub fn most_for_one() -> Option<u64> {
    cfg!(target_os = "linux").then_some(131_072)
}

/// What [`most_for_all`] never is below: then it need not be asked for.
pub const LEAST_FOR_ALL: u64 = if cfg!(target_os = "linux") { 131_072 } else { 4096 };

/// The most bytes for all strings with their NULs, and a pointer for each, given the soft limit of the child's stack.
///
/// On Linux a quarter of that, 128 KiB (`ARG_MAX` of old) at least and 6 MiB at most: three quarters of the default
/// stack. Elsewhere what the system says (sysconf(3), `_SC_ARG_MAX`), or 4 KiB (`_POSIX_ARG_MAX`) if it won't say.
#[must_use]
pub fn most_for_all(stack: Option<u64>) -> u64 {
    if cfg!(target_os = "linux") {
        const MOST: u64 = 6 * 1024 * 1024;
        return stack.map_or(MOST, |stack| (stack / 4).clamp(LEAST_FOR_ALL, MOST));
    }
    // SAFETY: a question.
    let said = unsafe { libc::sysconf(libc::_SC_ARG_MAX) };
    u64::try_from(said).unwrap_or(4096)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_total_follows_the_stack_limit_within_bounds() {
        const MIB: u64 = 1024 * 1024;
        assert_eq!(most_for_all(None), 6 * MIB);
        assert_eq!(most_for_all(Some(u64::MAX)), 6 * MIB);
        assert_eq!(most_for_all(Some(8 * MIB)), 2 * MIB);
        assert_eq!(most_for_all(Some(0)), 131_072);
    }
}
