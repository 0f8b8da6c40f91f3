//! What is known of an agent's CLI: how it is called, what it finds in its environment, how its
//! output is read and how its session is resumed. All of it is data.

mod command;
mod condition;
mod lent;

use std::{collections::BTreeMap, path::Path, sync::LazyLock, time::Duration};

use agent_runner_signals::Format;
use serde::{Deserialize, Deserializer, de::Error as _};

pub use command::{Past, Recipe};
pub use condition::Condition;
pub use lent::{Lent, Told};

use crate::{
    config::{duration, pause},
    error::{Error, Result},
};

/// An agent's CLI.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Profile {
    /// The program by whose name it is recognised in a command.
    pub program: Option<String>,
    /// The subcommand without which it is not that agent: the first word that is no option.
    pub subcommand: Option<String>,
    /// The command of a run that gives none.
    pub command: Vec<String>,
    /// How its output is read.
    #[serde(deserialize_with = "format")]
    pub output: Option<Format>,
    /// The words without which a command prints something else, in this order.
    pub speaks: Vec<String>,
    /// The words that make it go on with a session.
    pub resume: Vec<String>,
    /// After which word of the command those are put; after the program if it is not named.
    pub resume_after: Option<String>,
    /// The words that make it go on with a copy of a session; put where those of `resume` are.
    pub fork: Vec<String>,
    /// Whether a session is found only in the folder in which it began.
    pub local_sessions: bool,
    /// The providers whose base URL it takes from its environment, so that keys can be lent to it
    /// request by request.
    pub gateway: Vec<String>,
    /// The providers of which it needs a credential each, unless it is those of `gateway`; all of
    /// which there are some, if neither is said.
    pub providers: Vec<String>,
    /// What its settings have to say before it takes a base URL.
    pub gateway_where: Option<Condition>,
    /// Whether the prompt of a retry says what went wrong.
    pub feedback: bool,
    /// By provider, how it is told of a credential, if the usual variables do not tell it.
    pub lent: BTreeMap<String, Lent>,
    /// Variables that it finds in its environment.
    pub env: BTreeMap<String, String>,
    /// Variables that it must not inherit.
    pub unset: Vec<String>,
    /// How long it may be silent, unless the run or the task says.
    #[serde(deserialize_with = "duration")]
    pub idle_timeout: Option<Duration>,
    /// How long to wait between starts, unless the run says: a provider takes many that ask at once
    /// for an attack.
    #[serde(deserialize_with = "pause")]
    pub stagger: Option<Duration>,
    /// How long it may go on after it said how its work ended; 10 seconds unless it is said.
    #[serde(deserialize_with = "duration")]
    pub exit_timeout: Option<Duration>,
}

/// All profiles of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profiles(BTreeMap<String, Profile>);

static BUILTIN: LazyLock<BTreeMap<String, Profile>> = LazyLock::new(|| {
    toml::from_str(include_str!("builtin.toml"))
        .expect("the profiles are valid, which a test shows")
});

impl Profiles {
    /// Those that are built in, and those of a project, which win.
    pub fn new(own: &BTreeMap<String, Profile>) -> Self {
        let mut all = BUILTIN.clone();
        all.extend(own.clone());
        Self(all)
    }

    /// The profile of a name.
    pub fn get(&self, name: &str) -> Result<&Profile> {
        self.0.get(name).ok_or_else(|| {
            let names: Vec<_> = self.0.keys().map(String::as_str).collect();
            let error = Error::usage(format!("there is no profile '{name}'"));
            let like = |known: &&&str| strsim::jaro_winkler(name, known);
            match names.iter().max_by(|a, b| like(a).total_cmp(&like(b))) {
                Some(best) if like(&best) > 0.8 => error.hint(format!("did you mean `{best}`?")),
                _ => error.hint(format!("the profiles are {}", names.join(", "))),
            }
        })
    }

    /// The profile of the program that a command begins with.
    pub fn of_command(&self, words: &[String]) -> Option<&Profile> {
        let (program, rest) = words.split_first()?;
        let program = Path::new(program).file_stem()?.to_str()?;
        let subcommand = rest.iter().find(|word| !word.starts_with('-')).map(String::as_str);
        self.0.values().find(|profile| {
            profile.program.as_deref() == Some(program)
                && (profile.subcommand.is_none() || profile.subcommand.as_deref() == subcommand)
        })
    }
}

impl Profile {
    /// The providers of which it needs a credential each; nothing is known of it, if it is none.
    pub fn providers(&self) -> &[String] {
        if self.providers.is_empty() { &self.gateway } else { &self.providers }
    }

    /// The words of a command with options, which stand where the words do that resume a session.
    pub fn with_options(&self, mut words: Vec<String>, options: Vec<String>) -> Vec<String> {
        if !options.is_empty() {
            let at = self.place_of_options(&words);
            words.splice(at..at, options);
        }
        words
    }

    /// Where options can be put: after the program, or after the word that is named for it.
    fn place_of_options(&self, words: &[String]) -> usize {
        let after = self.resume_after.as_ref();
        after.and_then(|word| words.iter().position(|it| it == word)).unwrap_or(0) + 1
    }

    /// How the output of a command is read.
    pub fn format_of(&self, words: &[String]) -> Format {
        let mut rest = words.iter();
        let speaks = self.speaks.iter().all(|wanted| {
            rest.any(|word| {
                word == wanted
                    || word.strip_prefix(wanted.as_str()).is_some_and(|rest| rest.starts_with('='))
            })
        });
        self.output.filter(|_| speaks).unwrap_or(Format::Plain)
    }
}

fn format<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Format>, D::Error> {
    let name = String::deserialize(from)?;
    name.parse().map(Some).map_err(|_| {
        let known: Vec<_> = Format::ALL.iter().map(|format| format.as_str()).collect();
        D::Error::custom(format!(
            "`{name}` is no output that can be read: it is one of {}",
            known.join(", ")
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn every_built_in_command_speaks_its_own_format() {
        for (name, profile) in &*BUILTIN {
            let program = if name == "messages" { "agent-runner" } else { name };
            assert_eq!(profile.program.as_deref(), Some(program));
            let format = profile.output.unwrap_or(Format::Plain);
            assert_eq!(profile.format_of(&profile.command), format, "{name}");
            assert!(Recipe::new(profile, &profile.command).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_command_is_recognised_by_its_program() {
        let profiles = Profiles::new(&BTreeMap::new());
        let format = |line: &str| {
            let words = words(line);
            profiles.of_command(&words).map(|profile| profile.format_of(&words))
        };
        assert_eq!(
            format("/usr/bin/claude -p --output-format=stream-json --verbose x"),
            Some(Format::ClaudeStreamJson)
        );
        assert_eq!(format("claude -p x"), Some(Format::Plain));
        assert_eq!(format("codex exec --json x"), Some(Format::CodexJson));
        assert_eq!(format("codex --json exec x"), Some(Format::Plain));
        assert_eq!(format("make test"), None);
        assert_eq!(format("bin/agent-runner --quiet messages"), Some(Format::Messages));
        assert_eq!(format("agent-runner locks run -- messages"), None, "another subcommand");
    }

    #[test]
    fn a_project_can_have_its_own() {
        let own = toml::from_str(
            "[mine]\nprogram = \"my-agent\"\noutput = \"codex\"\nenv = { A = \"b\" }\nidle_timeout = \"5m\"\nexit_timeout = 1\n",
        );
        let profiles = Profiles::new(&own.unwrap());
        assert_eq!(profiles.get("mine").unwrap().idle_timeout, Some(Duration::from_secs(300)));
        assert_eq!(profiles.get("mine").unwrap().exit_timeout, Some(Duration::from_secs(1)));
        let error = profiles.get("cluade").unwrap_err();
        assert_eq!(error.hints(), ["did you mean `claude`?"]);
        let wrong =
            toml::from_str::<BTreeMap<String, Profile>>("[x]\noutput = \"xml\"").unwrap_err();
        assert!(wrong.message().contains("`xml` is no output that can be read"), "{wrong}");
    }
}
