//! From an order to a child: what it says becomes a plan, and the plan is carried out. All of it in the child.

use core::cell::Cell;
use core::ffi::{CStr, c_char};
use core::sync::atomic::AtomicU32;

use crate::Heritage;
use crate::abi;
use crate::child::{self, CloseFds, Handlers, Move, Plan, Source};
use crate::order::{self, Order};
use crate::processes;
use crate::step::{Group, SpawnStep};
use crate::sys::{self, Errno, numbers};

/// What stands behind an order, and the descriptors that came with it.
pub(crate) struct Body<'a> {
    pub(crate) inline: &'a [u8],
    pub(crate) fds: &'a [i32],
}

/// Becomes the ordered child.
pub(crate) fn carry_out(order: &Order, body: &Body<'_>, keeper: i32, heritage: &Heritage) -> ! {
    let pipe = body.fds.get(order::PIPE).copied().unwrap_or(-1);
    if heritage.ignores_sigchld && order.has & order::RESET_IGNORED == 0 {
        processes::set_sigchld(abi::SIG_IGN);
    }
    let failed = match prepare(order, body, heritage) {
        Err(failed) => failed,
        Ok(()) => match read(order, body, keeper) {
            Some(plan) => {
                let failed = child::run(&plan);
                child::report(plan.pipe.get(), failed);
                child::exit(127)
            }
            None => (SpawnStep::Prepare, abi::EINVAL),
        },
    };
    child::report(pipe, failed);
    child::exit(127)
}

/// Makes of the keeper's what was the owner's.
fn prepare(order: &Order, body: &Body<'_>, heritage: &Heritage) -> Result<(), (SpawnStep, Errno)> {
    let score = heritage.oom_score.split(|byte| !byte.is_ascii_digit() && *byte != b'-').next();
    if let Some(score) = score.filter(|score| !score.is_empty()) {
        // One that is kept from it is easier to kill, and runs.
        let _ = sys::set_oom_score(score);
    }
    let dir = body.fds.get(order::CWD).copied().unwrap_or(-1);
    numbers(abi::SYS_fchdir, [dir as usize, 0, 0, 0]).map_err(|errno| (SpawnStep::Chdir, errno))?;
    sys::set_descriptor_limit(order.descriptors).map_err(|errno| (SpawnStep::Limits, errno))
}

fn read(order: &Order, body: &Body<'_>, keeper: i32) -> Option<Plan> {
    let has = |what| order.has & what != 0;
    let mut rest = Reader { bytes: bytes(order, body)?, arena: Arena::new(order)? };
    let limits = rest.list(order.limits, |rest| {
        let [resource, rlim_cur, rlim_max] = [rest.long()?, rest.long()?, rest.long()?];
        Some((resource as u32, abi::rlimit64 { rlim_cur, rlim_max }))
    })?;
    let affinity = rest.list(order.processors, |rest| rest.long().map(|word| word as usize))?;
    let moves = rest.list(order.moves, |rest| {
        let [from, what, target] = [rest.int()?, rest.int()?, rest.int()?];
        let source = match from {
            order::FROM_OWNER => Source::Fd(Cell::new(*body.fds.get(what as usize)?), false),
            order::FROM_NULL => Source::Null,
            order::FROM_CHILD => Source::Same(what),
            _ => return None,
        };
        Some(Move { source, target })
    })?;
    // Those that the owner has not either. Ours are open, so none of what came along is among them.
    for fd in (0..3).filter(|fd| !moves.iter().any(|m| m.target == *fd)) {
        sys::close(fd);
    }
    let groups = rest.list(order.groups, |rest| rest.int().map(|id| id as u32))?;
    let cwd = if has(order::DIR) { Some(rest.string()?) } else { None };
    let paths = rest.strings(order.paths)?;
    let argv = rest.strings(order.argv)?;
    let envp = rest.strings(order.envp)?;
    Some(Plan {
        strings: (),
        paths,
        argv,
        envp,
        handlers: Handlers::Cleared,
        reset_ignored: has(order::RESET_IGNORED),
        group: if has(order::SESSION) { Group::NewSession } else { Group::New },
        nice: has(order::NICE).then_some(order.nice),
        affinity: has(order::AFFINITY).then_some(affinity),
        unpinned: None,
        moves: lift(moves, &mut rest.arena)?,
        pipe: Cell::new(*body.fds.get(order::PIPE)?),
        floor: order.floor,
        close: if has(order::CLOSE_LISTED) { CloseFds::Listed } else { CloseFds::Range },
        limits,
        umask: has(order::UMASK).then_some(order.umask),
        groups: has(order::GROUPS).then_some(groups),
        gid: has(order::GID).then_some(order.gid),
        uid: has(order::UID).then_some(order.uid),
        cwd,
        die_with: has(order::DIE).then_some((order.die, keeper)),
        held: AtomicU32::new(0),
        pre_exec: &[],
        mask: order.mask,
    })
}

/// Marks what another move overwrites: only here it is known which numbers the descriptors have got.
fn lift(moves: &'static [Move], arena: &mut Arena) -> Option<&'static [Move]> {
    let mut all = moves.iter();
    arena.list(moves.len(), || {
        let Move { source, target } = all.next()?;
        let source = match source {
            Source::Fd(fd, _) => {
                let overwritten = fd.get() != *target && moves.iter().any(|other| other.target == fd.get());
                Source::Fd(Cell::new(fd.get()), overwritten)
            }
            Source::Null => Source::Null,
            Source::Same(fd) => Source::Same(*fd),
        };
        Some(Move { source, target: *target })
    })
}

/// The body, in this process's own memory for good: it has its copy of the message, or of the file.
fn bytes(order: &Order, body: &Body<'_>) -> Option<&'static [u8]> {
    let count = order.bytes as usize;
    let (from, file) = if order.has & order::LONG != 0 {
        (sys::map_file(*body.fds.last()?, count)?.cast_const(), true)
    } else {
        (body.inline.as_ptr(), false)
    };
    if !file && body.inline.len() < count {
        return None;
    }
    // SAFETY: as many bytes are there, in memory that nobody changes or gives back before the `execve`.
    Some(unsafe { core::slice::from_raw_parts(from, count) })
}

/// Memory for lists, mapped once.
struct Arena {
    next: usize,
    end: usize,
}

impl Arena {
    fn new(order: &Order) -> Option<Self> {
        // No element of a list is larger, and each list ends with a null pointer.
        const LARGEST: usize = 32;
        let counts = [order.limits, order.processors, order.moves, order.moves, order.groups, order.paths];
        let elements =
            counts.iter().chain(&[order.argv, order.envp]).map(|count| *count as usize + 1).sum::<usize>();
        let bytes = elements * LARGEST;
        let start = sys::map(bytes)?.expose_provenance();
        Some(Self { next: start, end: start + bytes })
    }

    fn list<T>(&mut self, count: usize, mut next: impl FnMut() -> Option<T>) -> Option<&'static [T]> {
        let start = self.next.next_multiple_of(align_of::<T>());
        self.next = start + count * size_of::<T>();
        if self.next > self.end {
            return None;
        }
        let list: *mut T = core::ptr::with_exposed_provenance_mut(start);
        for at in 0..count {
            let element = next()?;
            // SAFETY: within the mapping, aligned, and nobody else's.
            unsafe { list.wrapping_add(at).write(element) };
        }
        // SAFETY: all of them have been written, and the mapping stays.
        Some(unsafe { core::slice::from_raw_parts(list, count) })
    }
}

struct Reader {
    bytes: &'static [u8],
    arena: Arena,
}

impl Reader {
    fn array<const COUNT: usize>(&mut self) -> Option<[u8; COUNT]> {
        let (array, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(*array)
    }

    fn long(&mut self) -> Option<u64> {
        self.array().map(u64::from_ne_bytes)
    }

    fn int(&mut self) -> Option<i32> {
        self.array().map(i32::from_ne_bytes)
    }

    fn string(&mut self) -> Option<&'static CStr> {
        let text = CStr::from_bytes_until_nul(self.bytes).ok()?;
        self.bytes = self.bytes.get(text.count_bytes() + 1..)?;
        Some(text)
    }

    fn list<T>(&mut self, count: u32, mut next: impl FnMut(&mut Self) -> Option<T>) -> Option<&'static [T]> {
        let mut arena = Arena { ..self.arena };
        let list = arena.list(count as usize, || next(self));
        self.arena = arena;
        list
    }

    /// Pointers to that many strings, and a null pointer.
    fn strings(&mut self, count: u32) -> Option<&'static [*const c_char]> {
        let mut left = count;
        self.list(count + 1, |rest| match left {
            0 => Some(core::ptr::null()),
            _ => {
                left -= 1;
                rest.string().map(CStr::as_ptr)
            }
        })
    }
}
