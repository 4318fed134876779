//! What the figures were measured on.

use std::fs;
use std::thread;

/// One line for each fact, as Markdown.
pub(crate) fn facts() -> String {
    let read = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let load = read("/proc/loadavg");
    let load: Vec<_> = load.split(' ').take(3).collect();
    let user = rustix::process::getuid().as_raw();
    format!(
        "- Linux {}, {} processors ({}), load before {}, user id {user}\n\
         - transparent huge pages: {}\n\
         - {}; C library: {}\n",
        read("/proc/sys/kernel/osrelease"),
        thread::available_parallelism().map_or(0, usize::from),
        model.map_or("unknown", |(_, name)| name),
        load.join(" "),
        read("/sys/kernel/mm/transparent_hugepage/enabled"),
        env!("HERDER_BENCH_PEERS"),
        if cfg!(target_env = "musl") { "musl" } else { "glibc" },
    )
}
