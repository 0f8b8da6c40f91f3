//! From a profile, a command and what is known of earlier attempts to the words of one attempt.

use agent_runner_signals::Format;
use agent_runner_task_store::Task;

use super::Profile;
use crate::template::{CommandTemplate, Quoting, TemplateError};

/// How an agent is called: cold, and warm if its session can be resumed.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// How its output is read.
    pub format: Format,
    /// What else is known of it.
    pub profile: Profile,
    cold: CommandTemplate,
    warm: Option<CommandTemplate>,
    fork: Option<CommandTemplate>,
}

/// What is known of earlier attempts.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Past {
    /// The session to go on with.
    pub session: Option<String>,
    /// Whether a copy of it goes on.
    pub forks: bool,
    /// Why the last attempt at the task itself did not succeed.
    pub error: Option<String>,
}

impl Recipe {
    /// Checks the words of a command.
    pub fn new(profile: &Profile, words: &[String]) -> Result<Self, TemplateError> {
        let format = profile.format_of(words);
        let with = |more: &[String]| {
            let can_resume = !more.is_empty() && format != Format::Plain;
            let at = profile.place_of_options(words);
            let mut all = words.to_vec();
            all.splice(at..at, more.iter().cloned());
            can_resume.then(|| CommandTemplate::new(&all, Quoting::None)).transpose()
        };
        Ok(Self {
            format,
            profile: profile.clone(),
            cold: CommandTemplate::new(words, Quoting::None)?,
            warm: with(&profile.resume)?,
            fork: with(&profile.fork)?,
        })
    }

    /// A command for a shell, whose output nobody reads.
    pub fn for_shell(words: &[String]) -> Result<Self, TemplateError> {
        let cold = CommandTemplate::for_shell(words)?;
        Ok(Self {
            format: Format::Plain,
            profile: Profile::default(),
            cold,
            warm: None,
            fork: None,
        })
    }

    /// Whether the prompt is among the words; if not, it is written to the agent's stdin.
    pub const fn uses_fields(&self) -> bool {
        self.cold.uses_fields()
    }

    /// The words for an attempt.
    pub fn render(&self, task: &Task, past: &Past) -> Result<Vec<String>, TemplateError> {
        let prompt = self.prompt(task, past);
        match self.resumes(past) {
            Some((command, session)) => command.render(task, &prompt, session),
            None => self.cold.render(task, &prompt, ""),
        }
    }

    /// The command that goes on with a session, and that session, if it can.
    fn resumes<'a>(&'a self, past: &'a Past) -> Option<(&'a CommandTemplate, &'a str)> {
        let command = if past.forks { &self.fork } else { &self.warm };
        command.as_ref().zip(past.session.as_deref())
    }

    /// What the agent is asked.
    pub fn prompt(&self, task: &Task, past: &Past) -> String {
        let prompt = &task.spec.prompt;
        let error = past.error.as_ref().filter(|_| self.profile.feedback);
        match (self.resumes(past).is_some(), error) {
            (true, Some(error)) => format!(
                "This is not done yet. The last attempt ended so:\n\n{error}\n\nGo on, and finish the task."
            ),
            (true, None) => "You were interrupted. Go on, and finish the task.".to_owned(),
            (false, Some(error)) => format!(
                "{prompt}\n\nAn earlier attempt at this did not succeed. It ended so:\n\n{error}"
            ),
            (false, None) => prompt.clone(),
        }
    }
}
