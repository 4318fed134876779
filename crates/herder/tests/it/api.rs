//! What holds for whole groups of types: where they may go, and what they do not tell.

use std::fmt;
use std::sync::{Arc, Mutex};

use herder::{Child, ChildHandle, Command, Report, RunError, Stdio, Termination};
use tokio::sync::Notify;

use crate::support::{fixture, run};

fn anywhere<T: Send + Sync + 'static>() {}

fn movable<T: Send>(_: T) {}

fn movable_for_good<T: Send + 'static>(_: T) {}

#[test]
fn types_may_go_to_any_thread_and_stay_there() {
    anywhere::<(Command, Stdio, herder::Capture, herder::Containment, herder::Signal, Termination)>();
    anywhere::<(Child, ChildHandle, herder::ChildStdin, herder::ChildStdout, herder::ChildStderr)>();
    anywhere::<(Report, herder::Cause, herder::contain::Strength, herder::report::Usage)>();
    anywhere::<(herder::terminate::Attempt, herder::terminate::Step)>();
    anywhere::<(herder::output::StreamReport, herder::output::OutputEnd, herder::output::FileReport)>();
    anywhere::<(herder::output::SharedOutput, herder::output::Subscriber, herder::output::Lines)>();
    anywhere::<(herder::output::Consumer<Vec<u8>>, herder::output::ConsumeError, herder::output::ShareOptions)>(
    );
    anywhere::<(herder::output::LineSplitter, herder::output::Line<'static>, herder::output::VtStripper)>();
    anywhere::<(herder::output::Redact, herder::output::Redactor, herder::output::LogFile)>();
    anywhere::<(RunError, herder::error::SpawnError, herder::error::WaitError, herder::error::SignalError)>();
}

/// Never called: it only has to compile.
#[expect(dead_code, reason = "the compiler is the test")]
fn futures_may_be_spawned(command: &Command, mut child: Child, handle: &ChildHandle, owned: [Child; 2]) {
    let (policy, hurry) = (Termination::default(), Notify::new());
    movable(command.spawn_async());
    movable(command.status());
    movable(command.output());
    movable(command.run());
    movable(command.read());
    movable(child.wait());
    movable(child.kill());
    movable(child.terminate(&policy));
    movable(handle.wait());
    movable(handle.kill());
    movable(handle.terminate(&policy));
    movable(handle.terminate_or_hurry(&policy, &hurry));
    let [first, second] = owned;
    movable_for_good(first.wait_with_output());
    movable_for_good(second.wait_with_tee(None, None));
    // A task that owns what it needs.
    let (command, handle) = (command.clone(), handle.clone());
    movable_for_good(async move { command.output().await });
    movable_for_good(async move { handle.terminate(&policy).await });
}

/// Never called: it only has to compile.
#[expect(dead_code, reason = "the compiler is the test")]
fn readers_may_be_spawned(
    shared: herder::output::SharedOutput,
    mut subscriber: herder::output::Subscriber,
    mut lines: herder::output::Lines,
    consumers: [herder::output::Consumer<()>; 3],
) {
    movable(subscriber.next());
    movable(lines.next());
    movable(lines.wait_for_line(|_| true));
    movable(lines.wait_for_prompt(|_| true));
    let [first, second, third] = consumers;
    movable_for_good(first.wait());
    movable_for_good(second.cancel(std::time::Duration::MAX));
    movable_for_good(third.abort());
    movable_for_good(async move { shared.ended().await });
    movable_for_good(
        async move { herder::output::merge(subscriber.lines(<_>::default()), lines).next().await },
    );
}

#[test]
fn secrets_are_in_no_text_of_ours() {
    let secret = "hunter2";
    let traces = Traces::default();
    let collected = traces.clone();
    let texts = tracing::subscriber::with_default(traces, || run(texts_about(secret)));
    for text in texts.iter().chain(collected.0.lock().unwrap().iter()) {
        assert!(!text.contains(secret), "{text}");
    }
    let told = collected.0.lock().unwrap().join("\n");
    assert!(told.contains("test-child") && told.contains("SIGTERM"), "nothing was traced: {told}");
}

async fn texts_about(secret: &str) -> Vec<String> {
    let mut command = fixture(&["hang", "--", secret]);
    command.env("TOKEN", secret).stdin(Stdio::bytes(secret.to_owned())).stdout(Stdio::piped());
    let mut texts = vec![format!("{command:?} {command:#?} {:?}", Stdio::bytes(secret.to_owned()))];
    let mut child = command.spawn().unwrap();
    texts.push(format!("{child:?} {:?}", child.handle()));
    child.terminate(&Termination::default()).await.unwrap();
    let report = child.wait_with_output().await.unwrap();
    texts.push(format!("{report:?} {report:#?}"));
    let error = report.checked().unwrap_err();
    texts.push(format!("{error} {error:?}"));
    for broken in [
        command.clone().current_dir("/gone"),
        Command::new("gone").arg(secret).env("TOKEN", secret),
        command.clone().arg(format!("{secret}\0")),
        command.clone().env("OTHER", format!("{secret}\0")),
        command.clone().arg(secret.repeat(100_000)),
        command.clone().env("OTHER", secret.repeat(100_000)),
    ] {
        let error = broken.spawn().unwrap_err();
        texts.push(format!("{error} {error:?} {error:#?}"));
        let error = broken.read().await.unwrap_err();
        texts.push(format!("{error} {error:?}"));
        texts.push(format!("{:?}", std::io::Error::from(error)));
    }
    texts
}

/// Keeps all that is traced.
#[derive(Clone, Default)]
struct Traces(Arc<Mutex<Vec<String>>>);

impl tracing::field::Visit for &Traces {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        self.0.lock().unwrap().push(format!("{field}={value:?}"));
    }
}

impl tracing::Subscriber for Traces {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("herder")
    }

    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        span.record(&mut { self });
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, values: &tracing::span::Record<'_>) {
        values.record(&mut { self });
    }

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut { self });
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
