//! What the words of a CLI mean: tables, read from the top, of which the first rule that fits
//! decides.
//!
//! A rule looks at what the CLI itself said about a failure, and at nothing else that was printed:
//! codes and statuses where there are any, and the text that people are told. Each CLI has a table
//! with the version that its words were taken from; words that only older versions have say so.
//! Behind each table stands that of the providers, whose codes the CLIs pass on.

mod claude;
mod codex;
mod gemini;
mod messages;
mod opencode;
mod providers;

use std::{ops::RangeInclusive, time::Duration};

use crate::{Format, Outcome, RateLimit, Summary, Trouble, text};

/// The version of the rules. It grows with every change of what an output comes to.
pub const RULES_VERSION: u32 = 2;

/// A wait that is longer than this is a quota, not a rate.
const LONGEST_RATE: Duration = Duration::from_secs(300);

/// A rule: if all this holds, it was that.
#[derive(Debug)]
pub(crate) struct Rule {
    /// What a verdict calls it.
    pub(crate) id: &'static str,
    pub(crate) when: &'static [Test],
    pub(crate) outcome: Outcome,
    pub(crate) versions: Versions,
}

/// One thing that can hold. Words and texts are in lower case and have plain apostrophes.
#[derive(Debug)]
pub(crate) enum Test {
    /// The CLI or the provider has this code for it.
    Word(&'static str),
    /// One of the codes has this in it.
    WordHas(&'static str),
    /// The provider's HTTP status is one of these.
    Status(RangeInclusive<u16>),
    /// The text begins like this.
    Starts(&'static str),
    /// The text has this in it.
    Says(&'static str),
    /// The provider asks to wait for longer than a rate ever needs.
    LongWait,
    /// A window of the subscription was told to be used up.
    WindowSpent,
    /// The process exited with this code.
    Exit(i32),
}

/// The versions of a CLI that a rule is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Versions {
    /// Every version.
    All,
    /// Those before this one.
    Before([u64; 3]),
}

/// A rule for all versions.
const fn rule(id: &'static str, when: &'static [Test], outcome: Outcome) -> Rule {
    Rule { id, when, outcome, versions: Versions::All }
}

impl Rule {
    /// The same for the versions before this one, in which the words are no more.
    const fn before(self, version: [u64; 3]) -> Self {
        Self { versions: Versions::Before(version), ..self }
    }
}

/// What a trouble comes to, and the rule that says so.
pub(crate) fn outcome(
    summary: &Summary,
    trouble: &Trouble,
    exit_code: Option<i32>,
) -> (Outcome, Option<&'static str>) {
    let case = Case {
        version: summary.cli_version.as_deref().and_then(parse_version),
        trouble,
        wait: trouble.wait(),
        text: text::fold(&trouble.text),
        is_window_spent: summary.rate_limit.as_ref().is_some_and(RateLimit::is_spent_window),
        exit_code,
    };
    let rule = rules(summary.format).find(|rule| case.fits(rule));
    rule.map_or((Outcome::TaskFailed, None), |rule| (rule.outcome, Some(rule.id)))
}

fn rules(format: Format) -> impl Iterator<Item = &'static Rule> {
    let own: &[Rule] = match format {
        Format::ClaudeStreamJson => claude::RULES,
        Format::CodexJson => codex::RULES,
        Format::GeminiJson => gemini::RULES,
        Format::OpenCodeJson => opencode::RULES,
        Format::Messages => messages::RULES,
        Format::Plain => &[],
    };
    own.iter().chain(providers::RULES)
}

/// All that a rule may look at.
struct Case<'a> {
    version: Option<[u64; 3]>,
    trouble: &'a Trouble,
    text: String,
    wait: Option<Duration>,
    is_window_spent: bool,
    exit_code: Option<i32>,
}

impl Case<'_> {
    fn fits(&self, rule: &Rule) -> bool {
        let is_for = match (rule.versions, self.version) {
            (Versions::Before(limit), Some(version)) => version < limit,
            _ => true,
        };
        is_for && rule.when.iter().all(|test| self.holds(test))
    }

    fn holds(&self, test: &Test) -> bool {
        let words = &self.trouble.words;
        match test {
            Test::Word(word) => words.iter().any(|it| it == word),
            Test::WordHas(part) => words.iter().any(|it| it.contains(part)),
            Test::Status(range) => self.trouble.status.is_some_and(|it| range.contains(&it)),
            Test::Starts(start) => self.text.trim_start().starts_with(start),
            Test::Says(part) => self.text.contains(part),
            Test::LongWait => self.wait.is_some_and(|wait| wait > LONGEST_RATE),
            Test::WindowSpent => self.is_window_spent,
            Test::Exit(code) => self.exit_code == Some(*code),
        }
    }
}

/// `2.1.197`, and what follows it is passed over.
fn parse_version(text: &str) -> Option<[u64; 3]> {
    let mut numbers = text.split(['.', '-', '+', ' ']).map(|part| part.parse().ok());
    Some([numbers.next()??, numbers.next()??, numbers.next()??])
}

#[cfg(test)]
mod tests;
