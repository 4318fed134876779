//! The texts of the help that stand behind the options: what to try, and what the codes and signals mean.
//!
//! Lines have at most 80 columns, as clap leaves their breaks where they are, and those of examples and tables 75: in a
//! manual page they are shown as they are, with a margin. There a heading is a line that ends with a colon, all else is
//! indented by two, and what is indented further, has a gap of three or begins with `herder` is an example or a row.

pub(crate) const ABOUT: &str = "Runs commands so that nothing they start outlives what you allowed";

pub(crate) const MAIN: &str = "\
Try:
  herder run -t 10s -- make test     stop it after ten seconds
  herder help run                    everything about `run`, with examples
  herder doctor                      what this host can enforce
  herder init -- ./server            as the first process of a container
  herder completions bash            completions for your shell
  herder man run                     the manual page";

pub(crate) const COMPLETIONS: &str = "\
Examples:
  herder completions bash >> ~/.bash_completion
  herder completions fish > ~/.config/fish/completions/herder.fish
  herder completions zsh > ~/.zfunc/_herder";

pub(crate) const MAN: &str = "\
Examples:
  herder man run | man -l -
  herder man > /usr/local/share/man/man1/herder.1";

pub(crate) const DOCTOR: &str = "\
Examples:
  herder doctor
  herder doctor --json | jq -r '.scopes[] | select(.can) | .strength'

Report (--json):
  v, version            1, and that of herder
  kernel                its release
  cgroup_mount, own_cgroup
                        directories; null where there is none (Linux)
  scopes                the strongest first: strength, can, reason
  limits                memory, pids and cpu: limit, can, reason
  facts                 clone3, clone_pidfd, pidfd, shared_memory,
                        close_range: what starting a program builds on
                        (Linux)";

pub(crate) const INIT_SHORT: &str = "\
Examples:
  herder init -- ./server                as the entry point of a container

`herder help init` tells more, with the exit codes.";

pub(crate) const INIT_LONG: &str = "\
Examples:
  In a Dockerfile:
    ENTRYPOINT [\"herder\", \"init\", \"--\"]
    CMD [\"./server\"]

  To try it:
    unshare --pid --fork --mount-proc herder init -- sh

Exit codes:
  the program's own   it ended by itself
  125                 herder itself failed
  126                 the program was found and can't be executed
  127                 the program was not found
  128+n               signal n ended it

Signals:
  What comes is passed on to the program itself, real-time signals included,
  but for those that report a fault or a child. Whether it ends is for the
  program to say: nothing is added to a SIGTERM. Under a terminal the program
  has the signals of the keyboard from there. Once the program has ended,
  SIGTERM, SIGINT or SIGHUP kills what is left at once.";

pub(crate) const RUN_SHORT: &str = "\
Examples:
  herder run -t 30s make test            stop it after half a minute
  herder run --idle 5m ./deploy          stop it after five minutes of silence
  herder run --head 4K --tail 64K make   the two ends of a long output

`herder help run` tells more, with the exit codes.";

pub(crate) const RUN_LONG: &str = "\
Examples:
  Stop a test run after ten minutes; leave it 30 s to clean up:
    herder run -t 10m -k 30s make test

  Interrupt it first, then terminate it, then kill it:
    herder run -t 1h --stop INT:5s,TERM:10s ./server

  End a job that has stopped talking, and keep its whole output in out.stdout
  and out.stderr:
    herder run --idle 5m --spill out ./deploy

  Like tee(1), with time and name before each line, and never more than three
  files of 10 MB:
    herder run --tee web.log --rotate 10M,3 --prefix --timestamps ./web

  Both streams as one, in the exact order, without tokens in it:
    herder run --merge --redact 'token=\\S+' ./deploy > deploy.log

  The same order, with the name of its stream and the time of its write before
  each line (Linux):
    herder run --merge=exact --prefix --timestamps ./web

  A failure unless it says that it is ready:
    herder run --ready-line '^listening on' --json run.json ./web

  Only the first 4 KiB and the last 64 KiB of a long output:
    herder run --head 4K --tail 64K cargo build -v

  An empty environment, another directory, another user:
    herder run --env-clear -e PATH=/bin -C /srv/app --uid www-data ./job

  Nothing unless the kernel itself holds all that it starts; and a failure if
  it leaves anything behind:
    herder run --require-scope cgroup --leak fail ./job

  With half a gigabyte, 100 processes and one and a half processors, or not
  at all:
    herder run --memory 512M --pids 100 --cpu 1.5 --require-limits ./job

  What it used, as JSON:
    herder run --json usage.json make && jq .usage.max_rss_bytes usage.json

Exit codes:
  the program's own   it ended by itself
  124                 a limit ended it (but see --preserve-status)
  125                 herder itself failed: wrong usage, or a setting, a
                      scope or a file that could not be had; --leak fail;
                      or a success before a line matched --ready-line
  126                 the program was found and can't be executed
  127                 the program was not found
  128+n               signal n ended it: 130 is Ctrl-C, 137 a kill, 143 a
                      termination

Signals:
  SIGTERM, SIGHUP and SIGINT to herder stop the program as --stop says. Without
  --stop and --signal the signal that came is sent first, then SIGTERM, then
  comes the kill, --kill-after apart. A second signal takes the next step at
  once, a third one kills. A signal that is ignored when herder starts, as
  SIGHUP under nohup(1), stays ignored.

  Under a terminal the program shares it with herder: Ctrl-C, Ctrl-\\ and
  Ctrl-Z reach it from there, and herder waits for what it makes of them.

  Limits and the signals that stop are for the whole scope: all that the
  program has started, wherever it has gone. Where there is no cgroup they are
  for its process group, or under a terminal for the program alone; what it has
  left is asked to end then with SIGTERM and killed after the grace period.

  SIGQUIT, SIGUSR1, SIGUSR2 and SIGTSTP are passed on. When herder itself is
  killed, so is all that is in the cgroup; without one, the program.

Scope:
  Under --scope auto and cgroup the program is born into a control group, which
  neither setsid(2) nor a double fork leaves. What is left in it when the program
  has ended is up to --leak. To let somebody live on, herder moves it to the
  cgroup that herder itself is in. `herder doctor` says what this host can do.

  Without a cgroup, herder finds what is left among the orphans, which become
  its children; one that another user owns can't be ended.

  --scope pidns is for programs that are not trusted to end (it is no sandbox):
  the program is born into a PID namespace, which nobody leaves, and which the
  kernel ends as a whole. It
  sees other pids, a /proc that shows those inside only, and its own mounts; an
  ordinary user sees all others as nobody, and can't become one (--uid). Hosts
  may forbid it: 125. Limits of memory, pids and cpu need a cgroup.

Windows:
  The program and all that it starts are in a job object, which nothing leaves
  and which ends with herder, however that ends. --leak is kill or fail then.

  Exit codes have 32 bits; the program's own is passed on as it is. There are no
  signals: 137 is a kill of ours, `signal` in the report is null, and what asks a
  program to end is a Ctrl-Break, whichever signal --signal and --stop name.

  At a console the program shares Ctrl-C and Ctrl-Break with herder, and herder
  waits for what it makes of them; a limit can't ask it to end then, and kills.
  With --group, or where standard input is no console, it hears no Ctrl-C, and
  one that comes to herder stops it as --stop says. When the console is closed
  the system tells both, and ends both after a few seconds.

  Refused are --uid, --gid, --nice, --json fd:N, and the scopes cgroup, pidns,
  keeper and group. No handles but the standard streams are passed on.

Report (--json):
  One JSON object on one line. `v` is 1 and changes when a field changes its
  meaning; new fields may come. What is not known is null. Arguments and
  variables are never shown.

  name, program, pid    of the program
  cause                 exited, signaled, timed_out, idle, terminated,
                        killed, not_started, or unknown
  code, signal, signal_name, core_dumped
                        how it ended
  exit_code             that of herder
  started, elapsed_ms   when (RFC 3339), and how long it ran
  drained_ms            from its exit to the end of its output
  usage                 user_ms, system_ms, max_rss_bytes, and more
  stdout, stderr        bytes, dropped, spill, redactions, error, end (eof,
                        still_held, not_taken, failed); null if not passed
                        on; bytes are those after redaction
  tee                   path, written, rotations, error; null without --tee
  ready                 of the line that matched --ready-line: after_ms,
                        stream, line; null if there was none
  attempts              how it was stopped: step, after_ms, error
  scope                 strength (job, pidns, cgroup, keeper, group or
                        child), refusals: strength, reason of each
  survivors             who was left when it had ended: pid, command
  scope_empty           whether it is proved that nothing is left
  limits                limit (memory, pids, cpu), value, applied, reason
  error                 kind and message, if it could not be run";
