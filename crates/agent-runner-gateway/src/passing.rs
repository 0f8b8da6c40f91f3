//! An answer on its way through: byte for byte as it came, as soon as it comes.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll, ready},
    time::Duration,
};

use agent_runner_credentials::{Answer, ApiKey, End, Lent, Usage as Counted};
use hyper::body::{Body as _, Bytes, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::{
    body::BoxError, gateway::Shared, ledger::Entry, meter::Meter, scrub::Scrubber, stats::Gauge,
    token::Door,
};

/// An answer of a provider, on its way to the client.
///
/// Whatever ends it — the provider, the client who goes away, a token that is taken back — its
/// lease is settled and what it used is written down.
pub(crate) struct Passing {
    first: VecDeque<Frame<Bytes>>,
    rest: Option<reqwest::Body>,
    size: SizeHint,
    passed: u64,
    scrubber: Scrubber,
    clock: Clock,
    closed: Pin<Box<dyn Future<Output = ()> + Send>>,
    account: Account,
    _under_way: Gauge,
}

/// The time that a provider may be silent.
struct Clock {
    most: Duration,
    last: Instant,
    sleep: Pin<Box<Sleep>>,
}

/// What is written down at the end.
pub(crate) struct Account {
    pub(crate) meter: Meter,
    /// Not given back yet.
    pub(crate) lent: Option<Lent>,
    /// Whether the answer comes from a model, and all went well.
    pub(crate) is_generation: bool,
    /// Whether it may cost something: then it counts if it says so, also if no path is known for it.
    pub(crate) is_order: bool,
    pub(crate) request_bytes: usize,
    /// The model that was asked for.
    pub(crate) model: String,
    pub(crate) door: Arc<Door>,
    pub(crate) shared: Arc<Shared>,
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// All came.
    Whole,
    /// The client went away.
    Left,
    /// The provider broke off.
    Cut,
}

impl Passing {
    pub(crate) fn new(
        first: VecDeque<Frame<Bytes>>,
        rest: reqwest::Body,
        size: SizeHint,
        key: ApiKey,
        account: Account,
    ) -> Self {
        let (last, most) = (Instant::now(), account.shared.options.stream_idle);
        Self {
            size,
            passed: 0,
            first,
            rest: Some(rest),
            scrubber: Scrubber::new(key),
            clock: Clock { most, last, sleep: Box::pin(sleep_until(last + most)) },
            closed: Box::pin(account.door.closed()),
            _under_way: Gauge::up(&account.shared.stats.open_streams),
            account,
        }
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.size
    }

    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.closed.as_mut().poll(cx).is_ready() {
            return self.cut("the token was taken back");
        }
        loop {
            let frame = match self.first.pop_front() {
                Some(frame) => Some(Ok(frame)),
                None => ready!(self.poll_rest(cx)),
            };
            let Some(frame) = frame else {
                return Poll::Ready(self.end().map(|bytes| Ok(Frame::data(bytes))));
            };
            match frame.map(|frame| self.pass(frame)) {
                Ok(Some(frame)) => return Poll::Ready(Some(Ok(frame))),
                Ok(None) => (),
                Err(why) => return self.cut(why),
            }
        }
    }

    /// What the provider sends next, if it is not silent for too long.
    fn poll_rest(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        let Some(rest) = &mut self.rest else { return Poll::Ready(None) };
        match Pin::new(rest).poll_frame(cx) {
            Poll::Ready(frame) => {
                self.clock.last = Instant::now();
                Poll::Ready(frame.map(|frame| frame.map_err(|_| "the provider broke off")))
            }
            Poll::Pending => {
                ready!(self.clock.poll(cx));
                Poll::Ready(Some(Err("the provider fell silent")))
            }
        }
    }

    /// Reads along, and keeps the key out. `None` if there is nothing to pass on yet.
    fn pass(&mut self, frame: Frame<Bytes>) -> Option<Frame<Bytes>> {
        let bytes = match frame.into_data() {
            Ok(bytes) => bytes,
            Err(trailers) => return Some(trailers),
        };
        self.account.feed(&bytes);
        self.passed += bytes.len() as u64;
        // Nobody asks for more than what was announced.
        if self.size.exact() == Some(self.passed) {
            self.account.close(Ended::Whole);
        }
        self.scrubber.pass(bytes).map(Frame::data)
    }

    /// All came. What the scrubber kept is the last piece.
    fn end(&mut self) -> Option<Bytes> {
        if self.rest.take().is_some() {
            self.account.close(Ended::Whole);
        }
        self.scrubber.finish()
    }

    fn cut<T>(&mut self, why: &'static str) -> Poll<Option<Result<T, BoxError>>> {
        self.rest = None;
        self.account.close(Ended::Cut);
        Poll::Ready(Some(Err(why.into())))
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        self.account.close(Ended::Left);
    }
}

impl Clock {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.sleep.as_mut().poll(cx));
            let until = self.last + self.most;
            if until <= Instant::now() {
                return Poll::Ready(());
            }
            self.sleep.as_mut().reset(until);
        }
    }
}

impl Account {
    fn feed(&mut self, bytes: &[u8]) {
        self.meter.feed(bytes);
        if let Some(error) = self.meter.take_error()
            && let Some(lent) = &mut self.lent
        {
            lent.report(&Answer::new(200, &[], &error));
        }
    }

    /// Gives the lease back and writes down what was used, once.
    fn close(&mut self, ended: Ended) {
        let Some(lent) = self.lent.take() else { return };
        let (usage, is_estimated) = self.meter.usage(self.request_bytes, ended == Ended::Whole);
        let is_counted = self.is_generation || self.is_order && self.meter.is_told();
        if self.is_generation {
            self.door.cached.store(usage.cache_read.saturating_add(usage.cache_write), Relaxed);
        }
        if is_counted {
            let model = self.meter.model().unwrap_or(&self.model);
            let key = &lent.credential().label;
            self.shared.write(&self.door, &Entry { key, model, usage, is_estimated });
        }
        let counted = Counted::new(usage.input.saturating_add(usage.cache_write), usage.output);
        lent.settle(match ended {
            Ended::Cut => End::Lost,
            Ended::Whole | Ended::Left => End::Success(is_counted.then_some(counted)),
        });
    }
}
