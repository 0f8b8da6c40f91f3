//! `agent-runner` once more, so that cargo builds it for the tests of this package.

use std::process::ExitCode;

fn main() -> ExitCode {
    agent_runner::main()
}
