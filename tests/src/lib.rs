//! What tests of the built program need: a [`Sandbox`] to run it in, [fake agents](FAKES) for it to
//! run, and a table that says what each of them must lead to.
//!
//! A test is three lines:
//!
//! ```text
//! let sandbox = sandbox();
//! sandbox.write("tasks.txt", "one\ntwo\n");
//! sandbox.run_fake(["tasks.txt"], "succeed").exits(0);
//! ```
//!
//! Everything here panics when it is disappointed: that is how a test fails.
#![cfg(unix)]
#![expect(clippy::missing_panics_doc, reason = "a panic is how a test fails")]

mod call;
mod capture;
mod company;
mod fakes;
pub mod llm;
pub mod night;
mod output;
mod provider;
mod running;
mod sandbox;

pub use self::{
    call::Call,
    company::{Company, Proxy},
    fakes::{FAKES, Fake},
    output::{Output, json_lines},
    provider::{Provider, ask, seen_of_itself},
    running::{Running, Signal},
    sandbox::{Programs, Sandbox, wait_until},
};
