//! Writes down what an output tells, and hands it on.

use std::mem;

use serde_json::Value;

use crate::{
    Ending, Event, Format, LimitState, RateLimit, Retry, Summary, Trouble, Usage, rules, text,
};

/// What the parts of a parser share.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) summary: Summary,
    /// The message whose usage is still growing.
    message: Option<(String, Usage)>,
    /// The usage of the messages before it.
    before: Usage,
    /// What is being said, as far as it is kept.
    text: String,
    /// The reason for which an answer is about to end.
    stop_reason: Option<String>,
}

/// A record that is being written.
pub(crate) struct Recorder<'a> {
    pub(crate) record: &'a mut Record,
    pub(crate) on_event: &'a mut dyn FnMut(Event),
}

impl Record {
    pub(crate) fn new(format: Format) -> Self {
        Self {
            summary: Summary::new(format),
            message: None,
            before: Usage::default(),
            text: String::new(),
            stop_reason: None,
        }
    }
}

impl Recorder<'_> {
    fn summary(&mut self) -> &mut Summary {
        &mut self.record.summary
    }

    fn tell(&mut self, event: Event) {
        (self.on_event)(event);
    }

    /// Every line may name the session; it is told when it is a new one.
    pub(crate) fn session(&mut self, id: Option<&str>, model: Option<&str>) {
        let summary = self.summary();
        if let Some(model) = model {
            summary.model = Some(text::short(model));
        }
        let Some(id) = id.map(text::short) else { return };
        if summary.session_id.as_ref() != Some(&id) {
            summary.session_id = Some(id.clone());
            let model = summary.model.clone();
            self.tell(Event::SessionStarted { id, model });
        }
    }

    pub(crate) fn version(&mut self, version: Option<&str>) {
        if let Some(version) = version {
            self.summary().cli_version = Some(text::short(version));
        }
    }

    pub(crate) fn message(&mut self, text: &str) {
        self.progress();
        self.summary().messages += 1;
        self.tell(Event::MessageSaid { text: text::short(text) });
    }

    /// A piece of a message that is still growing.
    pub(crate) fn said(&mut self, piece: &str) {
        if self.record.text.len() < text::MAX_TEXT {
            self.record.text.push_str(&text::short(piece));
        }
    }

    /// The message has grown to its end, if there was one.
    pub(crate) fn said_all(&mut self) {
        let text = mem::take(&mut self.record.text);
        if !text.is_empty() {
            self.message(&text);
        }
    }

    pub(crate) fn stopping(&mut self, reason: Option<&str>) {
        self.record.stop_reason = reason.map(text::short);
    }

    pub(crate) fn stop_reason(&self) -> Option<&str> {
        self.record.stop_reason.as_deref()
    }

    pub(crate) fn tool(&mut self, name: &str) {
        self.progress();
        self.summary().tool_uses += 1;
        self.tell(Event::ToolUsed { name: text::short(name) });
    }

    /// Whatever was wrong, the model has answered since.
    pub(crate) fn progress(&mut self) {
        self.summary().trouble = None;
    }

    /// The usage of one message, which may be told several times while it grows.
    pub(crate) fn message_usage(&mut self, message: &str, usage: Usage) {
        let record = &mut *self.record;
        match &mut record.message {
            Some((id, grown)) if id == message => *grown = usage,
            other => {
                let (_, last) = other.take().unwrap_or_default();
                record.before = record.before.plus(last);
                record.message = Some((text::short(message), usage));
            }
        }
        let total = record.before.plus(usage);
        self.total_usage(total);
    }

    pub(crate) fn more_usage(&mut self, usage: Usage) {
        let total = self.record.summary.usage.plus(usage);
        self.total_usage(total);
    }

    pub(crate) fn total_usage(&mut self, usage: Usage) {
        if self.record.summary.usage != usage {
            self.summary().usage = usage;
            self.tell(Event::UsageGrew(usage));
        }
    }

    pub(crate) fn total_cost(&mut self, usd: Option<f64>) {
        let Some(usd) = usd.filter(|usd| usd.is_finite() && *usd >= 0.0) else { return };
        if self.record.summary.cost_usd != Some(usd) {
            self.summary().cost_usd = Some(usd);
            self.tell(Event::CostGrew { usd });
        }
    }

    pub(crate) fn more_cost(&mut self, usd: Option<f64>) {
        let so_far = self.record.summary.cost_usd.unwrap_or_default();
        self.total_cost(usd.map(|usd| so_far + usd));
    }

    pub(crate) fn limit(&mut self, limit: RateLimit) {
        self.summary().rate_limit = Some(limit.clone());
        self.tell(Event::LimitTold(limit));
    }

    pub(crate) fn retry(&mut self, attempt: u64, max_attempts: Option<u64>, trouble: Trouble) {
        let outcome = rules::outcome(&self.record.summary, &trouble, None).0;
        let summary = self.summary();
        summary.retries += 1;
        summary.trouble = Some(trouble.clone());
        let wait = trouble.retry_after;
        self.tell(Event::Retried(Retry { attempt, max_attempts, wait, trouble, outcome }));
    }

    pub(crate) fn fallback(&mut self, from: &str, to: &str, reason: Option<&str>) {
        let (from, to) = (text::short(from), text::short(to));
        self.summary().model = Some(to.clone());
        self.tell(Event::ModelFellBack { from, to, reason: reason.map(text::short) });
    }

    pub(crate) fn trouble(&mut self, trouble: Trouble) {
        self.summary().trouble = Some(trouble);
    }

    /// The work goes on, whatever was said before.
    pub(crate) fn resumed(&mut self) {
        self.summary().ending = None;
    }

    pub(crate) fn ended(&mut self, ending: Ending) {
        let is_success = ending == Ending::Succeeded;
        let summary = self.summary();
        summary.trouble = None;
        summary.ending = Some(ending);
        self.tell(Event::Ended { is_success });
    }
}

/// The state of a limit by its name.
pub(crate) fn limit_state(name: &str) -> Option<LimitState> {
    match name {
        "allowed" => Some(LimitState::Allowed),
        "allowed_warning" => Some(LimitState::Warning),
        "rejected" => Some(LimitState::Rejected),
        _ => None,
    }
}

/// Reads fields of any object, which are there or not.
pub(crate) trait Fields {
    /// A value by its path, such as `/error/message`.
    fn at(&self, path: &str) -> Option<&Value>;
    /// A text.
    fn text(&self, path: &str) -> Option<&str>;
    /// A whole number.
    fn count(&self, path: &str) -> Option<u64>;
    /// A number.
    fn number(&self, path: &str) -> Option<f64>;
    /// An HTTP status.
    fn status(&self, path: &str) -> Option<u16>;
    /// The values of a list.
    fn list(&self, path: &str) -> &[Value];
}

impl Fields for Value {
    fn at(&self, path: &str) -> Option<&Value> {
        path.split('/').skip(1).try_fold(self, |value, name| value.get(name))
    }

    fn text(&self, path: &str) -> Option<&str> {
        self.at(path)?.as_str()
    }

    fn count(&self, path: &str) -> Option<u64> {
        self.at(path)?.as_u64()
    }

    fn number(&self, path: &str) -> Option<f64> {
        self.at(path)?.as_f64()
    }

    fn status(&self, path: &str) -> Option<u16> {
        self.count(path).and_then(|status| u16::try_from(status).ok())
    }

    fn list(&self, path: &str) -> &[Value] {
        self.at(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }
}
