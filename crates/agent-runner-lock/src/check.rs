//! Whether a lock still excludes others, and how its holder is told that it does not.

use std::{
    io,
    time::{Duration, Instant},
};

use crate::{
    LockInfo, LostError, LostReason, TaskLock,
    acquire::read_holder,
    dir::Shared,
    guard::Held,
    sys::{self, Folder},
};

/// How often to look after a strict lock whose holder asked to be told of a loss.
const EVERY: Duration = Duration::from_millis(250);

impl TaskLock {
    /// Checks that the lock still excludes others: that its path still names the file which is
    /// locked, and in a lease directory, that it was renewed in time.
    ///
    /// A strict lock does, unless something that does not follow the protocol removed or replaced
    /// the file or its folder (`git clean -fdx`, `rm -rf`). No file lock can prevent that.
    ///
    /// # Errors
    ///
    /// Says what became of it. The guard can still be released.
    pub fn check(&self) -> Result<(), LostError> {
        self.shared.check(&self.held)
    }

    /// Waits until the lock is lost, and says how. Waits for ever if it is not.
    ///
    /// This needs no runtime. A lease is looked after in any case; a strict lock, from the first
    /// call on, four times a second.
    ///
    /// # Panics
    ///
    /// When the system will not start a thread.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: the next call answers at once.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn work() {}
    /// # async fn example(lock: agent_runner_lock::TaskLock) {
    /// tokio::select! {
    ///     () = work() => {}
    ///     reason = lock.lost() => println!("stopping: {reason:?}"),
    /// }
    /// # }
    /// ```
    pub async fn lost(&self) -> LostReason {
        self.watch();
        self.held.loss.listen().await
    }

    /// Waits as [`TaskLock::lost`] does, but blocks the thread, and at most for a while.
    ///
    /// # Panics
    ///
    /// When the system will not start a thread.
    pub fn wait_lost(&self, timeout: Option<Duration>) -> Option<LostReason> {
        self.watch();
        self.held.loss.wait(timeout)
    }

    /// Has something done when the lock is lost; at once, if it is lost already.
    ///
    /// It is done by the thread that notices, which may be the one that renews all leases of this
    /// process: keep it short. A release by the guard is no loss.
    ///
    /// # Panics
    ///
    /// When the system will not start a thread.
    pub fn on_lost(&self, callback: impl FnOnce(&LostReason) + Send + 'static) {
        self.watch();
        self.held.loss.call_back(callback);
    }

    fn watch(&self) {
        let watched = self.held.watch(&self.shared, Instant::now() + EVERY);
        watched.expect("the system starts a thread");
    }
}

impl Shared {
    /// Whether a lock still excludes others. Declares a loss that is found.
    pub(crate) fn check(&self, held: &Held) -> Result<(), LostError> {
        let lost = |reason: LostReason| Err(reason.into_error(&held.key, self.path()));
        if let Some(reason) = held.loss.reason() {
            return lost(reason);
        }
        let reason = {
            let grip = held.grip();
            let locked = held.locked(&grip)?;
            let named = sys::found(locked.file()).and_then(|found| {
                Ok(sys::id_at(&self.path_of(&held.name), false)? == Some(found.id))
            });
            let over = grip.lease.filter(|lease| lease.is_over(Instant::now()));
            match (named, over) {
                (Ok(false), _) => self.who_took(held),
                (_, Some(lease)) => LostReason::NotRenewed { ttl: lease.ttl() },
                (Ok(true), None) => return Ok(()),
                (Err(source), None) => return Err(LostError::Io { key: held.key.clone(), source }),
            }
        };
        held.loss.declare(&reason);
        lost(reason)
    }

    /// Why our path names another file, or none.
    fn who_took(&self, held: &Held) -> LostReason {
        match self.holder_at_path(&held.name) {
            // What a breaker puts there is a copy of our record, until somebody acquires the lock.
            Ok(by) => {
                LostReason::Deposed { by: by.filter(|by| by.token != held.token()).map(Box::new) }
            }
            Err(_) => LostReason::Removed,
        }
    }

    fn holder_at_path(&self, name: &str) -> io::Result<Option<LockInfo>> {
        Ok(read_holder(&Folder::open(self.path())?.open_file_to_read(name)?)?.1)
    }

    /// Renews a lease, or looks after a strict lock. Says when to come again; `None` if the lock is
    /// not held any more.
    pub(crate) fn keep_alive(&self, held: &Held) -> Option<Instant> {
        let began = Instant::now();
        // A disk that is full or slow for a moment is not a loss.
        let written = held.write_renewal().is_ok();
        let seen = match self.check(held) {
            Ok(()) => written,
            Err(LostError::Io { .. }) => false,
            Err(_) => return None,
        };
        let now = Instant::now();
        let mut grip = held.grip();
        let Some(lease) = &mut grip.lease else { return Some(now + EVERY) };
        let renewed = seen && lease.renew(began, now);
        Some(if renewed { lease.due(began) } else { lease.due(now) })
    }
}
