//! How a [`SqliteStore`] is opened.

use std::{path::Path, sync::Arc, time::Duration};

use super::SqliteStore;
use crate::{Clock, Overlap, StoreError, SystemClock, rules};

/// Opens a [`SqliteStore`] in another way than [`SqliteStore::open`].
///
/// | option | default |
/// |---|---|
/// | [`synchronous`](Self::synchronous) | [`Synchronous::Full`] |
/// | [`busy_timeout`](Self::busy_timeout) | 30 s |
/// | [`read_only`](Self::read_only) | no |
/// | [`max_pages`](Self::max_pages) | no limit |
/// | [`clock`](Self::clock) | [`SystemClock`] |
/// | [`overlap`](Self::overlap) | any two patterns overlap |
#[derive(Debug, Clone)]
#[must_use = "options do nothing until a store is opened with them"]
pub struct SqliteOptions {
    pub(super) synchronous: Synchronous,
    pub(super) busy_timeout: Duration,
    pub(super) read_only: bool,
    pub(super) max_pages: Option<i64>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) overlap: Overlap,
}

/// What a finished call survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Synchronous {
    /// A power cut. Claims and heartbeats alone survive no more than the end of the process:
    /// losing one to a power cut only means that the task is claimed again, under another fence.
    #[default]
    Full,
    /// The end of the process, however it ends. A power cut may take the last moments.
    Normal,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl SqliteOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            synchronous: Synchronous::Full,
            busy_timeout: Duration::from_secs(30),
            read_only: false,
            max_pages: None,
            clock: Arc::new(SystemClock),
            overlap: rules::any_two_overlap,
        }
    }

    /// What a finished call survives.
    pub const fn synchronous(mut self, synchronous: Synchronous) -> Self {
        self.synchronous = synchronous;
        self
    }

    /// How long to wait for other processes that write to the same store.
    pub const fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// Whether only to look: nothing is created, and every change is [`StoreError::ReadOnly`].
    pub const fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// How many pages of 4 KiB the file may grow to; beyond, changes are
    /// [`StoreError::DiskFull`].
    pub const fn max_pages(mut self, pages: i64) -> Self {
        self.max_pages = Some(pages);
        self
    }

    /// Where the time comes from.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Says which patterns of [`touches`](crate::NewTask::touches) overlap, so that their tasks do
    /// not run at the same time.
    ///
    /// Without this any two patterns exclude each other. All who open one store should say the
    /// same, since each claim goes by what its own store was told.
    pub const fn overlap(mut self, overlap: Overlap) -> Self {
        self.overlap = overlap;
        self
    }

    /// Opens the store at `path`.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotAStore`], [`StoreError::NewerSchema`], [`StoreError::Corrupt`],
    /// [`StoreError::DiskFull`] or [`StoreError::Io`].
    pub fn open(self, path: impl AsRef<Path>) -> Result<SqliteStore, StoreError> {
        SqliteStore::start(path.as_ref(), self)
    }
}
