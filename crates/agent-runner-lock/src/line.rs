//! The waiting lines of this process: one a key, first come first served.
//!
//! Only the first in a line asks the kernel; the others sleep. A line is called when this process
//! releases the lock and when its first leaves, so that a hand-over inside a process waits for no
//! timer. The same line serves threads and tasks: a thread's waker unparks it.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

#[derive(Debug, Default)]
pub(crate) struct Lines {
    lines: Mutex<HashMap<String, VecDeque<Waiter>>>,
    next: AtomicU64,
}

#[derive(Debug)]
struct Waiter {
    id: u64,
    called: bool,
    waker: Option<Waker>,
}

impl Lines {
    /// Joins the end of a line.
    pub(crate) fn join<'a>(&'a self, name: &'a str) -> Place<'a> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut lines = self.lock();
        lines.entry(name.to_owned()).or_default().push_back(Waiter {
            id,
            called: false,
            waker: None,
        });
        Place { lines: self, name, id }
    }

    /// Tells the first in a line to try now.
    pub(crate) fn call_first(&self, name: &str) {
        let waker = self.lock().get_mut(name).and_then(|line| {
            let first = line.front_mut()?;
            first.called = true;
            first.waker.take()
        });
        // Outside of the mutex: a waker may run anything.
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, VecDeque<Waiter>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in a line, given up when it is dropped.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    lines: &'a Lines,
    name: &'a str,
    id: u64,
}

impl Place<'_> {
    /// Whether it is this one's turn to try.
    pub(crate) fn is_first(&self) -> bool {
        let lines = self.lines.lock();
        lines.get(self.name).and_then(VecDeque::front).is_some_and(|first| first.id == self.id)
    }

    /// Ready when called since it was ready last.
    pub(crate) fn poll_called(&self, context: &Context<'_>) -> Poll<()> {
        let mut lines = self.lines.lock();
        let mut line = lines.get_mut(self.name).into_iter().flatten();
        let waiter = line.find(|waiter| waiter.id == self.id);
        let waiter = waiter.expect("a place is in its line until it is dropped");
        if std::mem::take(&mut waiter.called) {
            return Poll::Ready(());
        }
        match &mut waiter.waker {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let was_first = {
            let mut lines = self.lines.lock();
            let Some(line) = lines.get_mut(self.name) else { return };
            let at = line.iter().position(|waiter| waiter.id == self.id);
            at.map(|at| line.remove(at));
            if line.is_empty() {
                lines.remove(self.name);
            }
            at == Some(0)
        };
        if was_first {
            self.lines.call_first(self.name);
        }
    }
}
