//! The content of a task as it is kept, and how two contents are compared.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::{CommandLine, NewTask, TaskId};

/// 128 bits of BLAKE3: enough that two contents never meet by chance.
pub(super) type Hash = [u8; 16];

/// The content as JSON, without what is its default and without what only names the task.
///
/// A field that a later version adds is not in the JSON until somebody uses it, so that the same
/// content keeps its hash.
pub(super) fn to_json(task: &NewTask) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Content {
        title: text(&task.title),
        prompt: text(&task.prompt),
        command: task.command.as_ref(),
        priority: (task.priority != 0).then_some(task.priority),
        depends_on: list(&task.depends_on),
        locks: list(&task.locks),
        touches: list(&task.touches),
        tags: list(&task.tags),
        max_attempts: task.max_attempts,
        timeout: task.timeout,
        idle_timeout: task.idle_timeout,
        memory: task.memory,
        verify: task.verify.as_ref(),
        expect_diff: task.expect_diff,
        not_before: task.not_before,
        payload: (!task.payload.is_null()).then_some(&task.payload),
    })
}

/// The hash of what [`to_json`] returned.
pub(super) fn hash(json: &str) -> Hash {
    let mut short = Hash::default();
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
    touches: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idle_timeout: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verify: Option<&'a CommandLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expect_diff: Option<bool>,
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
