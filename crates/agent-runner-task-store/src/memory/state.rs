//! The tasks of a [`MemoryStore`](super::MemoryStore) and what is done with them.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use crate::{
    Attempt, Beat, Claim, ClaimRequest, Counts, Fence, Filter, NewTask, Overlap, Report,
    RunningTask, Selector, StoreError, Task, TaskId, TaskStatus,
    clock::{self, Millis},
    rules::{self, Ledger, Next},
};

/// Everything in the store. A task's place in the order of adding is its number here.
pub(super) struct State {
    pub(super) tasks: BTreeMap<u64, Entry>,
    pub(super) ids: HashMap<TaskId, u64>,
    pub(super) keys: HashMap<String, u64>,
    /// The tasks to do that do not run, in the order of claiming.
    pub(super) queue: BTreeSet<(Reverse<i32>, u64)>,
    /// The tasks that run.
    running: BTreeSet<u64>,
    pub(super) next_number: u64,
    pub(super) overlap: Overlap,
}

pub(super) struct Entry {
    pub(super) id: TaskId,
    pub(super) spec: NewTask,
    pub(super) phase: Phase,
    pub(super) due: Millis,
    pub(super) failures: u32,
    pub(super) recoveries: u32,
    pub(super) created: Millis,
    pub(super) attempts: Vec<Attempt>,
}

pub(super) enum Phase {
    /// To do, and perhaps in the way of something; what, is looked up when it is asked.
    Open,
    Running(Hold),
    Ended(TaskStatus, Millis),
}

pub(super) struct Hold {
    nonce: u64,
    lease: Millis,
    lease_until: Millis,
    started: Millis,
    ledger: Ledger,
}

impl State {
    pub(super) fn new(overlap: Overlap) -> Self {
        Self {
            tasks: BTreeMap::new(),
            ids: HashMap::new(),
            keys: HashMap::new(),
            queue: BTreeSet::new(),
            running: BTreeSet::new(),
            next_number: 0,
            overlap,
        }
    }

    pub(super) fn claim(&mut self, request: &ClaimRequest, now: Millis) -> Option<Claim> {
        let place = self.queue.iter().map(|(_, place)| *place).find(|place| {
            let entry = &self.tasks[place];
            any_tag(&request.tags, &entry.spec.tags)
                && self.is_claimable(entry, now)
                && request.takes.takes(entry.spec.command.as_ref())
        })?;
        let nonce = rand::random();
        let lease = clock::length(request.lease);
        let entry = self.tasks.get_mut(&place)?;
        let mut budget = request.budget;
        budget.attempts = entry.spec.max_attempts.unwrap_or(budget.attempts);
        let (failures, recoveries) = (entry.failures, entry.recoveries);
        entry.phase = Phase::Running(Hold {
            nonce,
            lease,
            lease_until: now.saturating_add(lease),
            started: now,
            ledger: Ledger { failures, recoveries, budget, cancel: false },
        });
        entry.attempts.push(Attempt {
            task: entry.id.clone(),
            number: entry.attempt() + 1,
            worker: request.worker.clone(),
            started_at: clock::time(now),
            finished_at: None,
            report: None,
        });
        self.queue.remove(&entry.rank(place));
        self.running.insert(place);
        let task = self.task(place, now);
        Some(Claim { fence: Fence { task: task.id.clone(), attempt: task.attempt, nonce }, task })
    }

    pub(super) fn finish(
        &mut self,
        fence: &Fence,
        report: Report,
        now: Millis,
    ) -> Result<(), StoreError> {
        let (place, entry) = self.holder(fence)?;
        let Phase::Running(hold) = &mut entry.phase else { return Err(lost(fence)) };
        let next = hold.ledger.settle(report.verdict, now);
        (entry.failures, entry.recoveries) = (hold.ledger.failures, hold.ledger.recoveries);
        if let Some(attempt) = entry.attempts.last_mut() {
            attempt.finished_at = Some(clock::time(now));
            attempt.report = Some(report);
        }
        let back = match next {
            Next::End(status) => {
                entry.phase = Phase::Ended(status, now);
                None
            }
            Next::Rest { due } => {
                entry.due = due;
                entry.phase = Phase::Open;
                Some(entry.rank(place))
            }
        };
        self.queue.extend(back);
        self.running.remove(&place);
        Ok(())
    }

    pub(super) fn rescue(
        &mut self,
        fence: &Fence,
        reason: &str,
        now: Millis,
    ) -> Result<(), StoreError> {
        let (_, entry) = self.holder(fence)?;
        let Phase::Running(hold) = &entry.phase else { return Err(lost(fence)) };
        let report = rules::lost(reason, now.saturating_sub(hold.started));
        self.finish(fence, report, now)
    }

    pub(super) fn heartbeat(&mut self, fence: &Fence, now: Millis) -> Beat {
        let Ok((_, entry)) = self.holder(fence) else { return Beat::Lost };
        let Phase::Running(hold) = &mut entry.phase else { return Beat::Lost };
        hold.lease_until = now.saturating_add(hold.lease);
        if hold.ledger.cancel { Beat::Cancel } else { Beat::Continue }
    }

    pub(super) fn cancel(&mut self, which: &Selector, now: Millis) -> Result<u64, StoreError> {
        let mut changed = 0;
        for place in self.select(which, now)? {
            let Some(entry) = self.tasks.get_mut(&place) else { continue };
            match &mut entry.phase {
                Phase::Ended(..) => continue,
                Phase::Running(hold) if hold.ledger.cancel => continue,
                Phase::Running(hold) => hold.ledger.cancel = true,
                Phase::Open => {
                    self.queue.remove(&entry.rank(place));
                    entry.phase = Phase::Ended(TaskStatus::Cancelled, now);
                }
            }
            changed += 1;
        }
        Ok(changed)
    }

    pub(super) fn retry(&mut self, which: &Selector, now: Millis) -> Result<u64, StoreError> {
        let mut changed = 0;
        for place in self.select(which, now)? {
            let Some(entry) = self.tasks.get_mut(&place) else { continue };
            if matches!(entry.phase, Phase::Ended(..)) {
                entry.reopen();
                self.queue.insert(entry.rank(place));
                changed += 1;
            }
        }
        Ok(changed)
    }

    pub(super) fn running(&self, now: Millis) -> Vec<RunningTask> {
        let mut running: Vec<_> = self.holds().collect();
        running.sort_by_key(|(_, hold)| hold.started);
        running.into_iter().filter_map(|(entry, hold)| entry.running(hold, now)).collect()
    }

    /// The claims whose lease has run out, those that ended first at the front.
    pub(super) fn expired(&self, limit: usize, now: Millis) -> Vec<Fence> {
        let mut late: Vec<_> = self.holds().filter(|(_, hold)| hold.lease_until <= now).collect();
        late.sort_by_key(|(_, hold)| hold.lease_until);
        late.into_iter().take(limit).map(|(entry, hold)| entry.fence(hold)).collect()
    }

    pub(super) fn get(&self, id: &TaskId, now: Millis) -> Option<Task> {
        self.ids.get(id).map(|place| self.task(*place, now))
    }

    pub(super) fn status(&self, id: &TaskId, now: Millis) -> TaskStatus {
        self.status_of(&self.tasks[&self.ids[id]], now)
    }

    pub(super) fn list(
        &self,
        filter: &Filter,
        after: Option<&TaskId>,
        limit: usize,
        now: Millis,
    ) -> Result<Vec<Task>, StoreError> {
        let from = match after {
            Some(id) => self.place(id)? + 1,
            None => 0,
        };
        Ok(self
            .tasks
            .range(from..)
            .filter(|(_, entry)| self.fits(filter, entry, now))
            .take(limit)
            .map(|(place, _)| self.task(*place, now))
            .collect())
    }

    pub(super) fn attempts(&self, id: &TaskId) -> Result<Vec<Attempt>, StoreError> {
        Ok(self.tasks[&self.place(id)?].attempts.clone())
    }

    pub(super) fn counts(&self, now: Millis) -> Counts {
        let mut counts = Counts::default();
        for entry in self.tasks.values() {
            *counts.of(self.status_of(entry, now)) += 1;
        }
        counts
    }

    pub(super) fn next_due(&self, now: Millis) -> Option<Duration> {
        let dues = self.tasks.values().filter_map(|entry| match &entry.phase {
            Phase::Running(hold) => Some(hold.lease_until),
            Phase::Open if self.waits_for_time(entry, now) => Some(entry.due),
            _ => None,
        });
        dues.min().map(|due| clock::duration(due.saturating_sub(now)))
    }

    pub(super) fn delayed(&self, limit: usize, now: Millis) -> Vec<Task> {
        let waits =
            |entry: &Entry| matches!(entry.phase, Phase::Open) && self.waits_for_time(entry, now);
        let mut places: Vec<_> = self.tasks.iter().filter(|(_, entry)| waits(entry)).collect();
        places.sort_by_key(|(_, entry)| entry.due);
        places.into_iter().take(limit).map(|(place, _)| self.task(*place, now)).collect()
    }

    fn holds(&self) -> impl Iterator<Item = (&Entry, &Hold)> {
        self.running.iter().map(|place| &self.tasks[place]).filter_map(|entry| match &entry.phase {
            Phase::Running(hold) => Some((entry, hold)),
            _ => None,
        })
    }

    /// The task that `fence` still holds.
    fn holder(&mut self, fence: &Fence) -> Result<(u64, &mut Entry), StoreError> {
        let place = self.ids.get(&fence.task).ok_or_else(|| lost(fence))?;
        let entry = self.tasks.get_mut(place).ok_or_else(|| lost(fence))?;
        match &entry.phase {
            Phase::Running(hold)
                if hold.nonce == fence.nonce && entry.attempt() == fence.attempt =>
            {
                Ok((*place, entry))
            }
            _ => Err(lost(fence)),
        }
    }

    pub(super) fn place(&self, id: &TaskId) -> Result<u64, StoreError> {
        self.ids.get(id).copied().ok_or_else(|| StoreError::NotFound { task: id.clone() })
    }

    fn select(&self, which: &Selector, now: Millis) -> Result<Vec<u64>, StoreError> {
        match which {
            Selector::Ids(ids) => ids.iter().map(|id| self.place(id)).collect(),
            Selector::Matching(filter) => Ok(self
                .tasks
                .iter()
                .filter(|(_, entry)| self.fits(filter, entry, now))
                .map(|(place, _)| *place)
                .collect()),
        }
    }

    fn fits(&self, filter: &Filter, entry: &Entry, now: Millis) -> bool {
        let statuses = &filter.statuses;
        (statuses.is_empty() || statuses.contains(&self.status_of(entry, now)))
            && any_tag(&filter.tags, &entry.spec.tags)
    }

    fn status_of(&self, entry: &Entry, now: Millis) -> TaskStatus {
        match entry.phase {
            Phase::Ended(status, _) => status,
            Phase::Running(_) => TaskStatus::Running,
            Phase::Open if self.is_claimable(entry, now) => TaskStatus::Pending,
            Phase::Open => TaskStatus::Waiting,
        }
    }

    fn is_claimable(&self, entry: &Entry, now: Millis) -> bool {
        self.is_unblocked(entry)
            && entry.due <= now
            && !self.holds().any(|(running, _)| self.conflict(&entry.spec, &running.spec))
    }

    /// Whether two tasks may not run at the same time.
    fn conflict(&self, one: &NewTask, other: &NewTask) -> bool {
        let overlaps = |pattern: &String| {
            other.touches.iter().any(|taken| taken == pattern || (self.overlap)(pattern, taken))
        };
        one.locks.iter().any(|name| other.locks.contains(name)) || one.touches.iter().any(overlaps)
    }

    fn waits_for_time(&self, entry: &Entry, now: Millis) -> bool {
        self.is_unblocked(entry) && entry.due > now
    }

    fn is_unblocked(&self, entry: &Entry) -> bool {
        entry.spec.depends_on.iter().all(|id| {
            let phase = &self.tasks[&self.ids[id]].phase;
            matches!(phase, Phase::Ended(TaskStatus::Succeeded, _))
        })
    }

    fn task(&self, place: u64, now: Millis) -> Task {
        let entry = &self.tasks[&place];
        let ended = entry.attempts.iter().rev().find_map(|attempt| attempt.report.as_ref());
        Task {
            id: entry.id.clone(),
            spec: NewTask { id: Some(entry.id.clone()), ..entry.spec.clone() },
            status: self.status_of(entry, now),
            attempt: entry.attempt(),
            failures: entry.failures,
            recoveries: entry.recoveries,
            created_at: clock::time(entry.created),
            finished_at: match entry.phase {
                Phase::Ended(_, at) => Some(clock::time(at)),
                _ => None,
            },
            error: ended.and_then(rules::error_of),
        }
    }
}

impl Entry {
    /// Puts an ended task back among those to do, as if it had just been added.
    pub(super) fn reopen(&mut self) {
        self.phase = Phase::Open;
        self.due = self.spec.not_before.map_or(0, clock::ceil);
        self.failures = 0;
        self.recoveries = 0;
    }

    pub(super) fn rank(&self, place: u64) -> (Reverse<i32>, u64) {
        (Reverse(self.spec.priority), place)
    }

    pub(super) fn attempt(&self) -> u32 {
        self.attempts.last().map_or(0, |attempt| attempt.number)
    }

    fn fence(&self, hold: &Hold) -> Fence {
        Fence { task: self.id.clone(), attempt: self.attempt(), nonce: hold.nonce }
    }

    fn running(&self, hold: &Hold, now: Millis) -> Option<RunningTask> {
        Some(RunningTask {
            fence: self.fence(hold),
            worker: self.attempts.last()?.worker.clone(),
            held_for: clock::duration(now.saturating_sub(hold.started)),
            lease_left: clock::duration(hold.lease_until.saturating_sub(now)),
        })
    }
}

fn lost(fence: &Fence) -> StoreError {
    StoreError::LeaseLost { task: fence.task.clone(), attempt: fence.attempt }
}

fn any_tag(wanted: &[String], tags: &[String]) -> bool {
    wanted.is_empty() || wanted.iter().any(|tag| tags.contains(tag))
}
