//! The public API of the crate, used as others use it.

#![cfg(unix)]

use std::error::Error;

use agent_runner_exec::{Command, End, Stop};

type TestResult = Result<(), Box<dyn Error>>;

#[tokio::test]
async fn smoke() -> TestResult {
    let child = Command::new("sh").args(["-c", "echo hello; echo bad >&2; exit 3"]).spawn()?;
    println!("{}", child.identity());
    let exit = child.wait(&Stop::new()).await?;
    println!("{exit:?}");
    assert_eq!(exit.end, End::Exited(3));
    Ok(())
}
