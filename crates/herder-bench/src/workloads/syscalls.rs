//! System calls of one operation, counted by strace.
//!
//! Every contender runs 20 and then 120 operations under `strace -f`; the difference by 100 leaves out the start of the
//! program and of its runtime. In the trace a thread whose execve names one of the tiny programs is a child: what it
//! calls until then, the execve included, is the child's, and what it calls afterwards is not counted. Every other
//! thread (main, workers, reactors, spawners) is the parent. A call that strace itself interrupts (a traced process is
//! woken by a SIGCHLD that it ignores) and that the kernel restarts is one call.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::env;
use std::fs;
use std::io;
use std::process::Command;

use super::Effort;
use crate::contenders::{self, Takes, Task};
use crate::spec::Opt;
use crate::table::{Better, Table};

pub(super) fn syscalls(effort: &Effort) -> io::Result<Vec<Table>> {
    let operations = [
        ("spawn-wait", Task::SpawnWait(Opt::Plain), "spawn and wait"),
        ("output", Task::Output, "capture of 24 bytes"),
    ];
    operations.into_iter().map(|(operation, task, title)| measure(effort, operation, task, title)).collect()
}

fn measure(effort: &Effort, operation: &str, task: Task, title: &str) -> io::Result<Table> {
    let note = "Counted by strace for 100 operations one after another. The child's are those before its program \
                starts, the `execve` included.";
    let columns = [("parent", 1), ("child", 1)];
    let title = format!("System calls: {title}");
    let mut table = Table::new(&title, note, &columns, ("parent", Better::Less)).variant(operation);
    for &name in contenders::NAMES.iter().filter(|name| effort.wants(name)) {
        match contenders::start(name) {
            Ok(contender) if contender.takes(task) == Takes::Yes && contender.is_here() => {}
            Ok(_) => continue,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        }
        match count(name, operation, effort) {
            Ok([parent, child]) => table.row(name, &[parent, child]),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(io::Error::other("strace is not installed"));
            }
            Err(error) => table.failed(name, &error.to_string()),
        }
    }
    Ok(table.ratios(&["raw", "tokio-ct"]))
}

/// The system calls of one operation, in the parent and in the child.
fn count(contender: &str, operation: &str, effort: &Effort) -> io::Result<[f64; 2]> {
    let (few, many) = effort.pick((2, 12), (20, 120), (20, 120));
    let [before, after] = [trace(contender, operation, few)?, trace(contender, operation, many)?];
    let each = |calls: usize, before: usize| (calls as f64 - before as f64) / (many - few) as f64;
    Ok([each(after[0], before[0]), each(after[1], before[1])])
}

#[expect(clippy::disallowed_methods, reason = "strace is not what is measured")]
fn trace(contender: &str, operation: &str, operations: usize) -> io::Result<[usize; 2]> {
    let path = env::temp_dir().join(format!("herder-bench-{}.trace", std::process::id()));
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o"]).arg(&path).arg(env::current_exe()?);
    let status = command.args(["loop", contender, operation, &operations.to_string()]).status()?;
    let trace = fs::read_to_string(&path)?;
    fs::remove_file(&path)?;
    if status.success() {
        Ok(counted(&trace))
    } else {
        Err(io::Error::other(format!("it ended with {status}")))
    }
}

/// How many calls the parent's threads and the children made.
fn counted(trace: &str) -> [usize; 2] {
    let lines =
        || trace.lines().filter_map(|line| line.split_once(' ')).map(|(id, rest)| (id, rest.trim_start()));
    let starts_program = |call: &str| {
        let program = call.strip_prefix("execve(\"").and_then(|rest| rest.split('"').next());
        program.is_some_and(|program| program.contains("/tiny-"))
    };
    let children: HashSet<&str> =
        lines().filter(|(_, call)| starts_program(call)).map(|(id, _)| id).collect();
    let mut over = HashSet::new();
    // By role and name, so that a call that is restarted can be taken back.
    let mut calls: BTreeMap<(usize, &str), usize> = BTreeMap::new();
    let (mut last, mut again) = (HashMap::new(), HashMap::new());
    for (id, call) in lines() {
        let restarts = call.contains("= ? ERESTART");
        if over.contains(id) {
            continue;
        }
        if call.starts_with("<... ") {
            if restarts && let Some(&key) = last.get(id) {
                *calls.entry(key).or_default() -= 1;
                again.insert(id, key);
            }
            continue;
        }
        let Some((name, _)) = call.split_once('(') else { continue };
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') || name.is_empty() {
            continue;
        }
        let mut key = (usize::from(children.contains(id)), name);
        if restarts {
            again.insert(id, key);
            continue;
        }
        if name == "restart_syscall" {
            key = again.get(id).copied().unwrap_or(key);
        }
        last.insert(id, key);
        *calls.entry(key).or_default() += 1;
        if name == "execve" && children.contains(id) {
            over.insert(id);
        }
    }
    let sum = |role| calls.iter().filter(|((of, _), _)| *of == role).map(|(_, count)| count).sum();
    [sum(0), sum(1)]
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn calls_are_counted_by_role_and_restarted_ones_once() {
        let trace = "\
10 clone3({flags=CLONE_VM}, 88 <unfinished ...>
11 setpgid(0, 0) = 0
11 execve(\"/x/tiny-exit\", [\"/x/tiny-exit\"], 0x1 <unfinished ...>
10 <... clone3 resumed>) = 11
11 <... execve resumed>) = 0
11 exit_group(0) = ?
10 poll([{fd=3}], 1, -1 <unfinished ...>
10 <... poll resumed>) = ? ERESTART_RESTARTBLOCK (Interrupted by signal)
10 --- SIGCHLD {si_signo=SIGCHLD} ---
10 restart_syscall(<... resuming interrupted poll ...>) = 1
11 +++ exited with 0 +++
10 wait4(11, NULL, 0, NULL) = 11
";
        assert_eq!(counted(trace), [3, 2]);
    }
}
