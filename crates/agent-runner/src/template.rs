//! Commands with placeholders: each argument is rendered by itself, so that no text of a task can
//! become an argument or a command of its own.

use agent_runner_task_store::Task;
use minijinja::{
    Environment, UndefinedBehavior, Value, context, syntax::SyntaxConfig, value::Serde,
};

/// How a field's text is written into a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quoting {
    /// As it is: the word is an argument.
    None,
    /// In single quotes: the word is a part of a shell's line.
    Shell,
}

/// A command whose arguments may have placeholders such as `{{prompt}}`.
#[derive(Debug, Clone)]
pub struct CommandTemplate {
    environment: Environment<'static>,
    words: usize,
    uses_fields: bool,
    quoting: Quoting,
}

/// Why a template cannot be used, or not for a task.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// A word is not a valid template.
    #[error("'{word}' is not a valid template: {reason}")]
    Syntax {
        /// The word.
        word: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A placeholder names a field that no task has.
    #[error("'{word}' names '{field}', which is no field of a task")]
    UnknownField {
        /// The word.
        word: String,
        /// The field.
        field: String,
    },
    /// A placeholder names something that this task does not have.
    #[error("'{word}' cannot be filled in for task '{task}': {reason}")]
    Render {
        /// The word.
        word: String,
        /// The task.
        task: String,
        /// What is missing.
        reason: String,
    },
    /// A rendered word holds a NUL byte, which no argument can.
    #[error("'{word}' filled in for task '{task}' holds a NUL byte")]
    Nul {
        /// The word.
        word: String,
        /// The task.
        task: String,
    },
}

impl CommandTemplate {
    /// Checks the words.
    pub fn new(words: &[String], quoting: Quoting) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        if quoting == Quoting::Shell {
            environment.set_formatter(|out, _, value| {
                let quoted = shell_quoted(&value.to_string());
                out.write_str(&quoted).map_err(minijinja::Error::from)
            });
        }
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
        environment.set_syntax(syntax.expect("the default syntax is valid"));
        let mut uses_fields = false;
        for (index, word) in words.iter().enumerate() {
            let syntax = |error: minijinja::Error| TemplateError::Syntax {
                word: word.clone(),
                reason: error.detail().unwrap_or("see `agent-runner help templates`").to_owned(),
            };
            environment.add_template_owned(index.to_string(), word.clone()).map_err(syntax)?;
            let template = environment.get_template(&index.to_string()).map_err(syntax)?;
            let names = template.undeclared_variables(false);
            uses_fields |= !names.is_empty();
            if let Some(field) = names.into_iter().find(|name| !is_known(name, &environment)) {
                return Err(TemplateError::UnknownField { word: word.clone(), field });
            }
        }
        Ok(Self { environment, words: words.len(), uses_fields, quoting })
    }

    /// Checks words that make a line for a shell, in which the fields are quoted.
    pub fn for_shell(words: &[String]) -> Result<Self, TemplateError> {
        Self::new(&[words.join(" ")], Quoting::Shell)
    }

    /// Whether any word has a placeholder; if none has, the prompt goes to the agent's stdin.
    pub const fn uses_fields(&self) -> bool {
        self.uses_fields
    }

    /// The words for one attempt at a task: with this prompt and, where it is resumed, this session.
    pub fn render(
        &self,
        task: &Task,
        prompt: &str,
        session: &str,
    ) -> Result<Vec<String>, TemplateError> {
        let fields = fields(task, prompt, session);
        let words = (0..self.words).map(|index| self.render_word(index, task, &fields));
        match self.quoting {
            Quoting::None => words.collect(),
            Quoting::Shell => {
                ["sh", "-c"].into_iter().map(|word| Ok(word.into())).chain(words).collect()
            }
        }
    }

    fn render_word(
        &self,
        index: usize,
        task: &Task,
        fields: &Value,
    ) -> Result<String, TemplateError> {
        let template = self.environment.get_template(&index.to_string()).expect("added in `new`");
        let (word, id) = (|| template.source().to_owned(), || task.id.to_string());
        let text = template.render(fields).map_err(|error| TemplateError::Render {
            word: word(),
            task: id(),
            reason: match error.detail() {
                Some(detail) => detail.to_owned(),
                None => "there is no such field, see `agent-runner help templates`".to_owned(),
            },
        })?;
        if text.contains('\0') {
            return Err(TemplateError::Nul { word: word(), task: id() });
        }
        Ok(text)
    }
}

/// What placeholders can name.
pub const FIELDS: [(&str, &str); 10] = [
    ("id", "the task's id"),
    ("prompt", "what the agent is asked to do"),
    ("title", "one line for people"),
    ("attempt", "the number of this attempt, from 1"),
    ("last_error", "why the last attempt did not succeed; empty at the first"),
    ("tags", "the tags, a list: `{{tags|join(',')}}`"),
    ("priority", "the priority"),
    ("session", "the agent's session, in the words of a profile that resume it"),
    ("payload", "anything else the backlog says: `{{payload.file}}`"),
    ("task", "all of these under one name: `{{task.prompt}}`"),
];

fn fields(task: &Task, prompt: &str, session: &str) -> Value {
    let task_value = context! {
        id => task.id.as_str(),
        prompt => prompt,
        session => session,
        title => task.spec.title.as_str(),
        attempt => task.attempt,
        last_error => task.error.as_deref().unwrap_or_default(),
        tags => task.spec.tags.clone(),
        priority => task.spec.priority,
        payload => Value::from(Serde(&task.spec.payload)),
    };
    context! { task => task_value.clone(), ..task_value }
}

/// Whether a name is that of a field, or of something that every template has, such as `range`.
fn is_known(name: &str, environment: &Environment<'_>) -> bool {
    FIELDS.iter().any(|(field, _)| *field == name)
        || environment.globals().any(|(global, _)| global == name)
}

impl TemplateError {
    /// The field that was probably meant.
    pub fn suggestion(&self) -> Option<&'static str> {
        let Self::UnknownField { field, .. } = self else { return None };
        let likeness = |known: &str| strsim::jaro_winkler(field, known);
        let known = FIELDS.iter().map(|(field, _)| *field);
        let best = known.max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
        (likeness(best) > 0.8).then_some(best)
    }
}

/// A text as one word of a POSIX shell.
fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use agent_runner_task_store::{NewTask, TaskId, TaskStatus};
    use proptest::prelude::*;

    use super::*;

    fn task(prompt: &str) -> Task {
        Task {
            id: TaskId::new("t-1").unwrap(),
            spec: NewTask {
                prompt: prompt.to_owned(),
                payload: serde_json::json!({ "file": "src/a.rs" }),
                ..NewTask::default()
            },
            status: TaskStatus::Running,
            attempt: 1,
            failures: 0,
            recoveries: 0,
            created_at: SystemTime::UNIX_EPOCH,
            finished_at: None,
            error: None,
        }
    }

    fn render(words: &[&str], prompt: &str) -> Result<Vec<String>, TemplateError> {
        let words: Vec<_> = words.iter().map(ToString::to_string).collect();
        CommandTemplate::new(&words, Quoting::None)?.render(&task(prompt), prompt, "")
    }

    proptest! {
        #[test]
        fn a_prompt_is_one_argument_whatever_it_holds(prompt in "[^\0]{0,80}") {
            let words = render(&["agent", "-p", "{{prompt}}", "{{ task.prompt }}!"], &prompt).unwrap();
            prop_assert_eq!(words, ["agent", "-p", &prompt, &format!("{prompt}!")]);
        }
    }

    #[test]
    fn a_shell_sees_a_prompt_as_one_word() {
        let prompt = "it's $(reboot) `now`; \"rm\" -rf *\nsecond line";
        let line = CommandTemplate::for_shell(&["printf %s {{prompt}} | cat".into()]).unwrap();
        let words = line.render(&task(prompt), prompt, "").unwrap();
        let output = std::process::Command::new(&words[0]).args(&words[1..]).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), prompt);
    }

    #[test]
    fn payload_and_plain_words_are_filled_in() {
        assert_eq!(
            render(&["sed", "-i", "s/{a}/b/", "{{payload.file}}"], "").unwrap()[3],
            "src/a.rs"
        );
        let plain = CommandTemplate::new(&["cat".into()], Quoting::None).unwrap();
        assert!(!plain.uses_fields(), "a command without placeholders gets the prompt on stdin");
    }

    #[test]
    fn mistakes_are_errors_not_empty_words() {
        let error = render(&["{{promt}}"], "p").unwrap_err();
        assert!(matches!(error, TemplateError::UnknownField { .. }), "{error}");
        assert_eq!(error.suggestion(), Some("prompt"));
        assert!(matches!(render(&["{{payload.gone}}"], "p"), Err(TemplateError::Render { .. })));
        assert!(render(&["{% for i in range(2) %}{{i}}{% endfor %}"], "p").is_ok());
        assert!(matches!(render(&["{{prompt"], "p"), Err(TemplateError::Syntax { .. })));
        assert!(matches!(render(&["{{prompt}}"], "a\0b"), Err(TemplateError::Nul { .. })));
    }
}
