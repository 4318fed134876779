//! Which threads live as long as the program.

/// Whether the calling thread lives as long as the program: the main thread does.
#[must_use]
pub fn is_permanent_thread() -> bool {
    thread_local! {
        static PERMANENT: bool = is_main_thread();
    }
    PERMANENT.with(|permanent| *permanent)
}

fn is_main_thread() -> bool {
    // SAFETY: no arguments.
    let thread = unsafe { libc::gettid() };
    // SAFETY: no arguments.
    thread == unsafe { libc::getpid() }
}
