//! What /proc/PID/stat says of a process, and who is in a process group by that.

use std::fs;

/// Fields of proc_pid_stat(5), counted from behind the name.
pub(super) const STATE: usize = 0;
pub(super) const PARENT: usize = 1;
pub(super) const GROUP: usize = 2;
pub(super) const USER: usize = 11;
pub(super) const SYSTEM: usize = 12;
pub(super) const CHILDREN_USER: usize = 13;
pub(super) const CHILDREN_SYSTEM: usize = 14;
const THREADS: usize = 17;

/// The name, and the fields behind it.
pub(super) fn stat(pid: i32) -> Option<(String, Vec<String>)> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let text = String::from_utf8_lossy(&text);
    let (name, fields) = text.split_once('(')?.1.rsplit_once(')')?;
    Some((name.to_owned(), fields.split_whitespace().map(str::to_owned).collect()))
}

/// Whether all that are left in a group are dead, and wait to be reaped by their parents: kill(2) counts these, too.
pub(crate) fn dead_members_only(group: i32) -> bool {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut states = pids.filter_map(|pid| is_dead_in(group, pid)).peekable();
    // Who is not seen may live.
    states.peek().is_some() && states.all(|dead| dead)
}

/// Whether a process is dead, if it is in this group.
fn is_dead_in(group: i32, pid: i32) -> Option<bool> {
    let (_, fields) = stat(pid)?;
    let number = |field: usize| fields.get(field)?.parse::<i32>().ok();
    // A first thread that has ended is a zombie while others run.
    let dead =
        || matches!(fields[STATE].as_str(), "Z" | "X") && number(THREADS).is_some_and(|count| count <= 1);
    (number(GROUP)? == group).then(dead)
}
