//! Waiting for resources: up to a deadline, or without blocking a thread.

use std::{
    sync::Arc,
    task::{Context, Waker},
    thread,
    time::{Duration, Instant},
};

use super::{AcquireAll, ClaimStatus, ResourceLock, wish::Wish};
use crate::{
    AcquireError, LockDir, Resource,
    wait::{Pauses, Unpark},
};

/// The longest pause between two tries.
const LONGEST: Duration = Duration::from_secs(1);

/// Who waits for longer than this says so to all processes. Most waits are shorter.
const SOON: Duration = Duration::from_millis(50);

impl LockDir {
    /// Acquires all of these resources, and blocks the thread until it has them.
    ///
    /// It holds none of them while it waits, so that waiting cannot be part of a deadlock unless
    /// the caller holds something already. It tries again every 1 to 25 ms, less often the longer it
    /// waits (after 16 s, once a second), and at once when this process releases something.
    ///
    /// Those who want the same get it in the order in which they asked, so that a claim on much is
    /// not overtaken for ever by claims on parts of it, nor one who wants something alone by those
    /// who share it. Who wants something else goes ahead. Between processes that order begins after
    /// 50 ms, and is as exact as that. Who is stopped (`SIGSTOP`) while it waits is overtaken.
    ///
    /// So who shares something and asks to share it once more waits for whoever came in between,
    /// and that one waits for it: acquire all at once.
    ///
    /// # Errors
    ///
    /// [`AcquireError::ResourcesTimedOut`] says who is in the way.
    pub fn acquire_all_blocking(
        &self,
        resources: &[Resource],
        timeout: Option<Duration>,
    ) -> Result<ResourceLock, AcquireError> {
        let start = Instant::now();
        let timeout = timeout.unwrap_or(Duration::MAX);
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let place = self.shared.claims.line.join(resources);
        let mut pauses = Pauses::new();
        let mut wish = None;
        loop {
            let turn = place.is_turn();
            let waited = start.elapsed();
            let left = timeout.saturating_sub(waited);
            if turn || left.is_zero() {
                match self.try_once(resources, &mut wish, waited)? {
                    Some(AcquireAll::Acquired(lock)) => return Ok(lock),
                    answer if left.is_zero() => return Err(too_late(answer, waited)),
                    _ => {}
                }
            }
            let pause = if turn { left.min(patience(&mut pauses, waited)) } else { left };
            if place.poll_called(&Context::from_waker(&waker)).is_pending() {
                thread::park_timeout(pause);
            }
        }
    }
}

impl LockDir {
    /// One try; `None` if others had the mutex all the time. Who waited for a while already makes a
    /// wish.
    fn try_once(
        &self,
        resources: &[Resource],
        wish: &mut Option<Wish>,
        waited: Duration,
    ) -> Result<Option<AcquireAll>, AcquireError> {
        let Some(mut board) = self.shared.board()? else { return Ok(None) };
        let answer = board.acquire(self, resources, wish.as_ref())?;
        if matches!(answer, AcquireAll::Held(_)) && wish.is_none() && waited >= SOON {
            *wish = Some(board.wish(self, resources)?);
        }
        Ok(Some(answer))
    }
}

/// How long to wait before the next try. Every try keeps all others from theirs for a moment: a
/// thousand processes that ask forty times a second would do nothing else.
fn patience(pauses: &mut Pauses, waited: Duration) -> Duration {
    pauses.next().max((waited / 16).min(LONGEST))
}

/// The error of who waited in vain.
fn too_late(answer: Option<AcquireAll>, waited: Duration) -> AcquireError {
    let held: Vec<ClaimStatus> = match answer {
        Some(AcquireAll::Held(held)) => held,
        _ => vec![],
    };
    AcquireError::ResourcesTimedOut { held, waited }
}

#[cfg(feature = "tokio")]
impl LockDir {
    /// Acquires all of these resources, and waits without blocking a thread.
    ///
    /// It is as fair as [`LockDir::acquire_all_blocking`], with which it stands in one line.
    ///
    /// # Errors
    ///
    /// As [`LockDir::try_acquire_all`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing held and gives up the place in line.
    pub async fn acquire_all(&self, resources: &[Resource]) -> Result<ResourceLock, AcquireError> {
        let start = Instant::now();
        let place = self.shared.claims.line.join(resources);
        let mut pauses = Pauses::new();
        let mut wish = None;
        loop {
            if place.is_turn() {
                let waited = start.elapsed();
                let answer = self.try_once(resources, &mut wish, waited)?;
                if let Some(AcquireAll::Acquired(lock)) = answer {
                    return Ok(lock);
                }
                let pause = tokio::time::sleep(patience(&mut pauses, waited));
                crate::wait::called_or(|context| place.poll_called(context), pause).await;
            } else {
                std::future::poll_fn(|context| place.poll_called(context)).await;
            }
        }
    }

    /// Acquires resources as [`LockDir::acquire_all`] does, and gives up at a time.
    ///
    /// # Errors
    ///
    /// [`AcquireError::ResourcesTimedOut`] says who is in the way.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing held and gives up the place in line.
    pub async fn acquire_all_until(
        &self,
        resources: &[Resource],
        deadline: Instant,
    ) -> Result<ResourceLock, AcquireError> {
        let start = Instant::now();
        match tokio::time::timeout_at(deadline.into(), self.acquire_all(resources)).await {
            Ok(result) => result,
            Err(_) => match self.try_once(resources, &mut None, Duration::ZERO)? {
                Some(AcquireAll::Acquired(lock)) => Ok(lock),
                answer => Err(too_late(answer, start.elapsed())),
            },
        }
    }
}
