//! The same on tokio's timer.

use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep};

use super::{Course, Retry};

/// Calls an async function again until it succeeds or there is a reason to stop.
///
/// See [`Retry`] for what can be said about it; `.await` starts it. Time is tokio's, so that a
/// test with a paused clock runs a day of backoff in a millisecond.
///
/// # Cancel safety
///
/// Dropping the future drops the call that is under way, or ends the wait. Nothing else is held.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use agent_runner_backoff::{ExponentialBackoff, RetryBudget, retry};
///
/// # struct Error { status: u16, retry_after: Option<Duration> }
/// # async fn fetch() -> Result<u8, Error> { Ok(7) }
/// static BUDGET: RetryBudget = RetryBudget::new();
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let answer = retry(|| fetch())
///     .with(ExponentialBackoff::new().with_max_attempts(8))
///     .when(|error| error.status >= 500 || error.status == 429)
///     .retry_after(|error| error.retry_after)
///     .budget(&BUDGET)
///     .await;
/// # assert!(answer.is_ok());
/// # }
/// ```
pub fn retry<F, Call, T, E>(call: F) -> Retry<'static, F, E>
where
    F: FnMut() -> Call,
    Call: Future<Output = Result<T, E>>,
{
    Retry::new(call)
}

impl<'b, F, Call, T, E, When, After, Notify> IntoFuture for Retry<'b, F, E, When, After, Notify>
where
    F: FnMut() -> Call,
    Call: Future<Output = Result<T, E>>,
    When: FnMut(&E) -> bool,
    After: FnMut(&E) -> Option<Duration>,
    Notify: FnMut(&E, Duration),
{
    type Output = Result<T, E>;
    type IntoFuture = Retrying<'b, F, Call, E, When, After, Notify>;

    fn into_future(self) -> Self::IntoFuture {
        Retrying { retry: self, course: None, state: State::New }
    }
}

/// The future of a [`Retry`].
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Retrying<'b, F, Call, E, When, After, Notify> {
    retry: Retry<'b, F, E, When, After, Notify>,
    course: Option<Course>,
    state: State<Call>,
}

enum State<Call> {
    New,
    Calling(Pin<Box<Call>>),
    Waiting(Pin<Box<Sleep>>),
    Done,
}

// What must not move is in a box of its own; the closures are only called, never pinned.
impl<F, Call, E, When, After, Notify> Unpin for Retrying<'_, F, Call, E, When, After, Notify> {}

impl<F, Call, T, E, When, After, Notify> Future for Retrying<'_, F, Call, E, When, After, Notify>
where
    F: FnMut() -> Call,
    Call: Future<Output = Result<T, E>>,
    When: FnMut(&E) -> bool,
    After: FnMut(&E) -> Option<Duration>,
    Notify: FnMut(&E, Duration),
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { retry, course, state } = self.get_mut();
        let course = course.get_or_insert_with(|| retry.start(now()));
        loop {
            *state = match state {
                State::New => State::Calling(Box::pin((retry.call)())),
                State::Waiting(sleep) => {
                    ready!(sleep.as_mut().poll(cx));
                    State::Calling(Box::pin((retry.call)()))
                }
                State::Calling(call) => {
                    let result = ready!(call.as_mut().poll(cx));
                    let delay = match &result {
                        Ok(_) => None,
                        Err(error) => retry.next(course, error, now()),
                    };
                    let Some(delay) = delay else {
                        *state = State::Done;
                        return Poll::Ready(result);
                    };
                    State::Waiting(Box::pin(sleep(delay)))
                }
                State::Done => panic!("a future was polled after it had ended"),
            }
        }
    }
}

/// The time by tokio's clock, which tests can pause.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}

impl<F, Call, E, When, After, Notify> fmt::Debug for Retrying<'_, F, Call, E, When, After, Notify> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retrying").field("retry", &self.retry).finish_non_exhaustive()
    }
}
