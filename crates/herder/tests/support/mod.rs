//! What all tests need: a runtime with a limit, the fixture program, and looks at the processes of this host.

#[cfg(unix)]
pub(crate) mod alone;
#[cfg(unix)]
mod unix;

#[cfg(unix)]
pub(crate) use unix::*;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub(crate) use windows::*;

use std::future::Future;
use std::io::Write;
use std::time::{Duration, Instant};

use herder::contain::{Strength, host};
use herder::{Command, Containment};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::runtime::{Builder, Runtime};

/// No test takes longer: one that does hangs. (A start takes 50 ms under Wine, and more on a busy machine.)
pub(crate) const LIMIT: Duration = Duration::from_secs(if cfg!(windows) { 300 } else { 60 });

pub(crate) fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

pub(crate) fn multi_thread() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Runs a test in a runtime of its own, within the limit.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    current_thread().block_on(within(test))
}

pub(crate) async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, work).await.expect("it hangs")
}

/// The fixture program with its steps.
pub(crate) fn fixture(steps: &[&str]) -> Command {
    let mut command = Command::new(test_child::path());
    command.args(steps);
    command
}

/// One line, read byte by byte so that nothing behind it is taken.
pub(crate) async fn line(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut line = Vec::new();
    loop {
        match within(stream.read_u8()).await {
            Ok(b'\n') => return String::from_utf8(line).unwrap(),
            Ok(byte) => line.push(byte),
            Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&line)),
        }
    }
}

/// Each containment of this host that nothing leaves.
pub(crate) fn strong() -> Vec<Containment> {
    let able = host().into_iter().filter(|(_, able)| able.is_ok());
    let strong = able.filter_map(|(strength, _)| match strength {
        Strength::Job => Some(Containment::Job),
        Strength::Cgroup => Some(Containment::Cgroup),
        Strength::Keeper => Some(Containment::Keeper),
        Strength::PidNamespace => Some(Containment::PidNamespace),
        _ => None,
    });
    let strong: Vec<_> = strong.collect();
    if strong.is_empty() {
        let mut stderr = std::io::stderr();
        writeln!(stderr, "not shown: this host has nothing stronger than process groups: {:?}", host())
            .unwrap();
    }
    strong
}

/// Held by a child and everything that it starts: tells, without asking for process ids, when the last is gone.
#[derive(Debug)]
pub(crate) struct Leash(std::io::PipeReader);

impl Leash {
    /// Puts `command` and whatever it starts on a leash.
    pub(crate) fn tie(command: &mut Command) -> Self {
        let (reader, writer) = std::io::pipe().unwrap();
        hand_down(command, writer);
        Self(reader)
    }

    /// Waits until nobody is left; the command must be gone too, as it holds an end itself.
    pub(crate) fn wait_free(self) {
        use std::io::Read;
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let Self(mut reader) = self;
            let read = reader.read(&mut [0]);
            drop(reader);
            drop(sender.send(read));
        });
        let read = receiver.recv_timeout(LIMIT).expect("a process is left");
        assert_eq!(read.unwrap(), 0);
    }
}

/// Blocks this thread until something is so that nobody tells us of.
pub(crate) fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < LIMIT, "not so: {what}");
        std::thread::sleep(Duration::from_micros(500));
    }
}

/// Runs a future on this thread without any runtime.
pub(crate) fn park_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    let start = Instant::now();
    loop {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        std::thread::park_timeout(LIMIT);
        assert!(start.elapsed() < LIMIT, "it hangs");
    }
}

/// Polls a future so often and then drops it; gives the answer if it was over before. A future that waits for
/// something else than us is dropped after some milliseconds.
pub(crate) async fn cancelled<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    let mut left = polls;
    let counted = std::future::poll_fn(|context| match future.as_mut().poll(context) {
        std::task::Poll::Ready(value) => std::task::Poll::Ready(Some(value)),
        std::task::Poll::Pending => {
            left -= 1;
            if left == 0 { std::task::Poll::Ready(None) } else { std::task::Poll::Pending }
        }
    });
    tokio::time::timeout(Duration::from_millis(5), counted).await.ok().flatten()
}
