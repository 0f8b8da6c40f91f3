//! What outlives a child or its runner.

use std::{io, time::Duration};

use crate::{ProcessIdentity, sys};

/// Makes this process the parent of every orphan that its children leave behind.
///
/// A process that starts a session of its own (`setsid`, a daemon, the shell of some agents) is
/// not reached by a signal to its group. Once this was called, each such process comes back to us
/// when its parent dies, and is found and ended at the end of its attempt, at the cost of one
/// system call. Without it they are only searched for after an attempt that we ended ourselves.
///
/// Call it once, early in `main`. It is a property of the whole process (Linux:
/// `PR_SET_CHILD_SUBREAPER`), which is why no library should do it unasked: from then on, this
/// crate also reaps dead children that it did not start, if they belong to another session or to
/// an attempt's group. A child that something else in this process started in a session of its
/// own may be reaped before its own parent code sees its exit code.
///
/// # Errors
///
/// Fails where there is no such thing: on other systems than Linux, or without `/proc`.
pub fn adopt_orphans() -> io::Result<()> {
    sys::adopt_orphans()
}

/// Ends what is left of an attempt whose runner is dead.
///
/// The process group is signalled only if its leader is proven to be the very process (same boot,
/// same number, same start time), any other process only if it carries the attempt's mark in its
/// environment. Both are asked to end (SIGTERM), and after `grace` killed.
///
/// Where nothing can be proven (on other systems than Linux) the answer is [`Ended::NotOurs`].
///
/// # Cancel safety
///
/// Some processes may have been signalled; calling again continues.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// use agent_runner_exec::{Ended, end_orphan};
///
/// let note = "pid=4242 start=118731 boot=0e3ad41e6b3c4c0b9c1f8f0c1d2e3f40 mark=8c5f2e7d90ab1234-7";
/// let ended = end_orphan(&note.parse()?, Duration::from_secs(5)).await;
/// # #[cfg(target_os = "linux")]
/// assert_eq!(ended, Ended::Gone); // that was before a reboot
/// # Ok(())
/// # }
/// ```
pub async fn end_orphan(identity: &ProcessIdentity, grace: Duration) -> Ended {
    sys::end_orphan(identity, grace).await
}

/// Whether something of an attempt whose runner is dead goes on, by the proof of [`end_orphan`].
///
/// False where nothing can be proven (on other systems than Linux). It looks at all processes, which
/// takes milliseconds.
pub fn orphan_lives(identity: &ProcessIdentity) -> bool {
    sys::orphan_lives(identity)
}

/// What [`end_orphan`] found and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// Nothing of it was left.
    Gone,
    /// So many processes were ended.
    Killed(u32),
    /// There is a process of that number, but it is another one. It was left alone.
    NotOurs,
    /// So many processes could not be ended.
    Survived(u32),
}
