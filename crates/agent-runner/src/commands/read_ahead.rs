//! Reading a backlog on a thread of its own, while the store writes what was read before.

use std::{
    panic,
    sync::mpsc::{self, Receiver},
    thread::{self, JoinHandle},
    vec,
};

/// Items that are handed over at once.
const CHUNK: usize = 256;
/// Chunks that wait for the store, at most.
const AHEAD: usize = 8;

/// What another thread takes from an iterator, in its order.
#[derive(Debug)]
pub(super) struct ReadAhead<T> {
    chunks: Receiver<Vec<T>>,
    chunk: vec::IntoIter<T>,
    /// `None` once it has ended.
    thread: Option<JoinHandle<()>>,
}

/// Has a thread take items from an iterator. It ends with the iterator, or when nobody wants more.
pub(super) fn read_ahead<T: Send + 'static>(
    mut items: impl Iterator<Item = T> + Send + 'static,
) -> ReadAhead<T> {
    let (sender, chunks) = mpsc::sync_channel(AHEAD);
    let thread = thread::spawn(move || {
        loop {
            let chunk: Vec<_> = items.by_ref().take(CHUNK).collect();
            if chunk.is_empty() || sender.send(chunk).is_err() {
                break;
            }
        }
    });
    ReadAhead { chunks, chunk: Vec::new().into_iter(), thread: Some(thread) }
}

impl<T> Iterator for ReadAhead<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        loop {
            if let Some(item) = self.chunk.next() {
                return Some(item);
            }
            let Ok(chunk) = self.chunks.recv() else {
                // Half of a backlog must not pass for all of it.
                if let Some(Err(payload)) = self.thread.take().map(JoinHandle::join) {
                    panic::resume_unwind(payload);
                }
                return None;
            };
            self.chunk = chunk.into_iter();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn items_come_all_and_in_order(count in 0..2_000_usize) {
            prop_assert!(read_ahead(0..count).eq(0..count));
        }
    }

    #[test]
    #[should_panic(expected = "halfway")]
    fn what_ends_in_a_panic_does_not_end_quietly() {
        read_ahead((0..1000).inspect(|n| assert!(*n < 500, "halfway"))).count();
    }

    #[test]
    fn nobody_has_to_take_all() {
        assert_eq!(read_ahead(0..).take(1000).last(), Some(999));
    }
}
