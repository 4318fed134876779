//! The control groups (v2) of this host, as files: where they are mounted, where we are, and what is below our own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where the hierarchy is mounted.
pub(crate) fn mount() -> Option<PathBuf> {
    Some(mounted(&fs::read_to_string("/proc/self/mountinfo").ok()?)?.1)
}

/// The cgroup that we are in, as a directory.
pub(crate) fn own() -> Option<PathBuf> {
    let (root, mount) = mounted(&fs::read_to_string("/proc/self/mountinfo").ok()?)?;
    let path = path_of(&fs::read_to_string("/proc/self/cgroup").ok()?)?;
    let below = path.strip_prefix(root).ok()?;
    Some(if below.as_os_str().is_empty() { mount } else { mount.join(below) })
}

/// The mount of a cgroup2 that was made last, and so covers others: which part of the hierarchy, and where it is.
fn mounted(mountinfo: &str) -> Option<(PathBuf, PathBuf)> {
    mountinfo.lines().rev().find_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        let mut fields = place.split(' ').skip(3);
        let (root, at) = (fields.next()?, fields.next()?);
        (kind.split(' ').next() == Some("cgroup2")).then(|| (unescape(root).into(), unescape(at).into()))
    })
}

/// Blanks and the like are octal there.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

fn path_of(cgroup: &str) -> Option<PathBuf> {
    cgroup.lines().find_map(|line| line.strip_prefix("0::")).map(PathBuf::from)
}

/// The directories that our scopes are in: the library names them so that everybody can tell whose they are. They are
/// in our own cgroup or, where that has been delegated with a neighbour, beside it.
fn houses(own: &Path) -> Vec<PathBuf> {
    let ours = format!("herder-{}-", std::process::id());
    let folders = [Some(own), own.parent()].into_iter().flatten();
    let entries = folders.filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    entries
        .filter(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with(&ours)))
        .map(|entry| entry.path())
        .collect()
}

/// Moves everybody who is in a scope of ours to the cgroup that we are in ourselves, so that they outlive us.
///
/// # Errors
///
/// As write(2) to the list of processes.
pub(crate) fn let_go() -> io::Result<()> {
    let Some(own) = own() else { return Ok(()) };
    for house in houses(&own) {
        // Who forks meanwhile leaves somebody for the next round; a fork bomb could go on so for ever.
        for _ in 0..100 {
            if move_all(&house, &own)? == 0 {
                break;
            }
        }
    }
    Ok(())
}

/// Gives how many there were.
fn move_all(from: &Path, to: &Path) -> io::Result<usize> {
    let mut count = 0;
    for entry in fs::read_dir(from)?.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            count += move_all(&entry.path(), to)?;
        }
    }
    for pid in fs::read_to_string(from.join("cgroup.procs")).unwrap_or_default().lines() {
        match fs::write(to.join("cgroup.procs"), pid) {
            Ok(()) => count += 1,
            // It has ended.
            Err(error) if error.raw_os_error() == Some(3) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hierarchy_is_found_where_it_is_mounted() {
        let text = "30 23 0:26 / /sys/fs/cgroup ro,nosuid shared:9 - tmpfs tmpfs ro\n\
                    31 30 0:27 /a\\040b /sys/fs/cgroup/uni\\040fied rw shared:10 - cgroup2 cgroup2 rw\n\
                    33 30 0:29 / /sys/fs/cgroup/memory rw shared:12 - cgroup cgroup rw,memory\n";
        assert_eq!(mounted(text), Some(("/a b".into(), "/sys/fs/cgroup/uni fied".into())));
        assert_eq!(mounted(""), None);
        assert_eq!(path_of("1:name=systemd:/x\n0::/user/me\n"), Some("/user/me".into()));
        assert_eq!(path_of("1:cpu:/x\n"), None);
    }
}
