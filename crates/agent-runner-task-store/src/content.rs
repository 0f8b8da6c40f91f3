//! The form in which a task's content is kept.

use std::{collections::HashSet, hash::Hash, time::UNIX_EPOCH};

use crate::NewTask;

/// Brings what a user wrote into the form that is kept.
pub(crate) fn normalise(task: &mut NewTask) {
    if task.title.is_empty() {
        task.title = task.prompt.lines().next().unwrap_or_default().trim().to_owned();
    }
    dedup(&mut task.depends_on);
    dedup(&mut task.locks);
    dedup(&mut task.touches);
    dedup(&mut task.tags);
    task.not_before = task.not_before.map(|at| at.max(UNIX_EPOCH));
}

/// Drops repeated values and keeps the order of the first ones.
fn dedup<T: Clone + Eq + Hash>(values: &mut Vec<T>) {
    if values.len() > 1 {
        let mut seen = HashSet::with_capacity(values.len());
        values.retain(|value| seen.insert(value.clone()));
    }
}
