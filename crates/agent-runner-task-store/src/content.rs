//! The content of a task: what is kept of it, and when two are the same.

use std::{
    collections::HashSet,
    hash::Hash,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::Serialize;

use crate::{CommandLine, NewTask, TaskId};

/// 128 bits of BLAKE3: enough that two contents never meet by chance.
pub(crate) type ContentHash = [u8; 16];

/// Brings what a user wrote into the form that is kept.
pub(crate) fn normalise(task: &mut NewTask) {
    if task.title.is_empty() {
        task.title = task.prompt.lines().next().unwrap_or_default().trim().to_owned();
    }
    dedup(&mut task.depends_on);
    dedup(&mut task.locks);
    dedup(&mut task.tags);
    task.not_before = task.not_before.map(|at| at.max(UNIX_EPOCH));
}

/// The content as JSON, without what is its default and without what only names the task.
///
/// A field that a later version adds is not in the JSON until somebody uses it, so that the same
/// content keeps its hash.
pub(crate) fn to_json(task: &NewTask) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Content {
        title: text(&task.title),
        prompt: text(&task.prompt),
        command: task.command.as_ref(),
        priority: (task.priority != 0).then_some(task.priority),
        depends_on: list(&task.depends_on),
        locks: list(&task.locks),
        tags: list(&task.tags),
        max_attempts: task.max_attempts,
        timeout: task.timeout,
        idle_timeout: task.idle_timeout,
        verify: task.verify.as_ref(),
        not_before: task.not_before,
        payload: (!task.payload.is_null()).then_some(&task.payload),
    })
}

/// The hash of what [`to_json`] returned.
pub(crate) fn hash(json: &str) -> ContentHash {
    let mut short = ContentHash::default();
    let whole = blake3::hash(json.as_bytes());
    short.copy_from_slice(&whole.as_bytes()[..16]);
    short
}

#[derive(Serialize)]
struct Content<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<&'a CommandLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    depends_on: Option<&'a [TaskId]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    locks: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idle_timeout: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verify: Option<&'a CommandLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before: Option<SystemTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a serde_json::Value>,
}

fn text(value: &str) -> Option<&str> {
    (!value.is_empty()).then_some(value)
}

fn list<T>(values: &[T]) -> Option<&[T]> {
    (!values.is_empty()).then_some(values)
}

/// Drops repeated values and keeps the order of the first ones.
fn dedup<T: Clone + Eq + Hash>(values: &mut Vec<T>) {
    if values.len() > 1 {
        let mut seen = HashSet::with_capacity(values.len());
        values.retain(|value| seen.insert(value.clone()));
    }
}
