//! From what an output said and how its process ended to one outcome.

use std::time::{Duration, SystemTime};

use crate::{Ending, Now, Outcome, Summary, Trouble, rules};

/// How an agent's process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// By itself, with this code.
    Exited(i32),
    /// By a signal that its supervisor did not send.
    Signaled(i32),
    /// Its supervisor ended it, because it took too long or was silent.
    TimedOut,
    /// Its supervisor ended it, because of what it had said so far.
    Stopped,
    /// Somebody wanted it to end.
    Cancelled,
}

/// What a run of an agent came to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Verdict {
    /// How it ended.
    pub outcome: Outcome,
    /// Why, for people; `None` after a success.
    pub message: Option<String>,
    /// The rule that knew the CLI's words, if it took one.
    pub rule: Option<&'static str>,
    /// How long the provider asks to wait.
    pub retry_after: Option<Duration>,
    /// When the limit ends.
    pub reset_at: Option<SystemTime>,
}

/// Says what a run of an agent came to.
///
/// What the agent said about its own end counts first, then what it was in trouble with when it
/// ended, then how its process ended. Nothing else that it printed does. A process that ends well
/// without an end that was told is no success, unless its output is [plain](crate::Format::Plain).
///
/// # Examples
///
/// ```
/// use agent_runner_signals::{End, Format, Now, Outcome, Parser, judge};
///
/// let mut parser = Parser::new(Format::CodexJson);
/// parser.feed(br#"{"type":"item.completed","item":{"type":"agent_message",
///     "text":"I now handle 429 rate_limit_error, and the quota exceeded case."}}"#, |_| {});
/// let verdict = judge(&parser.finish(), End::Exited(1), &Now::utc(std::time::UNIX_EPOCH));
/// assert_eq!(verdict.outcome, Outcome::NoTerminalEvent);
/// ```
pub fn judge(summary: &Summary, end: End, now: &Now) -> Verdict {
    let case = Case { summary, end, now };
    match (&summary.ending, end) {
        (Some(Ending::Succeeded), _) => case.content(),
        (_, End::Cancelled) => case.verdict(Outcome::Cancelled),
        (Some(Ending::Failed(trouble)), _) => case.trouble(trouble),
        (None, _) => case.silent(),
    }
}

impl Verdict {
    /// How long to wait from `now` on, if that is known.
    pub fn wait(&self, now: SystemTime) -> Option<Duration> {
        let until = self.reset_at.map(|at| at.duration_since(now).unwrap_or_default());
        until.or(self.retry_after)
    }

    /// What the CLI tells people is better than what the end of its process does.
    fn told(mut self, text: &str) -> Self {
        if !text.is_empty() {
            self.message = Some(text.to_owned());
        }
        self
    }
}

struct Case<'a> {
    summary: &'a Summary,
    end: End,
    now: &'a Now,
}

impl Case<'_> {
    /// A process that hangs after its work is done, and is then ended, has done its work.
    fn content(&self) -> Verdict {
        match self.end {
            End::Exited(code) if code != 0 && by_signal(code).is_none() => {
                let message = format!("it said that it is done, and {}", self.end_in_words());
                Verdict { message: Some(message), ..self.verdict(Outcome::TaskFailed) }
            }
            _ => Verdict { message: None, ..self.verdict(Outcome::Succeeded) },
        }
    }

    fn trouble(&self, trouble: &Trouble) -> Verdict {
        self.known_trouble(trouble)
            .unwrap_or_else(|| self.verdict(Outcome::TaskFailed).told(&trouble.text))
    }

    fn silent(&self) -> Verdict {
        let trouble = self.summary.trouble.clone().unwrap_or_default();
        self.known_trouble(&trouble)
            .unwrap_or_else(|| self.verdict(self.outcome_of_end()).told(&trouble.text))
    }

    /// What the rules say.
    fn known_trouble(&self, trouble: &Trouble) -> Option<Verdict> {
        let code = match self.end {
            End::Exited(code) => Some(code),
            _ => None,
        };
        let status = code.and_then(|code| self.summary.format.status_of(code));
        let trouble = trouble.clone().with_status(trouble.status.or(status));
        let (outcome, rule) = rules::outcome(self.summary, &trouble, code);
        let mut verdict = Verdict { rule: Some(rule?), ..self.verdict(outcome) };
        if outcome.is_passing() {
            verdict.retry_after = trouble.wait();
        }
        if outcome == Outcome::Quota {
            verdict.reset_at = self.window_reset().or_else(|| trouble.reset_at(self.now));
        }
        Some(verdict.told(&trouble.text))
    }

    /// What the provider said in numbers, which is better than any text.
    fn window_reset(&self) -> Option<SystemTime> {
        self.summary.rate_limit.as_ref().filter(|limit| limit.is_spent_window())?.reset_at
    }

    fn outcome_of_end(&self) -> Outcome {
        let is_plain = self.summary.format.reading().is_none();
        match self.end {
            End::Signaled(signal) => outcome_of_signal(signal),
            End::Exited(code) => match by_signal(code) {
                Some(signal) => outcome_of_signal(signal),
                None if !is_plain => Outcome::NoTerminalEvent,
                None if code == 0 => Outcome::Succeeded,
                None => Outcome::TaskFailed,
            },
            _ if is_plain => Outcome::TaskFailed,
            _ => Outcome::NoTerminalEvent,
        }
    }

    /// A verdict that knows no more than the end of the process.
    fn verdict(&self, outcome: Outcome) -> Verdict {
        let words = self.end_in_words();
        let message = match &self.summary.last_line {
            Some(line) => format!("{words}: {line}"),
            None => words,
        };
        let message = Some(message).filter(|_| outcome != Outcome::Succeeded);
        Verdict { outcome, message, rule: None, retry_after: None, reset_at: None }
    }

    fn end_in_words(&self) -> String {
        match self.end {
            End::Exited(code) => format!("exited with code {code}"),
            End::Signaled(signal) => format!("ended by signal {signal}"),
            End::TimedOut => "timed out".to_owned(),
            End::Stopped => "stopped by its supervisor".to_owned(),
            End::Cancelled => "cancelled".to_owned(),
        }
    }
}

/// Shells, and programs that tidy up first, exit with 128 and the signal that ended them.
fn by_signal(code: i32) -> Option<i32> {
    let signal = code - 128;
    matches!(signal, HANGUP | INTERRUPT | 3..=11 | 13 | 15).then_some(signal)
}

const HANGUP: i32 = 1;
const INTERRUPT: i32 = 2;

fn outcome_of_signal(signal: i32) -> Outcome {
    if signal == INTERRUPT { Outcome::Cancelled } else { Outcome::Crashed }
}
