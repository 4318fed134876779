//! Reads from our end of a pipe.

use std::io::{ErrorKind, Write};
use std::os::fd::AsFd;

use herder_sys::{pipe, read_behind};

#[test]
fn a_read_goes_behind_what_is_there_and_no_further_than_there_is_room() {
    let ends = pipe(false).unwrap();
    let (ours, mut theirs) = (ends.ours, std::fs::File::from(ends.theirs));
    let mut buffer = Vec::with_capacity(8);
    buffer.extend_from_slice(b"ab");
    let error = read_behind(ours.as_fd(), &mut buffer, 8).unwrap_err();
    assert_eq!((error.kind(), buffer.as_slice()), (ErrorKind::WouldBlock, b"ab".as_slice()));
    theirs.write_all(b"cdefghijkl").unwrap();
    assert_eq!(read_behind(ours.as_fd(), &mut buffer, 2).unwrap(), 2);
    assert_eq!(buffer, b"abcd");
    let room = buffer.capacity() - buffer.len();
    assert_eq!(read_behind(ours.as_fd(), &mut buffer, 100).unwrap(), room.min(8));
    assert_eq!(buffer, &b"abcdefghijkl"[..buffer.len()]);
    buffer.reserve(100);
    let rest = b"abcdefghijkl".len() - buffer.len();
    assert_eq!(read_behind(ours.as_fd(), &mut buffer, 100).unwrap(), rest);
    drop(theirs);
    assert_eq!(read_behind(ours.as_fd(), &mut buffer, 100).unwrap(), 0);
    assert_eq!(buffer, b"abcdefghijkl");
}
