//! What the tests have in common: `herder` as a command, and a look at processes.

use std::ffi::OsStr;
use std::time::Duration;

use herder::{Child, ChildStdout, Command, Containment, Report, Stdio};
use tokio::io::AsyncReadExt;

/// Longer than anything takes that works, on a machine that is busy.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// Longer than a start takes: a limit that the program sees when it has done its first steps.
pub(crate) const SOON: &str = if cfg!(windows) { "3s" } else { "300ms" };

/// `herder` with these arguments. Each test is bounded by it.
pub(crate) fn herder<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_herder"));
    // Signals of a test are for herder alone, and what outlives it is its own fault.
    command.args(args).timeout(LONG).containment(Containment::Group);
    command
}

/// `herder run` with these options, and a script of the fixture program.
pub(crate) fn script(options: &[&str], steps: &[&str]) -> Command {
    let mut command = herder(["run"]);
    command.args(options).arg(test_child::path()).args(steps);
    command
}

pub(crate) async fn output(command: &Command) -> Report {
    command.output().await.unwrap()
}

pub(crate) fn stdout(report: &Report) -> String {
    String::from_utf8(report.stdout.clone()).unwrap()
}

pub(crate) fn stderr(report: &Report) -> String {
    String::from_utf8(report.stderr.clone()).unwrap()
}

/// A `herder` that runs, and the lines of its standard output.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) out: Lines,
}

impl Running {
    /// Standard input is null, unless the command says otherwise.
    pub(crate) async fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::null());
        Self::start_with_input(command).await
    }

    pub(crate) async fn start_with_input(command: &mut Command) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).containment(Containment::Group).spawn_async().await.unwrap();
        let out = Lines { stdout: child.stdout.take().unwrap(), buffer: Vec::new() };
        Self { child, out }
    }

    #[cfg(unix)]
    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Waits for its end, and for everybody who could still write to its output.
    pub(crate) async fn end(mut self) -> End {
        let status = tokio::time::timeout(LONG, self.child.wait()).await.expect("it ends").unwrap();
        let rest = tokio::time::timeout(LONG, self.out.rest()).await.expect("nobody is left");
        End { code: status.code(), rest }
    }
}

/// How it ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) code: Option<i32>,
    /// What was not read before.
    pub(crate) rest: String,
}

pub(crate) struct Lines {
    stdout: ChildStdout,
    buffer: Vec<u8>,
}

impl Lines {
    pub(crate) async fn next(&mut self) -> String {
        loop {
            if let Some(at) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.drain(..=at).take(at).collect();
                return String::from_utf8(line).unwrap();
            }
            let read = self.stdout.read_buf(&mut self.buffer);
            let count = tokio::time::timeout(LONG, read).await.expect("a line").unwrap();
            assert!(count > 0, "the output ended with {:?}", String::from_utf8_lossy(&self.buffer));
        }
    }

    pub(crate) async fn until(&mut self, marker: &str) {
        while self.next().await != marker {}
    }

    /// Reads until this is there, in a line that need not be complete. It is read again by what follows.
    pub(crate) async fn until_text(&mut self, text: &str) {
        while !String::from_utf8_lossy(&self.buffer).contains(text) {
            let read = self.stdout.read_buf(&mut self.buffer);
            let count = tokio::time::timeout(LONG, read).await.expect("a text").unwrap();
            assert!(count > 0, "the output ended with {:?}", String::from_utf8_lossy(&self.buffer));
        }
    }

    async fn rest(&mut self) -> String {
        self.stdout.read_to_end(&mut self.buffer).await.unwrap();
        String::from_utf8(std::mem::take(&mut self.buffer)).unwrap()
    }
}

/// The path of the fixture program.
pub(crate) fn fixture() -> &'static str {
    test_child::path().to_str().unwrap()
}

/// The state of a process as /proc shows it, such as `S` or `T`; `None` if there is none.
#[cfg(unix)]
pub(crate) fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Looks again and again until it holds.
#[cfg(unix)]
pub(crate) async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let look = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(LONG, look).await.is_ok(), "never: {what}");
}

#[cfg(unix)]
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
