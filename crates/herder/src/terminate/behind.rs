//! The thread that ends what was dropped with a policy: one for the whole program, in a runtime of its own.
//!
//! A task of the program's runtime would end with that, and keep it from ending in time.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The way to the thread, and the process it is in: a forked copy of us has none.
static THREAD: Mutex<Option<(u32, UnboundedSender<Job>)>> = Mutex::new(None);

/// Has `job` done behind the caller's back. Does not wait.
///
/// Where no thread or runtime can be had the job is dropped, and with it what it owns.
pub(crate) fn behind(job: impl Future<Output = ()> + Send + 'static) {
    match sender() {
        Ok(sender) => {
            if sender.send(Box::pin(job)).is_err() {
                tracing::warn!("no runtime can be had to end what was dropped");
            }
        }
        Err(error) => tracing::warn!(%error, "no thread can be had to end what was dropped"),
    }
}

fn sender() -> io::Result<UnboundedSender<Job>> {
    let mut slot = THREAD.lock().unwrap_or_else(PoisonError::into_inner);
    match &*slot {
        Some((owner, sender)) if *owner == std::process::id() && !sender.is_closed() => Ok(sender.clone()),
        _ => {
            let (sender, jobs) = unbounded_channel();
            std::thread::Builder::new().name("herder-end".into()).spawn(move || work(jobs))?;
            *slot = Some((std::process::id(), sender.clone()));
            Ok(sender)
        }
    }
}

fn work(mut jobs: UnboundedReceiver<Job>) {
    // Without one, the jobs end here.
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    runtime.block_on(async {
        while let Some(job) = jobs.recv().await {
            drop(tokio::spawn(job));
        }
    });
}
