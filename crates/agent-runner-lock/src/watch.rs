//! The one thread that renews the leases of this process, and looks after those strict locks whose
//! holders asked to be told of a loss.
//!
//! It is a thread of the system, because a task of a busy runtime would renew too late. It is
//! started with the first lock to look after, and sleeps while there is none.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    thread,
    time::Instant,
};

use crate::{dir::Shared, guard::Held};

static WATCH: Mutex<Option<Watch>> = Mutex::new(None);
static CHANGED: Condvar = Condvar::new();

#[derive(Debug)]
struct Watch {
    /// The process whose thread it is. A forked child has none.
    pid: u32,
    watched: HashMap<Id, Watched>,
    /// When the thread wakes by itself; `None` if it does not.
    wakes: Option<Instant>,
}

#[derive(Debug, Clone)]
struct Watched {
    shared: Weak<Shared>,
    held: Weak<Held>,
    due: Instant,
}

/// A lock's address, which no other lock has as long as we keep a weak reference.
type Id = usize;

/// Looks after a lock from a time on, until it is lost or [`forget`]ten.
pub(crate) fn look_after(shared: &Arc<Shared>, held: &Arc<Held>, due: Instant) -> io::Result<()> {
    let pid = std::process::id();
    let mut watch = lock();
    if watch.as_ref().is_none_or(|watch| watch.pid != pid) {
        thread::Builder::new().name("lock-watch".to_owned()).spawn(move || run(pid))?;
        *watch = Some(Watch { pid, watched: HashMap::new(), wakes: None });
    }
    if let Some(watch) = watch.as_mut() {
        let (shared, weak) = (Arc::downgrade(shared), Arc::downgrade(held));
        watch.watched.insert(id(held), Watched { shared, held: weak, due });
        if watch.wakes.is_none_or(|wakes| due < wakes) {
            CHANGED.notify_one();
        }
    }
    Ok(())
}

/// Looks after a lock no more.
pub(crate) fn forget(held: &Held) {
    if let Some(watch) = lock().as_mut() {
        watch.watched.remove(&id(held));
    }
}

/// The thread.
fn run(pid: u32) {
    let mut watch = lock();
    while let Some(now) = watch.as_mut().filter(|watch| watch.pid == pid) {
        let due = now.due(Instant::now());
        if due.is_empty() {
            now.wakes = now.watched.values().map(|watched| watched.due).min();
            let wakes = now.wakes;
            watch = sleep(watch, wakes);
            continue;
        }
        // Not under the mutex: others acquire and release locks while the disk is slow.
        drop(watch);
        let next: Vec<_> = due.iter().map(|(_, watched)| watched.visit()).collect();
        watch = lock();
        if let Some(watch) = watch.as_mut() {
            due.iter().zip(next).for_each(|((id, _), due)| watch.plan(*id, due));
        }
    }
}

fn sleep(
    watch: MutexGuard<'static, Option<Watch>>,
    wakes: Option<Instant>,
) -> MutexGuard<'static, Option<Watch>> {
    match wakes.map(|wakes| wakes.saturating_duration_since(Instant::now())) {
        None => CHANGED.wait(watch).unwrap_or_else(PoisonError::into_inner),
        Some(left) => CHANGED.wait_timeout(watch, left).unwrap_or_else(PoisonError::into_inner).0,
    }
}

impl Watch {
    fn due(&self, now: Instant) -> Vec<(Id, Watched)> {
        let due = self.watched.iter().filter(|(_, watched)| watched.due <= now);
        due.map(|(id, watched)| (*id, watched.clone())).collect()
    }

    /// Notes when to visit a lock again, unless it was forgotten meanwhile.
    fn plan(&mut self, id: Id, due: Option<Instant>) {
        match (due, self.watched.get_mut(&id)) {
            (Some(due), Some(watched)) => watched.due = due,
            (None, _) => drop(self.watched.remove(&id)),
            (Some(_), None) => {}
        }
    }
}

impl Watched {
    fn visit(&self) -> Option<Instant> {
        self.shared.upgrade()?.keep_alive(&*self.held.upgrade()?)
    }
}

fn id(held: &Held) -> Id {
    std::ptr::from_ref(held).addr()
}

fn lock() -> MutexGuard<'static, Option<Watch>> {
    WATCH.lock().unwrap_or_else(PoisonError::into_inner)
}
