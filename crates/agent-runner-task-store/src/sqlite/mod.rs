//! [`SqliteStore`]: one file, many processes.

mod add;
mod change;
mod claim;
mod content;
mod deps;
mod fault;
mod finish;
mod open;
mod options;
#[cfg(test)]
mod plans;
mod read;
mod reader;
mod resources;
mod row;
mod state;
mod tx;
mod writer;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

pub use self::options::{SqliteOptions, Synchronous};
use self::{
    claim::Found,
    fault::Outcome,
    reader::Reader,
    writer::{Durability, Writer},
};
use crate::{
    AddReport, Attempt, Beat, Claim, ClaimRequest, Clock, Counts, Fence, Filter, Finished,
    Imported, NewTask, Report, RunningTask, Selector, StoreError, Task, TaskId, TaskSource,
    TaskStatus, TaskStore, Verdict,
    clock::{self, Millis},
};

/// A store in one SQLite file, which many processes of one machine may use at the same time.
///
/// All changes go through one thread, which puts those that wait into one transaction: a call
/// returns when its transaction is on the disk. Looking is done on another connection and waits
/// for nobody. The file must not be on a network filesystem.
///
/// Dropping the store ends its threads, after the calls that were made.
///
/// # Examples
///
/// ```
/// use agent_runner_task_store::{NewTask, SqliteStore, TaskStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("store.db");
/// let store = SqliteStore::open(&path)?;
/// store.add(vec![NewTask { prompt: "say hello".into(), ..NewTask::default() }]).await?;
/// drop(store);
///
/// assert_eq!(SqliteStore::open(&path)?.counts().await?.pending, 1);
/// # Ok(())
/// # }
/// ```
pub struct SqliteStore {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    /// `None` when the store was opened for reading only.
    writer: Option<Writer>,
    reader: Reader,
    threads: Threads,
}

impl SqliteStore {
    /// Opens the store at `path`, and makes it and its folder if they are not there.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotAStore`] if the file is something else, [`StoreError::NewerSchema`] if a
    /// newer version made it, [`StoreError::Corrupt`], [`StoreError::DiskFull`] or
    /// [`StoreError::Io`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        SqliteOptions::new().open(path)
    }

    /// The options to open a store with.
    pub fn options() -> SqliteOptions {
        SqliteOptions::new()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn start(path: &Path, options: SqliteOptions) -> Result<Self, StoreError> {
        let connect = || {
            let writer = (!options.read_only).then(|| open::writer(path, &options)).transpose()?;
            Ok((writer, open::reader(path, &options)?))
        };
        let (writer, reader) = connect().map_err(|fault: fault::Fault| fault.at(path))?;
        let no_thread = |source| StoreError::Io { path: path.to_owned(), source };
        let (reader, thread) = Reader::start(reader, path.to_owned()).map_err(no_thread)?;
        let clock = Arc::clone(&options.clock);
        let threads = Threads { reader: Some(thread), writer: None };
        let mut store = Self { path: path.to_owned(), clock, writer: None, reader, threads };
        if let Some(conn) = writer {
            let (writer, thread) =
                Writer::start(conn, path.to_owned(), options).map_err(no_thread)?;
            store.writer = Some(writer);
            store.threads.writer = Some(thread);
        }
        Ok(store)
    }

    fn now(&self) -> Millis {
        clock::now(&*self.clock)
    }

    fn writer(&self) -> Result<&Writer, StoreError> {
        self.writer.as_ref().ok_or_else(|| StoreError::ReadOnly { path: self.path.clone() })
    }

    /// Makes a claim out of what the writer delivered; from here on it is the caller's.
    fn receive(&self, mut delivery: Delivery) -> Result<Option<Claim>, StoreError> {
        match std::mem::replace(&mut delivery.found, Found::Nothing) {
            Found::Task(claim) => {
                claim.parse(self.now()).map(Some).map_err(|fault| fault.at(&self.path))
            }
            Found::Nothing | Found::Blocked => Ok(None),
        }
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        // One after the other: the last connection to close tidies up, and only the writer's may.
        // A thread that panicked has said so; there is nothing to add while dropping.
        self.reader.close();
        self.threads.reader.take().map(JoinHandle::join);
        if let Some(writer) = &self.writer {
            writer.close();
        }
        self.threads.writer.take().map(JoinHandle::join);
    }
}

struct Threads {
    reader: Option<JoinHandle<()>>,
    writer: Option<JoinHandle<()>>,
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.path).finish_non_exhaustive()
    }
}

/// A claim on its way to the caller. If it is not received, it goes back to its place.
struct Delivery {
    found: Found,
    writer: Writer,
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Found::Task(claim) = std::mem::replace(&mut self.found, Found::Nothing) {
            self.writer.tell(move |tx| {
                let fence = claim.parse(tx.now)?.fence;
                tx.finish(&fence, &unclaimed()).map(drop)
            });
        }
    }
}

/// What is recorded of a claim that nobody was there to receive.
fn unclaimed() -> Report {
    Report::new(Verdict::Released { retry_after: Duration::ZERO }, "unclaimed")
        .with_message("nobody was there to receive the claim")
}

#[async_trait::async_trait]
impl TaskStore for SqliteStore {
    async fn add(&self, tasks: Vec<NewTask>) -> Result<AddReport, StoreError> {
        self.writer()?.call(Durability::Power, move |tx| tx.add(tasks)).await
    }

    async fn import(&self, tasks: TaskSource) -> Result<Imported, StoreError> {
        let work = move |tx: &mut tx::Tx<'_>| tx.import(tasks);
        let AddReport { added, updated, unchanged, .. } =
            self.writer()?.call(Durability::Power, work).await?;
        Ok(Imported { added, updated, unchanged })
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Option<Claim>, StoreError> {
        let writer = self.writer()?;
        loop {
            let (request, back) = (request.clone(), writer.clone());
            let work = move |tx: &mut tx::Tx<'_>| -> Outcome<_> {
                Ok(Delivery { found: tx.claim(&request)?, writer: back })
            };
            let delivery = writer.call(Durability::Process, work).await?;
            if !matches!(delivery.found, Found::Blocked) {
                return self.receive(delivery);
            }
        }
    }

    async fn finish(
        &self,
        fence: &Fence,
        report: Report,
        next: Option<&ClaimRequest>,
    ) -> Result<Finished, StoreError> {
        let writer = self.writer()?;
        let (fence, wanted, back) = (fence.clone(), next.cloned(), writer.clone());
        let work = move |tx: &mut tx::Tx<'_>| -> Outcome<_> {
            let status = tx.finish(&fence, &report)?;
            let found = wanted.map_or(Ok(Found::Nothing), |request| tx.claim(&request))?;
            Ok((status, Delivery { found, writer: back }))
        };
        let (status, delivery) = writer.call(Durability::Power, work).await?;
        let next = match (next, &delivery.found) {
            (Some(request), Found::Blocked) => self.claim(request).await?,
            _ => self.receive(delivery)?,
        };
        Ok(Finished { status, next })
    }

    async fn heartbeat(&self, fences: &[Fence]) -> Result<Vec<Beat>, StoreError> {
        let fences = fences.to_vec();
        let work = move |tx: &mut tx::Tx<'_>| -> Outcome<_> {
            fences.iter().map(|fence| tx.heartbeat(fence)).collect()
        };
        self.writer()?.call(Durability::Process, work).await
    }

    async fn rescue(&self, fence: &Fence, reason: &str) -> Result<TaskStatus, StoreError> {
        let (fence, reason) = (fence.clone(), reason.to_owned());
        self.writer()?.call(Durability::Power, move |tx| tx.rescue(&fence, &reason)).await
    }

    async fn rescue_expired(&self, limit: usize) -> Result<Vec<TaskId>, StoreError> {
        self.writer()?.call(Durability::Power, move |tx| tx.rescue_expired(limit)).await
    }

    async fn running(&self) -> Result<Vec<RunningTask>, StoreError> {
        let now = self.now();
        self.reader.call(move |conn| read::running(conn, now)).await
    }

    async fn cancel(&self, which: &Selector) -> Result<u64, StoreError> {
        let which = which.clone();
        self.writer()?.call(Durability::Power, move |tx| tx.cancel(&which)).await
    }

    async fn retry(&self, which: &Selector) -> Result<u64, StoreError> {
        let which = which.clone();
        self.writer()?.call(Durability::Power, move |tx| tx.retry(&which)).await
    }

    async fn get(&self, id: &TaskId) -> Result<Option<Task>, StoreError> {
        let (id, now) = (id.clone(), self.now());
        self.reader.call(move |conn| read::get(conn, &id, now)).await
    }

    async fn list(
        &self,
        filter: &Filter,
        after: Option<&TaskId>,
        limit: usize,
    ) -> Result<Vec<Task>, StoreError> {
        let (filter, after, now) = (filter.clone(), after.cloned(), self.now());
        self.reader.call(move |conn| read::list(conn, &filter, after.as_ref(), limit, now)).await
    }

    async fn attempts(&self, id: &TaskId) -> Result<Vec<Attempt>, StoreError> {
        let id = id.clone();
        self.reader.call(move |conn| read::attempts(conn, &id)).await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        let now = self.now();
        self.reader.call(move |conn| read::counts(conn, now)).await
    }

    async fn next_due(&self) -> Result<Option<Duration>, StoreError> {
        let now = self.now();
        self.reader.call(move |conn| read::next_due(conn, now)).await
    }

    async fn delayed(&self, limit: usize) -> Result<Vec<Task>, StoreError> {
        let now = self.now();
        self.reader.call(move |conn| read::delayed(conn, limit, now)).await
    }
}
