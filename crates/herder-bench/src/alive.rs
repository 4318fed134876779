//! The count of what many children cost while they are alive, and what the end of each costs.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::stats;

/// How many ends are measured at most, so that the number of those alive hardly changes meanwhile.
const MEASURED: usize = 1_000;

/// What one contender's many children have cost.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Alive {
    /// Processor time of the spawning, in microseconds for each child.
    pub(crate) spawn_cpu_us: f64,
    /// Resident memory of this process, in KiB for each child.
    pub(crate) rss_kib: f64,
    pub(crate) fds: f64,
    pub(crate) threads: f64,
    /// Processor time of this process, in microseconds for each child that is killed and awaited.
    pub(crate) exit_cpu_us: f64,
    /// From the kill until the waiting task knows, in microseconds: the median.
    pub(crate) exit_wall_us: f64,
    /// Children that were not reaped in the end.
    pub(crate) left: f64,
}

/// Counts the children of one contender and ends them in random order, one after the other.
pub(crate) struct Census {
    pub(crate) children: usize,
    pids: Vec<Pid>,
    order: Vec<usize>,
    waiting: Turnstile,
    begin: Usage,
    begin_cpu: Duration,
    exit_cpu: Duration,
    killed_at: Instant,
    walls: Vec<u64>,
    result: Option<Alive>,
}

/// Counts the tasks that have begun to wait.
#[derive(Clone, Default)]
pub(crate) struct Turnstile(Arc<AtomicUsize>);

impl Turnstile {
    /// To be called right before the wait.
    pub(crate) fn pass(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Census {
    pub(crate) fn new(children: usize) -> io::Result<Self> {
        let mut order: Vec<_> = (0..children).collect();
        stats::Shuffle::new(children as u64).shuffle(&mut order);
        Ok(Self {
            children,
            pids: Vec::with_capacity(children),
            order,
            waiting: Turnstile::default(),
            walls: Vec::with_capacity(MEASURED),
            begin: Usage::now()?,
            begin_cpu: cpu_time(),
            exit_cpu: Duration::ZERO,
            killed_at: Instant::now(),
            result: None,
        })
    }

    /// Notes the next child.
    pub(crate) fn born(&mut self, pid: Option<u32>) {
        let pid = pid.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        self.pids.extend(pid);
    }

    pub(crate) fn turnstile(&self) -> Turnstile {
        self.waiting.clone()
    }

    /// True when every child has a task that waits for it.
    pub(crate) fn all_wait(&self) -> bool {
        self.waiting.0.load(Ordering::Relaxed) >= self.children
    }

    /// Measures what the living children cost; the ends are measured from here.
    pub(crate) fn all_alive(&mut self) -> io::Result<()> {
        if self.pids.len() != self.children {
            return Err(io::Error::other("a child without a process id"));
        }
        let spawn_cpu = cpu_time().saturating_sub(self.begin_cpu);
        let now = Usage::now()?;
        let each = |now: f64, before: f64| (now - before) / self.children as f64;
        self.result = Some(Alive {
            spawn_cpu_us: spawn_cpu.as_secs_f64() * 1e6 / self.children as f64,
            rss_kib: each(now.rss_kib, self.begin.rss_kib),
            fds: each(now.fds, self.begin.fds),
            threads: now.threads,
            exit_cpu_us: 0.0,
            exit_wall_us: 0.0,
            left: 0.0,
        });
        self.begin_cpu = cpu_time();
        Ok(())
    }

    /// Kills the next one and says which it is; `None` when all have ended.
    pub(crate) fn kill_next(&mut self) -> io::Result<Option<usize>> {
        let Some(victim) = self.order.pop() else { return Ok(None) };
        self.killed_at = Instant::now();
        kill_process(self.pids[victim], Signal::KILL)?;
        Ok(Some(victim))
    }

    /// Notes that the one killed last was awaited and reaped.
    pub(crate) fn ended(&mut self) {
        if self.walls.len() < MEASURED {
            self.walls.push(stats::nanos(self.killed_at.elapsed()));
            self.exit_cpu = cpu_time().saturating_sub(self.begin_cpu);
        }
    }

    pub(crate) fn result(self) -> io::Result<Alive> {
        let measured = self.walls.len().max(1) as f64;
        let mut result = self.result.ok_or_else(|| io::Error::other("the living were not counted"))?;
        result.exit_cpu_us = self.exit_cpu.as_secs_f64() * 1e6 / measured;
        result.exit_wall_us = stats::Summary::of(self.walls).median / 1e3;
        result.left = children_left()? as f64;
        Ok(result)
    }
}

struct Usage {
    rss_kib: f64,
    threads: f64,
    fds: f64,
}

impl Usage {
    fn now() -> io::Result<Self> {
        let status = fs::read_to_string("/proc/self/status")?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            number.ok_or_else(|| io::Error::other(format!("/proc/self/status has no number for {name}")))
        };
        let fds = fs::read_dir("/proc/self/fd")?.count() as f64;
        Ok(Self { rss_kib: field("VmRSS:")?, threads: field("Threads:")?, fds })
    }
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Children of this process, dead or alive.
fn children_left() -> io::Result<usize> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    if matches!(waitid(WaitId::All, options), Err(rustix::io::Errno::CHILD)) {
        return Ok(0);
    }
    let mut left = 0;
    for task in fs::read_dir("/proc/self/task")? {
        left += fs::read_to_string(task?.path().join("children"))?.split_whitespace().count();
    }
    Ok(left.max(1))
}
