//! A pretend provider on loopback. It speaks the Messages API, the Responses API, the older Chat Completions and
//! Gemini's as far as real agents and SDKs need them, and it does to a request whatever the request's key is called after.
//!
//! ```text
//! sk-fake-ok-1   sk-fake-throttled-1   sk-fake-revoked-1   sk-fake-flapping-1   …
//! ```
//!
//! The word after `fake-` is a [`Behaviour`]; what follows tells keys apart that behave alike. So
//! there is nothing to set up: who holds five keys has a provider with five scenarios.
//!
//! A model that is asked to `write file:NAME` and is offered a tool for it uses the tool, and says
//! that it is done when it hears back.

mod anthropic;
mod asked;
mod behaviour;
mod chat;
mod gemini;
mod openai;
mod reply;
mod server;

pub use self::{
    behaviour::Behaviour,
    server::{Answer, FakeLlm},
};
