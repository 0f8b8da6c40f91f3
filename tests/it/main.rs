//! The program from outside.
#![cfg(unix)]

mod admission;
mod agent_input;
mod bad_input;
mod bad_input_store;
mod chaos;
mod chaos_agent;
mod chaos_kills;
mod classify;
mod commands;
mod company;
mod demo;
mod dry_run;
mod exit_codes;
mod fakes;
mod floods;
mod gateway;
mod gateway_alone;
mod help;
mod keys;
mod limits;
mod locks;
mod messages;
mod namespaces;
mod night;
mod orphans;
mod profiles;
mod real_backlog;
mod rehearse;
mod resume;
mod schemas;
mod signals;
mod worktrees;
mod worktrees_night;
mod worktrees_trouble;
mod zoo;

use agent_runner_tests::{Programs, Sandbox};

/// An empty project for one test.
fn sandbox() -> Sandbox {
    Sandbox::new(Programs {
        runner: env!("CARGO_BIN_EXE_agent-runner-dup"),
        agent: env!("CARGO_BIN_EXE_fake-agent"),
    })
}
