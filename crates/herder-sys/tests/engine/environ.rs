//! The environment that children inherit follows every change of ours.

use std::ffi::CString;

use herder_sys::{SpawnRequest, environment};

use crate::support::{alone, everywhere, output, strings};

fn seen(name: &str) -> Option<String> {
    let request = SpawnRequest::new(strings(&["/usr/bin/env", "/bin/env"]), strings(&["env"]));
    let text = output(request);
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
}

#[test]
fn a_change_reaches_the_next_child() {
    alone(|| {
        everywhere(|| {
            for value in ["one", "two", "two and more", ""] {
                // SAFETY: this process runs this test only, on one thread.
                unsafe { std::env::set_var("HERDER_TEST_CHANGES", value) };
                assert_eq!(seen("HERDER_TEST_CHANGES").as_deref(), Some(value));
                // Once more, from what was kept.
                assert_eq!(seen("HERDER_TEST_CHANGES").as_deref(), Some(value));
            }
            // SAFETY: as above.
            unsafe { std::env::remove_var("HERDER_TEST_CHANGES") };
            assert_eq!(seen("HERDER_TEST_CHANGES"), None);
        });
    });
}

#[test]
fn text_that_changes_in_place_reaches_the_next_child() {
    alone(|| {
        let text = CString::new("HERDER_TEST_PLACE=a").unwrap().into_raw();
        // SAFETY: never freed.
        assert_eq!(unsafe { libc::putenv(text) }, 0);
        assert_eq!(seen("HERDER_TEST_PLACE").as_deref(), Some("a"));
        let last = "HERDER_TEST_PLACE=a".len() - 1;
        // SAFETY: within the text.
        let last = unsafe { text.add(last) };
        // SAFETY: one byte of the text, and nobody else looks at it.
        unsafe { last.write(libc::c_char::from_ne_bytes(*b"b")) };
        assert_eq!(seen("HERDER_TEST_PLACE").as_deref(), Some("b"));
    });
}

#[test]
fn an_unchanged_environment_is_read_once() {
    alone(|| {
        let first = environment();
        assert!(!first.is_empty());
        if cfg!(target_env = "gnu") {
            assert!(std::sync::Arc::ptr_eq(&first, &environment()));
        }
    });
}

#[test]
fn no_environment_at_all_is_one_too() {
    alone(|| {
        // SAFETY: this process runs this test only, on one thread.
        assert_eq!(unsafe { libc::clearenv() }, 0);
        assert!(environment().is_empty() && environment().is_empty());
        assert_eq!(seen("PATH"), None);
    });
}
