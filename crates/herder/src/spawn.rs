//! The fork: where a command, its containment and the engine meet, and a child comes out.

use std::io;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use herder_sys::{
    FdSource, LaunchError, Mechanism, OwnedDescriptor, Process, Scope, SpawnRequest, SpawnStep, Spawned,
};
use tokio::runtime::Handle;

use crate::child::{
    Child, ChildStderr, ChildStdin, ChildStdout, Ends, Food, Reach, Settings, Started, TakenFood,
};
use crate::command::{Command, Defaults, Lowered, STALL_LIMIT, Stdio, StdioKind, lower, setup_error};
use crate::contain::{self, Choice, Hold, LimitResult, Refusal};
use crate::error::{SpawnError, SpawnErrorKind};
use crate::host::{self, errno};
use crate::terminate::OnDrop;

impl Command {
    /// Starts the program and returns when it runs, or could not be started: synchronous in form, as in `std`.
    ///
    /// The calling thread sleeps for some 20 to 100 microseconds, and more on a busy machine, as it does in `std`
    /// and Tokio; [`spawn_async`](Self::spawn_async) lets other tasks run meanwhile. Works outside of a runtime too.
    ///
    /// # Errors
    ///
    /// [`SpawnError`], and nothing was started, or what was is gone again. A child that is stopped or frozen before
    /// it begins is given up, and killed, after 10 seconds.
    pub fn spawn(&self) -> Result<Child, SpawnError> {
        let (prepared, request) = prepare(self, Defaults::Inherit)?;
        let spawned = if must_hop(&request) {
            herder_sys::spawn_by_thread(request)
        } else {
            herder_sys::spawn(request)
        };
        let Spawned { process, launch, .. } = spawned.map_err(|failure| setup_error(self, failure))?;
        // First what ends it with us: as soon as its program runs it may start others.
        let mut child = prepared.into_child(self, process, launch);
        if let Some(launch) = child.launch.take() {
            confirm(self, &child.process, launch.wait(STALL_LIMIT))?;
        }
        child.settings.on_drop = self.on_drop.clone();
        child.start_feeding();
        Ok(child)
    }

    /// Starts the program and returns when it runs, or could not be started.
    ///
    /// No thread of the runtime waits for that: at most for the call that makes the child, some 25 microseconds.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn).
    ///
    /// # Cancel safety
    ///
    /// Cancelled, the child is ended, if there was one already.
    pub async fn spawn_async(&self) -> Result<Child, SpawnError> {
        let mut child = self.begin(Defaults::Inherit).await?;
        if let Some(launch) = child.launch.take() {
            let outcome = match launch.outcome() {
                Some(outcome) => Some(outcome),
                None if Handle::try_current().is_ok() => {
                    let wait = tokio::task::spawn_blocking(move || launch.wait(STALL_LIMIT));
                    wait.await.unwrap_or(None)
                }
                None => launch.wait(STALL_LIMIT),
            };
            confirm(self, &child.process, outcome)?;
        }
        child.settings.on_drop = self.on_drop.clone();
        child.start_feeding();
        Ok(child)
    }

    /// Starts the program and returns at once: whether it could be executed is known when it has exited at the
    /// latest, and stands in `launch`. Feeding has not begun.
    pub(crate) async fn begin(&self, defaults: Defaults) -> Result<Child, SpawnError> {
        let (prepared, request) = prepare(self, defaults)?;
        let spawned = if is_kept(&request) && Handle::try_current().is_ok() {
            // Its keeper is asked, and the answer waited for. Cancelled meanwhile, nobody takes the child, and the drop
            // ends it.
            tokio::task::spawn_blocking(herder_sys::spawn_later(request)).await.unwrap_or(Err(gone()))
        } else if must_hop(&request) && herder_sys::thread_is_free() {
            // As long as it takes to make the child: on a thread that lives on that would be here, too.
            herder_sys::spawn_by_thread(request)
        } else if must_hop(&request) || is_kept(&request) || herder_sys::SPAWN_BLOCKS {
            let (sender, receiver) = tokio::sync::oneshot::channel();
            // Cancelled meanwhile, nobody takes the child, and the drop ends it.
            let send = move |result| drop(sender.send(result));
            match herder_sys::spawn_on_thread(request, send) {
                Ok(()) => receiver.await.unwrap_or(Err(gone())),
                Err(failure) => Err(failure),
            }
        } else {
            herder_sys::spawn(request)
        };
        let Spawned { process, launch, .. } = spawned.map_err(|failure| setup_error(self, failure))?;
        Ok(prepared.into_child(self, process, launch))
    }
}

/// The parent-death signal follows the end of the thread that made the child, so only a thread that lives as long as
/// the program may make it.
fn must_hop(request: &SpawnRequest) -> bool {
    request.die_with_owner.is_some() && !is_kept(request) && !herder_sys::is_permanent_thread()
}

/// Whether a keeper bears the child, and ends it with us, whichever thread asks.
fn is_kept(request: &SpawnRequest) -> bool {
    let keeps = |scope: &Scope| matches!(scope.mechanism(), Mechanism::Keeper | Mechanism::PidNamespace);
    request.scope.as_ref().is_some_and(keeps)
}

/// The thread that never ends has ended: not to be expected.
fn gone() -> LaunchError {
    LaunchError::new(SpawnStep::Prepare, errno::TRY_AGAIN)
}

fn confirm(
    command: &Command,
    process: &Process,
    outcome: Option<Result<(), LaunchError>>,
) -> Result<(), SpawnError> {
    match outcome {
        Some(Ok(())) => {
            tracing::debug!(name = &*command.display_name(), pid = process.pid(), "spawned");
            Ok(())
        }
        Some(Err(failure)) => Err(setup_error(command, failure)),
        None => Err(setup_error(command, LaunchError::new(SpawnStep::Stalled, errno::TIMED_OUT))),
    }
}

/// All that is ready before there is a child.
struct Prepared {
    name: Arc<str>,
    ends: Ends,
    started: Started,
    reach: Reach,
    watched: bool,
}

impl Prepared {
    fn into_child(mut self, command: &Command, process: Process, launch: herder_sys::Launch) -> Child {
        process.set_keep_survivors(!command.leak.kills() || command.on_drop == OnDrop::Detach);
        if self.watched
            && let Err(error) = process.end_with_owner()
        {
            self.reach.refusals.push(Refusal::of_group(&error));
        }
        let settings = Settings {
            timeout: command.timeout,
            idle_timeout: command.idle_timeout,
            drain_grace: command.drain_grace,
            termination: command.termination.clone(),
            capture: command.capture.clone(),
            redact: command.redact.clone(),
            leak: command.leak,
            leak_grace: command.leak_grace,
            // Until somebody has it in hand.
            on_drop: OnDrop::Kill,
        };
        Child::new(self.name, (process, launch), self.ends, settings, self.started, self.reach)
    }
}

fn prepare(command: &Command, defaults: Defaults) -> Result<(Prepared, SpawnRequest), SpawnError> {
    let started = Started { at: SystemTime::now(), instant: Instant::now() };
    let Lowered { mut request, streams, name, choice } = lower(command, defaults)?;
    let food = take_food(&streams[0], &name)?;
    let mut ends = Ends { food, ..Ends::default() };
    let mut wire = Wiring { name: &name, fds: Vec::with_capacity(3 + request.fds.len()) };
    let (to, from, stamped) = (host::pipe_to_child, host::pipe_from_child, host::stamped_from_child);
    // Input is never stamped: that was refused before.
    ends.stdin = wire.stream(0, &streams[0], to, to)?.map(ChildStdin::new);
    ends.stdout = wire.stream(1, &streams[1], from, stamped)?.map(ChildStdout::new);
    ends.stderr = wire.stream(2, &streams[2], from, stamped)?.map(ChildStderr::new);
    wire.fds.append(&mut request.fds);
    request.fds = wire.fds;
    let loose_herd = command.fold.as_ref().is_some_and(|fold| fold.is_loose()) && command.die_with_owner;
    let watched = choice.watched || loose_herd;
    request.end_with_owner = watched;
    let (scope, mut reach) = scope(command, choice, &name)?;
    request.scope = scope;
    if let Some(bytes) = contain::stand_in(&mut reach.limits, command.os.own_memory_limit()) {
        host::limit_memory_of_each(&mut request, bytes);
    }
    Ok((Prepared { name, ends, started, reach, watched }, request))
}

/// The scope that the child is born into: one of its own, or that of a herd, which is not its own to end.
fn scope(command: &Command, choice: Choice, name: &str) -> Result<(Option<Scope>, Reach), SpawnError> {
    let Choice { mechanism, strength, refusals, .. } = choice;
    let refused = |detail: &str, error: io::Error| {
        SpawnError::new(name, SpawnErrorKind::Containment, format!("{detail}: {error}"), error)
            .at(SpawnStep::Scope)
    };
    if let Some(fold) = &command.fold {
        let scope = fold.scope().map_err(|error| refused("its herd takes nobody any more", error))?;
        let limits = contain::refuse(&command.limits, true, &refusals);
        check(command, &limits, name)?;
        return Ok((scope, Reach { hold: Hold::new(None), strength, refusals, limits }));
    }
    let scope = mechanism.map(Scope::without_stats).transpose();
    let scope = scope.map_err(|error| {
        if !herder_sys::is_shortage(&error) {
            return refused("no scope can be made for it", error);
        }
        let detail = format!("no scope can be made for it: {error}");
        SpawnError::new(name, SpawnErrorKind::OutOfResources, detail, error).at(SpawnStep::Scope)
    })?;
    let limits = match &scope {
        Some(scope) if contain::takes_limits(strength) => contain::apply(&command.limits, scope),
        // Why there is nothing stronger says more than that a keeper has no limits.
        _ => contain::refuse(&command.limits, false, &refusals),
    };
    check(command, &limits, name)?;
    Ok((scope.clone(), Reach { hold: Hold::new(scope), strength, refusals, limits }))
}

/// Refuses the start if a limit is not in force for all together, and has to be.
fn check(command: &Command, limits: &[LimitResult], name: &str) -> Result<(), SpawnError> {
    let missing = limits.iter().filter(|_| command.require_limits);
    let missing = missing.filter_map(|(limit, force)| Some(format!("{limit}: {}", force.reason()?)));
    let missing: Vec<_> = missing.collect();
    if missing.is_empty() {
        return Ok(());
    }
    let detail = format!("a limit can't be had: {}", missing.join("; "));
    let source = io::ErrorKind::Unsupported.into();
    Err(SpawnError::new(name, SpawnErrorKind::Containment, detail, source).at(SpawnStep::Scope))
}

fn take_food(stdin: &StdioKind, name: &str) -> Result<Option<TakenFood>, SpawnError> {
    let food = match stdin {
        StdioKind::Bytes(bytes) => Food::Bytes(bytes.clone()),
        StdioKind::Reader(reader) => Food::Reader(Arc::clone(reader)),
        _ => return Ok(None),
    };
    if let Err(error) = Handle::try_current() {
        let detail = "feeding standard input needs a Tokio runtime; enter one first";
        let source = io::Error::other(error);
        return Err(SpawnError::new(name, SpawnErrorKind::NoRuntime, detail, source));
    }
    let taken = food.take().ok_or_else(|| {
        let detail = "the reader of its standard input was given to an earlier child";
        SpawnError::new(name, SpawnErrorKind::InvalidInput, detail, io::ErrorKind::InvalidInput.into())
    })?;
    Ok(Some(taken))
}

/// Collects what the child gets at which number.
struct Wiring<'a> {
    name: &'a str,
    fds: Vec<(i32, FdSource)>,
}

impl Wiring<'_> {
    /// Wires one standard stream; gives our end if it is a pipe.
    fn stream<E>(
        &mut self,
        target: i32,
        kind: &StdioKind,
        pipe: fn() -> io::Result<(E, OwnedDescriptor)>,
        stamped: fn() -> io::Result<(E, OwnedDescriptor)>,
    ) -> Result<Option<E>, SpawnError> {
        let source = match kind {
            StdioKind::Inherit => return Ok(None),
            StdioKind::Null => FdSource::Null,
            StdioKind::Fd(fd) => FdSource::Fd(Arc::clone(fd)),
            StdioKind::ToStdout => FdSource::Same(1),
            StdioKind::Stamped => {
                let made = stamped();
                return self.ours(target, made, "no stamped stream", SpawnErrorKind::Unsupported);
            }
            StdioKind::Piped | StdioKind::Bytes(_) | StdioKind::Reader(_) => {
                return self.ours(target, pipe(), "no pipe", SpawnErrorKind::NoRuntime);
            }
        };
        self.fds.push((target, source));
        Ok(None)
    }

    /// Gives one end to the child and the other to us; `unsupported` is what it means if there is no such thing.
    fn ours<E>(
        &mut self,
        target: i32,
        made: io::Result<(E, OwnedDescriptor)>,
        what: &str,
        unsupported: SpawnErrorKind,
    ) -> Result<Option<E>, SpawnError> {
        let (ours, theirs) = made.map_err(|error| {
            let kind = match error.kind() {
                io::ErrorKind::Unsupported => unsupported,
                _ => SpawnErrorKind::OutOfResources,
            };
            let detail = format!("{what} can be made: {error}");
            SpawnError::new(self.name, kind, detail, error).at(SpawnStep::Prepare)
        })?;
        self.fds.push((target, FdSource::Fd(Arc::new(theirs))));
        Ok(Some(ours))
    }
}

macro_rules! into_stdio {
    ($end:ident) => {
        /// Our end of a pipe of one child becomes a stream of another; it blocks from now on.
        ///
        /// Fails only if the pipe was closed, or given up, before.
        impl TryFrom<$end> for Stdio {
            type Error = io::Error;

            fn try_from(end: $end) -> io::Result<Self> {
                end.into_descriptor().map(Into::into)
            }
        }
    };
}

into_stdio!(ChildStdin);
into_stdio!(ChildStdout);
into_stdio!(ChildStderr);
