//! `help`, `completions` and `man`: the program about itself.

use std::io;

use clap::CommandFactory;

use super::unwritten;
use crate::{
    cli::{Cli, Completions, Help},
    error::{Error, Result},
    exit_code::Exit,
    template,
    ui::Ui,
};

const TOPICS: [&str; 4] = ["exit-codes", "environment", "formats", "templates"];

const ENVIRONMENT: &str = "\
What an agent finds in its environment:
  AGENT_RUNNER_TASK_ID      the task's id
  AGENT_RUNNER_ATTEMPT      the number of the attempt, from 1
  AGENT_RUNNER_STORE        the store as a URL, so that an agent can add tasks
  AGENT_RUNNER_TASK_FILE    a file with the task as JSON
  AGENT_RUNNER_ROOT         the project's folder
  AGENT_RUNNER_WORKTREE, AGENT_RUNNER_BRANCH, AGENT_RUNNER_TARGET
                            with `--isolate worktree`: where it works, on which branch, and the branch
                            that this comes from and is merged into
  AGENT_RUNNER_RESULT       a file that it may write to say how it ended:
                            {\"outcome\": \"throttled\", \"retry_after_s\": 30, \"message\": \"...\"}
                            outcomes: succeeded, task_failed, throttled, overloaded, quota, auth, billing
  AGENT_RUNNER_LAST_ERROR   why the last attempt did not succeed (from the second attempt on)
  ANTHROPIC_API_KEY ...     the credential lent to it, if there are any; with the gateway (`run --gateway`)
  ANTHROPIC_BASE_URL ...    a token that is good for this attempt only, and where to use it

What agent-runner reads:
  ANTHROPIC_API_KEY_1 ...   credentials, with ANTHROPIC_BASE_URL_1 and ANTHROPIC_MODEL_1; the same for
                            OPENAI and GEMINI; without numbers ANTHROPIC_API_KEY
  CLAUDE_CODE_OAUTH_TOKEN_1, CLAUDE_CONFIG_DIR_1, CODEX_HOME_1 ...
                            accounts of Claude Code and Codex: a token, or a folder with the login
  AGENT_RUNNER_GATEWAY_TOKEN, AGENT_RUNNER_METRICS_TOKEN
                            what `agent-runner gateway` takes for tokens instead of new ones
  HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY
                            the proxy through which providers are reached, http://USER:PASSWORD@HOST:PORT or
                            socks5://HOST, and who is asked without; names in small letters do as well
  SSL_CERT_FILE, SSL_CERT_DIR
                            whose certificates are trusted, in place of the system's
  NODE_EXTRA_CA_CERTS       whose are trusted as well
  AGENT_RUNNER_STORE, AGENT_RUNNER_CONFIG, AGENT_RUNNER_JOBS, AGENT_RUNNER_COLOR, AGENT_RUNNER_PROGRESS
  NO_COLOR, CLICOLOR_FORCE";

const FORMATS: &str = "\
A backlog is one of:
  .md      a checklist: `- [ ] do this`; indented lines below belong to the prompt; ticked when done
  .txt     a task on each line
  .json    a list of tasks, or an object with `tasks`
  .jsonl   a task as JSON on each line
  .yaml    as .json
  .toml    [[tasks]]
  .csv     a heading, then a task on each line; lists are separated by `;`
  -        stdin; `--format` says which of these, else it is guessed from its first line

Fields (a task needs a prompt, a title or a command):
  id, title, prompt, command, priority, depends_on, locks, touches, tags, max_attempts, timeout,
  idle_timeout, memory, verify, expect_diff, not_before, payload

`locks` are names, `touches` paths such as `src/auth/**`: two tasks that share a name, or whose paths
overlap, never run at the same time. Paths count from the project's root; one without a wildcard means
all that is below it as well. In a checklist the
fields stand behind the task's first line: `- [ ] fix the login {#login .web touches=src/auth/**}`.

`command` and `verify` are a string for `sh -c`, or a list that no shell sees. A task without an id
gets a number, and is the same task when its text is the same.";

/// Explains a command or a topic.
pub fn help(ui: &Ui, args: &Help) -> Result<Exit> {
    let text = match args.topic.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Cli::command().render_long_help().ansi().to_string(),
        ["exit-codes"] => exit_codes(),
        ["environment"] => ENVIRONMENT.to_owned(),
        ["formats"] => FORMATS.to_owned(),
        ["templates"] => templates(),
        ref words => command_help(words)?,
    };
    ui.data(text.trim_end()).map_err(unwritten)?;
    Ok(Exit::Success)
}

/// Prints a completion script.
pub fn completions(args: &Completions) -> Exit {
    clap_complete::generate(
        args.shell,
        &mut Cli::command(),
        "agent-runner",
        &mut io::stdout().lock(),
    );
    Exit::Success
}

/// Prints the manual page.
pub fn man() -> Result<Exit> {
    clap_mangen::Man::new(Cli::command()).render(&mut io::stdout().lock()).map_err(unwritten)?;
    Ok(Exit::Success)
}

fn exit_codes() -> String {
    Exit::TABLE.map(|(exit, meaning)| format!("{:>4}  {meaning}", exit.code())).join("\n")
}

fn templates() -> String {
    let fields =
        template::FIELDS.map(|(name, meaning)| format!("  {name:<12} {meaning}")).join("\n");
    format!(
        "Placeholders in the agent's command, such as `{{{{prompt}}}}`, are filled in one argument at a time:
whatever a task's text holds, it stays one argument. With `--shell` each is quoted for the shell.
A field that does not exist is an error. A command without placeholders gets the prompt on stdin.

{fields}"
    )
}

fn command_help(words: &[&str]) -> Result<String> {
    let mut command = Cli::command();
    command.build();
    for word in words {
        let next = command.find_subcommand(word).filter(|found| !found.is_hide_set()).cloned();
        command = next.ok_or_else(|| {
            Error::usage(format!("there is no command or topic '{word}'")).hint(format!(
                "topics are {}; `agent-runner --help` lists the commands",
                TOPICS.join(", ")
            ))
        })?;
    }
    Ok(command.render_long_help().ansi().to_string())
}
