//! The command line for a batch file, which `cmd.exe` reads by rules of its own.
//!
//! `cmd.exe` acts on variables, separators and quotation marks before the batch file sees its arguments, so that an
//! argument may become a command ("BatBadBut", CVE-2024-24576). These are the rules that the standard library of Rust
//! came to: quote whatever is not known to be harmless, double quotation marks, and make every percent sign the end of
//! a variable that is empty. What no rule makes safe is refused.

use super::command_line::finish;
use super::{WideError, is_word, unit};

/// The longest line that `cmd.exe` reads, the NUL included.
pub(crate) const LONGEST: usize = 8_191;

const QUOTE: u16 = unit(b'"');
const BACKSLASH: u16 = unit(b'\\');
const PERCENT: u16 = unit(b'%');
const LINE_ENDS: [u16; 2] = [unit(b'\r'), unit(b'\n')];

/// Letters of ASCII that mean nothing to `cmd.exe`, beside those of words and numbers.
const HARMLESS: &[u8] = br"#$*+-./:?@\_";

/// An empty part of the current folder's name, up to a percent sign: it keeps that one from beginning a variable.
const NOTHING: &str = "%%cd:~,";

/// Extensions on, late expansion off, no commands of the registry; then the line in quotes of its own, the outer of
/// which `cmd.exe` takes off.
const SHELL: &str = "cmd.exe /e:ON /v:OFF /d /c \"";

/// Whether Windows would give this file to `cmd.exe`. Dots and spaces at the end of a name mean nothing to it, and a
/// colon ends the name.
pub(crate) fn is_batch(path: &[u16]) -> bool {
    let separators = [unit(b'\\'), unit(b'/')];
    let name = path.rsplit(|letter| separators.contains(letter)).next().unwrap_or_default();
    // A colon at the second place is behind the letter of a drive.
    let start = if name.get(1) == Some(&unit(b':')) { 2 } else { 0 };
    name[start..].split(|&letter| letter == unit(b':')).any(|part| {
        let blanks = part.iter().rev().take_while(|letter| [unit(b'.'), unit(b' ')].contains(letter)).count();
        let part = &part[..part.len() - blanks];
        part.len()
            .checked_sub(4)
            .is_some_and(|dot| [".bat", ".cmd"].iter().any(|end| is_word(&part[dot..], end)))
    })
}

/// The command line that runs a batch file with these arguments (without its own name), with its NUL.
///
/// # Errors
///
/// If the path or an argument can't be passed safely, or the line is too long.
pub(crate) fn join<'a>(
    script: &[u16],
    arguments: impl IntoIterator<Item = &'a [u16]>,
) -> Result<Vec<u16>, WideError> {
    let acted_on = |letter: &u16| [QUOTE, PERCENT, 0].contains(letter) || LINE_ENDS.contains(letter);
    if script.iter().any(acted_on) || script.last() == Some(&BACKSLASH) {
        return Err(WideError::BatchPath);
    }
    let mut line: Vec<u16> = SHELL.encode_utf16().collect();
    line.push(QUOTE);
    line.extend_from_slice(script);
    line.push(QUOTE);
    for (index, argument) in (1..).zip(arguments) {
        if argument.contains(&0) {
            return Err(WideError::Nul { index });
        }
        if argument.iter().any(|letter| LINE_ENDS.contains(letter)) {
            return Err(WideError::LineEnd { index });
        }
        line.push(unit(b' '));
        push(&mut line, argument);
    }
    line.push(QUOTE);
    finish(line, LONGEST)
}

fn push(line: &mut Vec<u16>, argument: &[u16]) {
    // A batch file that puts quotes around `%~1` itself must not find a backslash before its own.
    let quoted = argument.is_empty()
        || argument.last() == Some(&BACKSLASH)
        || argument.iter().any(|&letter| !is_harmless(letter));
    if quoted {
        line.push(QUOTE);
    }
    let mut backslashes = 0;
    for &letter in argument {
        match letter {
            QUOTE => {
                line.extend(std::iter::repeat_n(BACKSLASH, backslashes));
                line.push(QUOTE);
            }
            PERCENT => line.extend(NOTHING.encode_utf16()),
            _ => {}
        }
        backslashes = if letter == BACKSLASH { backslashes + 1 } else { 0 };
        line.push(letter);
    }
    if quoted {
        line.extend(std::iter::repeat_n(BACKSLASH, backslashes));
        line.push(QUOTE);
    }
}

fn is_harmless(letter: u16) -> bool {
    match u8::try_from(letter) {
        Ok(letter) if letter.is_ascii() => letter.is_ascii_alphanumeric() || HARMLESS.contains(&letter),
        // Control letters of the second half of Latin-1, some of which a code page makes separators of; so it does
        // of the space that does not break.
        Ok(letter) => letter > 0xa0,
        Err(_) => true,
    }
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
