#![doc = include_str!("../README.md")]
#![expect(clippy::doc_markdown, reason = "OpenAI is a name")]

mod gateway;
mod listen;
mod options;
mod token;

mod denials;
mod forward;
mod intake;
mod passing;
mod peek;
mod route;
mod serve;

mod answer;
mod body;
mod headers;
mod io;
mod network;
mod scrub;

mod ledger;
mod meter;
mod metrics;
mod price;
mod scan;
mod stats;
mod usage;

pub use gateway::{Gateway, StartError};
pub use ledger::{Budget, Line, Spent};
pub use network::{Network, NetworkError, Unreachable};
pub use options::{Options, default_base_url};
pub use price::{Price, Prices};
pub use token::{Access, Caller, Refused, Stopped};
pub use usage::Usage;
