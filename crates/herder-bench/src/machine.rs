//! What the figures were measured on.

use std::fs;
use std::io;
use std::thread;

use crate::contenders;

/// The memory that can be had without swapping, in bytes.
pub(crate) fn available_memory() -> io::Result<usize> {
    let info = fs::read_to_string("/proc/meminfo")?;
    let line = info.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<usize>().ok());
    Ok(kib.ok_or_else(|| io::Error::other("/proc/meminfo does not tell what is available"))? << 10)
}

/// A sentence for each fact.
pub(crate) fn facts() -> Vec<String> {
    let read = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let load = read("/proc/loadavg");
    let load: Vec<_> = load.split(' ').take(3).collect();
    let user = rustix::process::getuid().as_raw();
    let installed = contenders::languages();
    vec![
        format!(
            "Linux {}, {} processors ({}), {} GiB of memory available, load before {}, user id {user}",
            read("/proc/sys/kernel/osrelease"),
            thread::available_parallelism().map_or(0, usize::from),
            model.map_or("unknown", |(_, name)| name),
            available_memory().unwrap_or(0) >> 30,
            load.join(" "),
        ),
        format!("transparent huge pages: {}", read("/sys/kernel/mm/transparent_hugepage/enabled")),
        format!(
            "{}; C library: {}",
            env!("HERDER_BENCH_PEERS"),
            if cfg!(target_env = "musl") { "musl" } else { "glibc" }
        ),
        format!("Herder's strongest scope here: {}", contenders::strength()),
        format!("other languages: {}", installed.join(", ")),
    ]
}
