//! Requests, children, and what they say.

use std::ffi::{OsStr, OsString};
use std::io::{PipeReader, Read};
use std::os::windows::io::OwnedHandle;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use herder_sys::{FdSource, LaunchError, Process, SpawnRequest, Spawned, Strings, environment, spawn};

/// No test takes longer: one that does hangs.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn strings(words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Strings {
    let mut strings = Strings::new();
    for word in words {
        strings.push(&[word.as_ref()]).unwrap();
    }
    strings
}

/// A request for a file with arguments.
pub(crate) fn request_for(
    file: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> SpawnRequest {
    let file = file.as_ref();
    let words =
        std::iter::once(file.to_owned()).chain(arguments.into_iter().map(|word| word.as_ref().to_owned()));
    SpawnRequest::new(strings([file]), strings(words))
}

/// A request for the fixture program with its steps.
pub(crate) fn request(steps: &[&str]) -> SpawnRequest {
    let mut request = request_for(test_child::path(), steps);
    request.fds = vec![(0, FdSource::Null)];
    request
}

/// Its standard output, as a pipe that blocks.
pub(crate) fn piped(request: &mut SpawnRequest) -> PipeReader {
    let (reader, writer) = std::io::pipe().unwrap();
    request.fds.push((1, FdSource::Fd(Arc::new(OwnedHandle::from(writer)))));
    reader
}

pub(crate) fn start(request: SpawnRequest) -> Process {
    let Spawned { process, .. } = spawn(request).unwrap();
    process
}

pub(crate) fn status(process: &Process) -> ExitStatus {
    process.wait_exited().unwrap();
    process.reap().unwrap().unwrap().status
}

/// What it writes, to the end.
pub(crate) fn output_of(mut request: SpawnRequest) -> Result<String, LaunchError> {
    let mut reader = piped(&mut request);
    let Spawned { process, .. } = spawn(request)?;
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert!(status(&process).success(), "{text}");
    Ok(text)
}

/// One line, read byte by byte.
pub(crate) fn line(reader: &mut PipeReader) -> String {
    let (mut line, mut byte) = (Vec::new(), [0]);
    loop {
        reader.read_exact(&mut byte).unwrap();
        match byte[0] {
            b'\n' => return String::from_utf8(line).unwrap(),
            byte => line.push(byte),
        }
    }
}

/// Waits for the end of a pipe: nobody has the other end any more. A test that has leaked it fails, and does not hang.
pub(crate) fn ended(mut reader: PipeReader) {
    let (sender, end) = std::sync::mpsc::channel();
    std::thread::spawn(move || drop(sender.send(reader.read_to_end(&mut Vec::new()))));
    end.recv_timeout(LIMIT).expect("somebody has the other end of the pipe").unwrap();
}

/// A word as the fixture program shows it.
pub(crate) fn escaped(word: &OsStr) -> String {
    let escape = |&byte: &u8| match byte {
        b'"' | b'\'' => char::from(byte).to_string(),
        byte => byte.escape_ascii().to_string(),
    };
    word.as_encoded_bytes().iter().map(escape).collect()
}

pub(crate) fn wide(units: &[u16]) -> OsString {
    std::os::windows::ffi::OsStringExt::from_wide(units)
}

/// Blocks until something is so that nobody tells us of.
pub(crate) fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < LIMIT, "not so: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether this is no Windows but Wine, which can't show what a test is about; says why.
pub(crate) fn skipped_by_wine(why: &str) -> bool {
    let wine = is_wine();
    if wine {
        println!("skipped under Wine: {why}");
    }
    wine
}

fn is_wine() -> bool {
    use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};
    let name: Vec<u16> = "ntdll.dll\0".encode_utf16().collect();
    // SAFETY: a string with its NUL.
    let ntdll = unsafe { GetModuleHandleW(name.as_ptr()) };
    // SAFETY: a module that is never unloaded, and a string with its NUL.
    unsafe { GetProcAddress(ntdll, c"wine_get_version".as_ptr().cast()) }.is_some()
}

/// Our environment and one more variable.
pub(crate) fn with_variable(name: &str, value: &str) -> Arc<Strings> {
    let mut variables = Strings::new();
    for (key, value) in environment().pairs() {
        variables.push(&[key, "=".as_ref(), value]).unwrap();
    }
    variables.push(&[name.as_ref(), "=".as_ref(), value.as_ref()]).unwrap();
    Arc::new(variables)
}

/// Runs the named test in a copy of this program that has a console, whatever we have; true in that copy.
pub(crate) fn in_a_console(test: &str) -> bool {
    const INSIDE: &str = "HERDER_TEST_CONSOLE";
    if std::env::var_os(INSIDE).is_some() {
        use windows_sys::Win32::System::Console::{AllocConsole, FreeConsole};
        // One that only looks like a console, too: that is what a program of Wine has without a terminal.
        // SAFETY: no arguments. It fails where there is none.
        unsafe { FreeConsole() };
        // SAFETY: no arguments.
        assert_ne!(unsafe { AllocConsole() }, 0, "{}", std::io::Error::last_os_error());
        return true;
    }
    let mut asked = request_for(std::env::current_exe().unwrap(), ["--exact", test]);
    asked.env = Some(with_variable(INSIDE, "1"));
    let mut reader = piped(&mut asked);
    asked.fds.push((2, FdSource::Same(1)));
    let process = start(asked);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert!(status(&process).success() && text.contains("1 passed"), "{text}");
    false
}

/// A generator of numbers that are the same in each run.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}
