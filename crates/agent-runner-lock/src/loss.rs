//! How a holder is told that it lost its lock.

use std::{
    collections::BTreeMap,
    fmt, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use crate::{LockInfo, LostError};

/// How a lock was lost that was acquired.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum LostReason {
    /// It was released through [`LockDir::release`](crate::LockDir::release).
    Released,
    /// Its file or its folder was removed.
    Removed,
    /// Another file has its place. In a lease directory a contender put it there, after it saw no
    /// sign of life for the length of the lease.
    Deposed {
        /// Who acquired the lock since, if somebody did, with the token that a store must honour
        /// from now on.
        by: Option<Box<LockInfo>>,
    },
    /// It was not renewed in time, so that others may take it at any moment: the process was
    /// stopped, or the disk did not answer.
    NotRenewed {
        /// How long the lease lasts.
        ttl: Duration,
    },
}

impl LostReason {
    pub(crate) fn into_error(self, key: &str, folder: &Path) -> LostError {
        let key = key.to_owned();
        match self {
            Self::Released => LostError::Released { key },
            Self::Removed => LostError::LockDirReplaced { key, path: folder.to_owned() },
            Self::Deposed { by } => LostError::Deposed { key, by },
            Self::NotRenewed { ttl } => LostError::NotRenewed { key, ttl },
        }
    }
}

/// A place where a loss is declared once, and heard by all who ask.
#[derive(Debug, Default)]
pub(crate) struct Loss {
    state: Mutex<State>,
    declared: Condvar,
}

#[derive(Default)]
struct State {
    reason: Option<LostReason>,
    callbacks: Vec<Callback>,
    wakers: BTreeMap<u64, Waker>,
    next: u64,
}

type Callback = Box<dyn FnOnce(&LostReason) + Send>;

impl Loss {
    pub(crate) fn reason(&self) -> Option<LostReason> {
        self.state().reason.clone()
    }

    /// Tells everybody. The first reason counts.
    pub(crate) fn declare(&self, reason: &LostReason) {
        let (callbacks, wakers) = {
            let mut state = self.state();
            if state.reason.is_some() {
                return;
            }
            state.reason = Some(reason.clone());
            (mem::take(&mut state.callbacks), mem::take(&mut state.wakers))
        };
        self.declared.notify_all();
        wakers.into_values().for_each(Waker::wake);
        for callback in callbacks {
            // What panics there must not end the thread that keeps the other leases alive.
            catch_unwind(AssertUnwindSafe(|| callback(reason))).ok();
        }
    }

    pub(crate) fn call_back(&self, callback: impl FnOnce(&LostReason) + Send + 'static) {
        let reason = {
            let mut state = self.state();
            match &state.reason {
                Some(reason) => reason.clone(),
                None => return state.callbacks.push(Box::new(callback)),
            }
        };
        callback(&reason);
    }

    pub(crate) fn wait(&self, timeout: Option<Duration>) -> Option<LostReason> {
        // A timeout that no clock can reach is none.
        let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut state = self.state();
        while state.reason.is_none() {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            state = match left {
                None => self.declared.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => break,
                Some(left) => {
                    let woken = self.declared.wait_timeout(state, left);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        state.reason.clone()
    }

    pub(crate) fn listen(&self) -> Listener<'_> {
        let mut state = self.state();
        state.next += 1;
        Listener { loss: self, id: state.next }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for a loss. Dropped, it leaves nothing behind.
pub(crate) struct Listener<'a> {
    loss: &'a Loss,
    id: u64,
}

impl Future for Listener<'_> {
    type Output = LostReason;

    fn poll(self: std::pin::Pin<&mut Self>, context: &mut Context<'_>) -> Poll<LostReason> {
        let mut state = self.loss.state();
        if let Some(reason) = &state.reason {
            return Poll::Ready(reason.clone());
        }
        state.wakers.insert(self.id, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Listener<'_> {
    fn drop(&mut self) {
        self.loss.state().wakers.remove(&self.id);
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("reason", &self.reason).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
        mpsc,
    };

    use super::*;

    #[test]
    fn the_first_reason_counts_and_everybody_hears_it_once() {
        let (loss, heard) = (Loss::default(), Arc::new(AtomicU32::new(0)));
        let count = || {
            let heard = Arc::clone(&heard);
            move |reason: &LostReason| {
                assert_eq!(*reason, LostReason::Removed);
                heard.fetch_add(1, SeqCst);
            }
        };
        loss.call_back(count());
        assert_eq!(loss.wait(Some(Duration::ZERO)), None);
        loss.declare(&LostReason::Removed);
        loss.declare(&LostReason::Released);
        assert_eq!(heard.load(SeqCst), 1);
        loss.call_back(count());
        assert_eq!(heard.load(SeqCst), 2, "who comes late is told at once");
        assert_eq!(loss.wait(None), Some(LostReason::Removed));
    }

    #[test]
    fn a_callback_that_panics_does_not_stop_the_next() {
        let (loss, (tell, told)) = (Loss::default(), mpsc::channel());
        loss.call_back(|_| panic!("a bug of the caller"));
        loss.call_back(move |_| tell.send(()).unwrap());
        loss.declare(&LostReason::Removed);
        told.recv().unwrap();
    }

    #[test]
    fn a_listener_that_is_dropped_leaves_nothing() {
        let loss = Loss::default();
        let mut listener = Box::pin(loss.listen());
        let mut context = Context::from_waker(Waker::noop());
        assert!(listener.as_mut().poll(&mut context).is_pending());
        assert_eq!(loss.state().wakers.len(), 1);
        drop(listener);
        assert_eq!(loss.state().wakers.len(), 0);
    }
}
