//! One command line out of many arguments.
//!
//! Windows hands a child a single string, and the child's C library, or `CommandLineToArgvW`, takes it apart again
//! ("Parsing C command-line arguments" in Microsoft's documentation of the C runtime). What stands here comes out of
//! both as it went in.

use super::{WideError, unit};

/// The longest command line of `CreateProcessW`, its NUL included.
pub(crate) const LONGEST: usize = 32_767;

const QUOTE: u16 = unit(b'"');
const BACKSLASH: u16 = unit(b'\\');
const SPACE: u16 = unit(b' ');

/// The command line for these arguments, `argv[0]` first, with its NUL.
///
/// # Errors
///
/// If an argument can't be passed, or all together are too long.
pub(crate) fn join<'a>(argv: impl IntoIterator<Item = &'a [u16]>) -> Result<Vec<u16>, WideError> {
    let mut line = Vec::new();
    for (index, argument) in argv.into_iter().enumerate() {
        if argument.contains(&0) {
            return Err(WideError::Nul { index });
        }
        if index == 0 {
            name(&mut line, argument)?;
        } else {
            line.push(SPACE);
            push(&mut line, argument);
        }
    }
    finish(line, LONGEST)
}

/// Ends a line, if it is not too long.
pub(super) fn finish(mut line: Vec<u16>, limit: usize) -> Result<Vec<u16>, WideError> {
    line.push(0);
    if line.len() > limit { Err(WideError::TooLong { length: line.len(), limit }) } else { Ok(line) }
}

/// `argv[0]` ends at the next quotation mark, and backslashes mean nothing in it.
fn name(line: &mut Vec<u16>, name: &[u16]) -> Result<(), WideError> {
    if name.contains(&QUOTE) {
        return Err(WideError::QuoteInName);
    }
    line.push(QUOTE);
    line.extend_from_slice(name);
    line.push(QUOTE);
    Ok(())
}

/// One argument. Backslashes are themselves but before a quotation mark, where two stand for one.
fn push(line: &mut Vec<u16>, argument: &[u16]) {
    let quoted = argument.is_empty() || argument.iter().any(|&letter| separates(letter));
    if quoted {
        line.push(QUOTE);
    }
    let mut backslashes = 0;
    for &letter in argument {
        if letter == QUOTE {
            line.extend(std::iter::repeat_n(BACKSLASH, backslashes + 1));
        }
        backslashes = if letter == BACKSLASH { backslashes + 1 } else { 0 };
        line.push(letter);
    }
    if quoted {
        line.extend(std::iter::repeat_n(BACKSLASH, backslashes));
        line.push(QUOTE);
    }
}

/// Space and tab, and what other parsers than those two take for white space.
fn separates(letter: u16) -> bool {
    u8::try_from(letter).is_ok_and(|letter| matches!(letter, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c))
}

#[cfg(test)]
#[path = "command_line_tests.rs"]
pub(crate) mod tests;
