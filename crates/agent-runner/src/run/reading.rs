//! What is read of an agent's output while it works, and what is kept of it.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use agent_runner_exec::{Stop, StopLevel, Stream};
use agent_runner_signals::{Event, Format, Outcome, Parser, Retry, Summary};
use agent_runner_task_store::{Report, Verdict};
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{limits, outcome::Outcome as Ended, proof::Proof};
use crate::profile::Past;

/// How long an agent may wait by itself because a key is throttled: it keeps its work in mind, and
/// the next key would know nothing of its cache.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Reads one agent's output.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    parser: Arc<Mutex<Parser>>,
    can_resume: bool,
    /// When it said how its work ended, unless it went on since.
    ended: watch::Sender<Option<Instant>>,
}

impl Reading {
    /// Begins to read; `can_resume` says whether an agent that is stopped can go on later.
    pub(super) fn new(format: Format, can_resume: bool) -> Self {
        let parser = Arc::new(Mutex::new(Parser::new(format)));
        Self { parser, can_resume, ended: watch::Sender::new(None) }
    }

    /// Reads a piece. An agent whose key is no good any more is stopped: it would ask again and
    /// again, for minutes, while another key could do its task.
    pub(super) fn take(&self, stream: Stream, bytes: &[u8], stop: &Stop) {
        let mut parser = self.parser.lock().unwrap_or_else(PoisonError::into_inner);
        let look = |event| match event {
            Event::Retried(retry)
                if is_hopeless(retry.outcome) || self.can_resume && is_slow(&retry) =>
            {
                stop.raise(StopLevel::Interrupt);
            }
            Event::Ended { .. } => drop(self.ended.send_replace(Some(Instant::now()))),
            Event::SessionStarted { .. } | Event::MessageSaid { .. } | Event::ToolUsed { .. } => {
                self.ended.send_if_modified(|ended| ended.take().is_some());
            }
            _ => {}
        };
        match stream {
            Stream::Stdout => parser.feed(bytes, look),
            Stream::Stderr => parser.feed_stderr(bytes, look),
        }
    }

    /// Stops an agent that goes on, or hangs, so long after it said how its work ended.
    pub(super) async fn stop_overdue(&self, patience: Duration, stop: &Stop) -> Infallible {
        let mut ended = self.ended.subscribe();
        loop {
            let at = *ended.borrow_and_update();
            let overdue = async {
                match at.and_then(|at| at.checked_add(patience)) {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = ended.changed() => {}
                () = overdue => {
                    stop.raise(StopLevel::Terminate);
                    return std::future::pending().await;
                }
            }
        }
    }

    /// What all of it said.
    pub(super) fn finish(self) -> Summary {
        let mut parser = self.parser.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *parser, Parser::new(Format::Plain)).finish()
    }
}

/// Whether a key is told to slow down for longer than is worth waiting for, as far as that is told.
fn is_slow(retry: &Retry) -> bool {
    let is_short = retry.wait.is_some_and(|wait| wait < LONGEST_PAUSE) && retry.attempt == 1;
    retry.outcome == Outcome::Throttled && !is_short
}

/// Whether the same request with the same key will be refused again.
const fn is_hopeless(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Quota | Outcome::Auth | Outcome::Billing)
}

/// What earlier attempts left, from their reports, last one first.
///
/// The last agent's session is resumed unless it is full or, where that matters, began in another
/// folder than this one. That it left none means a new one: maybe its own could not be resumed. A
/// limit is nothing to tell the next agent of.
pub(super) fn past<'a>(
    reports: impl Iterator<Item = &'a Report> + Clone,
    folder: Option<&str>,
) -> Past {
    let said = |report: &&Report| limits::has_words(&report.details);
    let last = reports.clone().find(said);
    let is_here = |report: &&Report| {
        let work = Proof::of(&report.details).and_then(|proof| proof.work);
        folder.is_none_or(|folder| work.is_none_or(|work| work.folder == folder))
    };
    let last = last.filter(is_here);
    let is_full = |report: &&Report| {
        [Ended::ContextOverflow, Ended::Refused].iter().any(|it| it.as_str() == report.outcome)
    };
    let session = last.filter(|report| !is_full(report)).and_then(|it| it.details.get("session"));
    let mut failed = reports.filter(|report| matches!(report.verdict, Verdict::Failed { .. }));
    Past {
        session: session.and_then(Value::as_str).map(str::to_owned),
        error: failed.next().and_then(|report| report.message.clone()),
        forks: false,
    }
}

/// What is kept with the attempt.
pub(super) fn details(summary: &Summary, rule: Option<&str>) -> BTreeMap<String, Value> {
    let known = [
        ("session", summary.session_id.as_ref().map(|id| json!(id))),
        ("model", summary.model.as_ref().map(|model| json!(model))),
        ("usage", (summary.usage.total() > 0).then(|| json!(summary.usage))),
        ("cost_usd", summary.cost_usd.map(|usd| json!(usd))),
        ("tool_uses", Some(json!(summary.tool_uses))),
        ("rule", rule.map(|rule| json!(rule))),
    ];
    known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::proof::{DETAIL, Work};

    fn report(outcome: Ended, folder: &str, session: Option<&str>) -> Report {
        let work = Work { folder: folder.to_owned(), ..Work::default() };
        let proof = Proof { work: Some(work), ..Proof::default() };
        let mut details = BTreeMap::from([(DETAIL.to_owned(), proof.to_value())]);
        details.extend(session.map(|session| ("session".to_owned(), json!(session))));
        let failed = Verdict::Failed { retry_after: Duration::ZERO };
        Report { details, ..Report::new(failed, outcome.as_str()).with_message("red") }
    }

    #[test]
    fn a_session_is_resumed_where_it_is_found() {
        let reports = [
            report(Ended::Stopped, "/w2", None),
            report(Ended::VerifyFailed, "/w1", Some("last")),
            report(Ended::VerifyFailed, "/w2", Some("first")),
        ];
        let session = |folder| past(reports.iter(), folder).session;
        assert_eq!(session(None).as_deref(), Some("last"), "it does not matter where");
        assert_eq!(session(Some("/w1")).as_deref(), Some("last"));
        assert_eq!(session(Some("/w2")), None, "an older one knows too little");
        assert_eq!(past(reports.iter(), Some("/w2")).error.as_deref(), Some("red"));
    }

    #[test]
    fn a_full_session_is_not_resumed() {
        let full = [report(Ended::ContextOverflow, "/w1", Some("full"))];
        assert_eq!(past(full.iter(), None).session, None);
    }
}
