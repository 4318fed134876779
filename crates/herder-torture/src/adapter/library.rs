//! What a library is asked for: one adapter file each answers it in the best way that the library documents.

use std::time::Duration;

use crate::adapter::job::Job;
use crate::protocol::{Captured, Ended, Refusal, Said};

/// How long somebody who is asked to end is given.
pub(crate) const GRACE: Duration = Duration::from_millis(300);

/// A library, and how it is used well. The judge calls nothing else.
pub(crate) trait Library: Sized + 'static {
    type Child: Send + 'static;

    /// It has no futures: what needs one is not offered.
    const BLOCKING: bool = false;

    /// Starts a child with its streams on `/dev/null`, held as tightly as the library can, to end on drop if it can.
    fn spawn(job: &Job) -> impl Future<Output = Said<Self::Child>> + Send;

    fn wait(child: &mut Self::Child) -> impl Future<Output = Said<Ended>> + Send;

    fn try_wait(child: &mut Self::Child) -> Said<Option<Ended>>;

    /// Ends it now, all of it, and reaps it.
    fn kill(child: &mut Self::Child) -> impl Future<Output = Said<()>> + Send;

    /// Asks it to end, and kills it after [`GRACE`]; gives its status.
    fn terminate(child: &mut Self::Child) -> impl Future<Output = Said<Ended>> + Send;

    /// Runs it for both of its streams, with a limit if there is one.
    fn capture(job: &Job, limit: Option<Duration>) -> impl Future<Output = Said<Captured>> + Send;

    /// Runs it, and makes an error of a failure: the text and the `Debug` of that error are wanted.
    fn checked(job: &Job) -> impl Future<Output = Said<()>> + Send;

    /// The command as `{:?}` shows it.
    fn debug(job: &Job) -> Said<String>;

    /// Kills it while somebody waits for it, once `go` is over; gives what the one who waits is told.
    fn kill_while_waiting(
        mut child: Self::Child,
        go: impl Future<Output = ()> + Send,
    ) -> impl Future<Output = Said<Ended>> + Send {
        async move {
            if Self::BLOCKING {
                return Err(Refusal::NotOffered("wait has the child to itself"));
            }
            tokio::select! {
                ended = Self::wait(&mut child) => return ended,
                () = go => {}
            }
            Self::kill(&mut child).await?;
            Self::wait(&mut child).await
        }
    }
}

/// What is not there to be called.
pub(crate) fn not_offered<T>(why: &'static str) -> Said<T> {
    Err(Refusal::NotOffered(why))
}
