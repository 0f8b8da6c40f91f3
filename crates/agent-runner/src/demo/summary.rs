//! What a demo showed, read from its events and its files: a promise that was not kept is an error.

use std::path::Path;

use agent_runner_task_store::TaskStatus;
use serde::Serialize;

use super::{TASKS, llm::Llm, script::Script};
use crate::{
    error::{Error, Result},
    exit_code::Exit,
    report::Event,
    run::Summary,
    ui::{BOLD, ERROR, GOOD, Ui},
};

/// What was seen, each with how often.
#[derive(Debug, Serialize)]
pub(super) struct Seen {
    event: &'static str,
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    what: &'static str,
    times: usize,
    expected: usize,
    #[serde(skip)]
    then: &'static str,
}

impl Seen {
    pub(super) fn new(events: &[Event], llm: &Llm, summary: &Summary, folder: &Path) -> Self {
        let count =
            |wanted: fn(&Event) -> bool| events.iter().filter(|event| wanted(event)).count();
        let ended = |wanted: &str| {
            events.iter().filter(|event| matches!(event, Event::TaskFinished { outcome, .. } if outcome == wanted)).count()
        };
        let row = |what, times, expected, then| Row { what, times, expected, then };
        let answered = |status| llm.answers(status) as usize;
        let hopeless = TASKS.iter().filter(|(_, script)| *script == Script::FailAlways).count();
        let files =
            (1..=TASKS.len()).filter(|n| folder.join(format!("t-{n:02}.txt")).exists()).count();
        let rows = vec![
            row(
                "dead runner",
                count(|e| matches!(e, Event::TaskRescued { .. })),
                1,
                "its lock was free: task taken back at once",
            ),
            row(
                "rate limit (429)",
                answered(429),
                1,
                "key rested, the next key went on, no attempt counted",
            ),
            row("revoked key (401)", answered(401), 1, "key put out, the others went on"),
            row("overload (529)", answered(529), 1, "nobody's key: a short pause"),
            row("agent crashed", ended("crashed"), 1, "worker recovered, task given to the next"),
            row(
                "agent hung",
                ended("idle_timed_out"),
                1,
                "its processes were ended, the task tried again",
            ),
            row(
                "agent failed",
                ended("task_failed"),
                3,
                "tried again after a while, given up after 3 failures",
            ),
            row(
                "tasks succeeded",
                usize::try_from(summary.counts.succeeded).unwrap_or(usize::MAX),
                TASKS.len() - hopeless,
                "each with its file, and each once",
            ),
            row(
                "tasks given up",
                usize::try_from(summary.counts.failed).unwrap_or(usize::MAX),
                hopeless,
                "`agent-runner retry --failed` would try again",
            ),
            row("files written", files, TASKS.len() - hopeless, "the work is there"),
            row("tasks done twice", done_twice(events), 0, "as it should be"),
        ];
        Self { event: "demo_summary", rows }
    }

    pub(super) fn tell(&self, ui: &Ui) -> Result<()> {
        if ui.json {
            let json =
                serde_json::to_string(self).map_err(|error| Error::new(Exit::Unexpected, error))?;
            return ui.data(json).map_err(|error| Error::new(Exit::Unexpected, error));
        }
        ui.say(format_args!("\n{BOLD}what you just saw{BOLD:#}"));
        for row in &self.rows {
            let (style, glyph) = if row.is_kept() { (GOOD, "✓") } else { (ERROR, "✗") };
            ui.say(format_args!(
                "  {style}{glyph}{style:#} {:<18} {:>2} ×  {}",
                row.what, row.times, row.then
            ));
        }
        ui.say("\nnext: cd your-project && agent-runner init");
        Ok(())
    }

    /// An error if something that the demo promises did not happen.
    pub(super) fn verdict(&self) -> Result<Exit> {
        let missing: Vec<_> =
            self.rows.iter().filter(|row| !row.is_kept()).map(|row| row.what).collect();
        if missing.is_empty() {
            return Ok(Exit::Success);
        }
        Err(Error::message(
            Exit::Unexpected,
            format!("the demo did not show: {}", missing.join(", ")),
        ))
    }
}

impl Row {
    /// Limits and failures may happen more often than planned, the rest exactly so.
    fn is_kept(&self) -> bool {
        let exact = self.what.starts_with("tasks") || self.what.starts_with("files");
        if exact { self.times == self.expected } else { self.times >= self.expected }
    }
}

fn done_twice(events: &[Event]) -> usize {
    let mut done: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::TaskFinished { task, status: TaskStatus::Succeeded, .. } => Some(task),
            _ => None,
        })
        .collect();
    let all = done.len();
    done.sort();
    done.dedup();
    all - done.len()
}
