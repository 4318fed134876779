//! Where this program is in the cgroup v2 hierarchy, read from the kernel's own texts.
//!
//! Nothing is guessed: hybrid hosts mount the hierarchy beside the old ones, containers mount a part of it, or mount it
//! read-only, or show it from within a cgroup namespace.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// One way to our own cgroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The folder.
    pub(super) dir: PathBuf,
    /// Whether it is mounted read-only.
    pub(super) read_only: bool,
}

/// Why there is no way to our own cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// The kernel does not say where we are: no cgroup v2 at all.
    Unknown,
    /// The hierarchy is mounted nowhere that we can see.
    NotMounted,
    /// What is mounted does not hold our own cgroup: it was removed, or lies outside our namespace.
    Outside,
}

/// Our own cgroup as `/proc/self/cgroup` names it: its line without a hierarchy number.
pub(super) fn own_path(cgroup: &[u8]) -> Option<&[u8]> {
    cgroup.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"0::"))
}

/// The ways to our own cgroup: those that can be written first, and the one that was mounted last of these first.
pub(super) fn places(mountinfo: &[u8], cgroup: &[u8]) -> Result<Vec<Place>, Missing> {
    let own = own_path(cgroup).ok_or(Missing::Unknown)?;
    let mut mounts = mountinfo.split(|byte| *byte == b'\n').filter_map(mount).peekable();
    if mounts.peek().is_none() {
        return Err(Missing::NotMounted);
    }
    let mut places: Vec<Place> = mounts.filter_map(|mount| mount.place_of(own)).collect();
    places.reverse();
    places.sort_by_key(|place| place.read_only);
    if places.is_empty() { Err(Missing::Outside) } else { Ok(places) }
}

/// Which hierarchy of the first version has `controller`, if one has: it is not to be had in the second then.
pub(super) fn is_in_first_version(cgroup: &[u8], controller: &str) -> bool {
    cgroup.split(|byte| *byte == b'\n').any(|line| {
        let mut parts = line.splitn(3, |byte| *byte == b':').skip(1);
        let names = parts.next().unwrap_or_default();
        names.split(|byte| *byte == b',').any(|name| name == controller.as_bytes())
    })
}

/// A mount of the hierarchy.
struct Mount {
    /// The cgroup that is mounted.
    root: Vec<u8>,
    point: Vec<u8>,
    read_only: bool,
}

/// One line of mountinfo (proc_pid_mountinfo(5)): id, parent, device, root, mount point, options, optional fields,
/// a dash, type, source, options of the file system.
fn mount(line: &[u8]) -> Option<Mount> {
    let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let dash = 6 + words.get(6..)?.iter().position(|word| *word == b"-")?;
    if *words.get(dash + 1)? != b"cgroup2" {
        return None;
    }
    let has_ro = |options: &[u8]| options.split(|byte| *byte == b',').any(|option| option == b"ro");
    let read_only = has_ro(words[5]) || words.get(dash + 3).is_some_and(|options| has_ro(options));
    Some(Mount { root: plain(words[3]), point: plain(words[4]), read_only })
}

impl Mount {
    /// The folder of cgroup `own`. A path with `..` leads out of our cgroup namespace, and a removed cgroup says so.
    fn place_of(&self, own: &[u8]) -> Option<Place> {
        let up = |path: &[u8]| path.split(|byte| *byte == b'/').any(|part| part == b"..");
        if up(own) || up(&self.root) || own.ends_with(b" (deleted)") {
            return None;
        }
        let root = self.root.strip_suffix(b"/").unwrap_or(&self.root);
        let below = own.strip_prefix(root)?;
        let below = match below {
            [] => below,
            [b'/', rest @ ..] => rest,
            _ => return None,
        };
        let mut dir = self.point.clone();
        if !below.is_empty() {
            dir.push(b'/');
            dir.extend_from_slice(below);
        }
        Some(Place { dir: PathBuf::from(OsString::from_vec(dir)), read_only: self.read_only })
    }
}

/// Without the escapes that stand for blanks and backslashes: `\040`.
fn plain(word: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(word.len());
    let mut rest = word;
    while let [byte, behind @ ..] = rest {
        let octal = (*byte == b'\\').then(|| behind.first_chunk::<3>()).flatten();
        match octal.filter(|digits| digits.iter().all(|digit| (b'0'..=b'7').contains(digit))) {
            Some(digits) => {
                plain.push(digits.iter().fold(0, |value: u8, digit| (value << 3) | (digit - b'0')));
                rest = &behind[3..];
            }
            None => {
                plain.push(*byte);
                rest = behind;
            }
        }
    }
    plain
}

#[cfg(test)]
#[path = "find_tests.rs"]
mod tests;
