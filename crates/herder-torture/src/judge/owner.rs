//! The owner as the judge sees it: a process that was started, in a cell of its own.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use tempfile::TempDir;

use super::proc;
use crate::adapter::{CELL, LEASH, SLOWER, STOP, UP};
use crate::protocol::Answer;

/// Under which number a tree holds its end of the leash.
const TIED: i32 = 9;

/// An owner and its cell; when it is dropped, whatever is left of it is ended.
pub(super) struct Owner {
    folder: TempDir,
    leash: File,
    child: Child,
    stderr: PathBuf,
    /// Where its cgroups would be, and what was there before: numbers of processes come again.
    cgroups: Vec<PathBuf>,
    before: Vec<PathBuf>,
}

impl Owner {
    /// Starts an adapter. `ignoring` makes it ignore SIGCHLD from its birth.
    #[expect(clippy::disallowed_methods, reason = "the owner is no child of the library")]
    pub(super) fn start(
        contender: &str,
        scenario: &str,
        (ignoring, slower): (bool, u32),
        cgroups: &[PathBuf],
    ) -> io::Result<Self> {
        let before = cgroups.iter().flat_map(|folder| entries(folder)).collect();
        let folder = tempfile::Builder::new().prefix("torture-").tempdir()?;
        let path = |name| folder.path().join(name);
        mkfifo(&path("leash"), Mode::S_IRUSR | Mode::S_IWUSR)?;
        // Not waiting for somebody who writes.
        let leash = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path("leash"))?;
        fs::create_dir(path("tmp"))?;
        fs::set_permissions(path("tmp"), fs::Permissions::from_mode(0o700))?;
        let stderr = path("stderr");
        let program = std::env::current_exe()?;
        let mut command = if ignoring {
            let mut command = Command::new("sh");
            command.args(["-c", "trap '' CHLD; exec \"$0\" \"$@\""]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.args(["adapter", contender, scenario]);
        command.env(CELL, folder.path()).env(LEASH, path("leash")).env(UP, path("up"));
        command.env(STOP, path("stop")).env(SLOWER, slower.to_string()).env("TMPDIR", path("tmp"));
        // A pipe that nobody writes to.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(File::create(&stderr)?);
        let child = command.process_group(0).spawn()?;
        Ok(Self { folder, leash, child, stderr, cgroups: cgroups.to_vec(), before })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// How many of the tree have said that they are up.
    pub(super) fn ups(&self) -> usize {
        let entries = fs::read_dir(self.folder.path()).into_iter().flatten().flatten();
        entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("up-")).count()
    }

    /// What it has said, if it has.
    pub(super) fn said(&self) -> io::Result<Option<Answer>> {
        match fs::read(self.path("said")) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    pub(super) fn go(&self) -> io::Result<()> {
        fs::write(self.path("go"), b"")
    }

    /// Lets it go, and waits until it is gone. `None`: it stays.
    pub(super) fn leave(&mut self, patience: Duration) -> io::Result<Option<ExitStatus>> {
        fs::write(self.path("leave"), b"")?;
        let start = Instant::now();
        loop {
            match self.child.try_wait()? {
                None if start.elapsed() < patience => std::thread::sleep(PAUSE),
                status => return Ok(status),
            }
        }
    }

    pub(super) fn signal(&self, number: i32) -> io::Result<()> {
        Ok(kill(self.pid(), Signal::try_from(number)?)?)
    }

    pub(super) fn kill_group(&self) -> io::Result<()> {
        Ok(killpg(self.pid(), Signal::SIGKILL)?)
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Whether nobody holds the leash now.
    pub(super) fn is_free(&self) -> io::Result<bool> {
        match (&self.leash).read(&mut [0]) {
            Ok(read) => Ok(read == 0),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) fn survivors(&self) -> usize {
        proc::holders(&self.path("leash"), TIED).len()
    }

    /// What it said on stderr.
    pub(super) fn stderr(&self) -> String {
        let text = fs::read(&self.stderr).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// The first line of a panic, if there was one.
    pub(super) fn panicked(&self) -> Option<String> {
        let text = self.stderr();
        let mut lines = text.lines().skip_while(|line| !line.contains("panicked at"));
        let place = lines.next()?;
        let place = place.split("panicked at ").nth(1).unwrap_or(place);
        let place = place.rsplit("/src/index.crates.io-").next().unwrap_or(place);
        Some(format!("{}: {place}", lines.next().unwrap_or("no message")))
    }

    /// Folders that were left: its temporary ones, and cgroups with its number in their names.
    pub(super) fn folders(&self) -> Vec<String> {
        let names = self.left_cgroups().chain(entries(&self.path("tmp")));
        names.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect()
    }

    fn left_cgroups(&self) -> impl Iterator<Item = PathBuf> {
        let id = self.id().to_string();
        let of_owner = move |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.split(|letter: char| !letter.is_ascii_digit()).any(|part| part == id)
        };
        let now = self.cgroups.iter().flat_map(|folder| entries(folder));
        now.filter(of_owner).filter(|path| !self.before.contains(path))
    }
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// Removes a cgroup that nobody is in any more, and those in it. The files in it are the kernel's.
fn remove_cgroup(folder: &Path) {
    entries(folder).filter(|path| path.is_dir()).for_each(|inner| remove_cgroup(&inner));
    // Somebody may still be on the way out: then it stays.
    drop(fs::remove_dir(folder));
}

const PAUSE: Duration = Duration::from_millis(2);

impl Drop for Owner {
    fn drop(&mut self) {
        // Each step on its own: what can't be done here can't be done by anybody.
        drop(fs::write(self.path("stop"), b""));
        _ = killpg(self.pid(), Signal::SIGKILL);
        drop(self.child.kill());
        drop(self.child.wait());
        proc::sweep(&format!("{CELL}={}", self.folder.path().display()));
        self.left_cgroups().for_each(|left| remove_cgroup(&left));
    }
}
