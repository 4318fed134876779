//! What an adapter tells the judge: facts, no verdicts.

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use serde::{Deserialize, Serialize};

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// There is nothing to call for this, and why.
    NotOffered(String),
    /// The library said that it went wrong.
    Trouble(Trouble),
    Captured(Box<Captured>),
    Ended(Vec<Ended>),
    Numbers(BTreeMap<String, u64>),
    /// Texts that people would see in a log.
    Texts(Vec<String>),
    Done,
}

/// Why a library did not do it.
#[derive(Debug)]
pub(crate) enum Refusal {
    NotOffered(&'static str),
    Trouble(Box<Trouble>),
}

pub(crate) type Said<T> = Result<T, Refusal>;

/// An error as a caller sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Trouble {
    /// `Display`, with all its sources.
    pub(crate) text: String,
    pub(crate) debug: String,
    /// The kind of the first `io::Error` in the chain, if there is one.
    pub(crate) kind: Option<String>,
}

impl Trouble {
    /// An error, with the kind that the library says it has.
    pub(crate) fn with_kind(error: &(dyn Error + 'static), kind: Option<io::ErrorKind>) -> Self {
        let mut text = error.to_string();
        let mut found = kind.or_else(|| error.downcast_ref::<io::Error>().map(io::Error::kind));
        let mut source = error.source();
        while let Some(next) = source {
            text += &[": ", &next.to_string()].concat();
            found = found.or_else(|| next.downcast_ref::<io::Error>().map(io::Error::kind));
            source = next.source();
        }
        Self { text, debug: format!("{error:?}"), kind: found.map(|kind| format!("{kind:?}")) }
    }
}

impl<E: Error + 'static> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Trouble(Box::new(Trouble::with_kind(&error, None)))
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotOffered(why) => Self::NotOffered(why.to_owned()),
            Refusal::Trouble(trouble) => Self::Trouble(*trouble),
        }
    }
}

/// How a child ended, as the library tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ended {
    Code(i32),
    Signal(i32),
    /// It tells that it does not know.
    Unknown,
}

impl From<ExitStatus> for Ended {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (_, Some(signal)) => Self::Signal(signal),
            _ => Self::Unknown,
        }
    }
}

/// What a library gives for a command that was run for its output.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Captured {
    /// `None`: a limit ended it, and the library gives no status then.
    pub(crate) ended: Option<Ended>,
    pub(crate) timed_out: bool,
    pub(crate) stdout: Bytes,
    pub(crate) stderr: Bytes,
    /// The library says that there may have been more output than it waited for.
    pub(crate) told_cut: bool,
}

impl Captured {
    pub(crate) fn of(ended: Ended, stdout: &[u8], stderr: &[u8]) -> Self {
        let (stdout, stderr) = (Bytes::of(stdout), Bytes::of(stderr));
        Self { ended: Some(ended), timed_out: false, stdout, stderr, told_cut: false }
    }

    /// A limit ended it, and nothing but this is told.
    pub(crate) fn timed_out() -> Self {
        Self { ended: None, timed_out: true, stdout: Bytes::of(b""), stderr: Bytes::of(b""), told_cut: false }
    }
}

/// What was captured of one stream, short enough to be sent.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bytes {
    pub(crate) length: u64,
    pub(crate) hash: u64,
    pub(crate) head: Vec<u8>,
    /// Bytes that were not kept, and counted.
    pub(crate) dropped: u64,
}

/// What is sent as it is.
const HEAD: usize = 8192;

impl Bytes {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let head = bytes[..bytes.len().min(HEAD)].to_vec();
        Self { length: bytes.len() as u64, hash: fnv(bytes), head, dropped: 0 }
    }

    pub(crate) fn dropping(self, dropped: u64) -> Self {
        Self { dropped, ..self }
    }
}

/// FNV-1a.
fn fnv(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
