//! Signals by number and by name.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// The highest signal number: the real-time signals of Linux end at 64, elsewhere only the classic ones are known.
#[cfg(any(target_os = "linux", target_os = "android"))]
const HIGHEST: i32 = 64;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const HIGHEST: i32 = 31;

/// A signal: a valid number, never zero.
///
/// Zero is not a signal but a question ("may I signal this process?"), so it has no value here.
///
/// ```
/// use herder_sys::Signal;
///
/// assert_eq!("term".parse(), Ok(Signal::TERM));
/// assert_eq!(Signal::TERM.to_string(), "SIGTERM");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(i32);

macro_rules! signals {
    ($($(#[$cfg:meta])* $short:ident = $raw:ident: $doc:literal;)*) => {
        impl Signal {
            $($(#[$cfg])* #[doc = concat!("`", stringify!($raw), "`: ", $doc)]
            pub const $short: Self = Self(raw::$raw);)*
        }

        /// Every signal that has a name here, in the order of the classic numbers.
        const NAMED: &[(Signal, &str)] = &[$($(#[$cfg])* (Signal::$short, stringify!($raw)),)*];
    };
}

signals! {
    HUP = SIGHUP: "the terminal hung up; many daemons reload their configuration.";
    INT = SIGINT: "interrupted from the keyboard, as by Ctrl-C.";
    QUIT = SIGQUIT: "quit from the keyboard; dumps core unless handled.";
    ILL = SIGILL: "illegal instruction.";
    TRAP = SIGTRAP: "trace or breakpoint trap.";
    ABRT = SIGABRT: "`abort` was called.";
    BUS = SIGBUS: "bad memory access.";
    FPE = SIGFPE: "arithmetic error.";
    KILL = SIGKILL: "ends the process at once; can't be handled, blocked or ignored.";
    USR1 = SIGUSR1: "for the program's own use.";
    SEGV = SIGSEGV: "invalid memory reference.";
    USR2 = SIGUSR2: "for the program's own use.";
    PIPE = SIGPIPE: "wrote to a pipe that nobody reads.";
    ALRM = SIGALRM: "a timer of `alarm` ran out.";
    TERM = SIGTERM: "please end; the polite default.";
    #[cfg(all(
        any(target_os = "linux", target_os = "android"),
        not(any(target_arch = "mips", target_arch = "mips64", target_arch = "sparc64"))
    ))]
    STKFLT = SIGSTKFLT: "stack fault of a coprocessor; unused.";
    CHLD = SIGCHLD: "a child stopped, continued or ended.";
    CONT = SIGCONT: "continue if stopped.";
    STOP = SIGSTOP: "stop; can't be handled, blocked or ignored.";
    TSTP = SIGTSTP: "stop typed at the terminal, as by Ctrl-Z.";
    TTIN = SIGTTIN: "a background process read from the terminal.";
    TTOU = SIGTTOU: "a background process wrote to the terminal.";
    URG = SIGURG: "urgent data on a socket.";
    XCPU = SIGXCPU: "the limit on processor time was reached.";
    XFSZ = SIGXFSZ: "the limit on file size was reached.";
    VTALRM = SIGVTALRM: "a virtual timer ran out.";
    PROF = SIGPROF: "a profiling timer ran out.";
    WINCH = SIGWINCH: "the size of the terminal changed.";
    IO = SIGIO: "input or output is possible.";
    #[cfg(any(target_os = "linux", target_os = "android"))]
    PWR = SIGPWR: "the power fails.";
    SYS = SIGSYS: "bad system call, as by a seccomp filter.";
}

/// Second names that other programs print or accept.
const ALIASES: &[(Signal, &str)] =
    &[(Signal::ABRT, "SIGIOT"), (Signal::CHLD, "SIGCLD"), (Signal::IO, "SIGPOLL")];

#[cfg(unix)]
use libc as raw;

/// Hosts without signals keep the names, with the numbers of Linux, so that policies stay portable values.
#[cfg(not(unix))]
mod raw {
    macro_rules! numbers {
        ($($name:ident = $number:literal)*) => { $(pub(super) const $name: i32 = $number;)* };
    }
    numbers! {
        SIGHUP = 1 SIGINT = 2 SIGQUIT = 3 SIGILL = 4 SIGTRAP = 5 SIGABRT = 6 SIGBUS = 7 SIGFPE = 8 SIGKILL = 9
        SIGUSR1 = 10 SIGSEGV = 11 SIGUSR2 = 12 SIGPIPE = 13 SIGALRM = 14 SIGTERM = 15 SIGCHLD = 17 SIGCONT = 18
        SIGSTOP = 19 SIGTSTP = 20 SIGTTIN = 21 SIGTTOU = 22 SIGURG = 23 SIGXCPU = 24 SIGXFSZ = 25 SIGVTALRM = 26
        SIGPROF = 27 SIGWINCH = 28 SIGIO = 29 SIGSYS = 31
    }
}

impl Signal {
    /// The signal with this number, or `None` if there is no such signal on this host.
    ///
    /// On Linux 1 to 64 are signals. The C library keeps the first two or three of the real-time range (32 up to
    /// `RTMIN`) for itself; they are numbers like the others here, since a child may die of one.
    #[must_use]
    pub const fn from_raw(number: i32) -> Option<Self> {
        if number >= 1 && number <= HIGHEST { Some(Self(number)) } else { None }
    }

    /// The number the operating system knows the signal by.
    #[must_use]
    pub const fn as_raw(self) -> i32 {
        self.0
    }

    /// The full name, such as `"SIGTERM"`, or `None` for a real-time signal.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        NAMED.iter().find(|(signal, _)| *signal == self).map(|&(_, name)| name)
    }

    /// The real-time range the C library offers to programs.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn realtime() -> Option<(i32, i32)> {
        Some((libc::SIGRTMIN(), libc::SIGRTMAX()))
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn realtime() -> Option<(i32, i32)> {
        None
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Signal {
    type Err = ParseSignalError;

    /// Reads `TERM`, `SIGTERM`, `sigterm`, `15`, `RTMIN`, `RTMIN+3` or `RTMAX-1`; case does not matter.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| ParseSignalError { text: text.chars().take(SHOWN).collect() })
    }
}

fn parse(text: &str) -> Option<Signal> {
    if let Some(number) = parse_digits(text) {
        return Signal::from_raw(number);
    }
    let upper = text.to_ascii_uppercase();
    let short = upper.strip_prefix("SIG").unwrap_or(&upper);
    let named = NAMED.iter().chain(ALIASES).find(|(_, name)| name.strip_prefix("SIG") == Some(short));
    if let Some(&(signal, _)) = named {
        return Some(signal);
    }
    let (first, last) = Signal::realtime()?;
    let number = if let Some(offset) = short.strip_prefix("RTMIN") {
        first.checked_add(parse_offset(offset, '+')?)?
    } else {
        last.checked_sub(parse_offset(short.strip_prefix("RTMAX")?, '-')?)?
    };
    if (first..=last).contains(&number) { Signal::from_raw(number) } else { None }
}

/// `""` is zero and `"+3"` is three; nothing else is an offset.
fn parse_offset(text: &str, sign: char) -> Option<i32> {
    if text.is_empty() { Some(0) } else { parse_digits(text.strip_prefix(sign)?) }
}

/// Digits only: the parser of `i32` would take `+15` and `-1` too.
fn parse_digits(text: &str) -> Option<i32> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// How many characters of a refused text the error keeps.
const SHOWN: usize = 32;

/// A text that names no signal; its message lists what is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseSignalError {
    text: String,
}

impl fmt::Display for ParseSignalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is no signal; accepted are a number from 1 to {HIGHEST}, RTMIN+n, RTMAX-n, and",
            self.text
        )?;
        for (index, (_, name)) in NAMED.iter().enumerate() {
            let short = name.strip_prefix("SIG").unwrap_or(name);
            write!(f, "{} {short}", if index == 0 { "" } else { "," })?;
        }
        f.write_str(" with or without SIG in front")
    }
}

impl Error for ParseSignalError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_and_number_comes_back() {
        for &(signal, name) in NAMED {
            assert_eq!(signal.name(), Some(name));
            assert_eq!(signal.to_string(), name);
            assert_eq!(format!("{signal:?}"), name);
            assert_eq!(Signal::from_raw(signal.as_raw()), Some(signal));
            for text in [name, &name[3..], &name.to_lowercase(), &signal.as_raw().to_string()] {
                assert_eq!(text.parse(), Ok(signal), "{text}");
            }
        }
        assert_eq!("poll".parse(), Ok(Signal::IO));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn linux_has_31_names_with_the_numbers_1_to_31() {
        let mut numbers: Vec<i32> = NAMED.iter().map(|(signal, _)| signal.as_raw()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=31).collect::<Vec<_>>());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn realtime_signals_count_from_either_end() {
        let raw = |text: &str| text.parse::<Signal>().ok().map(Signal::as_raw);
        assert_eq!(raw("RTMIN"), Some(libc::SIGRTMIN()));
        assert_eq!(raw("sigrtmin+3"), Some(libc::SIGRTMIN() + 3));
        assert_eq!(raw("RTMAX"), Some(64));
        assert_eq!(raw("RTMAX-1"), Some(63));
        for bad in ["RTMIN-1", "RTMAX+1", "RTMIN+", "RTMIN+99", "RTMAX-99", "RTMIN+2147483647", "RTMAX--1"] {
            assert_eq!(raw(bad), None, "{bad}");
        }
        assert_eq!(Signal::from_raw(42).map(|signal| signal.to_string()).as_deref(), Some("signal 42"));
        assert_eq!(Signal::from_raw(42).and_then(Signal::name), None);
    }

    #[test]
    fn what_is_no_signal_is_refused_with_the_choices() {
        for bad in ["", "0", "65", "-15", "+15", "SIG", "SIGSIGTERM", "FOO", " TERM", "99999999999"] {
            let error = bad.parse::<Signal>().unwrap_err().to_string();
            assert!(error.contains("HUP, INT, QUIT") && error.contains("RTMIN+n"), "{error}");
            assert!(error.starts_with(&format!("{bad:?}")), "{error}");
        }
        assert_eq!(Signal::from_raw(0), None);
        assert_eq!(Signal::from_raw(HIGHEST + 1), None);
        assert!("x".repeat(10_000).parse::<Signal>().unwrap_err().to_string().len() < 500);
    }
}
