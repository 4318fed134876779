//! What the start of a file tells about how it is executed: a script, an ELF binary, or neither.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// How much of a script the kernel looks at for its first line.
const SCRIPT_HEADER: usize = 256;

/// The header of a 64-bit ELF file; that of a 32-bit one is shorter.
const ELF_HEADER: usize = 64;

/// The type of the ELF program header that names the loader.
const PT_INTERP: u64 = 3;

/// The longest path.
const PATH_MAX: u64 = 4096;

/// How a file is executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// It has no content.
    Empty,
    /// It starts with `#!` and names its interpreter.
    Script { interpreter: PathBuf },
    /// A binary; one that is linked dynamically names its loader.
    Elf { interpreter: Option<PathBuf> },
    /// Neither.
    Other,
}

/// Reads the format of a file.
///
/// # Errors
///
/// If the file is not a regular one (opening a FIFO would block for ever) or can't be read.
pub(crate) fn read(path: &Path) -> io::Result<Format> {
    if !path.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut file = File::open(path)?;
    let mut start = Vec::with_capacity(SCRIPT_HEADER);
    (&mut file).take(SCRIPT_HEADER as u64).read_to_end(&mut start)?;
    Ok(if start.is_empty() {
        Format::Empty
    } else if let Some(line) = start.strip_prefix(b"#!") {
        script_interpreter(line).map_or(Format::Other, |interpreter| Format::Script { interpreter })
    } else if start.starts_with(b"\x7fELF") {
        // Headers that can't be read are those of a damaged file, which is still meant as a binary.
        Format::Elf { interpreter: elf_interpreter(&start, &mut file).ok().flatten() }
    } else {
        Format::Other
    })
}

/// The first word after `#!`. Spaces and tabs end it; a carriage return does not, it is part of the name.
fn script_interpreter(line: &[u8]) -> Option<PathBuf> {
    let line = line.split(|&byte| byte == b'\n' || byte == 0).next()?;
    let word = line.split(|&byte| byte == b' ' || byte == b'\t').find(|word| !word.is_empty())?;
    Some(path_from(word))
}

/// The loader that the program headers of an ELF file name (elf(5)).
fn elf_interpreter<F: Read + Seek>(start: &[u8], file: &mut F) -> io::Result<Option<PathBuf>> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let header = start.get(..ELF_HEADER).ok_or_else(invalid)?;
    let wide = header[4] == 2;
    let big_endian = header[5] == 2;
    let number = |bytes: &[u8], at: usize, size: usize| -> io::Result<u64> {
        let bytes = bytes.get(at..at + size).ok_or_else(invalid)?;
        let join = |value: u64, &byte: &u8| value << 8 | u64::from(byte);
        Ok(if big_endian { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) })
    };
    // Where the fields are: the program headers' place, size and number, and in each of them the place and the
    // size of what it describes.
    let (table, entry_size, count) = if wide {
        (number(header, 32, 8)?, number(header, 54, 2)?, number(header, 56, 2)?)
    } else {
        (number(header, 28, 4)?, number(header, 42, 2)?, number(header, 44, 2)?)
    };
    let mut headers = Vec::new();
    file.seek(SeekFrom::Start(table))?;
    file.by_ref().take(entry_size * count).read_to_end(&mut headers)?;
    let entry_size = usize::try_from(entry_size).unwrap_or(usize::MAX).max(1);
    for entry in headers.chunks_exact(entry_size) {
        if number(entry, 0, 4)? != PT_INTERP {
            continue;
        }
        let (place, size) = if wide {
            (number(entry, 8, 8)?, number(entry, 32, 8)?)
        } else {
            (number(entry, 4, 4)?, number(entry, 16, 4)?)
        };
        let mut name = Vec::new();
        file.seek(SeekFrom::Start(place))?;
        file.by_ref().take(size.min(PATH_MAX)).read_to_end(&mut name)?;
        let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
        return Ok(Some(path_from(&name[..end])));
    }
    Ok(None)
}

fn path_from(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::OsStr::from_bytes(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;

    fn read_bytes(bytes: &[u8]) -> Format {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, bytes).unwrap();
        read(&path).unwrap()
    }

    fn script(interpreter: &str) -> Format {
        Format::Script { interpreter: interpreter.into() }
    }

    #[test]
    fn the_first_word_after_the_marker_is_the_interpreter() {
        assert_eq!(read_bytes(b"#!/bin/sh\n"), script("/bin/sh"));
        assert_eq!(read_bytes(b"#! \t/usr/bin/env\tbash -e\nexit"), script("/usr/bin/env"));
        assert_eq!(read_bytes(b"#!/bin/sh"), script("/bin/sh"));
        assert_eq!(read_bytes(b"#!/bin/sh\r\n"), script("/bin/sh\r"));
        assert_eq!(read_bytes(b"#!\nexit"), Format::Other);
        assert_eq!(read_bytes(b"echo"), Format::Other);
        assert_eq!(read_bytes(b""), Format::Empty);
    }

    /// A file with two program headers, the second of which names the loader.
    pub(crate) fn elf(wide: bool, big_endian: bool, loader: &str) -> Vec<u8> {
        let (header, entry) = if wide { (64, 56) } else { (52, 32) };
        let mut file = vec![0; header + 2 * entry];
        let mut put = |at: usize, size: usize, value: usize| {
            let bytes = (value as u64).to_be_bytes();
            let field = &mut file[at..at + size];
            field.copy_from_slice(&bytes[8 - size..]);
            if !big_endian {
                field.reverse();
            }
        };
        let (second, end) = (header + entry, header + 2 * entry);
        if wide {
            [(32, 8, header), (54, 2, entry), (56, 2, 2)].into_iter().for_each(|(a, s, v)| put(a, s, v));
            put(second + 8, 8, end);
            put(second + 32, 8, loader.len() + 1);
        } else {
            [(28, 4, header), (42, 2, entry), (44, 2, 2)].into_iter().for_each(|(a, s, v)| put(a, s, v));
            put(second + 4, 4, end);
            put(second + 16, 4, loader.len() + 1);
        }
        put(header, 4, 1);
        put(second, 4, 3);
        file[..4].copy_from_slice(b"\x7fELF");
        file[4] = if wide { 2 } else { 1 };
        file[5] = if big_endian { 2 } else { 1 };
        file.extend_from_slice(loader.as_bytes());
        file.push(0);
        file
    }

    #[test]
    fn the_loader_of_a_binary_is_read_in_all_widths_and_orders() {
        for (wide, big_endian) in [(true, false), (true, true), (false, false), (false, true)] {
            let format = Format::Elf { interpreter: Some("/lib/ld.so".into()) };
            assert_eq!(read_bytes(&elf(wide, big_endian, "/lib/ld.so")), format, "{wide} {big_endian}");
        }
        assert_eq!(read_bytes(b"\x7fELF"), Format::Elf { interpreter: None });
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn our_own_binary_names_a_loader_that_exists() {
        let Format::Elf { interpreter } = read(&std::env::current_exe().unwrap()).unwrap() else {
            panic!("not a binary");
        };
        // A static binary has none.
        assert!(interpreter.is_none_or(|loader| loader.exists()));
    }

    #[test]
    fn what_is_no_file_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read(dir.path()).is_err());
    }

    proptest! {
        #[test]
        fn no_content_panics(mut bytes in prop::collection::vec(any::<u8>(), 0..300), mark in any::<bool>()) {
            if mark && bytes.len() > 4 {
                bytes[..4].copy_from_slice(b"\x7fELF");
            }
            let _ = script_interpreter(&bytes);
            let _ = elf_interpreter(&bytes, &mut io::Cursor::new(&bytes));
        }
    }
}
