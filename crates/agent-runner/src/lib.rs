#![doc = include_str!("../README.md")]
#![expect(unreachable_pub, reason = "a program: only `main` is for others")]

mod cli;
mod commands;
mod config;
mod demo;
mod descriptors;
mod error;
mod exit_code;
mod isolation;
mod key_state;
mod keys;
mod life;
mod main_fn;
mod messages;
mod profile;
mod project;
mod report;
mod resources;
mod run;
mod template;
mod ui;
mod units;
mod views;

#[doc(hidden)]
pub mod parsers;

pub use main_fn::main;
