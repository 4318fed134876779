//! Both streams of the program as one, in the exact order of their writes, each with its name.
//!
//! We read them, and not the library with its run: so what that does with a stream (its tail, files of its own, being
//! told of silence) is not to be had with it, which `resolve` has said.

use herder::output::{Ordered, Origin, OutputEnd};
use herder::{Child, RunError};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::{Relaying, Run, Trouble, add, close};
use crate::decorate::Decorator;
use crate::passthrough::Passthrough;
use crate::ready::Ready;
use crate::relay::Relay;
use crate::report::{Flow, Told};
use crate::resolve::Through;
use crate::stall::{Stall, Stream};
use crate::tee::Tee;

/// Waits for the program and passes on what it writes, all to our standard output.
pub(super) async fn join(
    mut child: Child,
    relaying: Relaying<'_>,
    through: Through,
    stall: &Stall,
) -> Result<Run, RunError> {
    let Relaying { name, voice, begin, .. } = relaying;
    let Through { style, tee, ready, .. } = through;
    let tee = tee.map(Tee::new);
    let ready = ready.map(|line| Ready::new(line, name, voice, begin));
    let relay = |stream: Stream| {
        let decorator = (!style.is_plain()).then(|| Decorator::new(style, name, Some(stream.name())));
        // In the file as it is shown: what is not a line of its own is not made one.
        let tee = tee.as_ref().map(|tee| tee.part(Stream::Stdout, true));
        let watch = ready.as_ref().map(|ready| ready.watch(stream.name()));
        Relay::new(Passthrough::stdout(None, stall), decorator, tee, watch)
    };
    let (mut out, mut err) = (relay(Stream::Stdout), relay(Stream::Stderr));
    let mut troubles = Vec::new();
    let streams = child.stdout.take().zip(child.stderr.take());
    let ordered = streams.map(|(stdout, stderr)| stdout.in_order_with(stderr)).transpose();
    let ordered = ordered.unwrap_or_else(|error| {
        add(&mut troubles, Stream::Stdout.name(), &error);
        None
    });
    let pass_on = async {
        match ordered {
            Some(ordered) => Some(pass_on(ordered, [&mut out, &mut err], &mut troubles).await),
            None => None,
        }
    };
    let (report, told) = tokio::join!(child.wait_with_output(), pass_on);
    let report = report?;
    let tee = close(tee.as_ref(), stall, &mut troubles).await;
    let flow = Flow { tee, ready: ready.as_ref().and_then(Ready::seen).cloned(), told, ..Flow::default() };
    Ok(Run { report, flow, troubles, awaits: ready.is_some() })
}

/// Passes on all that comes, until both streams have ended or it is not taken any more.
async fn pass_on<W: AsyncWrite + Unpin>(
    mut ordered: Ordered,
    mut relays: [&mut Relay<'_, W>; 2],
    troubles: &mut Vec<Trouble>,
) -> [Told; 2] {
    let mut bytes = [0; 2];
    let mut taken = Ok(());
    while let Some(piece) = ordered.next().await {
        let relay = &mut *relays[piece.origin as usize];
        relay.written_at(piece.at);
        bytes[piece.origin as usize] += piece.bytes.len() as u64;
        taken = relay.write_all(&piece.bytes).await;
        if taken.is_ok() {
            // Not to be overtaken by what goes through the other one.
            taken = relay.flush().await;
        }
        if taken.is_err() {
            break;
        }
    }
    let told = |origin: Origin| Told {
        bytes: bytes[origin as usize],
        redactions: ordered.redactions(origin),
        end: ordered.end(origin).cloned().unwrap_or(OutputEnd::NotTaken),
    };
    let told = [told(Origin::Stdout), told(Origin::Stderr)];
    // Whoever writes is to learn it now.
    drop(ordered);
    for relay in &mut relays {
        relay.end();
        if taken.is_ok() {
            taken = relay.finish(0, &[]).await;
        }
    }
    if let Err(error) = taken {
        add(troubles, Stream::Stdout.name(), &error);
    }
    for (stream, Told { end, .. }) in [Stream::Stdout, Stream::Stderr].into_iter().zip(&told) {
        if let OutputEnd::Failed { message, .. } = end {
            troubles.push(Trouble { stream: stream.name(), message: message.clone() });
        }
    }
    told
}
