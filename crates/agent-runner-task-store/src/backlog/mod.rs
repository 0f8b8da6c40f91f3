//! Reading tasks from the files in which people keep them.
//!
//! ```
//! use agent_runner_task_store::backlog::{self, Format};
//!
//! let text = "- [ ] Fix the login {#login .web}\n- [ ] Update the docs {depends_on=login}\n";
//! let tasks = backlog::parse("tasks.md", Format::Markdown, text)?;
//! assert_eq!(tasks[0].title, "Fix the login");
//! assert_eq!(tasks[1].depends_on[0].as_str(), "login");
//! # Ok::<(), backlog::BacklogErrors>(())
//! ```
//!
//! # Fields
//!
//! JSON, JSON Lines, YAML, TOML and CSV have the same fields. A task needs a `prompt`, a `title` or
//! a `command`; the rest may be left out. Where JSON, JSON Lines, YAML or TOML has a text in place
//! of a task, it is the prompt.
//!
//! | field | what |
//! |---|---|
//! | `id` | text or a whole number |
//! | `title` | one line; else the first of the prompt, or of the command |
//! | `prompt`, `description` | what the agent is asked to do; else the title |
//! | `command`, `verify` | text for a shell, or a list of words that no shell sees |
//! | `priority` | a whole number, 0 by default; higher runs first |
//! | `depends_on` | ids that must have succeeded before: a list, or one |
//! | `locks`, `tags` | words: a list, or one |
//! | `touches` | patterns of the paths that the task will change, `src/auth/**`: a list, or one |
//! | `max_attempts`, `attempts` | a whole number from 1 |
//! | `timeout`, `idle_timeout` | `90s`, `30m`, `1h 30m`, or a number of seconds |
//! | `memory` | how much the agent and all that it starts may use: `512M`, `4G`, or a number of bytes |
//! | `expect_diff` | `true` or `false`: whether a success that changed no file is refused |
//! | `not_before` | a time with its zone, `2026-11-24T06:00:00Z` |
//! | `payload` | anything |
//!
//! An unknown field is an error, so that a slip of the pen does not change what is done. `null` is
//! as good as leaving a field out; at the top of JSON, YAML and TOML, `$schema` is passed over.
//!
//! A task without an id gets a [`key`](NewTask::key): a hash of its prompt, command and payload,
//! with a number where the same comes twice. So the same backlog gives the same keys when it is
//! read again, and editing how a task is done (its priority, timeout, tags …) does not make
//! another of it, but editing what is to be done does.
//!
//! # Formats
//!
//! - **CSV**: the first row names the fields; commas, or semicolons or tabs if one comes first in
//!   that row. An empty cell is a field left out. A list is separated by semicolons or, where there
//!   is none, by white space. A command that is a list or a text of JSON is read as such, and so
//!   is a list; a payload that is not JSON is text.
//! - **Markdown**: each checklist item (`- [ ] …`) that is inside no other one is a task, wherever it
//!   stands; ticked ones are done and left out. The item's whole text is the prompt, with what is
//!   indented below it. Its first line may end in attributes, `{#id .tag priority=5
//!   verify="cargo test"}`, with the fields and values of CSV; braces that do not read as that are
//!   text. Headings and everything else is for people. [`tick`] ticks off what is done.
//! - **Lines**: each line is the prompt of a task; empty lines and lines that begin with `#` are
//!   passed over.
//!
//! All are UTF-8; a byte order mark and CRLF are fine. [`Format::from_path`] knows extensions and
//! [`Format::detect`] how a stream begins.
//!
//! # Limits
//!
//! JSON Lines, CSV and plain lines are read one task at a time in memory that does not grow with
//! the backlog, but for about 30 bytes a task to notice ids that come twice. The others are read
//! whole, up to 256 MiB. A line or row has at most 16 MiB. YAML's aliases may not blow a text up.

mod attributes;
mod cell;
mod csv;
mod error;
mod field;
mod format;
mod input;
mod json;
mod key;
mod lines;
mod markdown;
mod read;
mod record;
mod toml;
mod top;
mod write;
mod yaml;

pub use self::{
    error::{BacklogError, BacklogErrorKind, BacklogErrors},
    format::{Format, UnknownFormat},
    markdown::tick,
    read::{Reader, open, parse, read},
    write::{Writer, write},
};
#[cfg(doc)]
use crate::NewTask;
