//! What a contender is asked to do, and where it notes how long that took.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// One option of a command; the benchmark sets one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opt {
    Plain,
    /// A working directory: `/`.
    Cwd,
    /// One variable more than the benchmark has itself.
    Env,
    /// The user that the benchmark runs as.
    Uid,
    /// `RLIMIT_CORE` set to what it is.
    Rlimit,
    /// A process group of its own.
    Group,
    /// A session of its own.
    Session,
    /// The file mode creation mask.
    Umask,
    /// A niceness of 1.
    Nice,
}

impl Opt {
    pub(crate) const ALL: [Self; 9] = [
        Self::Plain,
        Self::Cwd,
        Self::Env,
        Self::Uid,
        Self::Rlimit,
        Self::Group,
        Self::Session,
        Self::Umask,
        Self::Nice,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Cwd => "cwd",
            Self::Env => "env",
            Self::Uid => "uid",
            Self::Rlimit => "rlimit",
            Self::Group => "group",
            Self::Session => "session",
            Self::Umask => "umask",
            Self::Nice => "nice",
        }
    }
}

/// The directory of [`Opt::Cwd`].
pub(crate) const CWD: &str = "/";
/// The variable of [`Opt::Env`].
pub(crate) const VARIABLE: (&str, &str) = ("HERDER_BENCH_VARIABLE", "one more");

/// The mask of [`Opt::Umask`].
pub(crate) const UMASK: u32 = 0o27;
/// The niceness of [`Opt::Nice`].
pub(crate) const NICE: i32 = 1;

/// The soft and hard limit of [`Opt::Rlimit`], for `RLIMIT_CORE`.
pub(crate) fn core_limit() -> (u64, u64) {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Core);
    (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX))
}

/// A command: a program, its arguments, and one option.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
    pub(crate) opt: Opt,
}

impl Spec {
    pub(crate) fn new(program: &Path, opt: Opt) -> Self {
        Self { program: program.to_owned(), args: Vec::new(), opt }
    }
}

/// The programs that are run; see `tiny/tiny.rs`.
pub(crate) mod program {
    use std::io;
    use std::path::Path;

    /// Exits at once; `/bin/true`, which takes ten times as long, where the static program could not be built.
    pub(crate) fn exit() -> &'static Path {
        built(env!("HERDER_BENCH_TINY")).unwrap_or_else(|_| Path::new("/bin/true"))
    }

    /// Writes [`OUTPUT`](super::OUTPUT) bytes on stdout and stderr, then exits.
    pub(crate) fn out() -> io::Result<&'static Path> {
        built(env!("HERDER_BENCH_TINY_OUT"))
    }

    /// Sleeps until it is killed.
    pub(crate) fn wait() -> io::Result<&'static Path> {
        built(env!("HERDER_BENCH_TINY_WAIT"))
    }

    /// The path that the build script has given.
    fn built(path: &'static str) -> io::Result<&'static Path> {
        let missing = "this workload needs a static program that could not be built for this target";
        if path.is_empty() { Err(io::Error::other(missing)) } else { Ok(Path::new(path)) }
    }
}

/// The bytes that [`program::out`] writes on each of its two streams.
pub(crate) const OUTPUT: usize = 24;

/// The two times of one operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Inside the call that spawns.
    pub(crate) call: Duration,
    /// From before the command is built until its status is known.
    pub(crate) total: Duration,
}

/// A contender's turn: a few operations one after another, before the next contender has its own.
#[derive(Debug)]
pub(crate) struct Turn {
    operations: usize,
    budget: Duration,
    warm: bool,
    begin: Instant,
    pub(crate) samples: Vec<Sample>,
}

impl Turn {
    /// The first operation of a turn is not counted: it pays for what the contender before left behind, as the
    /// faults of a parent whose pages were made copy-on-write by a fork. A slow contender stops at the budget.
    pub(crate) fn new(operations: usize, budget: Duration) -> Self {
        Self {
            operations,
            budget,
            warm: true,
            begin: Instant::now(),
            samples: Vec::with_capacity(operations),
        }
    }

    /// Exactly `operations`, each of them counted: for the counting of system calls.
    pub(crate) fn exact(operations: usize) -> Self {
        Self { warm: false, ..Self::new(operations, Duration::MAX) }
    }

    /// How many operations are counted, and after how long it ends anyway.
    pub(crate) fn asked(&self) -> (usize, Duration) {
        (self.operations, self.budget)
    }

    /// True when another operation is to be run.
    pub(crate) fn more(&self) -> bool {
        match self.samples.len() {
            0 => self.warm || self.operations > 0,
            done => done < self.operations && self.begin.elapsed() < self.budget,
        }
    }

    /// Notes an operation that began at `begin` and whose child was known at `spawned`.
    pub(crate) fn note(&mut self, begin: Instant, spawned: Instant) {
        let end = Instant::now();
        if self.warm {
            self.warm = false;
            self.begin = end;
        } else {
            self.samples.push(Sample { call: spawned - begin, total: end - begin });
        }
    }
}
