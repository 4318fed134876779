//! Standard input from bytes or a reader, fed while the child runs.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use super::stdin::ChildStdin;

/// What a child is fed.
#[derive(Clone)]
pub(crate) enum Food {
    Bytes(Bytes),
    /// Good for one child: taken by the first.
    Reader(Arc<Mutex<Option<Reader>>>),
}

pub(crate) type Reader = Pin<Box<dyn AsyncRead + Send>>;

/// Bytes read from a reader at once.
const CHUNK: usize = 64 * 1024;

/// Food on its way to a child: it has been taken from the command.
pub(crate) struct Feed {
    stdin: ChildStdin,
    food: Taken,
}

enum Taken {
    Bytes(Bytes),
    /// In a mutex only so that a child can be shared.
    Reader(Mutex<Reader>),
}

impl Food {
    /// Takes what is to be fed; `None` if it was a reader that another child got.
    pub(crate) fn take(&self) -> Option<TakenFood> {
        match self {
            Self::Bytes(bytes) => Some(TakenFood(Taken::Bytes(bytes.clone()))),
            Self::Reader(reader) => {
                let reader = reader.lock().unwrap_or_else(PoisonError::into_inner).take()?;
                Some(TakenFood(Taken::Reader(Mutex::new(reader))))
            }
        }
    }
}

/// Food that was taken, and has no child yet.
pub(crate) struct TakenFood(Taken);

impl TakenFood {
    pub(crate) fn feed_to(self, stdin: ChildStdin) -> Feed {
        Feed { stdin, food: self.0 }
    }
}

impl Feed {
    /// Feeds all of it, then closes. A child that closes its end early, or ends, ends it: that is no error, as many
    /// programs read only as much as they need.
    pub(crate) async fn run(mut self) -> io::Result<()> {
        let result = match self.food {
            Taken::Bytes(bytes) => self.stdin.write_all(&bytes).await,
            Taken::Reader(reader) => {
                let mut reader = reader.into_inner().unwrap_or_else(PoisonError::into_inner);
                copy(&mut reader, &mut self.stdin).await
            }
        };
        match result {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result,
        }
    }
}

async fn copy(reader: &mut Reader, stdin: &mut ChildStdin) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = reader.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        stdin.write_all(&buffer[..read]).await?;
    }
}
