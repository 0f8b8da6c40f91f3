//! What becomes of a child's output: masked, counted, logged, and its end remembered.

mod log;
mod mask;
mod stamp;
mod tail;

use std::{
    cell::RefCell,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

pub(crate) use self::mask::Secrets;
use self::{log::Log, mask::Masker, stamp::Stamper, tail::Tail};
use crate::{LogError, LogOptions, SpawnError};

/// How much is read at once: what a pipe holds.
pub(crate) const READ_LEN: usize = 64 << 10;
/// How much is stamped at once: many short lines grow by a factor.
const STAMP_LEN: usize = 8 << 10;

/// Where bytes came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// What the child prints.
    Stdout = 0,
    /// What the child complains of.
    Stderr = 1,
}

/// Who hears all output. A clone of a command has the same one.
pub(crate) type Listener = Arc<Mutex<dyn FnMut(Stream, &[u8]) + Send>>;

/// All output of one child.
pub(crate) struct Output {
    log: Option<Log>,
    stamper: Option<Stamper>,
    maskers: Option<[Masker; 2]>,
    tail: Tail,
    bytes: [u64; 2],
    listener: Option<Listener>,
}

/// What is known when nothing more can come.
pub(crate) struct Summary {
    pub(crate) stdout_bytes: u64,
    pub(crate) stderr_bytes: u64,
    pub(crate) left_out_bytes: u64,
    pub(crate) tail: String,
    pub(crate) log_error: Option<LogError>,
}

/// Room to work in, shared by all children of a thread: none of it is needed between two reads.
#[derive(Default)]
struct Room {
    read: Vec<u8>,
    masked: Vec<u8>,
    stamped: Vec<u8>,
}

thread_local! {
    static ROOM: RefCell<Room> = RefCell::default();
}

impl Output {
    pub(crate) fn new(
        log: Option<LogOptions>,
        secrets: &Secrets,
        listener: Option<Listener>,
    ) -> Result<Self, SpawnError> {
        let stamper = log.as_ref().is_some_and(|log| log.timestamps).then(Stamper::new);
        let masker = || Masker::new(secrets);
        Ok(Self {
            log: log.map(Log::create).transpose()?,
            stamper,
            maskers: masker().zip(masker()).map(<[Masker; 2]>::from),
            tail: Tail::default(),
            bytes: [0; 2],
            listener,
        })
    }

    /// Takes in what one call of `read` gives; returns what it returned.
    pub(crate) fn take<E>(
        &mut self,
        stream: Stream,
        read: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        ROOM.with_borrow_mut(|room| {
            room.read.resize(READ_LEN, 0);
            let len = read(&mut room.read)?;
            self.bytes[stream as usize] += len as u64;
            let Room { read, masked, stamped } = room;
            if let Some(listener) = &self.listener {
                listener.lock().unwrap_or_else(PoisonError::into_inner)(stream, &read[..len]);
            }
            if let Some(maskers) = &mut self.maskers {
                masked.clear();
                maskers[stream as usize].push(&read[..len], masked);
                self.keep(masked, stamped);
            } else {
                self.keep(&read[..len], stamped);
            }
            Ok(len)
        })
    }

    /// Writes what was held back, and closes the log.
    pub(crate) fn finish(mut self) -> Summary {
        let mut held = Vec::new();
        for masker in self.maskers.iter_mut().flatten() {
            masker.finish(&mut held);
        }
        self.keep(&held, &mut Vec::new());
        let (left_out_bytes, log_error) = self.log.map_or((0, None), Log::finish);
        Summary {
            stdout_bytes: self.bytes[0],
            stderr_bytes: self.bytes[1],
            left_out_bytes,
            tail: self.tail.to_text(),
            log_error,
        }
    }

    fn keep(&mut self, bytes: &[u8], stamped: &mut Vec<u8>) {
        self.tail.push(bytes);
        let Some(log) = &mut self.log else { return };
        let Some(clock) = &mut self.stamper else { return log.write(bytes) };
        let now = SystemTime::now();
        for piece in bytes.chunks(STAMP_LEN) {
            stamped.clear();
            clock.push(piece, now, stamped);
            log.write(stamped);
        }
    }
}
