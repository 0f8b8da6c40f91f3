//! Keys from a command.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use agent_runner_credentials::{
    ApiKey, CommandError, CommandProblem, Environment, Source, key_from_command, load,
};

const LONG: Duration = Duration::from_secs(30);

fn shell(script: &str, timeout: Duration) -> Result<ApiKey, CommandError> {
    key_from_command(&["sh", "-c", script].map(str::to_owned), timeout)
}

#[test]
fn the_first_line_is_the_key() {
    let key = shell("printf 'sk-1\\nsecond line\\n'; echo noise >&2", LONG).unwrap();
    assert_eq!(key.expose(), "sk-1");
}

#[test]
fn no_shell_sees_the_arguments() {
    let argv = ["printf", "%s", "$HOME;`id`"].map(str::to_owned);
    assert_eq!(key_from_command(&argv, LONG).unwrap().expose(), "$HOME;`id`");
}

#[test]
fn an_error_tells_what_went_wrong_and_no_secret() {
    let check = |script: &str, expected: &str| {
        let error = shell(script, LONG).unwrap_err();
        assert_eq!(error.to_string(), "could not get a key from command 'sh'");
        assert_eq!(error.source().unwrap().to_string(), expected);
        assert!(
            !format!("{error:?}").contains("secret"),
            "{error:?} shows the output or the arguments"
        );
    };
    check("echo sk-secret; exit 3", "it failed (exit status: 3)");
    check("printf '\\nsk-secret'", "the first line of its output cannot be used");
    check("echo sk secret", "the first line of its output cannot be used");
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let error = key_from_command(&["no-such-program-here".to_owned()], LONG).unwrap_err();
    assert!(matches!(error.problem, CommandProblem::Start(_)), "{error:?}");
    assert!(error.to_string().contains("no-such-program-here"), "{error}");
    assert!(matches!(key_from_command(&[], LONG).unwrap_err().problem, CommandProblem::Empty));
}

#[test]
fn a_command_that_hangs_is_killed() {
    let check = |script| {
        let start = Instant::now();
        let error = shell(script, Duration::from_millis(50)).unwrap_err();
        assert!(matches!(error.problem, CommandProblem::TimedOut(_)), "{error:?}");
        assert!(start.elapsed() < LONG, "it was waited for");
    };
    check("exec sleep 600");
    check("exec >&-; exec sleep 600");
}

#[test]
fn a_command_that_never_stops_printing_is_no_source() {
    let error = shell("exec yes", LONG).unwrap_err();
    assert!(matches!(error.problem, CommandProblem::Failed(_)), "{error:?}");
}

#[test]
fn a_command_is_a_source() {
    let source = Source::Command {
        argv: ["echo", "sk-1"].map(str::to_owned).into(),
        provider: "anthropic".to_owned(),
        label: None,
    };
    let loaded = load(&[source], &Environment::default()).unwrap();
    assert_eq!(loaded.credentials[0].label, "anthropic (echo)");
}
