//! The program from outside.
#![cfg(unix)]

mod fakes;

use agent_runner_tests::{Programs, Sandbox};

/// An empty project for one test.
fn sandbox() -> Sandbox {
    Sandbox::new(Programs {
        runner: env!("CARGO_BIN_EXE_agent-runner-dup"),
        agent: env!("CARGO_BIN_EXE_fake-agent"),
    })
}
