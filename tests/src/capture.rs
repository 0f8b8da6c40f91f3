//! What a process writes, readable while it still writes.

use std::{
    io::Read,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// The bytes of a pipe so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Capture(Arc<(Mutex<Captured>, Condvar)>);

#[derive(Debug, Default)]
struct Captured {
    bytes: Vec<u8>,
    ended: bool,
}

impl Capture {
    /// Reads a pipe to its end, beside the test.
    pub(crate) fn start(mut pipe: impl Read + Send + 'static) -> Self {
        let capture = Self::default();
        let (told, mut buffer) = (capture.clone(), vec![0; 64 * 1024]);
        thread::spawn(move || {
            loop {
                let read = pipe.read(&mut buffer).unwrap_or(0);
                let mut captured = told.lock();
                captured.bytes.extend_from_slice(&buffer[..read]);
                captured.ended = read == 0;
                told.0.1.notify_all();
                if read == 0 {
                    return;
                }
            }
        });
        capture
    }

    /// Waits until `find` finds something in the text so far; `None` when the pipe ended or the
    /// time is over without it.
    pub(crate) fn find<T>(
        &self,
        limit: Duration,
        mut find: impl FnMut(&str) -> Option<T>,
    ) -> Option<T> {
        let deadline = Instant::now() + limit;
        let mut captured = self.lock();
        loop {
            if let Some(found) = find(&String::from_utf8_lossy(&captured.bytes)) {
                return Some(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if captured.ended || left.is_zero() {
                return None;
            }
            captured = self
                .0
                .1
                .wait_timeout(captured, left)
                .map_or_else(|poisoned| poisoned.into_inner().0, |(captured, _)| captured);
        }
    }

    /// The whole text, once the pipe has ended.
    pub(crate) fn text(&self, limit: Duration) -> String {
        let deadline = Instant::now() + limit;
        let mut captured = self.lock();
        while !captured.ended {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "the program ended, but somebody still holds its pipe");
            captured = self
                .0
                .1
                .wait_timeout(captured, left)
                .map_or_else(|poisoned| poisoned.into_inner().0, |(captured, _)| captured);
        }
        String::from_utf8_lossy(&captured.bytes).into_owned()
    }

    /// What came so far.
    pub(crate) fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.lock().bytes).into_owned()
    }

    fn lock(&self) -> MutexGuard<'_, Captured> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
