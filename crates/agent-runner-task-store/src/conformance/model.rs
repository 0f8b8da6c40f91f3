//! Random actions on a store and on [`MemoryStore`] side by side: they must not be told apart.
//!
//! What may differ is when a store finds out that a lock or a path is in the way of a task, so that
//! tasks with such may be pending in the one and waiting in the other. What comes from a claim may
//! not.

use std::{collections::HashSet, fmt::Debug, sync::Arc, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::subject::{Subject, id, report, request, words};
use crate::{
    Claim, ClaimRequest, Clock, CommandLine, Counts, Fence, Filter, ManualClock, MemoryStore,
    NewTask, Overlap, Report, Selector, StoreError, Takes, Task, TaskId, TaskStatus, TaskStore,
    Verdict,
};

/// How many different tasks the actions name.
const TASKS: u32 = 12;

/// What tasks touch: some overlap, some do not.
const PATTERNS: [&str; 6] = ["src/**", "src/a/**", "src/a/b", "src/c", "docs/**", "docs/a"];

/// Something that a user, a worker or the time does.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Action {
    /// Tasks are added; `delays` says in how many seconds each may begin.
    Add {
        /// The tasks.
        tasks: Vec<NewTask>,
        /// Their earliest times, from now.
        delays: Vec<Option<Duration>>,
    },
    /// A worker asks for a task.
    Claim(ClaimRequest),
    /// The holder of one of the claims made so far, which may be stale, finishes.
    Finish {
        /// Which of the claims.
        claim: usize,
        /// How.
        report: Report,
        /// What it asks for next.
        next: Option<ClaimRequest>,
    },
    /// Such a holder beats.
    Beat {
        /// Which of the claims.
        claim: usize,
    },
    /// Such a holder is seen to be gone.
    Rescue {
        /// Which of the claims.
        claim: usize,
    },
    /// Somebody looks for leases that have run out.
    RescueExpired {
        /// At most so many.
        limit: usize,
    },
    /// A person takes tasks out.
    Cancel(Selector),
    /// A person has tasks done again.
    Retry(Selector),
    /// Time passes.
    Pass(Duration),
}

impl Action {
    /// Makes an action of eight numbers, small numbers making plain actions.
    pub fn from_dice(dice: [u32; 8]) -> Self {
        let [kind, a, b, ..] = dice;
        let claim = a as usize;
        match kind % 20 {
            0..=4 => Self::add(dice),
            5..=9 => Self::Claim(asking(a)),
            10..=13 => {
                let next = (a % 2 == 1).then(|| asking(a / 2));
                Self::Finish { claim: b as usize, report: report(verdict(dice[3])), next }
            }
            14 => Self::Beat { claim },
            15 => Self::Rescue { claim },
            16 => Self::RescueExpired { limit: b as usize % 3 },
            17 => Self::Cancel(selector(a, b)),
            18 => Self::Retry(selector(a, b)),
            _ => Self::Pass(Duration::from_millis(u64::from(a % 7_000))),
        }
    }

    fn add(dice: [u32; 8]) -> Self {
        let (mut tasks, mut delays) = (Vec::new(), Vec::new());
        for part in 0..=dice[1] % 2 {
            let [_, which, version, rank, links, needs, locks, tags] =
                dice.map(|number| number.rotate_right(part * 8));
            let needs = (0..links % 4 / 2).map(|n| id(&format!("t{}", (needs >> (n * 8)) % TASKS)));
            tasks.push(NewTask {
                id: Some(id(&format!("t{}", (which / 2 + part) % TASKS))),
                prompt: format!("version {}", version % 2),
                priority: i32::from(rank % 4 == 3) - i32::from(rank % 4 == 2),
                depends_on: needs.collect(),
                locks: pick(locks, ["x", "y", "z"]),
                touches: pick(if which % 2 == 1 { locks / 64 } else { 0 }, PATTERNS),
                command: (tags % 4 == 3).then(|| CommandLine::Shell("own".into())),
                tags: pick(tags, ["red", "blue", "red"]),
                max_attempts: [None, None, Some(1), Some(2)][(version / 2 % 4) as usize],
                ..NewTask::default()
            });
            delays.push((rank / 4 % 4 == 3).then(|| Duration::from_secs(u64::from(rank / 16 % 8))));
        }
        Self::Add { tasks, delays }
    }
}

fn pick<const N: usize>(bits: u32, from: [&str; N]) -> Vec<String> {
    let mut picked = words(&from);
    let mut bit = 0;
    picked.retain(|_| {
        bit += 2;
        (bits >> bit) & 3 == 3
    });
    picked
}

fn asking(dice: u32) -> ClaimRequest {
    let tags = words([&[] as &[&str], &[], &["red"], &["red", "blue"]][(dice % 4) as usize]);
    let takes = match dice / 4 % 4 {
        2 => Takes::new(|command| command.is_none()),
        3 => Takes::new(|command| command.is_some()),
        _ => Takes::default(),
    };
    ClaimRequest { tags, takes, lease: Duration::from_secs(5), ..request() }
}

fn verdict(dice: u32) -> Verdict {
    let retry_after = Duration::from_secs([0, 0, 1, 3][(dice / 8 % 4) as usize]);
    match dice % 8 {
        0..=2 => Verdict::Succeeded,
        3 | 4 => Verdict::Failed { retry_after },
        5 => Verdict::Crashed { retry_after },
        6 => Verdict::Released { retry_after },
        _ if (dice / 8).is_multiple_of(2) => Verdict::Dead,
        _ => Verdict::Cancelled,
    }
}

fn selector(a: u32, b: u32) -> Selector {
    let ids = [a, b].map(|dice| id(&format!("t{}", dice % TASKS)));
    match a / 16 % 4 {
        0 => Selector::Matching(Filter { statuses: vec![], tags: words(&["red"]) }),
        1 => Selector::Ids(ids.to_vec()),
        _ => Selector::Ids(ids[..1].to_vec()),
    }
}

/// Does the actions to `store` and to a model, and compares what comes of each.
///
/// `store` must be empty and use `clock` and `overlap`.
///
/// # Panics
///
/// When the two can be told apart, or when the store breaks a promise that both might break.
pub async fn replay(
    store: Arc<dyn TaskStore>,
    clock: Arc<ManualClock>,
    overlap: Overlap,
    actions: &[Action],
) {
    let model = MemoryStore::with_clock(Arc::clone(&clock) as Arc<dyn Clock>).overlap(overlap);
    let mut pair = Pair { store, model, clock, overlap, claims: Vec::new() };
    for action in actions {
        pair.act(action).await;
        pair.compare(action).await;
    }
}

/// The case: one long life.
pub(super) async fn behaves_like_the_model(s: &Subject) {
    let mut dice = StdRng::seed_from_u64(20_261_123);
    let actions: Vec<_> = (0..600).map(|_| Action::from_dice(dice.random())).collect();
    replay(Arc::clone(&s.store), Arc::clone(&s.clock), s.overlap, &actions).await;
}

struct Pair {
    store: Arc<dyn TaskStore>,
    model: MemoryStore,
    clock: Arc<ManualClock>,
    overlap: Overlap,
    /// Every claim that was ever handed out: the store's fence and the model's.
    claims: Vec<(Fence, Fence)>,
}

impl Pair {
    async fn act(&mut self, action: &Action) {
        let what = || format!("{action:?}");
        match action {
            Action::Add { tasks, delays } => {
                let timed = tasks.iter().zip(delays).map(|(task, delay)| NewTask {
                    not_before: delay.map(|delay| self.clock.now() + delay),
                    ..task.clone()
                });
                let tasks: Vec<_> = timed.collect();
                let (ours, theirs) =
                    (self.store.add(tasks.clone()).await, self.model.add(tasks).await);
                match (ours, theirs) {
                    // Where several things are wrong, it does not matter which is said.
                    (Err(_), Err(_)) => {}
                    (ours, theirs) => same(ours, theirs, what),
                }
            }
            Action::Claim(request) => {
                let ours = self.store.claim(request).await.expect("claiming works");
                let theirs = self.model.claim(request).await.expect("claiming works");
                self.claimed(ours, theirs, what).await;
            }
            Action::Finish { claim, report, next } => {
                let Some((ours, theirs)) = self.claim(*claim) else { return };
                let ours = self.store.finish(&ours, report.clone(), next.as_ref()).await;
                let theirs = self.model.finish(&theirs, report.clone(), next.as_ref()).await;
                let Some((ours, theirs)) = same_kind(ours, theirs, what) else { return };
                assert_eq!(ours.status, theirs.status, "after {}", what());
                self.claimed(ours.next, theirs.next, what).await;
            }
            Action::Beat { claim } => {
                let Some((ours, theirs)) = self.claim(*claim) else { return };
                same(
                    self.store.heartbeat(&[ours]).await,
                    self.model.heartbeat(&[theirs]).await,
                    what,
                );
            }
            Action::Rescue { claim } => {
                let Some((ours, theirs)) = self.claim(*claim) else { return };
                let ours = self.store.rescue(&ours, "gone").await;
                same(ours, self.model.rescue(&theirs, "gone").await, what);
            }
            Action::RescueExpired { limit } => {
                let theirs = self.model.rescue_expired(*limit).await;
                same(self.store.rescue_expired(*limit).await, theirs, what);
            }
            Action::Cancel(which) => {
                same(self.store.cancel(which).await, self.model.cancel(which).await, what);
            }
            Action::Retry(which) => {
                same(self.store.retry(which).await, self.model.retry(which).await, what);
            }
            Action::Pass(time) => self.clock.advance(*time),
        }
    }

    fn claim(&self, which: usize) -> Option<(Fence, Fence)> {
        // Most of the time one of the last few, which may still be held.
        let recent =
            if which.is_multiple_of(8) { self.claims.len() } else { self.claims.len().min(4) };
        let back = which.checked_rem(recent)?;
        self.claims.iter().rev().nth(back).cloned()
    }

    async fn claimed(
        &mut self,
        ours: Option<Claim>,
        theirs: Option<Claim>,
        what: impl Fn() -> String,
    ) {
        let task = |claim: &Option<Claim>| claim.as_ref().map(|claim| claim.task.clone());
        assert_eq!(task(&ours), task(&theirs), "what came of {}", what());
        if let (Some(ours), Some(theirs)) = (ours, theirs) {
            for need in &ours.task.spec.depends_on {
                let need = self.store.get(need).await.expect("looking works").expect("it is there");
                assert_eq!(need.status, TaskStatus::Succeeded, "a need of {}", ours.task.id);
            }
            self.claims.push((ours.fence, theirs.fence));
        }
    }

    async fn compare(&self, action: &Action) {
        let mut ours = self.tasks(&*self.store).await;
        let mut theirs = self.tasks(&self.model).await;
        let counts = self.store.counts().await.expect("counting works");
        let mut recount = Counts::default();
        for task in &ours {
            *recount.of(task.status) += 1;
        }
        assert_eq!(counts, recount, "the counts are those of the tasks after {action:?}");
        ours.iter_mut().chain(&mut theirs).for_each(blur);
        assert_eq!(ours, theirs, "after {action:?}");

        let running = self.store.running().await.expect("looking works");
        let model = self.model.running().await.expect("looking works");
        let names = |running: &[crate::RunningTask]| -> HashSet<(TaskId, u32, Duration)> {
            let key =
                |r: &crate::RunningTask| (r.fence.task.clone(), r.fence.attempt, r.lease_left);
            running.iter().map(key).collect()
        };
        assert_eq!(names(&running), names(&model), "what runs after {action:?}");
        let live: HashSet<_> = running.iter().map(|running| &running.fence.task).collect();
        assert_eq!(live.len(), running.len(), "one live claim a task after {action:?}");
        self.check_exclusion(&ours, action);
        let due = self.store.next_due().await.expect("looking works");
        assert_eq!(due, self.model.next_due().await.expect("looking works"), "{action:?}");
        let delayed = async |store: &dyn TaskStore| {
            let delayed = store.delayed(usize::MAX).await.expect("looking works");
            delayed.into_iter().map(|task| task.id).collect::<HashSet<_>>()
        };
        assert_eq!(delayed(&*self.store).await, delayed(&self.model).await, "{action:?}");
    }

    /// No two running tasks share a lock or a path.
    fn check_exclusion(&self, tasks: &[Task], action: &Action) {
        let (mut locks, mut patterns) = (HashSet::new(), Vec::<&String>::new());
        for Task { id, spec, .. } in tasks.iter().filter(|it| it.status == TaskStatus::Running) {
            for name in &spec.locks {
                assert!(locks.insert(name), "'{name}' is held twice after {action:?}");
            }
            for pattern in &spec.touches {
                let overlapped = patterns
                    .iter()
                    .copied()
                    .find(|it| pattern == *it || (self.overlap)(pattern, it));
                assert_eq!(overlapped, None, "with '{pattern}' of {id} after {action:?}");
            }
            patterns.extend(&spec.touches);
        }
    }

    async fn tasks(&self, store: &dyn TaskStore) -> Vec<Task> {
        store.list(&Filter::default(), None, usize::MAX).await.expect("listing works")
    }
}

/// Makes what may differ the same.
fn blur(task: &mut Task) {
    let wants = !task.spec.locks.is_empty() || !task.spec.touches.is_empty();
    if task.status == TaskStatus::Waiting && wants {
        task.status = TaskStatus::Pending;
    }
}

fn same<T: Debug + PartialEq>(
    ours: Result<T, StoreError>,
    theirs: Result<T, StoreError>,
    what: impl Fn() -> String,
) {
    if let Some((ours, theirs)) = same_kind(ours, theirs, &what) {
        assert_eq!(ours, theirs, "what came of {}", what());
    }
}

/// Both values, where there are two and not two refusals of one kind.
fn same_kind<T: Debug>(
    ours: Result<T, StoreError>,
    theirs: Result<T, StoreError>,
    what: impl Fn() -> String,
) -> Option<(T, T)> {
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => Some((ours, theirs)),
        (Err(ours), Err(theirs))
            if std::mem::discriminant(&ours) == std::mem::discriminant(&theirs) =>
        {
            None
        }
        (ours, theirs) => panic!("{ours:?} is not {theirs:?} after {}", what()),
    }
}
