//! The claims that this run holds: what the heartbeat extends, and how a holder is told.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use agent_runner_task_store::{Beat, Fence};
use tokio::sync::watch;

/// All claims of a run.
#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<HashMap<Fence, watch::Sender<Beat>>>);

/// What the holder of one claim listens to.
#[derive(Debug, Clone)]
pub(super) struct Held(watch::Receiver<Beat>);

impl Claims {
    pub(super) fn insert(&self, fence: Fence) -> Held {
        let (sender, receiver) = watch::channel(Beat::Continue);
        self.lock().insert(fence, sender);
        Held(receiver)
    }

    pub(super) fn remove(&self, fence: &Fence) {
        self.lock().remove(fence);
    }

    pub(super) fn fences(&self) -> Vec<Fence> {
        self.lock().keys().cloned().collect()
    }

    /// Tells a holder what the store said.
    pub(super) fn tell(&self, fence: &Fence, beat: Beat) {
        if let Some(sender) = self.lock().get(fence) {
            sender.send_replace(beat);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Fence, watch::Sender<Beat>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Waits until the holder should stop, and says why.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub(super) async fn ended(&self) -> Beat {
        let mut beats = self.0.clone();
        let beat = beats.wait_for(|beat| *beat != Beat::Continue).await.map(|beat| *beat);
        match beat {
            Ok(beat) => beat,
            // The claim was settled: nobody will say anything more.
            Err(_) => std::future::pending().await,
        }
    }
}
