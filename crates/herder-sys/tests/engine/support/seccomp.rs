//! Real sandboxes: filters that answer one system call with an error.

/// Refuses `call` with `errno` from now on, in all threads of this process and their children. With `argument`, only
/// where the low half of the argument at that place, counted from 0, is that value.
pub(crate) fn refuse(call: libc::c_long, argument: Option<(u32, u32)>, errno: i32) {
    const NUMBER: u32 = 0;
    // Behind the number, the architecture and the instruction pointer; the low half first on both processors.
    const FIRST: u32 = 16;
    let load = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    let equal = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    let give = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut filter = vec![step(load, 0, 0, NUMBER)];
    match argument {
        None => filter.push(step(equal, 0, 1, call as u32)),
        Some((place, value)) => {
            filter.push(step(equal, 0, 3, call as u32));
            filter.push(step(load, 0, 0, FIRST + 8 * place));
            filter.push(step(equal, 0, 1, value));
        }
    }
    filter.push(step(give, 0, 0, libc::SECCOMP_RET_ERRNO | errno as u32));
    filter.push(step(give, 0, 0, libc::SECCOMP_RET_ALLOW));
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: numbers only.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    let (set, all) = (libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_TSYNC);
    // SAFETY: the program and its filter live through the call.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, set, all, &raw const program) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}
