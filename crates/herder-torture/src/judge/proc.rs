//! Looks at the processes of this host.

use std::fs;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The processes that hold a file as the descriptor of this number.
pub(super) fn holders(file: &Path, number: i32) -> Vec<i32> {
    let holds = |pid: &i32| fs::read_link(format!("/proc/{pid}/fd/{number}")).is_ok_and(|link| link == file);
    pids().filter(holds).collect()
}

/// The living processes whose environment holds the text.
fn marked(text: &str) -> Vec<i32> {
    let is = |pid: &i32| {
        fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|environ| environ.windows(text.len()).any(|window| window == text.as_bytes()))
    };
    pids().filter(is).collect()
}

/// The children of a process that have ended and are not reaped.
pub(super) fn zombies(of: u32) -> usize {
    let parent = of.to_string();
    let is = |pid: &i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let mut fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields).split(' ');
        fields.next() == Some("Z") && fields.next() == Some(&parent)
    };
    pids().filter(is).count()
}

/// What a process has used at most, in bytes.
pub(super) fn peak_memory(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
}

/// Ends whatever still has the mark, again and again until there is nothing.
pub(super) fn sweep(mark: &str) {
    for _ in 0..200 {
        let left = marked(mark);
        if left.is_empty() {
            return;
        }
        for pid in left {
            // It may have ended since.
            _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}
