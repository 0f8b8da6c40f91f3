//! Tests that need a process of their own: one in which no other test starts children, or one that
//! runs under a tool.

use std::{
    env,
    ffi::OsStr,
    process::{Command, Output},
};

const ALONE: &str = "AGENT_RUNNER_LOCK_TEST_ALONE";

/// Runs the body of the test of this name in a process that does nothing else.
pub(crate) fn alone(test: &str, body: impl FnOnce()) {
    if env::var_os(ALONE).is_some() {
        return body();
    }
    let program = env::current_exe().unwrap();
    assert_passed(&run(&mut Command::new(program), test));
}

/// Runs the body of the test of this name in a process that is started by a tool, and says whether
/// that was done: not in the process itself, and not where the tool may not do its work. In CI it
/// may.
pub(crate) fn under(tool: &[impl AsRef<OsStr>], test: &str, body: impl FnOnce()) -> bool {
    if env::var_os(ALONE).is_some() {
        body();
        return false;
    }
    let mut command = Command::new(&tool[0]);
    command.args(&tool[1..]).arg(env::current_exe().unwrap());
    let output = run(&mut command, test);
    let began = output.stdout.windows(14).any(|text| text == b"running 1 test");
    if began || must_work() {
        assert_passed(&output);
    }
    began
}

/// Whether a tool may do its work here. In CI it may.
pub(crate) fn is_allowed(tool: &[&str]) -> bool {
    let status = Command::new(tool[0]).args(&tool[1..]).arg("true").status();
    let allowed = status.is_ok_and(|status| status.success());
    assert!(allowed || !must_work(), "{tool:?} does not work");
    allowed
}

fn must_work() -> bool {
    env::var_os("CI").is_some() && rustix::process::geteuid().is_root()
}

fn run(program: &mut Command, test: &str) -> Output {
    program.args(["--exact", test, "--nocapture"]).env(ALONE, "1").output().unwrap_or_else(
        |error| {
            // The tool is not there.
            Output {
                status: std::process::ExitStatus::default(),
                stdout: Vec::new(),
                stderr: error.to_string().into(),
            }
        },
    )
}

fn assert_passed(output: &Output) {
    let said = String::from_utf8_lossy(&output.stdout);
    let passed = output.status.success() && said.contains("1 passed");
    assert!(passed, "{}\n{said}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
}
