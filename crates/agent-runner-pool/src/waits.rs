//! How long a worker waits before it tries to recover.

use std::{fmt, sync::Arc, time::Duration};

type Iter = Box<dyn Iterator<Item = Duration> + Send>;

/// Makes the waits of one recovery. When they end, the last one is repeated.
#[derive(Clone)]
pub(crate) struct Waits(Arc<dyn Fn() -> Iter + Send + Sync>);

impl Waits {
    pub(crate) fn new<I>(make: impl Fn() -> I + Send + Sync + 'static) -> Self
    where
        I: Iterator<Item = Duration> + Send + 'static,
    {
        Self(Arc::new(move || Box::new(make())))
    }

    pub(crate) fn begin(&self) -> impl Iterator<Item = Duration> + Send + use<> {
        let mut waits = (self.0)();
        let mut last = Duration::ZERO;
        std::iter::repeat_with(move || {
            last = waits.next().unwrap_or(last);
            last
        })
    }
}

/// 1 s, 2 s, 4 s and so on up to a minute.
impl Default for Waits {
    fn default() -> Self {
        Self::new(|| (0..=5).map(|n| Duration::from_secs(1 << n)).chain([Duration::from_secs(60)]))
    }
}

impl fmt::Debug for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.begin().take(3)).finish()
    }
}
