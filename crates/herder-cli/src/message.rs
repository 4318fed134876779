//! What `herder` itself says: on standard error, with its name in front.

use std::io::Write;
use std::sync::mpsc;
use std::time::Duration;

/// How long a message may take. Whoever holds our standard error and does not read it must not keep us from ending.
const PATIENCE: Duration = Duration::from_secs(1);

/// Says something that matters, such as an error.
///
/// In one write, so that it is not torn apart by what the program writes.
pub(crate) fn say(text: &str) {
    let line = format!("herder: {text}\n");
    let (sender, done) = mpsc::channel();
    let write = move || {
        drop(std::io::stderr().write_all(line.as_bytes()));
        let _ = sender.send(());
    };
    if std::thread::Builder::new().spawn(write).is_ok() {
        let _ = done.recv_timeout(PATIENCE);
    }
}

/// Says what is good to know, unless `--quiet`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Voice {
    pub(crate) quiet: bool,
}

impl Voice {
    pub(crate) fn inform(self, text: &str) {
        if !self.quiet {
            say(text);
        }
    }
}
