//! What the tests share: requests, ends, and processes of their own.

#[cfg(not(herder_portable))]
pub(crate) mod house;
pub(crate) mod os;
pub(crate) mod scopes;
pub(crate) mod seccomp;

use std::cell::RefCell;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Seek};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use herder_sys::{
    FdSource, LaunchError, Mechanism, Process, Scope, SpawnRequest, Spawned, Strings, pipe, set_nonblocking,
    spawn,
};

/// For what takes milliseconds.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// How many times slower than a usual one this machine is: for an emulated one.
pub(crate) fn slower() -> u32 {
    std::env::var("HERDER_TEST_SLOWER").map_or(1, |times| times.parse().expect("a number"))
}

pub(crate) fn strings(words: &[&str]) -> Strings {
    let mut strings = Strings::new();
    for word in words {
        strings.push(&[OsStr::new(word)]).expect("no NUL");
    }
    strings
}

pub(crate) fn sh(script: &str) -> SpawnRequest {
    SpawnRequest::new(strings(&["/bin/sh"]), strings(&["sh", "-c", script]))
}

/// A child that stays until it is ended.
pub(crate) fn sleeper() -> SpawnRequest {
    SpawnRequest::new(strings(&["/bin/sleep", "/usr/bin/sleep"]), strings(&["sleep", "1000"]))
}

thread_local! {
    /// Where this thread's children are born: see `everywhere`.
    static BIRTHPLACE: RefCell<Option<Scope>> = const { RefCell::new(None) };
}

/// Runs `body` twice: with children that we bear, and with such as a keeper bears. What is promised for the one holds
/// for the other.
pub(crate) fn everywhere(body: impl Fn()) {
    body();
    // A test may want the low numbers.
    let low: Vec<File> = (0..50).map(|_| os::memory_file()).collect();
    let scope = scopes::scope_by(Mechanism::Keeper);
    if let Some(scope) = scope {
        // What the keeper says at first is read, so that no descriptor comes later.
        status(&scopes::launched_in(&scope, sh("exit 0")));
        assert!(scope.is_empty().expect("the kernel's word"));
        drop(low);
        BIRTHPLACE.set(Some(scope));
        body();
        BIRTHPLACE.set(None);
    }
}

pub(crate) fn by_keeper() -> bool {
    BIRTHPLACE.with_borrow(Option::is_some)
}

pub(crate) fn born(request: SpawnRequest) -> Result<Spawned, LaunchError> {
    spawn(BIRTHPLACE.with_borrow(|place| match place {
        Some(scope) => scopes::inside(scope, request),
        None => request,
    }))
}

pub(crate) fn launched(request: SpawnRequest) -> Spawned {
    let spawned = born(request).expect("born");
    spawned.launch.wait(LIMIT * slower()).expect("in time").expect("executed");
    spawned
}

pub(crate) fn status(process: &Process) -> ExitStatus {
    process.wait_exited().expect("waited for");
    process.reap().expect("reaped").expect("it has exited").status
}

pub(crate) fn code(request: SpawnRequest) -> Option<i32> {
    status(&launched(request).process).code()
}

/// The error of a spawn that fails, wherever it does. Nothing is left of the child.
pub(crate) fn failure(request: SpawnRequest) -> LaunchError {
    let spawned = match born(request) {
        Ok(spawned) => spawned,
        Err(error) => return error,
    };
    let failure = spawned.launch.wait(LIMIT * slower()).expect("in time").expect_err("it must fail");
    assert_eq!(status(&spawned.process).code(), Some(127));
    failure
}

/// What the child writes to its stdout. It must exit with 0.
pub(crate) fn output(mut request: SpawnRequest) -> String {
    let ends = pipe(false).expect("a pipe");
    request.fds.push((1, FdSource::Fd(ends.theirs.into())));
    let spawned = launched(request);
    set_nonblocking(&ends.ours, false).expect("our own pipe");
    let mut text = String::new();
    File::from(ends.ours).read_to_string(&mut text).expect("UTF-8");
    let status = status(&spawned.process);
    assert!(status.success(), "{status}: {text}");
    text
}

/// Looks until it is so: for what happens in another process and tells nobody.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < LIMIT * slower(), "not in time: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Runs `body`, a closure in a test, in a process of its own: this program anew, with this test only.
pub(crate) fn alone<F: FnOnce()>(body: F) {
    alone_with(&[], body);
}

/// The same with other environment variables.
pub(crate) fn alone_with<F: FnOnce()>(variables: &[(&str, &str)], body: F) {
    let name = std::any::type_name::<F>();
    let (_, name) = name.split_once("::").expect("a path in this program");
    let name = name.trim_end_matches("::{{closure}}");
    if std::env::var_os("HERDER_TEST_ALONE").is_some_and(|alone| alone == name) {
        // The default action ends it: a hang is a failure.
        os::alarm(100 * slower());
        return body();
    }
    let (status, said) = run_test(name, variables);
    // Written, not panicked with: so it is shown as it is.
    assert!(status.success(), "alone, with {variables:?}: {status}\n{said}");
}

#[expect(clippy::disallowed_methods, reason = "this program is not under test")]
fn run_test(name: &str, variables: &[(&str, &str)]) -> (ExitStatus, String) {
    let mut said = os::memory_file();
    let copy = |file: &File| file.try_clone().expect("a descriptor");
    let status = std::process::Command::new(std::env::current_exe().expect("our own path"))
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env("HERDER_TEST_ALONE", name)
        .envs(variables.iter().copied())
        .stdin(std::process::Stdio::null())
        .stdout(copy(&said))
        .stderr(copy(&said))
        .status()
        .expect("our own program");
    let mut text = String::new();
    said.rewind().expect("a file");
    said.read_to_string(&mut text).expect("UTF-8");
    assert!(!status.success() || text.contains("1 passed"), "no such test: {name}\n{text}");
    (status, text)
}
