//! A thread that ends children one at a time and notes when.

use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long after it was asked it kills: until then the one who waits is asleep.
const SOON: Duration = Duration::from_micros(300);

/// A thread of its own, so that the one who waits for the end may sleep meanwhile. It ends with this handle.
pub(crate) struct Killer {
    asked: Sender<Pid>,
    killed: Receiver<io::Result<Instant>>,
}

impl Killer {
    pub(crate) fn start() -> Self {
        let (asked, next) = mpsc::channel::<Pid>();
        let (told, killed) = mpsc::channel();
        thread::spawn(move || {
            for pid in next {
                thread::sleep(SOON);
                let at = Instant::now();
                let result = kill_process(pid, Signal::KILL);
                if told.send(result.map(|()| at).map_err(io::Error::from)).is_err() {
                    return;
                }
            }
        });
        Self { asked, killed }
    }

    /// Has a child killed in a moment.
    pub(crate) fn kill_soon(&self, pid: Option<u32>) -> io::Result<()> {
        let pid = pid.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        let pid = pid.ok_or_else(|| io::Error::other("a child without a process id"))?;
        self.asked.send(pid).map_err(io::Error::other)
    }

    /// When the child was killed: right before the system call.
    pub(crate) fn killed_at(&self) -> io::Result<Instant> {
        self.killed.recv().map_err(io::Error::other)?
    }
}
