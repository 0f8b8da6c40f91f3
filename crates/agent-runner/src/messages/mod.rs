//! `messages`: an agent that is the Messages API itself. It asks once, uses no tools, and prints the
//! events of the answer as they come; whoever runs it judges by those.
//!
//! What goes wrong is printed as the API would say it, an object of type `error`, with
//! `network_error` for an answer that did not come or not to its end. Nothing is tried again.

mod answer;
mod file;
mod request;
mod sse;

use std::{
    env,
    io::{self, Read},
    process::ExitCode,
};

use agent_runner_task_store::TaskId;
use serde_json::{Value, json};

use self::{file::AnswerFile, request::Request};
use crate::{
    cli::Messages,
    error::{OrExit, Result},
    exit_code::Exit,
    ui::Ui,
};

pub use sse::Events;

/// No API takes a larger prompt.
const MAX_PROMPT: u64 = 32 * 1024 * 1024;

/// Why there is no whole answer: the last line that is printed.
#[derive(Debug)]
struct Failure(Value);

impl Failure {
    fn new(kind: &str, message: impl AsRef<str>) -> Self {
        Self(json!({ "type": "error", "error": { "type": kind, "message": message.as_ref() } }))
    }

    /// There is no answer, or it has no end.
    fn network(message: impl AsRef<str>) -> Self {
        Self::new("network_error", message)
    }
}

/// Asks, and prints what is answered. The exit code says whether the answer is whole.
pub async fn messages(ui: &Ui, args: Messages) -> Result<ExitCode> {
    let prompt = match args.prompt.as_deref() {
        Some(prompt) if prompt != "-" => prompt.to_owned(),
        _ => read_prompt()?,
    };
    let task = env::var("AGENT_RUNNER_TASK_ID").ok().and_then(|id| TaskId::new(&id).ok());
    let mut file = args.output.as_deref().map(|path| AnswerFile::new(path, task.as_ref()));
    let request = Request::new(&args, &prompt, &|name| env::var(name).ok());
    let answered = match request {
        Ok(request) => answer::stream(ui, &request, args.idle_timeout, file.as_mut()).await?,
        Err(failure) => Err(failure),
    };
    Ok(match (answered, file) {
        (Ok(true), file) => {
            file.map(AnswerFile::keep).transpose()?;
            ExitCode::SUCCESS
        }
        (Ok(false), _) => ExitCode::FAILURE,
        (Err(Failure(why)), _) => {
            ui.data(why).or_exit(Exit::Unexpected, || "could not write to stdout".to_owned())?;
            ExitCode::FAILURE
        }
    })
}

fn read_prompt() -> Result<String> {
    let mut prompt = String::new();
    let read = io::stdin().lock().take(MAX_PROMPT).read_to_string(&mut prompt);
    read.or_exit(Exit::Invalid, || "could not read the prompt from stdin".to_owned())?;
    Ok(prompt)
}
