//! Handing a lock on to a child, which then keeps it if its holder is killed.
//!
//! A file's lock belongs to the open file, and lasts until each process that has the open file has
//! closed it, or until one of them unlocks it. Our open files are closed in whatever program a child
//! becomes. So a child that is to keep one needs a second descriptor without that mark, and it must
//! be there only while that child is started, lest every other child get it as well.
//!
//! This needs nothing done in the child, so that the standard library starts it with `posix_spawn`,
//! which need not copy the tables of a big process.

use std::{
    cell::Cell,
    ffi::OsString,
    io, process,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{LostError, ResourceLock, TaskLock, sys};

/// The environment variable in which a child finds the lock's token.
const TOKEN_VARIABLE: &str = "AGENT_RUNNER_LOCK_TOKEN";
/// The environment variable in which a child finds the path of the lock's file.
const PATH_VARIABLE: &str = "AGENT_RUNNER_LOCK_PATH";

impl TaskLock {
    /// Starts a child that keeps the lock when this process is killed, until the child ends too.
    ///
    /// So nobody else begins a task on which a killed holder's child still works; it is
    /// [`LockState::Orphaned`](crate::LockState::Orphaned) meanwhile. The child's own children keep
    /// it as well, unless they close what they inherit. As long as this process lives, nothing
    /// changes: [`TaskLock::release`], or dropping the guard, frees the lock at once, whatever the
    /// child or a daemon that it left behind still has open.
    ///
    /// The command also gets the variables of [`TaskLock::environment`]. It is a
    /// [`std::process::Command`] or, with the feature `tokio`, a `tokio::process::Command`; start
    /// others in [`TaskLock::while_inheritable`].
    ///
    /// On Windows children do not keep locks.
    ///
    /// # Errors
    ///
    /// When the command cannot be started; a [`LostError`] inside of the error when the lock is not
    /// held any more.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::process::Command;
    ///
    /// use agent_runner_lock::LockDir;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// let dir = LockDir::open(folder.path().join("locks"))?;
    /// if let Some(lock) = dir.try_acquire("42")?.acquired() {
    ///     let mut agent = lock.keep_with_child(Command::new("git").arg("--version"))?;
    ///     agent.wait()?;
    ///     lock.release()?;
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn keep_with_child<C: ChildCommand>(&self, command: &mut C) -> io::Result<C::Child> {
        for (name, value) in self.environment() {
            command.set_env(name, value);
        }
        self.while_inheritable(|| command.start()).map_err(io::Error::other)?
    }

    /// Does something, and lets the children that it starts keep the lock; see
    /// [`TaskLock::keep_with_child`].
    ///
    /// Only one thread of the process is in here at a time, so that no lock gets to the child of
    /// another. A child that is started elsewhere at the same moment, by other means, can get it.
    /// Calls may be nested, for a child that is to keep several locks. A child must have been
    /// started when `spawn` returns, and `spawn` must not wait for another thread that wants in.
    ///
    /// # Errors
    ///
    /// When the lock is not held any more; then `spawn` is not called.
    pub fn while_inheritable<R>(&self, spawn: impl FnOnce() -> R) -> Result<R, LostError> {
        hand_on(|| self.share(sys::inheritable), spawn)
    }

    /// What a child can be told of the lock: its token in `AGENT_RUNNER_LOCK_TOKEN` and the path of
    /// its file in `AGENT_RUNNER_LOCK_PATH`.
    pub fn environment(&self) -> [(&'static str, OsString); 2] {
        [(TOKEN_VARIABLE, self.token().to_string().into()), (PATH_VARIABLE, self.path().into())]
    }
}

impl ResourceLock {
    /// Starts a child that keeps the resources when this process is killed, as
    /// [`TaskLock::keep_with_child`] does. For a child that is to keep a task's lock as well, call
    /// that in [`ResourceLock::while_inheritable`].
    ///
    /// # Errors
    ///
    /// When the command cannot be started; a [`LostError`] inside of the error when the resources
    /// are not held any more.
    pub fn keep_with_child<C: ChildCommand>(&self, command: &mut C) -> io::Result<C::Child> {
        self.while_inheritable(|| command.start()).map_err(io::Error::other)?
    }

    /// Does something, and lets the children that it starts keep the resources; see
    /// [`TaskLock::while_inheritable`].
    ///
    /// # Errors
    ///
    /// When they are not held any more; then `spawn` is not called.
    pub fn while_inheritable<R>(&self, spawn: impl FnOnce() -> R) -> Result<R, LostError> {
        hand_on(|| self.with_file(sys::inheritable), spawn)
    }
}

/// Does something while a locked file is inheritable.
fn hand_on<F, R>(
    inheritable: impl FnOnce() -> Result<F, LostError>,
    spawn: impl FnOnce() -> R,
) -> Result<R, LostError> {
    let turn = Turn::take();
    let inheritable = inheritable()?;
    let spawned = spawn();
    // Before the next one's turn.
    drop(inheritable);
    drop(turn);
    Ok(spawned)
}

/// A command that starts a child: [`std::process::Command`], or `tokio::process::Command` with the
/// feature `tokio`.
pub trait ChildCommand: sealed::Sealed {
    /// The child.
    type Child;

    /// Sets a variable of the child's environment.
    fn set_env(&mut self, name: &str, value: OsString);

    /// Starts the child.
    fn start(&mut self) -> io::Result<Self::Child>;
}

impl ChildCommand for process::Command {
    type Child = process::Child;

    fn set_env(&mut self, name: &str, value: OsString) {
        self.env(name, value);
    }

    fn start(&mut self) -> io::Result<Self::Child> {
        self.spawn()
    }
}

#[cfg(feature = "tokio")]
impl ChildCommand for tokio::process::Command {
    type Child = tokio::process::Child;

    fn set_env(&mut self, name: &str, value: OsString) {
        self.env(name, value);
    }

    fn start(&mut self) -> io::Result<Self::Child> {
        self.spawn()
    }
}

mod sealed {
    //! Commands of other crates are started in `while_inheritable`.

    pub trait Sealed {}
    impl Sealed for std::process::Command {}
    #[cfg(feature = "tokio")]
    impl Sealed for tokio::process::Command {}
}

thread_local! {
    /// Whether this thread has its turn already.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// The right of one thread to have inheritable files; taken again by the same thread it is the
/// same turn.
struct Turn {
    outermost: Option<MutexGuard<'static, ()>>,
}

impl Turn {
    fn take() -> Self {
        static TURN: Mutex<()> = Mutex::new(());

        let outermost =
            (!INSIDE.get()).then(|| TURN.lock().unwrap_or_else(PoisonError::into_inner));
        INSIDE.set(true);
        Self { outermost }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.outermost.is_some() {
            INSIDE.set(false);
        }
    }
}
