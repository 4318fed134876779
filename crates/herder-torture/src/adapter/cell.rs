//! The folder through which an owner and the judge know of each other: files that are there or not.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::adapter::job::{Feed, Job};
use crate::protocol::Answer;
use crate::scenario::{Capture, Input, Stream, Tree, What};

/// The variables by which an owner, and the scripts of sh that it runs, find the cell.
pub(crate) const CELL: &str = "TORTURE_CELL";
pub(crate) const LEASH: &str = "LEASH";
pub(crate) const UP: &str = "UP";
pub(crate) const STOP: &str = "STOP";
/// How many times as long as usual a limit is to be: the machine was too busy for it.
pub(crate) const SLOWER: &str = "TORTURE_SLOWER";

/// Takes an end of the leash as descriptor 9 and becomes the rest of the words.
const TIE: &str = "exec 9>>\"$LEASH\"; exec \"$0\" \"$@\"";

/// The owner's view of its cell.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    folder: PathBuf,
}

impl Cell {
    pub(crate) fn of_environment() -> io::Result<Self> {
        let folder = std::env::var_os(CELL).ok_or_else(|| io::Error::other("the judge starts adapters"))?;
        Ok(Self { folder: folder.into() })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Gives the judge the answer, whole.
    pub(crate) fn say(&self, answer: &Answer) -> io::Result<()> {
        fs::write(self.path("said.part"), serde_json::to_vec(answer)?)?;
        fs::rename(self.path("said.part"), self.path("said"))
    }

    /// Whether the judge has said the word.
    pub(crate) fn may_go(&self) -> bool {
        self.path("go").exists()
    }

    pub(crate) fn wait_go(&self) {
        while !self.may_go() {
            std::thread::sleep(PAUSE);
        }
    }

    /// Until the judge has seen enough, or is gone.
    pub(crate) fn wait_leave(&self) {
        let judge = nix::unistd::getppid();
        while !self.path("leave").exists() && nix::unistd::getppid() == judge {
            std::thread::sleep(PAUSE);
        }
    }

    /// A limit of time, on this machine at this moment.
    pub(crate) fn stretched(&self, limit: Duration) -> Duration {
        let slower = std::env::var(SLOWER).ok().and_then(|times| times.parse().ok());
        limit * slower.unwrap_or(1)
    }

    /// A tree on the leash.
    pub(crate) fn tree(&self, tree: &Tree) -> Job {
        let mut words: Vec<OsString> = Vec::new();
        match tree.what {
            What::Script(script) => words.extend(["sh", "-c", script].map(OsString::from)),
            What::Steps(steps) => {
                words.push(test_child::path().into());
                let mut ups = 0;
                words.extend(steps.iter().map(|step| self.filled(step, &mut ups).into()));
            }
        }
        let tied = ["-c", TIE].map(OsString::from).into_iter().chain(words);
        Job::new("sh", tied)
    }

    /// The fixture with its steps.
    pub(crate) fn steps(&self, steps: &[&str]) -> Job {
        let mut ups = 0;
        Job::new(test_child::path(), steps.iter().map(|step| self.filled(step, &mut ups).into()))
    }

    pub(crate) fn captured(&self, capture: &Capture) -> Job {
        let mut job = self.steps(capture.steps);
        job.feed = match capture.input {
            Input::Unset => Feed::Unset,
            Input::Null => Feed::Null,
            Input::Pattern(length) => Feed::Bytes(pattern(length)),
        };
        job.at_defaults = matches!(capture.expect.stdout, Stream::Bounded(_));
        job
    }

    fn filled(&self, step: &str, ups: &mut usize) -> String {
        let mut step = step.replace("{go}", &self.path("go").to_string_lossy());
        while step.contains("{up}") {
            *ups += 1;
            step = step.replacen("{up}", &self.path(&format!("up-{ups}")).to_string_lossy(), 1);
        }
        step
    }
}

const PAUSE: Duration = Duration::from_millis(2);

/// The bytes that the fixture writes: byte `i` is `i mod 251`.
pub(crate) fn pattern(length: u64) -> Vec<u8> {
    (0..length).map(|index| (index % 251) as u8).collect()
}
