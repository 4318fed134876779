//! `tokio-process-tools`, with `terminate_on_drop` and streams that lose nothing.

use std::mem;
use std::time::Duration;

use ::tokio_process_tools::{
    AutoName, DEFAULT_MAX_BUFFERED_CHUNKS, DEFAULT_OUTPUT_EOF_TIMEOUT, DEFAULT_READ_CHUNK_SIZE,
    DiscardedOutputStream, GracefulShutdown, NumBytesExt, Process, ProcessHandle, ProcessStreamBuilder,
    RawCollectionOptions, RawOutputOptions, ReliableWithBackpressure, ReplayEnabled,
    SingleSubscriberOutputStream, Stdin, TerminateOnDrop, WaitForCompletionOrTerminateResult,
};
use tokio::io::AsyncWriteExt;
use tokio::runtime::RuntimeFlavor;

use crate::adapter::{Feed, GRACE, Job, Library, not_offered};
use crate::protocol::{Captured, Ended, Said};

pub(super) const USED: &str = "`Process` with `terminate_on_drop`; captures reliable, replayed and unbounded";

pub(super) struct Tools;

/// No wait is without a limit.
const FOR_EVER: Duration = Duration::from_secs(24 * 3600);

fn shutdown() -> GracefulShutdown {
    GracefulShutdown::builder().unix_sigterm(GRACE).windows_ctrl_break(GRACE).build()
}

type Captures = ProcessHandle<SingleSubscriberOutputStream<ReliableWithBackpressure, ReplayEnabled>>;

async fn captured(child: &mut Captures, job: &Job, limit: Duration) -> Said<Captured> {
    if let Feed::Bytes(bytes) = &job.feed
        && let Stdin::Open(mut stdin) = mem::replace(child.stdin(), Stdin::Closed)
    {
        let bytes = bytes.clone();
        // The child may have enough before the end.
        tokio::spawn(async move { stdin.write_all(&bytes).await });
    }
    let all = RawOutputOptions::symmetric(RawCollectionOptions::TrustedUnbounded);
    let run = child.wait_for_completion(limit).with_raw_output(DEFAULT_OUTPUT_EOF_TIMEOUT, all);
    let result = run.or_terminate(shutdown()).await?;
    let timed_out = matches!(result, WaitForCompletionOrTerminateResult::TerminatedAfterTimeout { .. });
    let output = result.into_result();
    let captured = Captured::of(output.status.into(), &output.stdout.bytes, &output.stderr.bytes);
    let told_cut = output.stdout.truncated || output.stderr.truncated;
    Ok(Captured { timed_out, told_cut, ..captured })
}

impl Library for Tools {
    type Child = TerminateOnDrop<DiscardedOutputStream, DiscardedOutputStream>;

    async fn spawn(job: &Job) -> Said<Self::Child> {
        let process = Process::new(super::tokio::command(job)).name(AutoName::program_only());
        let mut child =
            process.stdout_and_stderr(ProcessStreamBuilder::discard).spawn()?.terminate_on_drop(shutdown());
        child.stdin().close();
        Ok(child)
    }

    async fn wait(child: &mut Self::Child) -> Said<Ended> {
        let ended = child.wait_for_completion(FOR_EVER).await?.into_completed();
        Ok(ended.map_or(Ended::Unknown, Ended::from))
    }

    fn try_wait(_: &mut Self::Child) -> Said<Option<Ended>> {
        not_offered("is_running tells, and no status")
    }

    async fn kill(child: &mut Self::Child) -> Said<()> {
        Ok(child.kill().await?)
    }

    async fn terminate(child: &mut Self::Child) -> Said<Ended> {
        Ok(child.terminate(shutdown()).await?.into())
    }

    async fn capture(job: &Job, limit: Option<Duration>) -> Said<Captured> {
        if job.at_defaults {
            return not_offered("there are no defaults: each bound is named by the caller");
        }
        let process = Process::new(super::tokio::command(job)).name(AutoName::program_only());
        let child = process
            .stdout_and_stderr(|stream| {
                stream
                    .single_subscriber()
                    .reliable_with_backpressure()
                    .replay_last_bytes(1.megabytes())
                    .read_chunk_size(DEFAULT_READ_CHUNK_SIZE)
                    .max_buffered_chunks(DEFAULT_MAX_BUFFERED_CHUNKS)
            })
            .spawn()?;
        let limit = limit.unwrap_or(FOR_EVER);
        // As its documentation says, it takes a runtime of several threads to end a child on drop.
        if tokio::runtime::Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread {
            captured(&mut child.terminate_on_drop(shutdown()), job, limit).await
        } else {
            let mut child = child;
            captured(&mut child, job, limit).await
        }
    }

    async fn checked(_: &Job) -> Said<()> {
        not_offered("no call makes an error of a failure")
    }

    fn debug(_: &Job) -> Said<String> {
        not_offered("the command is Tokio's")
    }
}
