//! The child's descriptors: which, where, and no others.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use herder_sys::{FdSource, SpawnRequest, facts, pipe};

use crate::support::{alone, by_keeper, everywhere, launched, os, output, status, strings};

fn list() -> SpawnRequest {
    SpawnRequest::new(strings(&["/bin/ls", "/usr/bin/ls"]), strings(&["ls", "-l", "/proc/self/fd"]))
}

/// Numbers and what they are, but for the folder that is listed.
fn parse(listing: &str) -> BTreeMap<RawFd, String> {
    let entry = |line: &str| {
        let (front, target) = line.split_once(" -> ")?;
        let number = front.rsplit(' ').next()?.parse().ok()?;
        (!target.ends_with("/fd")).then(|| (number, target.to_owned()))
    };
    listing.lines().filter_map(entry).collect()
}

fn numbers(request: SpawnRequest) -> Vec<RawFd> {
    parse(&output(request)).into_keys().collect()
}

/// Opens `count` descriptors that a careless execve would hand on.
fn clutter(count: usize) -> Vec<File> {
    let open = |_| {
        let file = os::memory_file();
        os::keep_on_exec(&file);
        file
    };
    (0..count).map(open).collect()
}

#[test]
fn nothing_leaks_into_a_child_unless_it_is_asked_for() {
    alone(|| {
        everywhere(|| {
            for count in [10, 400] {
                let clutter = clutter(count);
                let before = os::open_fds();
                // Twice: the second knows that there are many.
                for _ in 0..3 {
                    assert_eq!(numbers(list()), [0, 1, 2], "{count}");
                    let mut request = list();
                    request.latch = true;
                    assert_eq!(numbers(request), [0, 1, 2]);
                    let mut request = list();
                    request.fds = vec![(0, FdSource::Null), (2, FdSource::Same(0))];
                    assert_eq!(numbers(request), [0, 1, 2]);
                    let mut request = list();
                    request.fds = vec![(2, FdSource::Same(clutter[0].as_raw_fd()))];
                    assert_eq!(numbers(request), [0, 1, 2]);
                    let mut request = list();
                    let given = Arc::new(os::own(os::duplicate(&clutter[1])));
                    request.fds = vec![(7, FdSource::Fd(Arc::clone(&given))), (5, FdSource::Fd(given))];
                    assert_eq!(numbers(request), [0, 1, 2, 5, 7]);
                    // More than so many can't be sent to a keeper.
                    if by_keeper() && count > 200 {
                        continue;
                    }
                    let mut request = list();
                    request.inherit_fds = true;
                    let all = numbers(request);
                    assert!(clutter.iter().all(|file| all.contains(&file.as_raw_fd())));
                }
                assert_eq!(os::open_fds(), before, "ours are as they were");
            }
        });
    });
}

/// A child that does nothing but leave a shared table must not have moved anything in it.
#[test]
fn programs_and_folders_that_are_paths_through_descriptors_work() {
    alone(|| {
        let _clutter = clutter(400);
        for round in 0..3 {
            let program = File::open("/bin/sh").unwrap();
            let folder = File::open("/proc").unwrap();
            let path = |file: &File| format!("/proc/self/fd/{}", file.as_raw_fd());
            let mut request =
                SpawnRequest::new(strings(&[&path(&program)]), strings(&["sh", "-c", "pwd -P"]));
            request.cwd = Some(path(&folder).into());
            assert_eq!(output(request), "/proc\n", "{round}");
        }
    });
}

struct Case {
    /// Target and source, both numbers of ours.
    moves: &'static [(RawFd, RawFd)],
    /// The names that must be found; 1 must be among them.
    expected: &'static [(RawFd, char)],
}

/// We have A, B, C, D at 0, 1, 2, 3.
const CASES: &[Case] = &[
    Case { moves: &[], expected: &[(0, 'A'), (1, 'B'), (2, 'C')] },
    Case { moves: &[(0, 1), (1, 0)], expected: &[(0, 'B'), (1, 'A'), (2, 'C')] },
    Case { moves: &[(1, 0), (0, 1)], expected: &[(0, 'B'), (1, 'A'), (2, 'C')] },
    Case { moves: &[(0, 2)], expected: &[(0, 'C'), (1, 'B'), (2, 'C')] },
    Case { moves: &[(2, 3)], expected: &[(0, 'A'), (1, 'B'), (2, 'D')] },
    Case { moves: &[(1, 1), (3, 3)], expected: &[(0, 'A'), (1, 'B'), (2, 'C'), (3, 'D')] },
    Case { moves: &[(0, 1), (1, 2), (2, 0)], expected: &[(0, 'B'), (1, 'C'), (2, 'A')] },
    Case { moves: &[(3, 0), (0, 3), (1, 2)], expected: &[(0, 'D'), (1, 'C'), (2, 'C'), (3, 'A')] },
    Case { moves: &[(1000, 0)], expected: &[(0, 'A'), (1, 'B'), (2, 'C'), (1000, 'A')] },
    Case {
        // Whatever numbers the latch gets, they are among these.
        moves: &[(4, 0), (5, 1), (6, 2), (7, 3), (8, 0), (9, 1), (10, 2), (11, 3), (12, 0)],
        expected: &[
            (0, 'A'),
            (1, 'B'),
            (2, 'C'),
            (4, 'A'),
            (5, 'B'),
            (6, 'C'),
            (7, 'D'),
            (8, 'A'),
            (9, 'B'),
            (10, 'C'),
            (11, 'D'),
            (12, 'A'),
        ],
    },
];

#[test]
fn shuffles_end_where_they_should() {
    alone(|| {
        everywhere(|| {
            let files =
                ['A', 'B', 'C', 'D'].map(|name| (name, os::above(os::named_file(&name.to_string()), 60)));
            let said = os::above(os::own(os::duplicate(&std::io::stderr())).into(), 60);
            // Found before the numbers are taken.
            let _ = facts();
            for latch in [false, true] {
                for Case { moves, expected } in CASES {
                    for ((_, file), number) in files.iter().zip(0..) {
                        os::duplicate_to(file, number);
                    }
                    let mut request = list();
                    request.latch = latch;
                    let mut sources = BTreeMap::new();
                    let mut source =
                        |fd| Arc::clone(sources.entry(fd).or_insert_with(|| Arc::new(os::own(fd))));
                    request.fds = moves.iter().map(|(to, from)| (*to, FdSource::Fd(source(*from)))).collect();
                    let spawned = launched(request);
                    let ended = status(&spawned.process);
                    drop(spawned);
                    drop(sources);
                    (0..3).for_each(|number| os::duplicate_to(&said, number));
                    assert!(ended.success(), "{moves:?} {ended}");
                    let (_, name) = expected.iter().find(|(number, _)| *number == 1).unwrap();
                    let (_, mut file) =
                        files.iter().find(|(known, _)| known == name).map(|(n, f)| (n, f)).unwrap();
                    let mut text = String::new();
                    file.rewind().unwrap();
                    file.read_to_string(&mut text).unwrap();
                    file.set_len(0).unwrap();
                    file.rewind().unwrap();
                    let found = parse(&text);
                    let names =
                        |(number, name): &(RawFd, char)| (*number, format!("/memfd:{name} (deleted)"));
                    assert_eq!(found, expected.iter().map(names).collect(), "{moves:?}, latch {latch}");
                }
            }
        });
    });
}

#[test]
fn a_parent_without_standard_descriptors_is_no_problem() {
    alone(|| {
        everywhere(|| {
            let said = os::above(os::own(os::duplicate(&std::io::stderr())).into(), 60);
            for latch in [false, true] {
                for null in [false, true] {
                    (0..3).for_each(os::close);
                    let ends = pipe(false).unwrap();
                    let ours = os::above(ends.ours.into(), 60);
                    let mut request = list();
                    request.latch = latch;
                    request.fds = vec![(1, FdSource::Fd(Arc::new(ends.theirs)))];
                    if null {
                        request.fds.extend([(0, FdSource::Null), (2, FdSource::Null)]);
                    }
                    let spawned = launched(request);
                    status(&spawned.process);
                    drop(spawned);
                    (0..3).for_each(|number| os::duplicate_to(&said, number));
                    let found: Vec<RawFd> =
                        parse(&std::io::read_to_string(ours).unwrap()).into_keys().collect();
                    let expected: &[RawFd] = if null { &[0, 1, 2] } else { &[1] };
                    assert_eq!(found, expected, "latch {latch}, null {null}");
                }
            }
        });
    });
}

#[test]
fn the_last_number_that_the_limit_allows_is_a_target_like_others() {
    alone(|| {
        everywhere(|| {
            os::limit_fds(200);
            let mut request = list();
            request.fds = vec![(199, FdSource::Null)];
            assert_eq!(numbers(request), [0, 1, 2, 199]);
        });
    });
}
