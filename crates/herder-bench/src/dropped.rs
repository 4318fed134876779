//! Many live children dropped at once: how long that takes, and what it does to others.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, test_kill_process};

/// What a drop of many costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dropped {
    /// In the task that drops them, on the wall.
    pub(crate) wall: Duration,
    /// The same, of its thread's processor time.
    pub(crate) processor: Duration,
    /// The most that a ticker of the same runtime was late, until the last drop was over.
    pub(crate) late: Duration,
    /// The same until the last child was gone.
    pub(crate) late_after: Duration,
    /// From the first drop until the last child was gone.
    pub(crate) gone: Duration,
}

const TICK: Duration = Duration::from_millis(1);
/// One that its library never reaps, as was seen, is not waited for longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Drops `children`, which have the ids `pids`, in this task, while another one ticks.
pub(crate) async fn measure<T>(children: Vec<T>, pids: Vec<u32>) -> io::Result<Dropped> {
    let over = Arc::new(AtomicBool::new(false));
    let ticker = tokio::spawn(tick(Arc::clone(&over)));
    // Until it has its pace.
    tokio::time::sleep(20 * TICK).await;
    let (begin, processor) = (Instant::now(), processor_time());
    drop(children);
    let (end, processor) = (Instant::now(), processor_time() - processor);
    for pid in pids {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        // Reaped, that is: a zombie still counts.
        while pid.is_some_and(|pid| test_kill_process(pid).is_ok()) && begin.elapsed() < PATIENCE {
            tokio::time::sleep(TICK).await;
        }
    }
    let gone = begin.elapsed();
    over.store(true, Ordering::Relaxed);
    let ticks = ticker.await.map_err(io::Error::other)?;
    let most = |last: Instant| {
        let during = ticks.iter().filter(|(due, at)| *at >= begin && *due <= last);
        during.map(|(due, at)| *at - *due).max().unwrap_or_default()
    };
    Ok(Dropped { wall: end - begin, processor, late: most(end), late_after: most(begin + gone), gone })
}

/// When each tick was due, and when it came.
async fn tick(over: Arc<AtomicBool>) -> Vec<(Instant, Instant)> {
    let mut ticks = Vec::with_capacity(1000);
    while !over.load(Ordering::Relaxed) {
        let due = Instant::now() + TICK;
        tokio::time::sleep_until(due.into()).await;
        ticks.push((due, Instant::now()));
    }
    ticks
}

/// That of the calling thread.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
