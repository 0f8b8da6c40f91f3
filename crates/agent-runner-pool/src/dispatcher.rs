//! The loop that owns a run: it hires workers, tells them when to stop, and knows when all is over.

use std::{any::Any, collections::BTreeMap, panic, sync::Arc};

use tokio::{
    sync::watch,
    task::{JoinError, JoinSet},
    time::Instant,
};

use crate::{
    Ended, Event, Handler, Source, SourceError, Summary, WorkerHealth, WorkerId,
    signal::Order,
    worker::{Exit, Shared, Worker},
};

/// What the outside wants of a run: not a queue of commands but the state to reach.
#[derive(Debug, Clone)]
pub(crate) struct Wishes {
    order: Order,
    workers: usize,
    /// Grows with each wish for workers, so that asking for 4 again replaces those that retired.
    asked: u64,
}

impl Wishes {
    pub(crate) fn new(workers: usize) -> Self {
        Self { order: Order::default(), workers, asked: 1 }
    }

    pub(crate) fn finish(&mut self) {
        self.order.finish = true;
    }

    pub(crate) fn cancel_by(&mut self, by: Instant) {
        self.order.tighten(Order { finish: true, cancel_by: Some(by) });
    }

    pub(crate) fn set_workers(&mut self, workers: usize) {
        self.workers = workers;
        self.asked += 1;
    }
}

/// Works until the run is over.
pub(crate) async fn run<J, S, H>(
    shared: Arc<Shared<J, S, H>>,
    wishes: watch::Receiver<Wishes>,
) -> Summary
where
    J: Clone + Send + Sync + 'static,
    H: Handler<J>,
    S: Source<H::Output, H::Error, Job = J>,
{
    let dispatcher = Dispatcher {
        shared,
        wishes,
        crew: JoinSet::new(),
        orders: BTreeMap::new(),
        hired: 0,
        vacancies: 0,
        asked: 0,
        order: Order::default(),
        news: Vec::new(),
        drained: false,
        retired: Vec::new(),
        error: None,
        panic: None,
    };
    dispatcher.run().await
}

struct Dispatcher<J, S, H: Handler<J>> {
    shared: Arc<Shared<J, S, H>>,
    wishes: watch::Receiver<Wishes>,
    crew: JoinSet<Exit>,
    orders: BTreeMap<WorkerId, watch::Sender<Order>>,
    hired: u32,
    /// Workers to hire as soon as surplus ones have left.
    vacancies: usize,
    asked: u64,
    order: Order,
    /// Events that wait for room: at most two, so that a slow reader cannot keep the loop from
    /// hearing the next wish.
    news: Vec<News>,
    drained: bool,
    retired: Vec<(WorkerId, WorkerHealth)>,
    error: Option<SourceError>,
    panic: Option<Box<dyn Any + Send>>,
}

impl<J, S, H> Dispatcher<J, S, H>
where
    J: Clone + Send + Sync + 'static,
    H: Handler<J>,
    S: Source<H::Output, H::Error, Job = J>,
{
    async fn run(mut self) -> Summary {
        let shared = Arc::clone(&self.shared);
        self.hear();
        while !self.is_over() {
            let news = self.news.first().copied();
            tokio::select! {
                Some(exit) = self.crew.join_next() => self.worker_left(exit),
                // An error means that nobody is left to wish anything, which the drop of the run
                // has turned into a wish to cancel before.
                Ok(()) = self.wishes.changed() => self.hear(),
                () = shared.events.emit(|| news.expect("checked below").into()), if news.is_some() => {
                    self.news.remove(0);
                }
            }
        }
        for news in std::mem::take(&mut self.news) {
            shared.events.emit(|| news.into()).await;
        }
        self.summary()
    }

    fn is_over(&self) -> bool {
        let paused = self.wishes.borrow().workers == 0;
        self.crew.is_empty() && (self.order.finish || self.drained || !paused)
    }

    /// Takes up what is wished now.
    fn hear(&mut self) {
        let wishes = self.wishes.borrow_and_update().clone();
        if wishes.asked != self.asked {
            self.asked = wishes.asked;
            self.change_crew(wishes.workers);
        }
        self.tell_all(wishes.order);
    }

    /// Passes an order on to all workers, and says so once.
    fn tell_all(&mut self, order: Order) {
        let before = self.order;
        if !self.order.tighten(order) {
            return;
        }
        if !before.finish {
            self.news.push(News::Stopping);
        }
        if before.cancel_by.is_none() && self.order.cancel_by.is_some() {
            self.news.push(News::Cancelling);
        }
        self.vacancies = 0;
        for orders in self.orders.values() {
            orders.send_if_modified(|known| known.tighten(order));
        }
    }

    /// Sends the newest workers home, or hires.
    fn change_crew(&mut self, wanted: usize) {
        let staying = || self.orders.values().filter(|orders| !orders.borrow().finish);
        let count = staying().count();
        for orders in staying().rev().take(count.saturating_sub(wanted)) {
            orders.send_modify(|order| order.finish = true);
        }
        self.vacancies = wanted.saturating_sub(count);
        self.hire(wanted);
    }

    fn hire(&mut self, wanted: usize) {
        while self.vacancies > 0 && self.crew.len() < wanted && !self.drained && !self.order.finish
        {
            self.vacancies -= 1;
            let (orders, told) = watch::channel(self.order);
            let id = WorkerId::new(self.hired);
            self.hired += 1;
            self.orders.insert(id, orders);
            self.crew.spawn(Worker::new(id, Arc::clone(&self.shared), told).work());
        }
    }

    fn worker_left(&mut self, exit: Result<Exit, JoinError>) {
        self.orders.retain(|_, orders| !orders.is_closed());
        match exit {
            Ok(Exit::Told) => {}
            Ok(Exit::Drained) => self.drained = true,
            Ok(Exit::Retired(worker, health)) => self.retired.push((worker, health)),
            Ok(Exit::SourceFailed(error)) => {
                self.error.get_or_insert(error);
                self.tell_all(Order { finish: true, cancel_by: None });
            }
            Err(error) => {
                self.panic = self.panic.take().or(error.try_into_panic().ok());
                self.tell_all(Order { finish: true, cancel_by: None });
            }
        }
        let wanted = self.wishes.borrow().workers;
        self.hire(wanted);
    }

    fn summary(self) -> Summary {
        if let Some(payload) = self.panic {
            panic::resume_unwind(payload);
        }
        let ended = match self.error {
            Some(error) => Ended::SourceFailed(error),
            None if self.drained => Ended::Drained,
            None if self.order.finish => Ended::Stopped,
            None => Ended::NoWorkersLeft,
        };
        Summary { ended, counts: self.shared.board.counts(), retired: self.retired }
    }
}

/// What the loop itself has to say.
#[derive(Debug, Clone, Copy)]
enum News {
    Stopping,
    Cancelling,
}

impl<J, O, E> From<News> for Event<J, O, E> {
    fn from(news: News) -> Self {
        match news {
            News::Stopping => Self::Stopping,
            News::Cancelling => Self::Cancelling,
        }
    }
}
