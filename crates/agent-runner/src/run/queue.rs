//! The store as the pool's source: claims with their locks, and ends with their verdicts.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use agent_runner_backoff::ExponentialBackoff;
use agent_runner_lock::{LockDir, LostError, NoteError};
use agent_runner_pool::{Assignment, End, JobError, Source, SourceError, Stop, Then, WorkerId};
use agent_runner_task_store::{
    Claim, ClaimRequest, Counts, Fence, Finished, Report, StoreError, TaskId, TaskStatus,
    TaskStore, Verdict, Worker,
};
use tokio::sync::{Mutex as Turn, Notify, mpsc};

use super::{
    admission::{Admission, Place},
    allowance::Allowance,
    attempt::Ended,
    blocked::Blocked,
    claims::{Claims, Held},
    locks::Locks,
    needs::{Agents, Selection},
    outcome::{Outcome, Payer},
    proof::Proof,
    shutdown::{Shutdown, Stage},
    supply::{Hold, Needs, Supply},
    tally::Tally,
};
use crate::{
    cli::Orphans,
    exit_code::Exit,
    report::{Event, Reporter},
};

/// How often a store is asked for what other processes may have changed.
const POLL: Duration = Duration::from_millis(200);
/// Waits for keys that are shorter are not told.
const NOTICEABLE: Duration = Duration::from_secs(1);
/// Why a run ends that could only go on trying in vain.
const IN_THE_WAY: &str = "something is in the way of all that is left";
/// How often a full disk is given another chance to take a result.
const PATIENCE: u32 = 12;

/// The tasks of a store, for the workers of one run.
pub(super) struct TaskQueue {
    pub(super) store: Arc<dyn TaskStore>,
    pub(super) locks: LockDir,
    pub(super) claims: Arc<Claims>,
    pub(super) supply: Arc<Supply>,
    pub(super) reporter: Arc<Reporter>,
    pub(super) shutdown: Shutdown,
    pub(super) tally: Arc<Tally>,
    /// Told of each task that is done.
    pub(super) done: mpsc::UnboundedSender<TaskId>,
    pub(super) request: ClaimRequest,
    pub(super) backoff: ExponentialBackoff,
    pub(super) orphans: Orphans,
    pub(super) agents: Arc<Agents>,
    pub(super) blocked: Blocked,
    pub(super) wait_for_keys: bool,
    pub(super) allowance: Allowance,
    pub(super) admission: Arc<Admission>,
    /// One worker at a time looks for work; the others wait for their turn.
    pub(super) turn: Turn<()>,
    /// Rung when an attempt of this run ended, since that may make others claimable.
    pub(super) changed: Notify,
}

/// A claimed task in a worker's hands.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) claim: Claim,
    pub(super) held: Held,
    locks: Mutex<Option<Locks>>,
    place: Mutex<Option<Place>>,
}

impl Job {
    /// Writes a note into the task's lock, for whoever finds it when this process is gone.
    pub(super) fn note(&self, note: &str) -> Result<(), NoteError> {
        self.locks().as_ref().map_or(Ok(()), |locks| locks.task.set_note(note))
    }

    /// Starts a process that keeps the locks when this one is killed.
    pub(super) fn start<T>(&self, spawn: impl FnOnce() -> T) -> Result<T, LostError> {
        match &*self.locks() {
            Some(locks) => locks.while_inheritable(spawn),
            None => Ok(spawn()),
        }
    }

    /// Checks that what is recorded can be found again: agents may remove what git ignores, and
    /// then the lock is not where it was, nor the store beside it.
    fn check(&self) -> Result<(), LostError> {
        self.locks().as_ref().map_or(Ok(()), |locks| locks.task.check())
    }

    fn unlock(&self) {
        // A lock that cannot be released is freed by the kernel when the process ends.
        drop(self.locks().take());
    }

    fn locks(&self) -> MutexGuard<'_, Option<Locks>> {
        self.locks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its agent is started in a place that was waited for.
    fn starts(&self) {
        self.place().as_ref().map(Place::starts);
    }

    fn leave(&self) -> Option<Place> {
        self.place().take()
    }

    fn place(&self) -> MutexGuard<'_, Option<Place>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source<Ended, Ended> for TaskQueue {
    type Job = Arc<Job>;

    async fn next(
        &self,
        worker: WorkerId,
        stop: &Stop,
    ) -> Result<Option<Assignment<Arc<Job>>>, SourceError> {
        let _turn = tokio::select! {
            turn = self.turn.lock() => turn,
            () = stop.stopped() => return Ok(None),
        };
        while !stop.is_stopped() && !self.is_draining() && self.allowance.is_left() {
            // What this waits for is registered before the store is asked, so that no ring is missed.
            let changed = self.changed.notified();
            let (mut due, mut counts) = self.look().await?;
            let selection = self.agents.select(self.supply.held());
            if counts.pending > 0 {
                // A task that is claimed is started at once: what there is to wait for comes first.
                let Some(place) = self.admission.admit(stop).await else { break };
                (due, counts) = self.look().await?;
                if let Some(assignment) = self.claim(worker, place, &selection).await? {
                    return Ok(Some(assignment));
                }
            }
            let waits = selection.waits();
            let stuck =
                due.is_some() && self.is_stuck(&selection, !waits.is_empty(), counts).await?;
            let idle = counts.running == 0 && (due.is_none() || stuck);
            if idle && waits.is_empty() {
                if stuck {
                    self.shutdown.advance(Stage::Draining, Exit::Left, IN_THE_WAY);
                }
                return Ok(None);
            }
            let first = self.tell_waits(waits, idle);
            let pause = due.into_iter().chain(first).min().unwrap_or(POLL);
            let pause = pause.clamp(Duration::from_millis(1), POLL);
            tokio::select! {
                () = stop.stopped() => {}
                () = changed => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        Ok(None)
    }

    async fn settle(
        &self,
        worker: WorkerId,
        assignment: Assignment<Arc<Job>>,
        end: &End<Ended, Ended>,
        then: Then,
    ) -> Result<Option<Assignment<Arc<Job>>>, SourceError> {
        let job = assignment.job;
        let report = self.report(&job, end);
        if let Some(ended) = ended_of(end) {
            self.admission.learn(ended.outcome, ended.retry_after);
            self.blocked.see(&job.claim.fence.task, ended);
        }
        let kept = job.check();
        // Where a failure may be the last that is allowed, it is counted before more is started.
        let counts_first = report.verdict != Verdict::Succeeded && self.tally.has_limit();
        let takes_more = then == Then::Next && kept.is_ok() && !counts_first && self.takes_more();
        let request = takes_more.then(|| self.request_of(worker, &Selection::default()));
        let finished = self.finish(&job.claim.fence, &report, request.as_ref()).await;
        // The store knows the end before anybody else can take the lock.
        job.unlock();
        let place = job.leave();
        self.claims.remove(&job.claim.fence);
        self.changed.notify_waiters();
        if request.is_some() && !matches!(&finished, Ok(Finished { next: Some(_), .. })) {
            self.allowance.give_back();
        }
        match finished {
            Ok(finished) => {
                kept?;
                self.tell(worker, &job, &report, &finished);
                match finished.next {
                    Some(claim) => self.take(worker, claim, &mut { place }).await,
                    None => Ok(None),
                }
            }
            Err(StoreError::LeaseLost { task, attempt }) => {
                self.reporter.tell(&Event::ClaimLost { task, attempt, worker: worker.number() });
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl TaskQueue {
    /// When the next task comes due, and how many stand where, in this order: one that comes due
    /// between the two questions is seen by one of them.
    pub(super) async fn look(&self) -> Result<(Option<Duration>, Counts), StoreError> {
        let due = self.store.next_due().await?;
        Ok((due, self.store.counts().await?))
    }

    async fn claim(
        &self,
        worker: WorkerId,
        place: Place,
        selection: &Selection,
    ) -> Result<Option<Assignment<Arc<Job>>>, SourceError> {
        let mut place = Some(place);
        while self.allowance.take() {
            let Some(claim) = self.store.claim(&self.request_of(worker, selection)).await? else {
                self.allowance.give_back();
                break;
            };
            if let Some(assignment) = self.take(worker, claim, &mut place).await? {
                assignment.job.starts();
                return Ok(Some(assignment));
            }
        }
        Ok(None)
    }

    /// Takes the locks of a claimed task, and gives its agent the place. A task of which a lock is
    /// held goes back for a while, and the place stays.
    async fn take(
        &self,
        worker: WorkerId,
        claim: Claim,
        place: &mut Option<Place>,
    ) -> Result<Option<Assignment<Arc<Job>>>, SourceError> {
        let refused = match Locks::take(&self.locks, &claim.task, self.orphans).await? {
            Ok(locks) => {
                let held = self.claims.insert(claim.fence.clone());
                let attempt = claim.fence.attempt;
                let (locks, place) = (Mutex::new(Some(locks)), Mutex::new(place.take()));
                let job = Job { claim, held, locks, place };
                return Ok(Some(Assignment::new(Arc::new(job)).attempt(attempt)));
            }
            Err(refused) => refused,
        };
        self.allowance.give_back();
        let report =
            Report::new(refused.verdict, refused.outcome.as_str()).with_message(refused.message);
        match self.finish(&claim.fence, &report, None).await {
            Ok(finished) => {
                if finished.status.is_final() {
                    self.tally.see(finished.status);
                }
                self.reporter.tell(&event(worker, &claim, &report, &finished));
                Ok(None)
            }
            Err(StoreError::LeaseLost { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Records an end. A full disk may be mended while it waits: an agent's work is worth that.
    async fn finish(
        &self,
        fence: &Fence,
        report: &Report,
        next: Option<&ClaimRequest>,
    ) -> Result<Finished, StoreError> {
        let mut delays = ExponentialBackoff::new().delays().take(PATIENCE as usize);
        loop {
            let result = self.store.finish(fence, report.clone(), next).await;
            let Err(error @ StoreError::DiskFull { .. }) = result else { return result };
            let Some(delay) = delays.next() else { return Err(error) };
            self.reporter.ui().warn(format_args!("{error}; task '{}' waits for it", fence.task));
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = self.shutdown.reached(Stage::Killing) => return Err(error),
            }
        }
    }

    fn request_of(&self, worker: WorkerId, selection: &Selection) -> ClaimRequest {
        let worker = Worker { number: worker.number(), ..self.request.worker.clone() };
        ClaimRequest { worker, takes: selection.takes.clone(), ..self.request.clone() }
    }

    fn is_draining(&self) -> bool {
        self.shutdown.stage() >= Stage::Draining
    }

    /// Whether the next task may be claimed together with the end of this one; if so, its part of
    /// the allowance is taken.
    fn takes_more(&self) -> bool {
        !self.is_draining()
            && self.supply.held().is_empty()
            && self.admission.may_go_on()
            && self.allowance.take()
    }

    /// Tells what tasks wait for that were passed over, and says how long until the first of them
    /// can go on. If nothing else is left to be done, and waiting does not help or is not wanted,
    /// it is the end.
    fn tell_waits(&self, waits: Vec<(Needs, Hold)>, idle: bool) -> Option<Duration> {
        for (needs, hold) in &waits {
            // Where a provider falters, there are many that nobody would notice.
            let is_brief = self.wait_for_keys && hold.lasts.is_some_and(|wait| wait < NOTICEABLE);
            if !is_brief && self.supply.announce(needs) {
                self.reporter.tell(&Event::KeysExhausted {
                    ready_in_s: hold.lasts.map(|wait| wait.as_secs_f64()),
                    providers: hold.providers.clone(),
                    unreachable: hold.unreachable.clone(),
                });
            }
        }
        let first = Hold::first(waits.into_iter().map(|(_, hold)| hold))?;
        if idle && !self.waits_for(&first) {
            let (exit, reason) = match first.unreachable {
                Some(why) => (Exit::Left, format!("the provider cannot be reached: {why}")),
                None => (Exit::NoKeys, "no key is ready".to_owned()),
            };
            self.shutdown.advance(Stage::Draining, exit, reason);
        }
        first.lasts
    }

    /// Whether it helps to wait for the end of a hold, and is wanted.
    pub(super) fn waits_for(&self, hold: &Hold) -> bool {
        hold.lasts.is_some() && (self.wait_for_keys || hold.is_pause)
    }

    fn report(&self, job: &Job, end: &End<Ended, Ended>) -> Report {
        if let Some(ended) = ended_of(end) {
            return self.report_of(job, ended);
        }
        match end {
            End::Failed(error) => Report::new(self.failed(job), Outcome::TaskFailed.as_str())
                .with_message(error.to_string()),
            _ => Report::new(
                Verdict::Released { retry_after: Duration::ZERO },
                Outcome::Stopped.as_str(),
            ),
        }
    }

    fn report_of(&self, job: &Job, ended: &Ended) -> Report {
        let verdict = match ended.outcome.payer() {
            Payer::Done => Verdict::Succeeded,
            Payer::Task => self.failed(job),
            Payer::TaskForGood => Verdict::Dead,
            Payer::Worker => {
                Verdict::Crashed { retry_after: self.backoff.delay(job.claim.task.recoveries) }
            }
            Payer::Nobody => {
                Verdict::Released { retry_after: ended.retry_after.unwrap_or_default() }
            }
            Payer::Person => Verdict::Cancelled,
        };
        Report {
            verdict,
            outcome: ended.outcome.as_str().to_owned(),
            message: ended.message.clone(),
            exit_code: ended.exit_code,
            signal: ended.signal,
            duration: ended.duration,
            log: ended.log.clone(),
            credential: ended.credential.clone(),
            details: ended.details_with_proof(),
        }
    }

    fn failed(&self, job: &Job) -> Verdict {
        Verdict::Failed { retry_after: self.backoff.delay(job.claim.task.failures) }
    }

    fn tell(&self, worker: WorkerId, job: &Job, report: &Report, finished: &Finished) {
        self.tally.see(finished.status);
        if finished.status == TaskStatus::Succeeded {
            // Nobody listens when there is no box to tick.
            drop(self.done.send(job.claim.fence.task.clone()));
        }
        self.reporter.tell(&event(worker, &job.claim, report, finished));
        if let Some(reason) = self.tally.too_many_failures() {
            self.shutdown.advance(Stage::Draining, Exit::Left, reason);
        }
    }
}

/// What an attempt came to, if it was made to its end.
fn ended_of(end: &End<Ended, Ended>) -> Option<&Ended> {
    match end {
        End::Finished(ended) => Some(ended),
        End::Released(ended) | End::Requeued(ended) => Some(ended),
        End::Failed(error) => match &**error {
            JobError::Failed(ended) => Some(ended),
            _ => None,
        },
        _ => None,
    }
}

/// How an attempt ended, as it is told.
fn event(worker: WorkerId, claim: &Claim, report: &Report, finished: &Finished) -> Event {
    let retry_after = match report.verdict {
        Verdict::Failed { retry_after }
        | Verdict::Crashed { retry_after }
        | Verdict::Released { retry_after }
            if !finished.status.is_final() =>
        {
            Some(retry_after.as_secs_f64())
        }
        _ => None,
    };
    Event::TaskFinished {
        task: claim.fence.task.clone(),
        title: claim.task.spec.title.clone(),
        attempt: claim.fence.attempt,
        worker: worker.number(),
        status: finished.status,
        outcome: report.outcome.clone(),
        message: report.message.clone(),
        exit_code: report.exit_code,
        signal: report.signal,
        duration_s: report.duration.as_secs_f64(),
        retry_after_s: retry_after,
        log: report.log.clone(),
        proof: Proof::of(&report.details).map(Box::new),
    }
}
