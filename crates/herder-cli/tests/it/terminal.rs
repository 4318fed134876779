//! `herder` under a real terminal and a shell with job control: a person types, through tmux.

use std::path::Path;

use herder::contain::Leak;
use herder::{Command, Containment};
use tempfile::TempDir;

use crate::support::{LONG, eventually, state};

/// A terminal with a shell in it.
struct Terminal {
    folder: TempDir,
}

impl Terminal {
    /// `None`, said loudly, where there is no tmux or no bash.
    async fn open() -> Option<Self> {
        for tool in ["tmux", "bash"] {
            let found =
                Command::new("sh").args(["-c", &format!("command -v {tool}")]).output().await.unwrap();
            if !found.success() {
                eprintln!("SKIPPED: THE TERMINAL TESTS NEED {tool}; INSTALL IT");
                return None;
            }
        }
        let terminal = Self { folder: tempfile::tempdir().unwrap() };
        // Short names, so that no line is broken.
        let link =
            |path: &Path, name| std::os::unix::fs::symlink(path, terminal.folder.path().join(name)).unwrap();
        link(Path::new(env!("CARGO_BIN_EXE_herder")), "herder");
        link(test_child::path(), "tc");
        let shell =
            "exec env -u BASH_ENV PS1='> ' PATH=\"$PWD:$PATH\" TERM=screen bash --norc --noprofile -i";
        terminal.tmux(&["new-session", "-d", "-x", "110", "-y", "40", shell]).await;
        terminal.shows("the prompt", |lines| lines.last().is_some_and(|line| line == ">")).await;
        Some(terminal)
    }

    async fn tmux(&self, args: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command.args(["-f", "/dev/null", "-S", "socket"]).args(args).current_dir(self.folder.path());
        let report = command
            .env_remove("TMUX")
            // tmux starts its command through this one; some users have none that works (`nobody`).
            .env("SHELL", "/bin/sh")
            .leak(Leak::Ignore)
            .containment(Containment::None)
            .timeout(LONG)
            .output()
            .await
            .unwrap();
        report.checked().unwrap().stdout_lossy()
    }

    /// A line, and Enter.
    async fn line(&self, line: &str) {
        self.tmux(&["send-keys", "-l", line]).await;
        self.key("Enter").await;
    }

    async fn key(&self, key: &str) {
        self.tmux(&["send-keys", key]).await;
    }

    /// What is on the screen, without empty lines.
    async fn screen(&self) -> Vec<String> {
        let text = self.tmux(&["capture-pane", "-p"]).await;
        text.lines().map(str::trim_end).filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    /// Waits until the screen is as wanted.
    async fn shows(&self, what: &str, wanted: impl Fn(&[String]) -> bool) -> Vec<String> {
        let begin = std::time::Instant::now();
        loop {
            let screen = self.screen().await;
            if wanted(&screen) {
                return screen;
            }
            assert!(begin.elapsed() < LONG, "the screen never shows {what}:\n{}", screen.join("\n"));
        }
    }

    /// Waits for a line.
    async fn until(&self, line: &str) {
        self.shows(line, |lines| lines.iter().any(|shown| shown == line)).await;
    }

    /// Waits for the prompt, and asks the shell for the exit code of the last command.
    async fn expect_code(&self, code: i32) {
        // What is typed before is lost where the command has changed the modes of the terminal.
        self.shows("the prompt", |lines| lines.last().is_some_and(|line| line.ends_with('>'))).await;
        self.line("echo \"[$?]\"").await;
        let screen = self.shows("an exit code", |lines| lines.iter().any(|line| is_code(line))).await;
        let shown = screen.iter().rfind(|line| is_code(line)).unwrap();
        assert_eq!(*shown, format!("[{code}]"), "\n{}", screen.join("\n"));
        self.line("clear").await;
        self.shows("an empty screen", |lines| lines == [">"]).await;
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }
}

fn is_code(line: &str) -> bool {
    let number = line.strip_prefix('[').and_then(|line| line.strip_suffix(']'));
    number.is_some_and(|number| number.parse::<i32>().is_ok())
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The server, and with it the terminal, whose hangup ends what runs there.
        let mut kill = Command::new("tmux");
        kill.args(["-S", "socket", "kill-server"]).current_dir(self.folder.path());
        let ended = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { drop(kill.timeout(LONG).output().await) });
        });
        drop(ended.join());
    }
}

#[tokio::test]
async fn the_terminal_is_the_programs_own() {
    let Some(terminal) = Terminal::open().await else { return };
    terminal.line("herder run tc tty pid pgid").await;
    let screen = terminal.shows("the answers", |lines| lines.len() >= 5).await;
    assert_eq!(screen[1], "true true true", "\n{}", screen.join("\n"));
    terminal.expect_code(0).await;
    terminal.line("herder run --idle 20s tc tty").await;
    terminal.until("true false false").await;
    terminal.expect_code(0).await;
    terminal.line("herder run -t 20s tc mark:up read-stdin-line").await;
    // The shell forgets what was typed before it gives the terminal away.
    terminal.until("up").await;
    terminal.line("hello").await;
    terminal.until("read hello").await;
    terminal.expect_code(0).await;
}

#[tokio::test]
async fn it_is_also_there_for_a_program_whose_input_is_something_else() {
    let Some(terminal) = Terminal::open().await else { return };
    terminal.line("echo x | herder run sh -c 'echo up; read -r line < /dev/tty; echo \"got $line\"'").await;
    terminal.until("up").await;
    terminal.line("it").await;
    terminal.until("got it").await;
    terminal.expect_code(0).await;
    terminal.line("herder run tc eprintln:up hang | herder run --idle 1h tc eof-wait").await;
    terminal.until("up").await;
    terminal.key("C-c").await;
    terminal.expect_code(130).await;
}

#[tokio::test]
async fn ctrl_c_ends_the_program_and_the_prompt_is_back() {
    let Some(terminal) = Terminal::open().await else { return };
    for options in ["", "--idle 1h", "-t 1h", "--group"] {
        terminal.line(&format!("herder run {options} tc mark:up hang")).await;
        terminal.until("up").await;
        terminal.key("C-c").await;
        terminal.expect_code(130).await;
    }
    terminal.line("herder run sh -c 'echo up; exec sleep 100'").await;
    terminal.until("up").await;
    terminal.key("C-c").await;
    terminal.expect_code(130).await;
    terminal.line("herder run tc mark:up hang").await;
    terminal.until("up").await;
    terminal.key("C-\\").await;
    terminal.expect_code(131).await;
}

#[tokio::test]
async fn a_program_decides_what_ctrl_c_means() {
    let Some(terminal) = Terminal::open().await else { return };
    terminal.line("herder run tc on:INT:mark:int mark:up hang").await;
    terminal.until("up").await;
    for _ in 0..4 {
        terminal.key("C-c").await;
    }
    terminal.until("int").await;
    terminal.line("").await;
    terminal.key("C-\\").await;
    terminal.expect_code(131).await;
    terminal.line("herder run tc on:INT:exit:7 mark:up hang").await;
    terminal.until("up").await;
    terminal.key("C-c").await;
    terminal.expect_code(7).await;
}

#[tokio::test]
async fn ctrl_c_ends_a_loop_of_the_shell() {
    let Some(terminal) = Terminal::open().await else { return };
    for options in ["", "--group"] {
        terminal.line(&format!("for i in a b c; do herder run {options} tc mark:up$i hang; done")).await;
        terminal.until("upa").await;
        terminal.key("C-c").await;
        terminal.expect_code(130).await;
    }
    let script = "herder run tc mark:up hang; echo went on";
    std::fs::write(terminal.path("s"), script).unwrap();
    terminal.line("bash s").await;
    terminal.until("up").await;
    terminal.key("C-c").await;
    terminal.expect_code(130).await;
}

#[tokio::test]
async fn ctrl_z_and_fg() {
    let Some(terminal) = Terminal::open().await else { return };
    for options in ["", "--idle 1h", "--group"] {
        terminal.line(&format!("herder run {options} tc pid mark:up wait-file:go mark:done")).await;
        let screen = terminal.shows("the marker", |lines| lines.iter().any(|line| line == "up")).await;
        let program: u32 = screen.iter().find_map(|line| line.parse().ok()).unwrap();
        terminal.key("C-z").await;
        terminal.shows("that it is stopped", |lines| lines.iter().any(|line| line.contains("Stopped"))).await;
        eventually("the program is stopped", || state(program) == Some('T')).await;
        std::fs::write(terminal.path("go"), "").unwrap();
        terminal.line("fg").await;
        terminal.until("done").await;
        terminal.expect_code(0).await;
        std::fs::remove_file(terminal.path("go")).unwrap();
    }
}

#[tokio::test]
async fn a_job_in_the_background_reads_when_it_is_in_front() {
    let Some(terminal) = Terminal::open().await else { return };
    terminal.line("herder run tc on:CONT:mark:front mark:up read-stdin-line &").await;
    // Behind the prompt, which does not wait for it, or before it.
    let up = |line: &String| line == "up" || line == "> up";
    terminal.shows("the marker", |lines| lines.iter().any(up)).await;
    terminal.line("").await;
    terminal.shows("that it is stopped", |lines| lines.iter().any(|line| line.contains("Stopped"))).await;
    terminal.line("fg").await;
    terminal.until("front").await;
    terminal.line("hello").await;
    terminal.until("read hello").await;
    terminal.expect_code(0).await;
}

#[tokio::test]
async fn interactive_programs_work() {
    let Some(terminal) = Terminal::open().await else { return };
    terminal.line("herder run -t 1h bash --norc --noprofile -i").await;
    terminal.line("echo inner $((6*7))").await;
    terminal.until("inner 42").await;
    terminal.line("tc mark:up hang").await;
    // Before that, Ctrl-Z would take with it what was typed.
    terminal.until("up").await;
    terminal.key("C-z").await;
    terminal.shows("that it is stopped", |lines| lines.iter().any(|line| line.contains("Stopped"))).await;
    terminal.line("kill -9 %1; disown %1; exit 5").await;
    terminal.shows("the end", |lines| lines.iter().any(|line| line.contains("exit"))).await;
    terminal.expect_code(5).await;

    std::fs::write(terminal.path("text"), (1..=200).map(|n| format!("line {n}\n")).collect::<String>())
        .unwrap();
    if terminal.has("less").await {
        terminal.line("herder run less text").await;
        terminal.until("line 5").await;
        terminal.key("G").await;
        terminal.until("line 200").await;
        terminal.key("q").await;
        terminal.expect_code(0).await;
        terminal.line("cat text | herder run less").await;
        terminal.until("line 5").await;
        terminal.key("q").await;
        terminal.expect_code(0).await;
    }
    if terminal.has("vim").await {
        terminal.line("herder run vim -N -u NONE -n new").await;
        terminal
            .shows("an empty buffer", |lines| lines.iter().filter(|line| *line == "~").count() > 20)
            .await;
        terminal.tmux(&["send-keys", "-l", "ihello"]).await;
        let inserting = |lines: &[String]| lines.iter().any(|line| line.contains("-- INSERT --"));
        terminal.shows("that it inserts", inserting).await;
        // It forgets what is typed before it has dealt with this.
        terminal.key("C-c").await;
        terminal.shows("that it does not", |lines| !inserting(lines)).await;
        terminal.key("C-z").await;
        terminal.shows("that it is stopped", |lines| lines.iter().any(|line| line.contains("Stopped"))).await;
        terminal.line("fg").await;
        terminal.shows("the text", |lines| lines.iter().any(|line| line == "hello")).await;
        terminal.line(":wq").await;
        terminal.expect_code(0).await;
        assert_eq!(std::fs::read_to_string(terminal.path("new")).unwrap(), "hello\n");
    }
    if terminal.has("top").await {
        terminal.line("herder run top").await;
        terminal.shows("the processes", |lines| lines.iter().any(|line| line.contains("COMMAND"))).await;
        terminal.key("q").await;
        terminal.expect_code(0).await;
    }
}

impl Terminal {
    async fn has(&self, tool: &str) -> bool {
        let found =
            Command::new("sh").args(["-c", &format!("command -v {tool}")]).output().await.unwrap().success();
        if !found {
            eprintln!("SKIPPED: no {tool} to try under herder");
        }
        found
    }
}

#[tokio::test]
async fn a_limit_ends_what_the_program_has_started() {
    let Some(terminal) = Terminal::open().await else { return };
    // The shell ends at the SIGTERM and leaves the others, which are in the group of herder.
    terminal.line("herder run -q -t 3s sh -c 'tc pid hang & tc pid spawn-setsid:pid,hang hang & wait'").await;
    let pids = |lines: &[String]| lines.iter().filter_map(|line| line.parse().ok()).collect::<Vec<u32>>();
    let screen = terminal.shows("three programs", |lines| pids(lines).len() == 3).await;
    terminal.expect_code(124).await;
    assert_eq!(pids(&screen).into_iter().filter_map(state).collect::<Vec<_>>(), []);
}

/// A family at a terminal: its members have left the group in every way; the first pid is that of the program.
const FAMILY: &str = "tc pid spawn:pid,hang spawn-setsid:pid,hang spawn-detached:pid,hang hang";

/// Waits for the pids of the family.
async fn family(terminal: &Terminal) -> Vec<u32> {
    let pids = |lines: &[String]| lines.iter().filter_map(|line| line.parse().ok()).collect::<Vec<u32>>();
    pids(&terminal.shows("four programs", |lines| pids(lines).len() == 4).await)
}

fn runs(pid: &u32) -> bool {
    state(*pid).is_some_and(|state| state != 'Z')
}

#[tokio::test]
async fn nothing_survives_ctrl_c() {
    let Some(terminal) = Terminal::open().await else { return };
    for options in ["", "--scope group", "--group"] {
        terminal.line(&format!("herder run {options} {FAMILY}")).await;
        let pids = family(&terminal).await;
        terminal.key("C-c").await;
        terminal.expect_code(130).await;
        assert!(!pids.iter().any(runs), "{options}");
    }
    // Without a cgroup it is for us to find them.
    terminal.line("export HERDER_DISABLE=cgroup; clear").await;
    terminal.shows("an empty screen", |lines| lines == [">"]).await;
    terminal.line(&format!("herder run {FAMILY}")).await;
    let pids = family(&terminal).await;
    terminal.key("C-c").await;
    terminal.expect_code(130).await;
    assert!(!pids.iter().any(runs), "without a cgroup");
}

#[tokio::test]
async fn nothing_survives_the_end_of_the_terminal() {
    let Some(terminal) = Terminal::open().await else { return };
    terminal.line(&format!("herder run {FAMILY}")).await;
    let pids = family(&terminal).await;
    drop(terminal);
    eventually("nobody is left", || !pids.iter().any(runs)).await;
}

#[tokio::test]
async fn a_terminal_that_hangs_up_ends_the_program() {
    let Some(terminal) = Terminal::open().await else { return };
    terminal.line("herder run tc pid mark:up hang").await;
    let screen = terminal.shows("the marker", |lines| lines.iter().any(|line| line == "up")).await;
    let program: u32 = screen.iter().find_map(|line| line.parse().ok()).unwrap();
    drop(terminal);
    eventually("the program is gone", || state(program).is_none_or(|state| state == 'Z')).await;
}
