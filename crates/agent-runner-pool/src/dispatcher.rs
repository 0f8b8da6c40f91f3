//! The loop that owns a run: it hires workers, tells them when to stop, and knows when all is over.

use std::{any::Any, mem, panic, sync::Arc};

use tokio::{
    sync::watch,
    task::{self, JoinError, JoinSet},
    time::Instant,
};

use crate::{
    Ended, Event, Handler, Source, SourceError, Summary, WorkerHealth, WorkerId,
    builder::MAX_WORKERS,
    signal::Order,
    worker::{Exit, Shared, Worker},
};

/// What the outside wants of a run: not a queue of commands but the state to reach.
#[derive(Debug, Clone, Copy)]
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
        self.workers = workers.min(MAX_WORKERS);
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
        tasks: JoinSet::new(),
        crew: Vec::new(),
        hired: 0,
        asked: 0,
        wanted: 0,
        vacancies: 0,
        order: Order::default(),
        news: Vec::new(),
        over: Over::default(),
    };
    dispatcher.run().await
}

struct Dispatcher<J, S, H: Handler<J>> {
    shared: Arc<Shared<J, S, H>>,
    wishes: watch::Receiver<Wishes>,
    tasks: JoinSet<Exit>,
    /// Who works, in the order in which they were hired.
    crew: Vec<Member>,
    hired: u32,
    asked: u64,
    wanted: usize,
    /// Workers to hire as soon as surplus ones have left.
    vacancies: usize,
    order: Order,
    /// Events of the loop itself that wait for room: at most two. The loop does not wait with
    /// them, so that a slow reader cannot keep it from hearing the next wish.
    news: Vec<News>,
    over: Over,
}

struct Member {
    task: task::Id,
    orders: watch::Sender<Order>,
}

/// What the workers that left have brought.
#[derive(Default)]
struct Over {
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
        loop {
            self.hear();
            if self.is_over() {
                break;
            }
            let news = self.news.first().copied();
            tokio::select! {
                biased;
                Some(left) = self.tasks.join_next_with_id() => self.worker_left(left),
                // An error means that nobody is left to wish for anything. The last wish was then
                // to cancel, and the workers are on their way home.
                Ok(()) = self.wishes.changed() => {}
                () = shared.events.announce(news), if news.is_some() => drop(self.news.remove(0)),
            }
        }
        for news in mem::take(&mut self.news) {
            shared.events.announce(Some(news)).await;
        }
        self.summary()
    }

    /// Nobody works, and nobody will: unless the run is only paused.
    fn is_over(&self) -> bool {
        self.crew.is_empty() && (self.wanted > 0 || self.over.drained || self.order.finish)
    }

    /// Takes up what is wished now.
    fn hear(&mut self) {
        let wishes = *self.wishes.borrow_and_update();
        if wishes.asked != self.asked {
            self.asked = wishes.asked;
            self.wanted = wishes.workers;
            self.change_crew();
        }
        self.tell_all(wishes.order);
        self.hire();
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
        for member in &self.crew {
            member.orders.send_if_modified(|known| known.tighten(order));
        }
    }

    /// Sends the newest workers home, or makes room for more.
    fn change_crew(&mut self) {
        let staying = || self.crew.iter().filter(|member| !member.orders.borrow().finish);
        let count = staying().count();
        for member in staying().rev().take(count.saturating_sub(self.wanted)) {
            member.orders.send_modify(|order| order.finish = true);
        }
        self.vacancies = self.wanted.saturating_sub(count);
    }

    /// Fills vacancies, but never has more workers than are wanted.
    fn hire(&mut self) {
        if self.over.drained || self.order.finish {
            self.vacancies = 0;
        }
        while self.vacancies > 0 && self.crew.len() < self.wanted {
            let (orders, told) = watch::channel(self.order);
            let worker = Worker::new(WorkerId::new(self.hired), Arc::clone(&self.shared), told);
            let task = self.tasks.spawn(worker.work()).id();
            self.crew.push(Member { task, orders });
            self.hired += 1;
            self.vacancies -= 1;
        }
    }

    fn worker_left(&mut self, left: Result<(task::Id, Exit), JoinError>) {
        let task = left.as_ref().map_or_else(JoinError::id, |(task, _)| *task);
        self.crew.retain(|member| member.task != task);
        match left.map(|(_, exit)| exit) {
            Ok(Exit::Told) => return,
            Ok(Exit::Drained) => return self.over.drained = true,
            Ok(Exit::Retired(worker, health)) => return self.over.retired.push((worker, health)),
            Ok(Exit::SourceFailed(error)) => drop(self.over.error.get_or_insert(error)),
            Err(error) => self.over.panic = error.try_into_panic().ok(),
        }
        // Something is wrong with the source: the others finish what they have.
        self.tell_all(Order { finish: true, cancel_by: None });
    }

    fn summary(self) -> Summary {
        if let Some(payload) = self.over.panic {
            panic::resume_unwind(payload);
        }
        let ended = match self.over.error {
            Some(error) => Ended::SourceFailed(error),
            None if self.over.drained => Ended::Drained,
            None if self.order.finish => Ended::Stopped,
            None => Ended::NoWorkersLeft,
        };
        Summary { ended, counts: self.shared.board.counts(), retired: self.over.retired }
    }
}

/// What the loop itself has to say.
#[derive(Debug, Clone, Copy)]
pub(crate) enum News {
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
