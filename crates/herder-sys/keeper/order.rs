//! An order to bear a child, as the owner of a scope sends it to the scope's keeper, and the answers: a file that both
//! programs are built from.
//!
//! Behind the order stand, without gaps: limits (three numbers of 8 bytes each), processors (8 bytes), moves (three
//! numbers of 4 bytes), groups (4 bytes), and strings, each with its NUL: the working directory if there is one, paths,
//! arguments, environment. If that is longer than [`INLINE`] it is in a memory file, whose descriptor comes last.

/// Of the descriptors that come with an order: the socket for the answers.
pub(crate) const CORD: usize = 0;
/// The pipe that tells how the `execve` went.
pub(crate) const PIPE: usize = 1;
/// The owner's working directory.
pub(crate) const CWD: usize = 2;
/// Here begin those that the child gets.
pub(crate) const FIRST: usize = 3;
/// As many descriptors a message can have (`SCM_MAX_FD`).
pub(crate) const MOST_FDS: usize = 253;
/// So many bytes stand behind the order itself.
pub(crate) const INLINE: usize = 32 << 10;

/// What is there of what need not be: bits of [`Order::has`].
pub(crate) const NICE: u32 = 1;
pub(crate) const UMASK: u32 = 1 << 1;
pub(crate) const GROUPS: u32 = 1 << 2;
pub(crate) const GID: u32 = 1 << 3;
pub(crate) const UID: u32 = 1 << 4;
pub(crate) const DIR: u32 = 1 << 5;
pub(crate) const DIE: u32 = 1 << 6;
pub(crate) const RESET_IGNORED: u32 = 1 << 7;
pub(crate) const SESSION: u32 = 1 << 8;
/// Other descriptors are closed one by one, not by close_range(2).
pub(crate) const CLOSE_LISTED: u32 = 1 << 9;
/// The processors are told, be it none.
pub(crate) const AFFINITY: u32 = 1 << 11;
/// The body is in a memory file.
pub(crate) const LONG: u32 = 1 << 10;

/// Where a descriptor of the child comes from: the first number of a move. The second is the position of a descriptor
/// that came along, or a number of the child; the third is the target.
pub(crate) const FROM_OWNER: i32 = 0;
pub(crate) const FROM_NULL: i32 = 1;
pub(crate) const FROM_CHILD: i32 = 2;

#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct Order {
    pub(crate) kind: u32,
    pub(crate) has: u32,
    pub(crate) mask: u64,
    /// The limit of descriptors, soft and hard, which the keeper has raised for itself.
    pub(crate) descriptors: [u64; 2],
    /// Bytes of the body.
    pub(crate) bytes: u64,
    pub(crate) nice: i32,
    pub(crate) umask: u32,
    pub(crate) gid: u32,
    pub(crate) uid: u32,
    /// The signal at the end of the scope's keeper.
    pub(crate) die: i32,
    pub(crate) floor: i32,
    pub(crate) limits: u32,
    pub(crate) processors: u32,
    pub(crate) moves: u32,
    pub(crate) groups: u32,
    pub(crate) paths: u32,
    pub(crate) argv: u32,
    pub(crate) envp: u32,
    pub(crate) unused: u32,
}

/// The last message on a cord: how the child ended.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct Ended {
    pub(crate) kind: u32,
    /// As in `siginfo_t`: how it ended, and its exit code or signal.
    pub(crate) code: i32,
    pub(crate) status: i32,
    pub(crate) unused: i32,
    /// `struct rusage`
    pub(crate) usage: [i64; 18],
}
