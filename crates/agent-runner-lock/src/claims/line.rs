//! Those of this process who wait for resources, first come first served.
//!
//! A waiter may try when nobody who came before it wants what it wants. So a big claim is not
//! overtaken for ever by small ones, and who has nothing to do with it need not stand behind it.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use crate::{Resource, resource::conflict};

#[derive(Debug, Default)]
pub(crate) struct Line {
    waiters: Mutex<Vec<Waiter>>,
    next: AtomicU64,
}

#[derive(Debug)]
struct Waiter {
    id: u64,
    wants: Vec<Resource>,
    called: bool,
    waker: Option<Waker>,
}

impl Line {
    /// Joins the end of the line.
    pub(super) fn join(&self, wants: &[Resource]) -> Place<'_> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let waiter = Waiter { id, wants: wants.to_vec(), called: false, waker: None };
        self.lock().push(waiter);
        Place { line: self, id }
    }

    /// Tells all whose turn it is to try now.
    pub(super) fn call(&self) {
        let mut waiters = self.lock();
        let turns: Vec<_> = (0..waiters.len()).filter(|at| is_turn(&waiters, *at)).collect();
        let mut wakers = Vec::new();
        for at in turns {
            waiters[at].called = true;
            wakers.extend(waiters[at].waker.take());
        }
        drop(waiters);
        // Outside of the mutex: a waker may run anything.
        wakers.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Waiter>> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_turn(waiters: &[Waiter], at: usize) -> bool {
    waiters[..at].iter().all(|before| !conflict(&before.wants, &waiters[at].wants))
}

/// A place in the line, given up when it is dropped.
#[derive(Debug)]
pub(super) struct Place<'a> {
    line: &'a Line,
    id: u64,
}

impl Place<'_> {
    /// Whether it is this one's turn to try.
    pub(super) fn is_turn(&self) -> bool {
        let waiters = self.line.lock();
        self.at(&waiters).is_some_and(|at| is_turn(&waiters, at))
    }

    /// Ready when called since it was ready last.
    pub(super) fn poll_called(&self, context: &Context<'_>) -> Poll<()> {
        let mut waiters = self.line.lock();
        let at = self.at(&waiters).expect("a place is in its line until it is dropped");
        let waiter = &mut waiters[at];
        if std::mem::take(&mut waiter.called) {
            return Poll::Ready(());
        }
        match &mut waiter.waker {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    fn at(&self, waiters: &[Waiter]) -> Option<usize> {
        waiters.iter().position(|waiter| waiter.id == self.id)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut waiters = self.line.lock();
        if let Some(at) = self.at(&waiters) {
            waiters.remove(at);
        }
        drop(waiters);
        self.line.call();
    }
}
