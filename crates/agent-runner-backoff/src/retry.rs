//! Calling again until it works, as a sentence.

use std::{
    fmt,
    marker::PhantomData,
    thread,
    time::{Duration, Instant},
};

use crate::{Delays, ExponentialBackoff, RetryBudget};

#[cfg(feature = "tokio")]
mod future;

#[cfg(feature = "tokio")]
pub use future::{Retrying, retry};

/// Calls a function again until it succeeds or there is a reason to stop.
///
/// See [`Retry`] for what can be said about it; [`Retry::call`] starts it.
///
/// # Examples
///
/// ```
/// use std::{io, time::Duration};
/// use agent_runner_backoff::{ExponentialBackoff, retry_blocking};
///
/// let mut calls = 0;
/// let answer = retry_blocking(|| {
///     calls += 1;
///     if calls < 3 { Err(io::Error::from(io::ErrorKind::Interrupted)) } else { Ok(calls) }
/// })
/// .with(ExponentialBackoff::new().with_base(Duration::from_millis(1)))
/// .when(|error| error.kind() == io::ErrorKind::Interrupted)
/// .call()?;
///
/// assert_eq!(answer, 3);
/// # Ok::<(), io::Error>(())
/// ```
pub fn retry_blocking<F, T, E>(call: F) -> Retry<'static, F, E>
where
    F: FnMut() -> Result<T, E>,
{
    Retry::new(call)
}

/// A call with what is known about trying it again.
///
/// When it gives up, the error is the last call's. The defaults:
///
/// | setting | default |
/// |---|---|
/// | [`with`](Self::with) | [`ExponentialBackoff::new()`], at most 5 attempts |
/// | [`when`](Self::when) | every error is worth another try |
/// | [`retry_after`](Self::retry_after) | no error says when |
/// | [`budget`](Self::budget) | none |
/// | [`notify`](Self::notify) | nobody |
#[must_use = "nothing is called before `.await` or `.call()`"]
pub struct Retry<
    'b,
    F,
    E,
    When = fn(&E) -> bool,
    After = fn(&E) -> Option<Duration>,
    Notify = fn(&E, Duration),
> {
    call: F,
    policy: ExponentialBackoff,
    when: When,
    after: After,
    notify: Notify,
    budget: Option<&'b RetryBudget>,
    error: PhantomData<fn(&E)>,
}

impl<F, E> Retry<'static, F, E> {
    fn new(call: F) -> Self {
        Self {
            call,
            policy: ExponentialBackoff::new().with_max_attempts(5),
            when: |_| true,
            after: |_| None,
            notify: |_, _| (),
            budget: None,
            error: PhantomData,
        }
    }
}

impl<'b, F, E, When, After, Notify> Retry<'b, F, E, When, After, Notify> {
    /// Sets how long to wait, how often to try and for how long.
    pub fn with(mut self, policy: ExponentialBackoff) -> Self {
        self.policy = policy;
        self
    }

    /// Sets which errors are worth another try.
    pub fn when<W>(self, when: W) -> Retry<'b, F, E, W, After, Notify>
    where
        W: FnMut(&E) -> bool,
    {
        let Self { call, policy, when: _, after, notify, budget, error } = self;
        Retry { call, policy, when, after, notify, budget, error }
    }

    /// Sets how to learn from an error when the server wants to be called again.
    ///
    /// It is a floor under the delay, even over the policy's maximum. One that is later than
    /// the policy's `max_elapsed` allows is a reason to stop at once.
    pub fn retry_after<A>(self, after: A) -> Retry<'b, F, E, When, A, Notify>
    where
        A: FnMut(&E) -> Option<Duration>,
    {
        let Self { call, policy, when, after: _, notify, budget, error } = self;
        Retry { call, policy, when, after, notify, budget, error }
    }

    /// Sets who is told of each error that is tried again, and of the delay before.
    pub fn notify<N>(self, notify: N) -> Retry<'b, F, E, When, After, N>
    where
        N: FnMut(&E, Duration),
    {
        let Self { call, policy, when, after, notify: _, budget, error } = self;
        Retry { call, policy, when, after, notify, budget, error }
    }

    /// Sets the budget that pays for retries. The first call is paid into it.
    pub fn budget(mut self, budget: &'b RetryBudget) -> Self {
        self.budget = Some(budget);
        self
    }
}

impl<F, T, E, When, After, Notify> Retry<'_, F, E, When, After, Notify>
where
    F: FnMut() -> Result<T, E>,
    When: FnMut(&E) -> bool,
    After: FnMut(&E) -> Option<Duration>,
    Notify: FnMut(&E, Duration),
{
    /// Calls on this thread, which sleeps between the calls.
    ///
    /// # Errors
    ///
    /// The last call's.
    pub fn call(mut self) -> Result<T, E> {
        let mut course = self.start(Instant::now());
        loop {
            let error = match (self.call)() {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            match self.next(&mut course, &error, Instant::now()) {
                Some(delay) => thread::sleep(delay),
                None => return Err(error),
            }
        }
    }
}

/// How far a run of calls has come.
#[derive(Debug)]
struct Course {
    delays: Delays,
    started: Instant,
}

impl<F, E, When, After, Notify> Retry<'_, F, E, When, After, Notify>
where
    When: FnMut(&E) -> bool,
    After: FnMut(&E) -> Option<Duration>,
    Notify: FnMut(&E, Duration),
{
    fn start(&self, now: Instant) -> Course {
        if let Some(budget) = self.budget {
            budget.deposit_at(now);
        }
        Course { delays: self.policy.delays(), started: now }
    }

    /// How long to wait before the next call; `None` to give up.
    fn next(&mut self, course: &mut Course, error: &E, now: Instant) -> Option<Duration> {
        if !(self.when)(error) {
            return None;
        }
        let floor = (self.after)(error).unwrap_or(Duration::ZERO);
        let elapsed = now.saturating_duration_since(course.started);
        let left = match self.policy.max_elapsed() {
            Some(limit) => limit.checked_sub(elapsed).filter(|left| !left.is_zero())?,
            None => Duration::MAX,
        };
        if floor > left {
            return None;
        }
        let delay = course.delays.draw(floor)?.min(left);
        // Asked last: a budget pays only for calls that are made.
        if !self.budget.is_none_or(|budget| budget.withdraw_at(now)) {
            return None;
        }
        (self.notify)(error, delay);
        Some(delay)
    }
}

impl<F, E, When, After, Notify> fmt::Debug for Retry<'_, F, E, When, After, Notify> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry")
            .field("policy", &self.policy)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}
