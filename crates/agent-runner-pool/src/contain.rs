//! Keeps a panic where it belongs.

use std::{
    any::Any,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::Poll,
};

/// Runs a future; `Err` is what its panic said.
///
/// It stays in its slot, so that whoever gives up on it can [`discard`] it.
pub(crate) async fn contain<F: Future>(mut slot: Pin<&mut Option<F>>) -> Result<F::Output, String> {
    poll_fn(|cx| {
        let future = slot.as_mut().as_pin_mut().expect("a future is discarded after its last poll");
        match contained(|| future.poll(cx)) {
            Ok(poll) => poll.map(Ok),
            Err(message) => Poll::Ready(Err(message)),
        }
    })
    .await
}

/// Calls a function; `Err` is what its panic said.
pub(crate) fn contained<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|payload| message(&*payload))
}

/// Drops a future that may panic while it is dropped.
pub(crate) fn discard<F>(mut slot: Pin<&mut Option<F>>) {
    // What it says is lost: the future was given up already.
    drop(contained(|| slot.set(None)));
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a value that is no text".to_owned())
}
