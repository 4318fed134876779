//! What a child is given of its owner.

use std::fs::File;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::{SigSet, Signal};

use super::{Cell, Feed, Job, Library, multi_thread};
use crate::protocol::{Answer, Said};
use crate::scenario::Hygiene;

pub(super) fn play<L: Library>(cell: &Cell, hygiene: Hygiene) -> Said<Answer> {
    let texts = match hygiene {
        Hygiene::OpenDescriptor => {
            let open = File::open("/dev/null")?;
            fcntl(&open, FcntlArg::F_SETFD(FdFlag::empty()))?;
            let text = printed::<L>(&cell.steps(&["fds"]))?;
            drop(open);
            vec![text]
        }
        Hygiene::ConcurrentDescriptors => concurrent::<L>(cell)?,
        Hygiene::BlockedSignals => {
            // Before there is any other thread.
            let mut blocked = SigSet::empty();
            blocked.add(Signal::SIGTERM);
            blocked.add(Signal::SIGUSR1);
            blocked.thread_block()?;
            vec![printed::<L>(&of_status("^SigBlk"))?]
        }
        Hygiene::IgnoredPipe => vec![printed::<L>(&of_status("^SigIgn"))?],
        Hygiene::ClosedStandard => {
            for fd in 0..3 {
                nix::unistd::close(fd)?;
            }
            vec![printed::<L>(&cell.steps(&["print:hello"]))?]
        }
    };
    Ok(Answer::Texts(texts))
}

/// A line about the process itself, by a program without a runtime of Rust's, which changes signals.
fn of_status(line: &str) -> Job {
    Job::new("grep", [line.into(), "/proc/self/status".into()])
}

fn printed<L: Library>(job: &Job) -> Said<String> {
    let captured = multi_thread().block_on(L::capture(job, None))?;
    Ok(String::from_utf8_lossy(&captured.stdout.head).into_owned())
}

/// Each of eight threads runs children that are fed and captured, so that there are pipes to be had by mistake.
fn concurrent<L: Library>(cell: &Cell) -> Said<Vec<String>> {
    let runtime = multi_thread();
    let one = || {
        let mut texts = Vec::new();
        for _ in 0..10 {
            let mut job = cell.steps(&["fds", "eof-wait"]);
            job.feed = Feed::Bytes(b"x".to_vec());
            let captured = runtime.block_on(L::capture(&job, None))?;
            texts.push(String::from_utf8_lossy(&captured.stdout.head).into_owned());
        }
        Said::Ok(texts)
    };
    let answers: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(one)).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    let mut texts = Vec::new();
    for answer in answers {
        texts.extend(answer?);
    }
    Ok(texts)
}
