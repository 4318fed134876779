//! Which threads live as long as the program, and what children inherit from the thread that makes them.

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

/// Children inherit the processors that the thread which makes them may use: take the main thread's, not those of
/// the worker, perhaps a pinned one, that happened to ask first.
pub(crate) fn run_anywhere() {
    // SAFETY: all zeroes is a valid processor set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    let size = size_of_val(&set);
    // SAFETY: no arguments.
    let main = unsafe { libc::getpid() };
    // SAFETY: at most `size` bytes are written to a live local.
    if unsafe { libc::sched_getaffinity(main, size, &raw mut set) } == 0 {
        // SAFETY: `size` bytes are read. A refusal leaves what was inherited, which is what there was before.
        unsafe { libc::sched_setaffinity(0, size, &raw const set) };
    }
}
