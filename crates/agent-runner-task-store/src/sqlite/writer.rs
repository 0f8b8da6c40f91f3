//! The one thread that writes, and group commit: what has queued up goes into one transaction, and
//! nobody gets an answer before it is committed.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::mpsc,
    thread::JoinHandle,
};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{
    fault::{Outcome, translate},
    options::{SqliteOptions, Synchronous},
    tx::Tx,
};
use crate::{StoreError, clock};

/// The most operations in one transaction, so that nobody waits long for the first to be durable.
const BATCH: usize = 256;

/// How to reach the writer.
#[derive(Debug, Clone)]
pub(super) struct Writer(mpsc::Sender<Message>);

enum Message {
    Job(Box<dyn Job>),
    /// No more jobs come; those that are queued are done first.
    Close,
}

/// What a call must survive before it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Durability {
    /// The end of the process.
    Process,
    /// A power cut.
    Power,
}

/// An operation on its way through the writer.
trait Job: Send {
    fn durability(&self) -> Durability;
    /// Does the work in a transaction, and keeps what came of it.
    fn run(&mut self, tx: &mut Tx<'_>, path: &Path);
    /// Answers, after the commit.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(
        conn: Connection,
        path: PathBuf,
        options: SqliteOptions,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (sender, jobs) = mpsc::channel();
        let desk = Desk { conn, path, options, durability: None };
        let thread = std::thread::Builder::new()
            .name("task-store-writer".into())
            .spawn(move || desk.serve(&jobs))?;
        Ok((Self(sender), thread))
    }

    /// Has `work` done, and returns what came of it once that is durable.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        durability: Durability,
        work: impl FnOnce(&mut Tx<'_>) -> Outcome<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let call = Call { durability, work: Some(work), result: None, reply };
        self.0.send(Message::Job(Box::new(call))).map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Has `work` done some time, if the writer still lives.
    pub(super) fn tell(&self, work: impl FnOnce(&mut Tx<'_>) -> Outcome<()> + Send + 'static) {
        let notice = Notice { work: Some(work) };
        // A writer that has ended was dropped with its store; a lease ends by itself.
        self.0.send(Message::Job(Box::new(notice))).ok();
    }

    pub(super) fn close(&self) {
        self.0.send(Message::Close).ok();
    }
}

/// An operation that somebody waits for.
struct Call<T, F> {
    durability: Durability,
    work: Option<F>,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for Call<T, F>
where
    T: Send,
    F: FnOnce(&mut Tx<'_>) -> Outcome<T> + Send,
{
    fn durability(&self) -> Durability {
        self.durability
    }

    fn run(&mut self, tx: &mut Tx<'_>, path: &Path) {
        // Nobody waits any more: then it does not happen.
        if !self.reply.is_closed()
            && let Some(work) = self.work.take()
        {
            self.result = Some(tx.part(work).map_err(|fault| fault.at(path)));
        }
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let result = match (committed, self.result) {
            (Ok(()), Some(result)) => result,
            (Err(_), Some(Err(own))) => Err(own),
            (Err(error), _) => Err(error),
            (Ok(()), None) => return,
        };
        // What cannot be delivered is dropped, and a claim then gives itself back.
        self.reply.send(result).ok();
    }
}

/// An operation that nobody waits for.
struct Notice<F> {
    work: Option<F>,
}

impl<F> Job for Notice<F>
where
    F: FnOnce(&mut Tx<'_>) -> Outcome<()> + Send,
{
    fn durability(&self) -> Durability {
        Durability::Process
    }

    fn run(&mut self, tx: &mut Tx<'_>, _: &Path) {
        if let Some(work) = self.work.take() {
            tx.part(work).ok();
        }
    }

    fn answer(self: Box<Self>, _: Result<(), StoreError>) {}
}

/// The thread's side.
struct Desk {
    conn: Connection,
    path: PathBuf,
    options: SqliteOptions,
    /// What the connection is set to.
    durability: Option<Durability>,
}

impl Desk {
    fn serve(mut self, jobs: &mpsc::Receiver<Message>) {
        let mut batch = VecDeque::with_capacity(BATCH);
        while let Ok(Message::Job(first)) = jobs.recv() {
            batch.push_back(first);
            let mut open = true;
            while open && batch.len() < BATCH {
                match jobs.try_recv() {
                    Ok(Message::Job(job)) => batch.push_back(job),
                    Ok(Message::Close) => open = false,
                    Err(_) => break,
                }
            }
            let committed = self.transact(&mut batch);
            for job in batch.drain(..) {
                job.answer(match &committed {
                    Ok(()) => Ok(()),
                    Err(error) => Err(translate(error, &self.path)),
                });
            }
            if !open {
                break;
            }
        }
    }

    /// Does all jobs in one transaction.
    fn transact(&mut self, batch: &mut VecDeque<Box<dyn Job>>) -> rusqlite::Result<()> {
        let wanted = batch.iter().map(|job| job.durability()).max();
        self.set_durability(wanted.unwrap_or(Durability::Power))?;
        self.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let done = self.fill(batch);
        // After a full disk and the like, SQLite has rolled back by itself.
        if done.is_err() && !self.conn.is_autocommit() {
            self.conn.execute_batch("ROLLBACK")?;
        }
        done
    }

    fn fill(&self, batch: &mut VecDeque<Box<dyn Job>>) -> rusqlite::Result<()> {
        let mut tx = Tx::new(&self.conn, clock::now(&*self.options.clock), self.options.overlap);
        for job in batch {
            job.run(&mut tx, &self.path);
            if let Some(error) = tx.lost() {
                return Err(error);
            }
        }
        tx.close()?;
        self.conn.prepare_cached("COMMIT")?.execute([]).map(drop)
    }

    fn set_durability(&mut self, wanted: Durability) -> rusqlite::Result<()> {
        let wanted = match self.options.synchronous {
            Synchronous::Full => wanted,
            Synchronous::Normal => Durability::Process,
        };
        if self.durability != Some(wanted) {
            self.conn.execute_batch(match wanted {
                Durability::Process => "PRAGMA synchronous = NORMAL",
                Durability::Power => "PRAGMA synchronous = FULL",
            })?;
            self.durability = Some(wanted);
        }
        Ok(())
    }
}
