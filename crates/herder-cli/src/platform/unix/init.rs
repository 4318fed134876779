//! `herder init`: the first process of a container.
//!
//! What a process owes that is PID 1: the kernel gives it every orphan, and only it can reap them; it gets no signal
//! that it has no handler for, so that without it `docker stop` waits and then kills; and when it ends, the kernel
//! kills all others at once, so that it has to ask them before.

use std::time::Duration;

use herder::contain::Leak;
use herder::error::SpawnError;
use herder::os::unix::CommandExt;
use herder::{Command, Containment, ExitStatus, Signal, Termination};

use crate::args::InitArgs;
use crate::exit_code::Exit;
use crate::message::say;

use super::{Signals, leftovers, terminal};

/// Runs the command, and gives how `herder` ends.
pub(crate) fn run(args: &InitArgs) -> Exit {
    if !cfg!(target_os = "linux") {
        say("init is for containers of Linux; herder run does the rest");
        return Exit::FAILURE;
    }
    let Some((program, arguments)) = args.command.split_first().filter(|(program, _)| !program.is_empty())
    else {
        say("the name of the program is empty");
        return Exit::FAILURE;
    };
    let shares_terminal = terminal::is_ours();
    let mut command = Command::new(program);
    command.args(arguments).inherit_fds(true);
    // In a group of its own it could not read from the terminal.
    command.containment(if shares_terminal { Containment::None } else { Containment::Group });
    // It is for us to ask those that are left, before they are killed.
    command.leak(Leak::Ignore);
    let grace = args.grace.unwrap_or(Termination::DEFAULT_GRACE);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say(&format!("can't begin: {error}"));
            return Exit::FAILURE;
        }
    };
    runtime.block_on(serve(&command, shares_terminal, grace))
}

async fn serve(command: &Command, shares_terminal: bool, grace: Duration) -> Exit {
    let mut signals = match Signals::listen_to_all(shares_terminal) {
        Ok(signals) => signals,
        Err(error) => {
            say(&format!("can't listen to signals: {error}"));
            return Exit::FAILURE;
        }
    };
    // PID 1 has them anyway.
    leftovers::become_subreaper();
    let exit = match attend(command, shares_terminal, &mut signals).await {
        Ok(status) => Exit::of_status(status),
        Err(Failure::NotStarted(error)) => {
            say(&error.to_string());
            Exit::of_spawn_error(error.kind())
        }
        Err(Failure::Lost(message)) => {
            say(&message);
            Exit::FAILURE
        }
    };
    if !leftovers::end(grace, &mut signals).await {
        say("something that is left can't be ended");
    }
    exit
}

enum Failure {
    NotStarted(SpawnError),
    Lost(String),
}

/// Starts the program and serves until it has ended.
async fn attend(
    command: &Command,
    shares_terminal: bool,
    signals: &mut Signals,
) -> Result<ExitStatus, Failure> {
    let mut child = command.spawn().map_err(Failure::NotStarted)?;
    let handle = child.handle();
    if shares_terminal {
        signals.pass_early(&handle);
    }
    loop {
        let signal = tokio::select! {
            biased;
            status = child.wait() => return status.map_err(|error| Failure::Lost(error.to_string())),
            signal = signals.next() => signal,
        };
        match signal {
            Signal::CHLD => leftovers::reap(handle.id()),
            // It has these from the terminal, as we do.
            Signal::INT | Signal::QUIT if shares_terminal => {}
            // One that has ended needs none.
            signal => drop(handle.signal_child(signal)),
        }
    }
}
