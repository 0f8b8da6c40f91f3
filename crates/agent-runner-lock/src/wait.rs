//! Waiting for a lock: in the kernel's queue, up to a deadline, or without blocking a thread.

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
    task::{Context, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use crate::{Acquire, AcquireError, LockDir, TaskLock, acquire::Ask, name::file_name};

impl LockDir {
    /// Acquires a lock, and blocks the thread until it has it.
    ///
    /// Without a timeout the thread waits in the kernel's queue and has the lock some 30
    /// microseconds after its release. With one, or in a lease directory, it asks again and again,
    /// every 1 to 25 ms.
    ///
    /// A thread that waits for a lock which it holds itself waits for ever, as with any mutex.
    ///
    /// # Errors
    ///
    /// [`AcquireError::TimedOut`] says who holds it.
    pub fn acquire_blocking(
        &self,
        key: &str,
        timeout: Option<Duration>,
    ) -> Result<TaskLock, AcquireError> {
        match timeout {
            None if self.shared.leases.is_none() => self.wait_in_queue(key),
            // Whoever waits in the kernel's queue does not see that a lease is over.
            None => self.wait_in_line(key, Duration::MAX),
            Some(timeout) => self.wait_in_line(key, timeout),
        }
    }

    fn wait_in_queue(&self, key: &str) -> Result<TaskLock, AcquireError> {
        let name = file_name(key)?;
        loop {
            match self.attempt(key, &name, Ask::Queue)? {
                Acquire::Acquired(lock) => return Ok(lock),
                // Another thread holds it in a folder that was removed: no queue to wait in.
                Acquire::Held(_) => thread::sleep(Pauses::LONGEST),
            }
        }
    }

    fn wait_in_line(&self, key: &str, timeout: Duration) -> Result<TaskLock, AcquireError> {
        let name = file_name(key)?;
        let start = Instant::now();
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let place = self.shared.lines.join(&name);
        let mut pauses = Pauses::new();
        loop {
            let first = place.is_first();
            let waited = start.elapsed();
            let left = timeout.saturating_sub(waited);
            if first || left.is_zero() {
                match self.try_acquire(key)? {
                    Acquire::Acquired(lock) => return Ok(lock),
                    Acquire::Held(status) if left.is_zero() => {
                        return Err(AcquireError::TimedOut { status, waited });
                    }
                    Acquire::Held(_) => {}
                }
            }
            let pause = if first { left.min(pauses.next()) } else { left };
            if place.poll_called(&Context::from_waker(&waker)).is_pending() {
                thread::park_timeout(pause);
            }
        }
    }
}

#[cfg(feature = "tokio")]
impl LockDir {
    /// Acquires a lock, and waits without blocking a thread.
    ///
    /// Tasks of this process that wait for the same key get it in the order in which they asked.
    /// Only the first of them asks the kernel, every 1 to 25 ms; a release in this process wakes
    /// it at once.
    ///
    /// # Errors
    ///
    /// As [`LockDir::try_acquire`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing held and gives up the place in line.
    pub async fn acquire(&self, key: &str) -> Result<TaskLock, AcquireError> {
        let name = file_name(key)?;
        let place = self.shared.lines.join(&name);
        let mut pauses = Pauses::new();
        loop {
            if place.is_first() {
                if let Acquire::Acquired(lock) = self.try_acquire(key)? {
                    return Ok(lock);
                }
                let pause = tokio::time::sleep(pauses.next());
                called_or(|context| place.poll_called(context), pause).await;
            } else {
                std::future::poll_fn(|context| place.poll_called(context)).await;
            }
        }
    }

    /// Acquires a lock as [`LockDir::acquire`] does, and gives up at a time.
    ///
    /// # Errors
    ///
    /// [`AcquireError::TimedOut`] says who holds it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing held and gives up the place in line.
    pub async fn acquire_until(
        &self,
        key: &str,
        deadline: Instant,
    ) -> Result<TaskLock, AcquireError> {
        let start = Instant::now();
        match tokio::time::timeout_at(deadline.into(), self.acquire(key)).await {
            Ok(result) => result,
            Err(_) => match self.try_acquire(key)? {
                Acquire::Acquired(lock) => Ok(lock),
                Acquire::Held(status) => {
                    Err(AcquireError::TimedOut { status, waited: start.elapsed() })
                }
            },
        }
    }
}

/// Waits until a place is called or a pause is over.
#[cfg(feature = "tokio")]
pub(crate) async fn called_or(
    poll_called: impl Fn(&Context<'_>) -> std::task::Poll<()>,
    pause: tokio::time::Sleep,
) {
    let mut pause = std::pin::pin!(pause);
    std::future::poll_fn(|context| {
        let called = poll_called(context);
        if called.is_ready() { called } else { pause.as_mut().poll(context) }
    })
    .await;
}

/// Wakes a thread.
pub(crate) struct Unpark(pub(crate) Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The pauses between two questions: about 1 ms first, then longer, never over 25 ms. Half of each
/// is random, so that processes do not ask in step.
pub(crate) struct Pauses {
    next: Duration,
    random: u64,
}

impl Pauses {
    const SHORTEST: Duration = Duration::from_millis(1);
    const LONGEST: Duration = Duration::from_millis(25);

    pub(crate) fn new() -> Self {
        Self { next: Self::SHORTEST, random: RandomState::new().hash_one(0) | 1 }
    }

    pub(crate) fn next(&mut self) -> Duration {
        // xorshift64 (George Marsaglia, "Xorshift RNGs").
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let longest = self.next;
        self.next = (longest * 3 / 2).min(Self::LONGEST);
        let half = longest / 2;
        let share = u32::try_from(self.random >> 54).unwrap_or(0);
        half + half * share / 1024
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_in_bounds() {
        let mut pauses = Pauses::new();
        let all: Vec<_> = std::iter::repeat_with(|| pauses.next()).take(100).collect();
        assert!(all.iter().all(|pause| (Pauses::SHORTEST / 2..Pauses::LONGEST).contains(pause)));
        assert!(all[50..].iter().all(|pause| *pause >= Pauses::LONGEST / 2));
        assert!(all[50..].iter().any(|pause| *pause != all[50]), "there is no jitter");
    }
}
