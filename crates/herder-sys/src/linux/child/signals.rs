//! The child's signal actions and its mask.

use super::super::abi;
use super::super::syscall::{Errno, syscall};
use super::{Handlers, Plan};

const SIGSET_BYTES: usize = 8;
const SIG_IGN: usize = abi::SIG_IGN;

/// The kernel's sigaction begins with the handler; all zeroes is `SIG_DFL`.
type KernelAction = [usize; 4];

pub(super) fn reset(plan: &Plan) -> Result<(), Errno> {
    // Rust's runtime ignores SIGPIPE, and ignored signals survive an execve (signal(7)).
    default_action(abi::SIGPIPE)?;
    if plan.handlers == Handlers::Cleared && !plan.reset_ignored {
        return Ok(());
    }
    for signal in 1..=64 {
        if signal == abi::SIGKILL || signal == abi::SIGSTOP {
            continue;
        }
        let mut action: KernelAction = [0; 4];
        // SAFETY: asks only; the buffer is as large as the kernel's structure.
        unsafe {
            syscall(abi::SYS_rt_sigaction, [signal as usize, 0, (&raw mut action) as usize, SIGSET_BYTES, 0])
        }?;
        let ignored = action[0] == SIG_IGN;
        if action[0] != abi::SIG_DFL && (!ignored || plan.reset_ignored) {
            default_action(signal)?;
        }
    }
    Ok(())
}

fn default_action(signal: i32) -> Result<(), Errno> {
    let action: KernelAction = [abi::SIG_DFL, 0, 0, 0];
    // SAFETY: the buffer is as large as the kernel's structure.
    unsafe {
        syscall(abi::SYS_rt_sigaction, [signal as usize, (&raw const action) as usize, 0, SIGSET_BYTES, 0])
    }
    .map(drop)
}

pub(super) fn set_mask(mask: u64) -> Result<(), Errno> {
    // SAFETY: eight bytes are read.
    unsafe {
        syscall(
            abi::SYS_rt_sigprocmask,
            [abi::SIG_SETMASK as usize, (&raw const mask) as usize, 0, SIGSET_BYTES, 0],
        )
    }
    .map(drop)
}
