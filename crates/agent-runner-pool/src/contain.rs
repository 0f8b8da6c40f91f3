//! Keeps a panic where it belongs.

use std::{
    any::Any,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
};

/// Runs a future; `Err` is what its panic said.
///
/// It stays in its slot, so that whoever gives up on it can [`discard`] it.
pub(crate) async fn contain<F: Future>(mut slot: Pin<&mut Option<F>>) -> Result<F::Output, String> {
    poll_fn(|cx| {
        let future = slot.as_mut().as_pin_mut().expect("a future is discarded after its last poll");
        match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
            Ok(poll) => poll.map(Ok),
            Err(payload) => Err(message(&*payload)).into(),
        }
    })
    .await
}

/// Drops a future that may panic while it is dropped.
pub(crate) fn discard<F>(mut slot: Pin<&mut Option<F>>) {
    // What it says is lost: the future was given up already.
    drop(catch_unwind(AssertUnwindSafe(|| slot.set(None))));
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a value that is no text".to_owned())
}
