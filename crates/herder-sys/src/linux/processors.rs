//! Which processors a thread may use, and what its children get of that.

use std::cell::Cell;
use std::io;

use crate::unix::cvt;

/// As many as any kernel can be built for, in words: one bit each.
const WORDS: usize = 8192 / usize::BITS as usize;

thread_local! {
    /// What children of this thread may use, where the thread itself is moved about.
    static OF_CHILDREN: Cell<Option<&'static [usize]>> = const { Cell::new(None) };
}

/// What children of the calling thread may use, if that is not what it may use itself.
pub(super) fn of_children() -> Option<&'static [usize]> {
    OF_CHILDREN.get()
}

/// Those that a thread may use, or the calling one if it is 0.
pub(super) fn of(thread: i32) -> io::Result<Vec<usize>> {
    let mut words = vec![0usize; WORDS];
    let (bytes, list) = (size_of_val(words.as_slice()), words.as_mut_ptr());
    // SAFETY: at most as many bytes are written as there are.
    let used = cvt(unsafe { libc::syscall(libc::SYS_sched_getaffinity, thread, bytes, list) })?;
    words.truncate((used as usize).div_ceil(size_of::<usize>()));
    Ok(words)
}

fn set(thread: i32, words: &[usize]) -> io::Result<()> {
    let (bytes, list) = (size_of_val(words), words.as_ptr());
    // SAFETY: as many bytes as the slice has are read.
    cvt(unsafe { libc::syscall(libc::SYS_sched_setaffinity, thread, bytes, list) }).map(drop)
}

/// Lets the calling thread's children run where the main thread may, and not where the worker may, perhaps a pinned one,
/// that happened to ask first. Gives the thread's number if others may move it about by [`come_here`] from now on.
///
/// Who may use all that there is shall be asked for no less: what was once set stays in force when the set of its cgroup
/// grows (`user_cpus_ptr` in kernel/sched/core.c).
pub(crate) fn run_anywhere() -> Option<i32> {
    let settle = || {
        // SAFETY: no arguments.
        let main = of(unsafe { libc::getpid() })?;
        let all = vec![usize::MAX; main.len()];
        set(0, &all)?;
        let mask = if of(0)? == main { all } else { main };
        set(0, &mask)?;
        io::Result::Ok(mask)
    };
    // A refusal leaves what was inherited, which is what there was before.
    OF_CHILDREN.set(Some(settle().ok()?.leak()));
    // SAFETY: no arguments.
    Some(unsafe { libc::gettid() })
}

/// Has a thread that sleeps wake up on the processor of the calling thread, which is about to sleep itself: to wake
/// another processor from its sleep takes longer than to make a child.
pub(crate) fn come_here(thread: i32) {
    // SAFETY: no arguments.
    let Ok(processor) = usize::try_from(unsafe { libc::sched_getcpu() }) else { return };
    let bits = usize::BITS as usize;
    let mut mask = vec![0; processor / bits + 1];
    mask[processor / bits] = 1 << (processor % bits);
    // If it can't come, it does its work where it is.
    drop(set(thread, &mask));
}
