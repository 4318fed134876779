//! What Windows wants its strings to be: pure functions over UTF-16, tested on every system.
//!
//! | file | holds |
//! |---|---|
//! | `command_line` | one line out of many arguments, as C programs take it apart again |
//! | `batch` | the same for batch files, which `cmd.exe` reads, or why it can't be done |
//! | `environment` | the block of all variables |
//! | `search` | the files that a program name may mean |

pub(crate) mod batch;
pub(crate) mod command_line;
pub(crate) mod environment;
pub(crate) mod search;

use std::fmt;

/// Why a child can't get its strings unchanged. It never shows them: they may be secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(not(windows), expect(unreachable_pub, reason = "only Windows has it at its door"))]
pub enum WideError {
    /// The child would see what stands before the NUL only.
    Nul {
        /// Which argument, the program's own name being number 0.
        index: usize,
    },
    /// The program's own name is read by other rules than the rest, and a quotation mark can't be in it.
    QuoteInName,
    /// `cmd.exe` ends its line there, whatever stands around it.
    LineEnd {
        /// Which argument.
        index: usize,
    },
    /// The path of a batch file has a letter in it that `cmd.exe` would act on.
    BatchPath,
    /// The whole line is longer than the system takes.
    TooLong {
        /// The length in UTF-16 units, the NUL at the end included.
        length: usize,
        /// The greatest length.
        limit: usize,
    },
}

impl fmt::Display for WideError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nul { index } => write!(f, "argument {index} has a NUL in it"),
            Self::QuoteInName => f.write_str(
                "the program's own name (argument 0) has a quotation mark in it, which can't be passed",
            ),
            Self::LineEnd { index } => {
                write!(
                    f,
                    "argument {index} has a line end in it, which can't be passed to a batch file: cmd.exe \
                     takes what is behind it for another command, or drops it"
                )
            }
            Self::BatchPath => f.write_str(
                "the path of the batch file has a quotation mark, a percent sign or a line end in it, which \
                 cmd.exe would act on",
            ),
            Self::TooLong { length, limit } => {
                write!(
                    f,
                    "the command line is {length} UTF-16 units long with its quotes and its NUL, and the limit \
                     is {limit}; pass arguments through a file or standard input"
                )
            }
        }
    }
}

impl std::error::Error for WideError {}

/// A letter of ASCII as Windows has it.
const fn unit(letter: u8) -> u16 {
    letter as u16
}

/// Names of files and variables are compared without regard to case: the simple upper case of one letter.
///
/// The table of Windows maps one unit to one unit, and nothing outside of ASCII into it.
pub(crate) fn upper(unit: u16) -> u16 {
    let Some(letter) = char::from_u32(u32::from(unit)) else { return unit };
    let mut upper = letter.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(upper), None) if letter.is_ascii() || !upper.is_ascii() => {
            u16::try_from(u32::from(upper)).unwrap_or(unit)
        }
        _ => unit,
    }
}

/// Whether a text is this word of ASCII, whatever the case.
fn is_word(text: &[u16], word: &str) -> bool {
    text.len() == word.len()
        && text.iter().zip(word.bytes()).all(|(&have, want)| upper(have) == unit(want.to_ascii_uppercase()))
}
