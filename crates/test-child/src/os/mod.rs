//! What the steps need of the system, once for each.

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub(crate) use unix::*;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub(crate) use windows::*;

use std::ffi::OsStr;

/// Printable ASCII as it is; the rest, and the backslash, as Rust escapes it.
pub(crate) fn escape(text: &OsStr) -> String {
    let mut escaped = String::new();
    for &byte in text.as_encoded_bytes() {
        match byte {
            // Quotes need no escape here: nothing is quoted.
            b'"' | b'\'' => escaped.push(byte as char),
            _ => escaped.extend(byte.escape_ascii().map(char::from)),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaping_is_one_line_of_ascii() {
        assert_eq!(escape("a b'\"\\\n\u{e9}".as_ref()), "a b'\"\\\\\\n\\xc3\\xa9");
    }
}
