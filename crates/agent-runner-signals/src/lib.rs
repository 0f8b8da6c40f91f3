#![doc = include_str!("../README.md")]
#![expect(clippy::doc_markdown, reason = "OpenCode is a name")]

mod parser;

mod event;

mod summary;

mod outcome;

mod verdict;

mod rules;

mod format;

mod recorder;

mod json;

mod lines;

mod text;

mod reset;

pub use event::{Event, LimitState, RateLimit, Retry, Usage};
pub use format::{Format, UnknownFormat};
pub use outcome::Outcome;
pub use parser::Parser;
pub use reset::Now;
pub use rules::RULES_VERSION;
pub use summary::{Ending, Summary, Trouble};
pub use verdict::{End, Verdict, judge};
