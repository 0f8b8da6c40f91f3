//! Adding tasks: looked at whole first, then done.

use std::collections::{HashMap, HashSet, hash_map};

use super::state::{Entry, Phase, State};
use crate::{
    AddReport, NewTask, StoreError, TaskId,
    clock::{self, Millis},
    content, graph,
};

impl State {
    pub(super) fn add(
        &mut self,
        tasks: Vec<NewTask>,
        now: Millis,
    ) -> Result<AddReport, StoreError> {
        let plan = self.plan(tasks)?;
        self.check_dependencies(&plan)?;
        self.next_number = plan.next_number;
        let mut report = AddReport { ids: plan.ids, ..AddReport::default() };
        for (id, task) in plan.tasks {
            match self.ids.get(&id).copied() {
                None => {
                    self.insert(id, task, now);
                    report.added += 1;
                }
                Some(place) if self.is_same(place, &task) => {
                    self.tasks.entry(place).and_modify(|entry| entry.spec.source = task.source);
                    report.unchanged += 1;
                }
                Some(place) => {
                    self.update(place, task);
                    report.updated += 1;
                }
            }
        }
        report.unchanged += plan.repeated;
        Ok(report)
    }

    /// Gives every task its id, without changing anything.
    fn plan(&self, tasks: Vec<NewTask>) -> Result<Plan, StoreError> {
        let taken: HashSet<_> = tasks.iter().filter_map(|task| task.id.clone()).collect();
        let mut plan = Plan { next_number: self.next_number.max(1), ..Plan::default() };
        let mut keys: HashMap<String, TaskId> = HashMap::new();
        for mut task in tasks {
            content::normalise(&mut task);
            let id = match (task.id.take(), task.key.clone()) {
                (Some(id), _) => {
                    // A key is for a task without an id.
                    task.key = None;
                    id
                }
                (None, Some(key)) if keys.contains_key(&key) => {
                    plan.ids.push(keys[&key].clone());
                    plan.repeated += 1;
                    continue;
                }
                (None, Some(key)) => {
                    let known = self.keys.get(&key).map(|place| self.tasks[place].id.clone());
                    let id = known.unwrap_or_else(|| plan.number(self, &taken));
                    keys.insert(key, id.clone());
                    id
                }
                (None, None) => plan.number(self, &taken),
            };
            plan.insert(id, task)?;
        }
        for id in &plan.ids {
            let place = self.ids.get(id);
            let runs = place.is_some_and(|at| matches!(self.tasks[at].phase, Phase::Running(_)));
            if runs && !self.is_same(self.ids[id], &plan.tasks[plan.index[id]].1) {
                return Err(StoreError::Running { task: id.clone() });
            }
        }
        Ok(plan)
    }

    /// Whether every dependency exists and none waits for itself.
    fn check_dependencies(&self, plan: &Plan) -> Result<(), StoreError> {
        for (id, task) in &plan.tasks {
            let unknown =
                |on: &&TaskId| !plan.index.contains_key(*on) && !self.ids.contains_key(*on);
            if let Some(missing) = task.depends_on.iter().find(unknown) {
                let (task, missing) = (id.clone(), missing.clone());
                return Err(StoreError::UnknownDependency { task, missing });
            }
        }
        let starts = plan.ids.iter().cloned();
        let found = graph::find_cycle(starts, |id| {
            let spec = match plan.index.get(id) {
                Some(at) => &plan.tasks[*at].1,
                None => &self.tasks[&self.place(id)?].spec,
            };
            Ok::<_, StoreError>(spec.depends_on.clone())
        })?;
        found.map_or(Ok(()), |cycle| Err(StoreError::Cycle { cycle }))
    }

    fn is_same(&self, place: u64, task: &NewTask) -> bool {
        let old = &self.tasks[&place].spec;
        let named = NewTask { key: old.key.clone(), source: old.source.clone(), ..task.clone() };
        named == *old
    }

    fn insert(&mut self, id: TaskId, spec: NewTask, created: Millis) {
        let place = self.tasks.last_key_value().map_or(0, |(last, _)| last + 1);
        if let Some(key) = &spec.key {
            self.keys.insert(key.clone(), place);
        }
        self.ids.insert(id.clone(), place);
        let mut entry = Entry {
            id,
            spec,
            phase: Phase::Open,
            due: 0,
            failures: 0,
            recoveries: 0,
            created,
            attempts: Vec::new(),
        };
        entry.reopen();
        self.queue.insert(entry.rank(place));
        self.tasks.insert(place, entry);
    }

    fn update(&mut self, place: u64, spec: NewTask) {
        let Some(entry) = self.tasks.get_mut(&place) else { return };
        self.queue.remove(&entry.rank(place));
        entry.spec = NewTask { key: entry.spec.key.take(), ..spec };
        if matches!(entry.phase, Phase::Ended(..)) {
            entry.reopen();
        } else if entry.attempts.is_empty() {
            entry.due = entry.spec.not_before.map_or(0, clock::ceil);
        }
        self.queue.insert(entry.rank(place));
    }
}

/// What a call to `add` is about to do.
#[derive(Default)]
struct Plan {
    /// For the report.
    ids: Vec<TaskId>,
    tasks: Vec<(TaskId, NewTask)>,
    index: HashMap<TaskId, usize>,
    next_number: u64,
    /// Tasks that are in the call again under the same key.
    repeated: u64,
}

impl Plan {
    fn insert(&mut self, id: TaskId, task: NewTask) -> Result<(), StoreError> {
        match self.index.entry(id.clone()) {
            hash_map::Entry::Occupied(_) => return Err(StoreError::Duplicate { task: id }),
            hash_map::Entry::Vacant(free) => free.insert(self.tasks.len()),
        };
        self.ids.push(id.clone());
        self.tasks.push((id, task));
        Ok(())
    }

    /// The next number that is nobody's id.
    fn number(&mut self, state: &State, taken: &HashSet<TaskId>) -> TaskId {
        loop {
            let id = TaskId::new(self.next_number.to_string()).expect("a number is a good id");
            self.next_number += 1;
            if !state.ids.contains_key(&id) && !taken.contains(&id) {
                return id;
            }
        }
    }
}
