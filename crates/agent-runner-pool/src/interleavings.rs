//! Workers, queue and orders stepped by hand: every order of steps for small cases, random orders for
//! larger ones. A lost wake-up shows as tasks that wait while nobody is left to wake them.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Context as TaskContext, Wake, Waker},
    time::Duration,
};

use tokio::{sync::watch, task::yield_now};

use crate::{
    Assignment, Context, Counts, End, Failure, Handler, HealthPolicy, Pool, Queue, Recovered,
    Source, SourceError, Stop, Then, WorkerHealth, WorkerId,
    event::Events,
    signal::{Order, after},
    worker::{Shared, Worker},
};

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// Whether a task wants to be polled.
struct Ready(AtomicBool);

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

/// Polls tasks one step at a time, in the order that `choose` picks among those that are ready.
fn step_through(tasks: Vec<Task>, mut choose: impl FnMut(usize) -> usize) {
    let ready = |task| (task, Arc::new(Ready(AtomicBool::new(true))));
    let mut tasks: Vec<(Task, Arc<Ready>)> = tasks.into_iter().map(ready).collect();
    while !tasks.is_empty() {
        let awake = |tasks: &[(Task, Arc<Ready>)]| -> Vec<usize> {
            (0..tasks.len()).filter(|&task| tasks[task].1.0.load(SeqCst)).collect()
        };
        let awake = awake(&tasks);
        assert!(!awake.is_empty(), "{} tasks wait for ever", tasks.len());
        let chosen = if awake.len() == 1 { awake[0] } else { awake[choose(awake.len())] };
        let (task, ready) = &mut tasks[chosen];
        ready.0.store(false, SeqCst);
        let waker = Waker::from(Arc::clone(ready));
        if task.as_mut().poll(&mut TaskContext::from_waker(&waker)).is_ready() {
            drop(tasks.swap_remove(chosen));
        }
    }
}

/// Runs a case in every order there is, and returns how many those are.
fn in_every_order(case: impl Fn(&mut dyn FnMut(usize) -> usize)) -> usize {
    let mut path: Vec<(usize, usize)> = Vec::new();
    for runs in 1.. {
        let mut depth = 0;
        case(&mut |options| {
            if depth == path.len() {
                path.push((0, options));
            }
            depth += 1;
            path[depth - 1].0
        });
        while path.pop_if(|(choice, options)| *choice + 1 == *options).is_some() {}
        match path.last_mut() {
            Some((choice, _)) => *choice += 1,
            None => return runs,
        }
    }
    unreachable!("a case has an end")
}

/// Runs a case in many random orders; the seed of a bad one is in the panic.
fn in_random_orders(seeds: u64, case: impl Fn(&mut dyn FnMut(usize) -> usize)) {
    for seed in 1..=seeds {
        // xorshift64*, Vigna 2016.
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut choose = |options: usize| {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            let number = state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
            usize::try_from(number).expect("31 bits fit") % options
        };
        case(&mut choose);
    }
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Succeed,
    BreakWorker,
    Limit,
    Wait,
}

/// A job does its acts, one an attempt, and then succeeds.
type Script = &'static [Act];

#[derive(Clone, Copy)]
struct Actor {
    recovered: Recovered,
}

impl Handler<Script> for Actor {
    type Output = ();
    type Error = &'static str;

    async fn run(&self, job: &Script, context: &Context) -> Result<(), Failure<&'static str>> {
        yield_now().await;
        match job.get(context.attempt() as usize - 1).unwrap_or(&Act::Succeed) {
            Act::Succeed => Ok(()),
            Act::BreakWorker => Err(Failure::Worker("broken")),
            Act::Limit => Err(Failure::Release("limited")),
            Act::Wait => {
                context.cancelled().await;
                Err(Failure::Job("told to stop"))
            }
        }
    }

    async fn recover(&self, _: WorkerId, _: WorkerHealth, _: &&'static str) -> Recovered {
        yield_now().await;
        self.recovered
    }
}

/// A pool without its dispatcher: workers that are stepped by hand.
struct World<S> {
    shared: Arc<Shared<Script, S, Actor>>,
    tasks: Vec<Task>,
    orders: Vec<watch::Sender<Order>>,
}

impl<S: Source<(), &'static str, Job = Script>> World<S> {
    fn new(source: S, workers: u32, policy: HealthPolicy, recovered: Recovered) -> Self {
        let settings = Pool::builder().health(policy).waits(std::iter::empty).settings;
        let shared = Shared::new(source, Actor { recovered }, settings, Events::nowhere());
        Self::with(shared, workers)
    }

    fn with(shared: Shared<Script, S, Actor>, workers: u32) -> Self {
        let shared = Arc::new(shared);
        let (mut tasks, mut orders) = (Vec::<Task>::new(), Vec::new());
        for number in 0..workers {
            let (sender, told) = watch::channel(Order::default());
            let worker = Worker::new(WorkerId::new(number), Arc::clone(&shared), told);
            tasks.push(Box::pin(async move { drop(worker.work().await) }));
            orders.push(sender);
        }
        Self { shared, tasks, orders }
    }

    /// Lets something else happen between the workers' steps.
    fn also(&mut self, task: impl Future<Output = ()> + 'static) {
        self.tasks.push(Box::pin(task));
    }

    fn step_through(self, choose: &mut dyn FnMut(usize) -> usize) -> Counts {
        step_through(self.tasks, choose);
        self.shared.board.counts()
    }
}

fn queue(jobs: &[Script]) -> Queue<Script> {
    Queue::new(jobs.to_vec()).rest(Duration::ZERO)
}

fn left(queue: &Queue<Script>) -> usize {
    std::iter::from_fn(|| queue.pop()).count()
}

const AT_ONCE: HealthPolicy =
    HealthPolicy { max_consecutive_failures: 1, max_recovery_attempts: 2 };

#[test]
fn a_job_that_comes_back_finds_a_worker() {
    let orders = in_every_order(|choose| {
        let jobs = queue(&[&[Act::BreakWorker], &[]]);
        let world = World::new(Remote(jobs.clone()), 2, AT_ONCE, Recovered::Yes);
        let counts = world.step_through(choose);
        assert_eq!((counts.finished, counts.requeued, counts.running), (2, 1, 0));
        assert_eq!(left(&jobs), 0);
    });
    assert!(orders > 10_000, "there are many orders: {orders}");
}

#[test]
fn a_worker_that_retires_hands_over() {
    let no_recovery = HealthPolicy { max_consecutive_failures: 1, max_recovery_attempts: 0 };
    let orders = in_every_order(|choose| {
        let jobs = queue(&[&[Act::BreakWorker]]);
        let world = World::new(Remote(jobs.clone()), 2, no_recovery, Recovered::No);
        assert_eq!(world.step_through(choose).finished, 1, "the other worker has waited");
        assert_eq!(left(&jobs), 0);
    });
    assert!(orders > 10, "there are many orders: {orders}");
}

/// A queue behind a wire: a step lies between a call, what it does, and its answer.
struct Remote(Queue<Script>);

impl Source<(), &'static str> for Remote {
    type Job = Script;

    async fn next(
        &self,
        worker: WorkerId,
        stop: &Stop,
    ) -> Result<Option<Assignment<Script>>, SourceError> {
        let next = Source::<(), &str>::next(&self.0, worker, stop).await;
        yield_now().await;
        next
    }

    async fn settle(
        &self,
        worker: WorkerId,
        assignment: Assignment<Script>,
        end: &End<(), &'static str>,
        then: Then,
    ) -> Result<Option<Assignment<Script>>, SourceError> {
        yield_now().await;
        let next = self.0.settle(worker, assignment, end, then).await;
        yield_now().await;
        next
    }
}

/// A source that sends workers home when nothing waits, as the simple pool does.
struct Impatient(Queue<Script>);

impl Source<(), &'static str> for Impatient {
    type Job = Script;

    async fn next(
        &self,
        worker: WorkerId,
        stop: &Stop,
    ) -> Result<Option<Assignment<Script>>, SourceError> {
        let Some(job) = self.0.pop() else { return Ok(None) };
        self.0.push(job);
        Source::<(), &str>::next(&self.0, worker, stop).await
    }

    async fn settle(
        &self,
        worker: WorkerId,
        assignment: Assignment<Script>,
        end: &End<(), &'static str>,
        then: Then,
    ) -> Result<Option<Assignment<Script>>, SourceError> {
        self.0.settle(worker, assignment, end, then).await
    }
}

#[test]
fn control_a_worker_that_leaves_early_is_caught() {
    let no_recovery = HealthPolicy { max_consecutive_failures: 1, max_recovery_attempts: 0 };
    let stranded = std::cell::Cell::new(0);
    in_every_order(|choose| {
        let jobs = queue(&[&[Act::BreakWorker]]);
        let world = World::new(Impatient(jobs.clone()), 2, no_recovery, Recovered::No);
        world.step_through(choose);
        stranded.set(stranded.get() + left(&jobs));
    });
    assert!(stranded.get() > 0, "some order strands the job");
}

#[test]
fn a_push_wakes_a_worker_also_when_another_leaves() {
    let orders = in_every_order(|choose| {
        let jobs = queue(&[]).keep_open();
        let mut world = World::new(jobs.clone(), 2, AT_ONCE, Recovered::Yes);
        let surplus = world.orders[1].clone();
        world.also(async move {
            surplus.send_modify(|order| order.finish = true);
        });
        let pushes = jobs.clone();
        world.also(async move {
            pushes.push(&[]);
            yield_now().await;
            pushes.push(&[Act::BreakWorker]);
            pushes.close();
        });
        assert_eq!(world.step_through(choose).finished, 2);
        assert_eq!(left(&jobs), 0);
    });
    assert!(orders > 1_000, "there are many orders: {orders}");
}

#[test]
fn a_stop_is_heard_at_every_point() {
    let orders = in_every_order(|choose| {
        let jobs = queue(&[&[Act::BreakWorker, Act::Limit], &[]]).keep_open();
        let mut world = World::new(jobs.clone(), 2, AT_ONCE, Recovered::No);
        let orders = world.orders.clone();
        world.also(async move {
            for worker in orders {
                worker.send_modify(|order| order.finish = true);
                yield_now().await;
            }
        });
        let counts = world.step_through(choose);
        assert_eq!(usize::try_from(counts.finished).unwrap() + left(&jobs), 2, "no job is lost");
    });
    assert!(orders > 1_000, "there are many orders: {orders}");
}

#[test]
fn a_slow_reader_blocks_nobody_for_ever() {
    in_random_orders(5_000, |choose| {
        let jobs = queue(&[&[Act::BreakWorker], &[Act::Limit], &[], &[Act::BreakWorker; 2], &[]]);
        let settings = Pool::builder().health(AT_ONCE).waits(std::iter::empty).settings;
        let (events, mut receiver) = Events::channel(1);
        let actor = Actor { recovered: Recovered::Yes };
        let mut world = World::with(Shared::new(jobs.clone(), actor, settings, events), 3);
        let patience = choose(30);
        world.also(async move {
            // It reads for a while, and goes.
            for _ in 0..patience {
                receiver.recv().await;
                yield_now().await;
            }
        });
        assert_eq!(world.step_through(choose).finished, 5);
        assert_eq!(left(&jobs), 0);
    });
}

#[test]
fn cancelling_gives_back_what_is_not_done() {
    in_random_orders(5_000, |choose| {
        let jobs = queue(&[&[Act::Wait], &[], &[Act::BreakWorker], &[Act::Wait], &[Act::Limit]]);
        let mut world = World::new(Remote(jobs.clone()), 3, AT_ONCE, Recovered::No);
        let orders = world.orders.clone();
        world.also(async move {
            let cancel = Order { finish: true, cancel_by: Some(after(Duration::MAX)) };
            for worker in orders {
                worker.send_if_modified(|order| order.tighten(cancel));
                yield_now().await;
            }
        });
        let counts = world.step_through(choose);
        assert_eq!((counts.failed, counts.running), (0, 0), "nobody failed by being told to stop");
        assert_eq!(usize::try_from(counts.finished).unwrap() + left(&jobs), 5, "no job is lost");
    });
}
