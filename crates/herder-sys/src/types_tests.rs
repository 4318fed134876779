//! Strings and steps, without a process.

#[cfg(unix)]
use std::ffi::CStr;
use std::ffi::OsStr;

use super::*;

fn strings(words: &[&str]) -> Strings {
    let mut strings = Strings::new();
    for word in words {
        strings.push(&[OsStr::new(word)]).unwrap();
    }
    strings
}

#[test]
fn strings_come_back_one_by_one() {
    let strings = strings(&["one", "", "three"]);
    assert_eq!((strings.len(), strings.is_empty()), (3, false));
    let all: Vec<_> = (0..4).map(|index| strings.get(index).and_then(OsStr::to_str)).collect();
    assert_eq!(all, [Some("one"), Some(""), Some("three"), None]);
    let listed: Vec<_> = strings.iter().filter_map(OsStr::to_str).collect();
    assert_eq!(listed, ["one", "", "three"]);
    assert!(Strings::new().is_empty());
    assert_eq!(Strings::new().get(0), None);
}

#[test]
fn parts_are_put_together() {
    let mut strings = Strings::new();
    strings.push(&["KEY".as_ref(), "=".as_ref(), "value".as_ref()]).unwrap();
    strings.push(&[]).unwrap();
    assert_eq!(strings.get(0), Some(OsStr::new("KEY=value")));
    assert_eq!(strings.get(1), Some(OsStr::new("")));
}

#[test]
fn a_string_with_a_nul_changes_nothing_and_is_not_repeated() {
    let mut strings = strings(&["one"]);
    let error = strings.push(&["secret".as_ref(), "a\0b".as_ref()]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert!(!error.to_string().contains("secret"));
    strings.push(&["two".as_ref()]).unwrap();
    assert_eq!(
        (strings.len(), strings.get(0), strings.get(1)),
        (2, Some("one".as_ref()), Some("two".as_ref()))
    );
    assert_eq!(format!("{strings:?}"), "Strings(2)");
}

#[cfg(unix)]
#[test]
fn c_has_the_same_strings() {
    let strings = strings(&["one", "", "three"]);
    let listed: Vec<_> = strings.iter_c().map(CStr::to_bytes).collect();
    assert_eq!(listed, [&b"one"[..], b"", b"three"]);
}

#[cfg(unix)]
#[test]
fn pointers_end_with_a_null_and_survive_a_move() {
    let strings = strings(&["one", "", "three"]);
    let pointers = strings.pointers();
    let moved = Box::new(strings);
    assert!(pointers[3].is_null() && pointers.len() == 4);
    for (pointer, expected) in pointers.iter().zip([c"one", c"", c"three"]) {
        // SAFETY: a NUL-terminated string in `moved`.
        assert_eq!(unsafe { CStr::from_ptr(*pointer) }, expected);
    }
    assert_eq!(moved.len(), 3);
    assert_eq!(Strings::new().pointers(), [std::ptr::null()]);
}

#[cfg(unix)]
#[test]
fn steps_come_back_from_their_codes_in_order() {
    let first = SpawnStep::Prepare as u32;
    let last = SpawnStep::Stalled as u32;
    assert_eq!((first, last), (1, 18));
    for code in first..=last {
        assert_eq!(SpawnStep::from_code(code) as u32, code);
    }
    assert_eq!(SpawnStep::from_code(0), SpawnStep::Exec);
    assert_eq!(SpawnStep::from_code(u32::MAX), SpawnStep::Exec);
}

#[test]
fn errors_keep_their_number() {
    let error = LaunchError::new(SpawnStep::Chdir, 2);
    assert_eq!(error.io().kind(), io::ErrorKind::NotFound);
}

#[test]
fn variables_are_split_at_the_first_equals_sign_that_is_not_in_front() {
    let words = strings(&["A=1", "B=", "C=x=y", "=D=z", "ODD"]);
    let pairs: Vec<_> =
        words.pairs().map(|(key, value)| [key, value].map(|part| part.to_str().unwrap())).collect();
    assert_eq!(pairs, [["A", "1"], ["B", ""], ["C", "x=y"], ["=D", "z"]]);
}
