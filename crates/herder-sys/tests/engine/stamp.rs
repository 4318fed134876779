//! Streams whose writes have times.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use herder_sys::{Pipe, Stamped, largest_stamped_write, receive_stamped, stamped_pipe};

use crate::support::os;

fn receive(pipe: &Pipe, buffer: &mut [u8]) -> Stamped {
    receive_stamped(pipe.ours.as_fd(), buffer).unwrap().unwrap()
}

#[test]
fn each_write_comes_alone_with_its_time_and_an_empty_one_is_no_end() {
    let pipe = stamped_pipe().unwrap();
    let mut theirs = File::from(pipe.theirs.try_clone().unwrap());
    let mut buffer = [0; 100];
    let nothing = receive_stamped(pipe.ours.as_fd(), &mut buffer).unwrap_err();
    assert_eq!(nothing.kind(), ErrorKind::WouldBlock);

    let before = SystemTime::now();
    for text in ["one", "", "three"] {
        // `write_all` would not write nothing.
        assert_eq!(theirs.write(text.as_bytes()).unwrap(), text.len());
    }
    let mut last = before - Duration::from_millis(100);
    for text in ["one", "", "three"] {
        let write = receive(&pipe, &mut buffer);
        assert_eq!(&buffer[..write.len], text.as_bytes());
        assert!(write.at >= last, "{text}");
        last = write.at;
    }

    theirs.write_all(b"the last one").unwrap();
    let Pipe { ours, theirs: also_theirs, .. } = pipe;
    drop((theirs, also_theirs));
    // How long it was is told, however little of it was wanted.
    assert_eq!(receive_stamped(ours.as_fd(), &mut buffer[..3]).unwrap().unwrap().len, 12);
    assert_eq!(receive_stamped(ours.as_fd(), &mut buffer).unwrap(), None);
    assert_eq!(receive_stamped(ours.as_fd(), &mut buffer).unwrap(), None);
}

#[test]
fn no_write_is_larger_than_what_was_said() {
    let pipe = stamped_pipe().unwrap();
    let largest = largest_stamped_write(pipe.ours.as_fd()).unwrap();
    assert!(largest >= 400 * 1024, "{largest}");
    assert_eq!(largest_stamped_write(pipe.theirs.as_fd()).unwrap(), largest);
    let mut theirs = File::from(pipe.theirs.try_clone().unwrap());
    let error = theirs.write(&vec![1; largest]).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
    let mut buffer = vec![0; largest];
    let almost = largest - 64;
    assert_eq!(theirs.write(&vec![1; almost]).unwrap(), almost);
    assert_eq!(receive(&pipe, &mut buffer).len, almost);
}

#[test]
fn descriptors_that_a_child_sends_are_not_taken() {
    let pipe = stamped_pipe().unwrap();
    let present = os::memory_file();
    let wanted = present.metadata().unwrap().ino();
    os::send_with(&pipe.theirs, b"a present", &present);
    drop(present);
    let mut buffer = [0; 100];
    assert_eq!(receive(&pipe, &mut buffer).len, 9);
    for fd in os::open_fds().into_keys() {
        let found = std::fs::metadata(format!("/proc/self/fd/{fd}"));
        assert_ne!(found.ok().map(|file| file.ino()), Some(wanted), "{fd}");
    }
}
