//! Many at once, and what may not be waited for.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tokio::task::JoinSet;

use super::{Cell, Job, Library, multi_thread, not_offered};
use crate::protocol::{Answer, Ended, Said};
use crate::scenario::{Crowd, Tree, What};

const THOUSAND: usize = 1000;
const HUNDREDS: usize = 500;
const RUNS: usize = 200;
const THREADS: usize = 16;
/// What a program of some size has touched.
const MEMORY: usize = 768 << 20;

pub(super) fn play<L: Library>(cell: &Cell, crowd: Crowd) -> Said<Answer> {
    match crowd {
        Crowd::ThousandAtOnce => thousand::<L>(cell),
        Crowd::DropHundreds => drop_hundreds::<L>(cell),
        Crowd::ZombiesAfterWaits => multi_thread().block_on(async {
            for _ in 0..100 {
                let mut child = L::spawn(&cell.steps(&[])).await?;
                L::wait(&mut child).await?;
            }
            Ok(Answer::Done)
        }),
        Crowd::ZombiesAfterDrops => multi_thread().block_on(async {
            for _ in 0..100 {
                drop(L::spawn(&cell.steps(&[])).await?);
            }
            Ok(Answer::Done)
        }),
        Crowd::DescriptorsAfterRuns => descriptors::<L>(&cell.steps(&["print:x"])),
        Crowd::DescriptorsAfterFailures => descriptors::<L>(&Job::new("/no-such-program", [])),
        Crowd::Threads => threads::<L>(cell),
        Crowd::BigParent => big_parent::<L>(cell),
        Crowd::TimeOfDrop => time_of_drop::<L>(cell),
    }
}

fn numbers<const N: usize>(numbers: [(&str, usize); N]) -> Said<Answer> {
    let numbers: BTreeMap<_, _> =
        numbers.into_iter().map(|(name, number)| (name.to_owned(), number as u64)).collect();
    Ok(Answer::Numbers(numbers))
}

/// As many descriptors as the host gives, as any program with so many children has to ask for.
fn raise_limit() -> Said<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, most, most)?)
}

fn thousand<L: Library>(cell: &Cell) -> Said<Answer> {
    raise_limit()?;
    // All live until the last one is there: to open a pipe that nobody writes to is to wait, see fifo(7).
    let gate = cell.path("gate");
    mkfifo(&gate, Mode::S_IRUSR | Mode::S_IWUSR)?;
    let script = ["-c".into(), ": <\"$0\"; exit 7".into(), gate.clone().into()];
    let job = Job::new("sh", script);
    let ended = multi_thread().block_on(async {
        let mut children = Vec::new();
        for _ in 0..THOUSAND {
            children.push(L::spawn(&job).await?);
        }
        let _open = File::options().read(true).write(true).open(gate)?;
        if L::BLOCKING {
            let mut ended = Vec::new();
            for mut child in children {
                ended.push(L::wait(&mut child).await);
            }
            return Said::Ok(ended);
        }
        let mut waits = JoinSet::new();
        for mut child in children {
            waits.spawn(async move { L::wait(&mut child).await });
        }
        Ok(waits.join_all().await)
    })?;
    let right = ended.iter().filter(|ended| matches!(ended, Ok(Ended::Code(7)))).count();
    numbers([("right", right), ("of", THOUSAND)])
}

/// All are dropped by one task of a runtime of one thread.
fn drop_hundreds<L: Library>(cell: &Cell) -> Said<Answer> {
    raise_limit()?;
    let job = cell.tree(&Tree { what: What::Script("exec sleep 1000"), ups: 0 });
    let runtime = multi_thread();
    let children = runtime.block_on(async {
        let mut children = Vec::new();
        for _ in 0..HUNDREDS {
            children.push(L::spawn(&job).await?);
        }
        Said::Ok(children)
    })?;
    let dropped = move || {
        let start = Instant::now();
        drop(children);
        start.elapsed()
    };
    let took = runtime.block_on(runtime.spawn(async move { dropped() }));
    let took = took.map_or(Duration::MAX, |took| took);
    numbers([("milliseconds", usize::try_from(took.as_millis()).unwrap_or(usize::MAX))])
}

/// The descriptors before and after many runs, good or bad.
fn descriptors<L: Library>(job: &Job) -> Said<Answer> {
    multi_thread().block_on(async {
        for _ in 0..10 {
            warm(L::capture(job, None).await)?;
        }
        let before = open_descriptors()?;
        for _ in 0..RUNS {
            warm(L::capture(job, None).await)?;
        }
        // What a task or a thread of the library closes a moment later is closed.
        let start = Instant::now();
        while open_descriptors()? > before && start.elapsed() < Duration::from_secs(2) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        numbers([("before", before), ("after", open_descriptors()?)])
    })
}

/// An error of the run is what is tried here, but that there is nothing to call is said.
fn warm<T>(said: Said<T>) -> Said<()> {
    match said {
        Err(refusal @ crate::protocol::Refusal::NotOffered(_)) => Err(refusal),
        Ok(_) | Err(_) => Ok(()),
    }
}

pub(super) fn open_descriptors() -> Said<usize> {
    Ok(fs::read_dir("/proc/self/fd")?.count())
}

fn threads<L: Library>(cell: &Cell) -> Said<Answer> {
    let runtime = multi_thread();
    let right: usize = std::thread::scope(|scope| {
        let one = |thread: usize| {
            let mut right = 0;
            for round in 0..20 {
                let text = format!("{thread}/{round}");
                let job = cell.steps(&[&format!("print:{text}")]);
                let captured = runtime.block_on(L::capture(&job, None));
                right += usize::from(captured.is_ok_and(|captured| captured.stdout.head == text.as_bytes()));
            }
            right
        };
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || one(thread))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(0)).sum()
    });
    numbers([("right", right), ("of", THREADS * 20)])
}

/// The time in which the executor does nothing else: that of a spawn, in a small program and in a big one.
fn big_parent<L: Library>(cell: &Cell) -> Said<Answer> {
    let job = cell.steps(&[]);
    multi_thread().block_on(async {
        let small = spawns::<L>(&job).await?;
        let touched = vec![1_u8; MEMORY];
        let big = spawns::<L>(&job).await?;
        drop(std::hint::black_box(touched));
        numbers([("small", small), ("big", big)])
    })
}

/// The median in microseconds.
async fn spawns<L: Library>(job: &Job) -> Said<usize> {
    let mut times = Vec::new();
    for _ in 0..15 {
        let start = Instant::now();
        let mut child = L::spawn(job).await?;
        times.push(usize::try_from(start.elapsed().as_micros()).unwrap_or(usize::MAX));
        L::wait(&mut child).await?;
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

/// The shortest of ten, in microseconds: a busy machine makes some long, but not all.
fn time_of_drop<L: Library>(cell: &Cell) -> Said<Answer> {
    if L::BLOCKING {
        return not_offered("no executor to block");
    }
    let job = cell.steps(&["ignore:TERM", "hang"]);
    let runtime = multi_thread();
    let mut shortest = usize::MAX;
    for _ in 0..10 {
        let child = runtime.block_on(L::spawn(&job))?;
        let task = async move {
            let start = Instant::now();
            drop(child);
            start.elapsed()
        };
        if let Ok(took) = runtime.block_on(runtime.spawn(task)) {
            shortest = shortest.min(usize::try_from(took.as_micros()).unwrap_or(usize::MAX));
        }
    }
    numbers([("microseconds", shortest)])
}
