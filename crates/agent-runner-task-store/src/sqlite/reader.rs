//! The thread that reads, on a connection of its own: it waits for no writer.

use std::{path::PathBuf, sync::mpsc, thread::JoinHandle};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::fault::Outcome;
use crate::StoreError;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// How to reach the reader.
#[derive(Debug)]
pub(super) struct Reader {
    jobs: mpsc::Sender<Option<Job>>,
    path: PathBuf,
}

impl Reader {
    /// Starts the thread.
    pub(super) fn start(
        mut conn: Connection,
        path: PathBuf,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (jobs, queue) = mpsc::channel::<Option<Job>>();
        let thread =
            std::thread::Builder::new().name("task-store-reader".into()).spawn(move || {
                while let Ok(Some(job)) = queue.recv() {
                    job(&mut conn);
                }
            })?;
        Ok((Self { jobs, path }, thread))
    }

    /// Has `work` done on one snapshot of the store.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Outcome<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let job = move |conn: &mut Connection| {
            if !reply.is_closed() {
                reply.send(snapshot(conn, work)).ok();
            }
        };
        self.jobs.send(Some(Box::new(job))).map_err(|_| StoreError::Closed)?;
        let read = answer.await.map_err(|_| StoreError::Closed)?;
        read.map_err(|fault| fault.at(&self.path))
    }

    pub(super) fn close(&self) {
        self.jobs.send(None).ok();
    }
}

fn snapshot<T>(conn: &mut Connection, work: impl FnOnce(&Connection) -> Outcome<T>) -> Outcome<T> {
    let tx = conn.transaction()?;
    let read = work(&tx)?;
    tx.finish()?;
    Ok(read)
}
