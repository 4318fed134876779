//! How large arguments and environment may be, checked before anything is started.
//!
//! The kernel says "argument list too long" and no more. These are its rules, as far as the engine knows them, so that
//! the error can name what is too long and by how much.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use herder_sys::{LEAST_FOR_ALL, Strings, most_for_all, most_for_one};

use super::Settings;

/// The kernel counts a pointer for each argument and variable.
const POINTER: u64 = 8;

/// What is too long. Sizes are in bytes, with the NUL at the end of each string; contents are never shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SizeError {
    /// One argument; index 0 is the program's own name.
    #[error(
        "argument {index} is {size} bytes long and the limit for one is {limit}; pass it through a file or standard input"
    )]
    Argument { index: usize, size: u64, limit: u64 },
    /// One environment variable.
    #[error("environment variable {key:?} is {size} bytes long and the limit for one is {limit}")]
    Variable { key: OsString, size: u64, limit: u64 },
    /// All of them together.
    #[error(
        "{arguments} arguments ({argument_bytes} bytes) and {variables} environment variables ({variable_bytes} bytes) \
         are {size} bytes with their pointers, and the limit for all, which depends on the stack limit, is {limit}; \
         split the arguments or pass them through a file"
    )]
    Total {
        arguments: usize,
        argument_bytes: u64,
        variables: usize,
        variable_bytes: u64,
        size: u64,
        limit: u64,
    },
}

impl SizeError {
    /// Whether it is only too long: nothing else is refused here.
    #[expect(clippy::unused_self, reason = "as on the other systems")]
    pub(crate) fn is_too_long(&self) -> bool {
        true
    }
}

/// Checks what a child is to receive: the path of its file (of several the longest), all arguments with the
/// program's own name first, and all variables.
///
/// A script needs a little more, for the name of its interpreter: just below the limit the kernel may still refuse.
///
/// # Errors
///
/// If one string, or all together, are longer than the kernel takes.
pub(crate) fn check_sizes<'a>(
    files: &[PathBuf],
    arguments: impl IntoIterator<Item = &'a OsStr>,
    variables: &Strings,
    settings: &Settings,
) -> Result<(), SizeError> {
    let longest = files.iter().map(|file| file.as_os_str()).max_by_key(|file| file.len());
    let stack = || settings.stack_limit().or_else(herder_sys::stack_limit);
    check(longest.unwrap_or_default(), arguments, variables, stack)
}

fn check<'a>(
    program: &OsStr,
    arguments: impl IntoIterator<Item = &'a OsStr>,
    variables: &Strings,
    stack_limit: impl FnOnce() -> Option<u64>,
) -> Result<(), SizeError> {
    let longest = most_for_one().unwrap_or(u64::MAX);
    let (mut argument_count, mut argument_bytes) = (0, 0);
    for (index, argument) in arguments.into_iter().enumerate() {
        let size = argument.len() as u64 + 1;
        if size > longest {
            return Err(SizeError::Argument { index, size, limit: longest });
        }
        argument_count += 1;
        argument_bytes += size;
    }
    let (mut variable_count, mut variable_bytes) = (0, 0);
    for variable in variables.iter() {
        let size = variable.len() as u64 + 1;
        if size > longest {
            let long = variables.pairs().find(|(key, value)| (key.len() + value.len()) as u64 + 2 == size);
            let key = long.map(|(key, _)| key.to_owned()).unwrap_or_default();
            return Err(SizeError::Variable { key, size, limit: longest });
        }
        variable_count += 1;
        variable_bytes += size;
    }
    // Without arguments the kernel makes room for an empty one.
    let pointers = (argument_count.max(1) + variable_count) as u64 * POINTER;
    let size = program.len() as u64 + 1 + argument_bytes + variable_bytes + pointers;
    if size <= LEAST_FOR_ALL {
        return Ok(());
    }
    let limit = most_for_all(stack_limit());
    if size > limit {
        return Err(SizeError::Total {
            arguments: argument_count,
            argument_bytes,
            variables: variable_count,
            variable_bytes,
            size,
            limit,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn check_strings(
        arguments: &[String],
        variables: &[(&str, String)],
        stack: Option<u64>,
    ) -> Result<(), SizeError> {
        let arguments = arguments.iter().map(OsStr::new);
        let mut strings = Strings::new();
        for (key, value) in variables {
            strings.push(&[key.as_ref(), "=".as_ref(), value.as_ref()]).unwrap();
        }
        check(OsStr::new("/bin/true"), arguments, &strings, || stack)
    }

    #[test]
    fn one_string_may_have_131071_bytes() {
        if most_for_one().is_none() {
            // The numbers are those of Linux.
            return;
        }
        let longest = "x".repeat(131_071);
        assert_eq!(check_strings(&["a".into(), longest.clone()], &[], None), Ok(()));
        assert_eq!(
            check_strings(&["a".into(), longest + "x"], &[], None),
            Err(SizeError::Argument { index: 1, size: 131_073, limit: 131_072 })
        );
        assert_eq!(check_strings(&[], &[("KEY", "x".repeat(131_067))], None), Ok(()));
        let error = check_strings(&[], &[("KEY", "x".repeat(131_068))], None).unwrap_err();
        assert_eq!(error, SizeError::Variable { key: "KEY".into(), size: 131_073, limit: 131_072 });
        assert!(error.to_string().contains("\"KEY\"") && !error.to_string().contains("xx"), "{error}");
    }

    #[test]
    fn the_total_counts_strings_pointers_and_the_path() {
        if most_for_one().is_none() {
            // As above.
            return;
        }
        // Each argument costs 100 bytes: 91 characters, a NUL, a pointer. The path costs 10.
        let arguments = |count| vec!["x".repeat(91); count];
        let variables = [("K", "v".repeat(88))];
        let fits = usize::try_from((2 * MIB - 10 - 100) / 100).unwrap();
        assert_eq!(check_strings(&arguments(fits), &variables, Some(8 * MIB)), Ok(()));
        let error = check_strings(&arguments(fits + 1), &variables, Some(8 * MIB)).unwrap_err();
        let SizeError::Total { arguments: 20_971, variables: 1, variable_bytes: 91, size, limit, .. } = error
        else {
            panic!("{error:?}");
        };
        assert_eq!((size, limit), (20_971 * 100 + 99 + 10, 2 * MIB));
    }
}
