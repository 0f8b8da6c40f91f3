//! What a person reads: help, welcome, listings, reports, errors. `INSTA_UPDATE=always` writes the
//! snapshots anew.

use agent_runner_tests::{Output, Sandbox};

use crate::sandbox;

/// Checks both streams and the exit code against `snapshots/NAME.snap`.
fn check(sandbox: &Sandbox, name: &str, args: &[&str]) {
    let Output { code, stdout, stderr, .. } = sandbox.run(args.iter().copied());
    let code = code.expect("no signal ends it");
    let shown = format!("{stdout}--- stderr\n{stderr}--- exit code {code}\n");
    let mut settings = sandbox.snapshots();
    settings.set_description(format!("agent-runner {}", args.join(" ")));
    settings.set_omit_expression(true);
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!(name, shown));
}

#[test]
fn help_of_every_command() {
    let sandbox = sandbox();
    check(&sandbox, "help", &["--help"]);
    for command in [
        "demo",
        "init",
        "doctor",
        "run",
        "add",
        "import",
        "list",
        "show",
        "status",
        "logs",
        "retry",
        "cancel",
        "export",
        "locks",
        "worktrees",
        "keys",
        "gateway",
        "classify",
        "messages",
        "completions",
        "man",
        "help",
    ] {
        check(&sandbox, &format!("help-{command}"), &[command, "--help"]);
    }
}

#[test]
fn topics() {
    let sandbox = sandbox();
    for topic in ["exit-codes", "environment", "formats", "templates"] {
        check(&sandbox, topic, &["help", topic]);
    }
    check(&sandbox, "no-such-topic", &["help", "weather"]);
}

#[test]
fn the_first_minutes() {
    let sandbox = sandbox();
    check(&sandbox, "welcome", &[]);
    check(&sandbox, "no-store", &["status"]);
    check(&sandbox, "added", &["add", "fix the login", "--id", "login", "--tag", "web"]);
    check(&sandbox, "welcome-back", &[]);
    check(&sandbox, "no-agent", &["run"]);
    check(&sandbox, "plan", &["run", "-n", "--", "true", "{{prompt}}"]);
}

#[test]
fn a_run_and_what_is_known_of_it() {
    let sandbox = sandbox();
    sandbox.write(
        "tasks.csv",
        "id,prompt,depends_on\na,echo done,\nb,echo oh no; exit 3,\nc,true,b\n",
    );
    let flags = ["run", "tasks.csv", "-j", "1", "--attempts", "2", "--retry-delay", "1ms"];
    check(&sandbox, "run", &[&flags[..], &["--", "sh", "-c", "{{prompt}}"]].concat());
    check(&sandbox, "list", &["list"]);
    check(&sandbox, "show", &["show", "b"]);
    check(&sandbox, "status-after", &["status"]);
    check(&sandbox, "retried", &["retry", "--failed"]);
}

#[test]
fn mistakes() {
    let sandbox = sandbox();
    sandbox.write("tasks.yaml", "- prompt: one\n  priorty: 5\n- id: [x]\n  prompt: two\n");
    check(&sandbox, "bad-backlog", &["import", "tasks.yaml"]);
    check(&sandbox, "bad-flag", &["run", "--timout", "5m"]);
    check(&sandbox, "bad-time", &["run", "--timeout", "soon", "--", "true"]);
    check(&sandbox, "bad-program", &["run", "--", "no-such-agent", "{{prompt}}"]);
    check(&sandbox, "bad-placeholder", &["run", "--", "true", "{{prompt"]);
}
