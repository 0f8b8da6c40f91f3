//! What a worker is told while it works: the channel of its own that STOP comes through.

use std::time::Duration;

use tokio::{sync::watch, time::Instant};

/// What a worker has been told. It only ever gets stricter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Order {
    /// Take no more jobs.
    pub(crate) finish: bool,
    /// Tell the running job to stop, and wait for it until then.
    pub(crate) cancel_by: Option<Instant>,
}

impl Order {
    /// Takes over what is stricter in `other`; says whether anything was.
    pub(crate) fn tighten(&mut self, other: Self) -> bool {
        let before = *self;
        self.finish |= other.finish;
        self.cancel_by = match (self.cancel_by, other.cancel_by) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        *self != before
    }
}

/// Says when to give up waiting for a job.
///
/// A [`Source`](crate::Source) gets one, since the pool never drops a claim that is under way.
#[derive(Debug, Clone)]
pub struct Stop(Option<watch::Receiver<Order>>);

impl Stop {
    /// One that never comes, for calling a source outside a pool.
    pub const fn never() -> Self {
        Self(None)
    }

    pub(crate) const fn new(orders: watch::Receiver<Order>) -> Self {
        Self(Some(orders))
    }

    /// Whether it has come.
    pub fn is_stopped(&self) -> bool {
        self.0.as_ref().is_some_and(|orders| orders.borrow().finish)
    }

    /// Waits until it comes.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn stopped(&self) {
        self.until(|order| order.finish).await;
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.order().cancel_by.is_some()
    }

    /// Waits for the first cancellation.
    pub(crate) async fn cancelled(&self) {
        self.until(|order| order.cancel_by.is_some()).await;
    }

    /// Waits until the time that the cancellation allowed is over. It may be shortened meanwhile.
    pub(crate) async fn aborted(&self) {
        loop {
            let by = self.order().cancel_by;
            tokio::select! {
                biased;
                () = self.until(|order| order.cancel_by != by) => {}
                () = sleep_until(by) => return,
            }
        }
    }

    fn order(&self) -> Order {
        self.0.as_ref().map(|orders| *orders.borrow()).unwrap_or_default()
    }

    async fn until(&self, reached: impl Fn(&Order) -> bool) {
        let Some(mut orders) = self.0.clone() else { return std::future::pending().await };
        // The dispatcher keeps the sender while the worker works. When it is gone, this is a clone
        // that a job left behind, and all is over for it.
        drop(orders.wait_for(reached).await);
    }
}

/// Sleeps until then, or for ever.
pub(crate) async fn sleep_until(then: Option<Instant>) {
    match then {
        Some(then) => tokio::time::sleep_until(then).await,
        None => std::future::pending().await,
    }
}

/// The instant that is `delay` from now, or one that nobody will see.
pub(crate) fn after(delay: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
    let now = Instant::now();
    now.checked_add(delay).unwrap_or_else(|| now + FAR)
}
