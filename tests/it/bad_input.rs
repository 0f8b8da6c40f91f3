//! Bad input: whatever is wrong, the program says what and where, exits with the code that the
//! documentation promises, runs nothing and changes nothing.

use agent_runner_tests::Sandbox;
use rusqlite::Connection;

use crate::sandbox;

/// One way to do it wrong.
struct Case {
    /// A file of the project.
    file: (&'static str, &'static [u8]),
    /// The command line; `RUN` stands for an agent that would leave a trace.
    args: &'static str,
    env: (&'static str, &'static str),
    stdin: &'static [u8],
    code: i32,
    says: &'static str,
    hint: &'static str,
}

const NONE: Case = Case {
    file: ("tasks.txt", b"one\n"),
    args: "run tasks.txt -- RUN",
    env: ("UNUSED", ""),
    stdin: b"",
    code: 2,
    says: "",
    hint: "",
};

/// A backlog that cannot be read.
const fn backlog(
    args: &'static str,
    file: (&'static str, &'static [u8]),
    says: &'static str,
    hint: &'static str,
) -> Case {
    Case { file, args, code: 3, says, hint, ..NONE }
}

const fn json_line(line: &'static [u8], says: &'static str, hint: &'static str) -> Case {
    backlog("run t.jsonl -- RUN", ("t.jsonl", line), says, hint)
}

const fn config(text: &'static [u8], says: &'static str, hint: &'static str) -> Case {
    backlog("run tasks.txt -- RUN", ("agent-runner.toml", text), says, hint)
}

/// A command line that cannot be followed.
const fn line(args: &'static str, says: &'static str, hint: &'static str) -> Case {
    Case { args, says, hint, ..NONE }
}

const BOMB: &[u8] = b"
a: &a [x, x, x, x, x, x, x, x, x, x]
b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]
c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]
d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]
e: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]
tasks: [*e, *e, *e, *e, *e, *e, *e, *e, *e, *e]
";

#[test]
fn broken_backlogs() {
    check_all(&[
        backlog("run t.json -- RUN", ("t.json", b"{\"tasks\": ["), "t.json:1:11: not valid JSON", ""),
        backlog("run t.json -- RUN", ("t.json", b"[1]"), "expected a task, found a number", "fields"),
        backlog("run t.yaml -- RUN", ("t.yaml", b"- prompt: [x\n"), "t.yaml:", ""),
        backlog("run t.yaml -- RUN", ("t.yaml", BOMB), "refused", ""),
        backlog("run t.toml -- RUN", ("t.toml", b"[[task]\n"), "t.toml:1:8: not valid TOML", ""),
        backlog("run t.csv -- RUN", ("t.csv", b"prompt,id\n\"x,1\n"), "t.csv:2: not valid CSV", "quote"),
        backlog("run t.csv -- RUN", ("t.csv", b"prompt,id\nx\n"), "the row has 1 cells", "quotes"),
        backlog("run t.csv -- RUN", ("t.csv", b"promt\nx\n"), "unknown field 'promt'", "`prompt`"),
        backlog("run t.txt -- RUN", ("t.txt", b"\xff\xfe\n"), "t.txt:1:1: not UTF-8", "UTF-16"),
        backlog("run t.doc -- RUN", ("t.doc", b"x"), "cannot tell the format", "extensions"),
        backlog("run tasks -- RUN", ("tasks", b"x"), "cannot tell the format", "extensions"),
        backlog("run gone.md -- RUN", NONE.file, "gone.md: could not read the backlog", ""),
        backlog("run dir.md -- RUN", ("dir.md/file", b""), "dir.md: could not read the backlog", ""),
        backlog("import gone.md", NONE.file, "gone.md: could not read the backlog", ""),
        backlog("run -n gone.md -- RUN", NONE.file, "gone.md: could not read the backlog", ""),
        Case { stdin: b"{\"x\":", ..backlog("run - -- RUN", NONE.file, "stdin:1:5: not valid JSON", "") },
        json_line(b"nonsense\n", "t.jsonl:1:2: not valid JSON Lines", ""),
        json_line(b"{\"promt\":\"x\"}\n", "unknown field 'promt'", "did you mean `prompt`?"),
        json_line(b"{\"prompt\":7}\n", "'prompt' should be text, not a number", ""),
        json_line(b"{\"prompt\":\"x\",\"prompt\":\"y\"}\n", "'prompt' is given twice", ""),
        json_line(b"{\"prompt\":\"x\",\"timeout\":\"soon\"}\n", "it is not a duration", "`90s`"),
        json_line(b"{\"prompt\":\"x\",\"priority\":\"high\"}\n", "a whole number, not text", ""),
        json_line(b"{\"id\":\"a\",\"prompt\":\"x\"}\n{\"id\":\"a\",\"prompt\":\"y\"}\n",
            "t.jsonl:2: task id 'a' is used twice, first at line 1", "another id"),
        json_line(b"{\"id\":\"\",\"prompt\":\"x\"}\n", "a task id cannot be empty", ""),
        json_line(b"{\"id\":\"a\\nb\",\"prompt\":\"x\"}\n", "has a control character", ""),
        json_line(b"{\"id\":\"a\",\"prompt\":\"x\",\"depends_on\":[\"gone\"]}\n",
            "task 'a' depends on 'gone', which does not exist", "nothing of it was added"),
        json_line(b"{\"id\":\"a\",\"prompt\":\"x\",\"depends_on\":[\"a\"]}\n",
            "in a circle: a -> a", "nothing of it was added"),
        json_line(b"{\"id\":\"a\",\"prompt\":\"x\",\"depends_on\":[\"b\"]}\n{\"id\":\"b\",\"prompt\":\"x\",\"depends_on\":[\"a\"]}\n",
            "in a circle: a -> b -> a", "nothing of it was added"),
    ]);
}

#[test]
fn empty_backlogs_are_nothing_to_do() {
    let empty: [(&str, &[u8]); 8] = [
        ("t.json", b"{}"),
        ("t.json", b""),
        ("t.jsonl", b"\n"),
        ("t.yaml", b"tasks: []\n"),
        ("t.toml", b""),
        ("t.csv", b"prompt\n"),
        ("t.md", b"# Nothing\n"),
        ("t.txt", b""),
    ];
    for (name, bytes) in empty {
        let sandbox = sandbox();
        sandbox.write(name, bytes);
        let output = sandbox.run(["run", name, "--", "touch", "ran"]).exits(4);
        let output = output.says(&format!("there is no task in '{name}'")).says("hint: ");
        assert!(output.stdout.is_empty() && !sandbox.has("ran"), "{output}");
    }
}

#[test]
fn command_lines_that_cannot_be_followed() {
    check_all(&[
        line("frobnicate", "unrecognized subcommand 'frobnicate'", ""),
        line("run --bogus", "unexpected argument '--bogus'", ""),
        line("run tasks.txt --format nope -- RUN", "unknown format 'nope'", "help formats"),
        line("list --status nope", "invalid value 'nope'", ""),
        line("list --color pink", "invalid value 'pink'", ""),
        line("run tasks.txt -j 0 -- RUN", "0 is not in 1..=1024", ""),
        line("run tasks.txt -j many -- RUN", "invalid value 'many'", ""),
        line("run tasks.txt --attempts 0 -- RUN", "0 is not in 1..", ""),
        line("run tasks.txt --timeout soon -- RUN", "`soon` is not a time", ""),
        line("run tasks.txt --timeout 0 -- RUN", "`0` is not a time", ""),
        line("run tasks.txt --max-failures 101% -- RUN", "a share such as `10%`", ""),
        line("run tasks.txt --max-failures 0 -- RUN", "a number of tasks such as `5`", ""),
        line("run tasks.txt --fail-fast --max-failures 2 -- RUN", "cannot be used with", ""),
        line(
            "run tasks.txt -- touch {{prompt",
            "'{{prompt' is not a valid template",
            "help templates",
        ),
        line("run tasks.txt -- touch {{promt}}", "promt", "`prompt`"),
        line("show gone", "there is no task 'gone'", "agent-runner list"),
        line("logs gone", "there is no task 'gone'", "agent-runner list"),
        line("cancel gone", "there is no task 'gone'", "agent-runner list"),
        line("retry", "required arguments were not provided", ""),
        line("retry --failed old", "cannot be used with", ""),
        line("help gone", "there is no command or topic 'gone'", "topics are"),
        line("-C gone list", "could not enter folder 'gone'", ""),
        line(
            "--store mysql://me:secret@host/db list",
            "'mysql://…@host/db' is not one",
            "`sqlite:PATH`",
        ),
        line("--store sqlite: list", "'sqlite:' is not one", "`sqlite:PATH`"),
        Case {
            env: ("AGENT_RUNNER_JOBS", "all"),
            ..line("run tasks.txt -- RUN", "invalid value 'all'", "")
        },
        Case {
            code: 3,
            ..line("run tasks.txt -- no-such-program", "could not find program", "--shell")
        },
        Case {
            code: 3,
            ..line("run tasks.txt -- ./tasks.txt", "is not an executable file", "full path")
        },
        Case {
            code: 3,
            ..line("--store sqlite:/proc/store.db add x", "could not use store", "can be written")
        },
        Case { code: 3, ..line("--store sqlite:. add x", "is a directory", "can be written") },
    ]);
}

#[test]
fn configurations_and_keys_with_mistakes() {
    check_all(&[
        config(b"jbos = 3\n", "agent-runner.toml:1: unknown field `jbos`", "did you mean `jobs`?"),
        config(b"jobs = \"many\"\n", "agent-runner.toml:1: ", ""),
        config(b"jobs = 0\n", "agent-runner.toml:1: ", ""),
        config(b"attempts = 0\n", "agent-runner.toml:1: ", ""),
        config(b"timeout = -5\n", "`-5` is not a time", ""),
        config(b"\njobs = \n", "agent-runner.toml:2: ", ""),
        config(b"\xff\n", "could not read configuration", ""),
        config(b"command = \"claude -p\"\n", "agent-runner.toml:1: ", ""),
        backlog(
            "run -- RUN",
            ("agent-runner.toml", b"keys = \"gone.toml\"\n"),
            "could not read key file",
            "mend it, or name another file",
        ),
        Case {
            code: 2,
            ..config(b"store = \"redis:x\"\n", "store 'redis:x' is not one", "`sqlite:PATH`")
        },
        backlog(
            "--config gone.toml run tasks.txt -- RUN",
            NONE.file,
            "could not read configuration",
            "",
        ),
        keys(
            b"[[key]]\nprovider = \"anthropic\"\npromt = \"x\"\nkey = \"sk-secret\"\n",
            "line 3: unknown field 'promt'",
        ),
        keys(
            b"[[key]]\nprovider = \"anthropic\"\nenv = \"GONE\"\n",
            "names variable 'GONE', which is not set",
        ),
        keys(b"[[key]]\nprovider = \"anthropic\"\ncommand = [\"false\"]\n", "false"),
        keys(
            b"[[key]]\nprovider = \"anthropic\"\ncommand = [\"no-such-program\"]\n",
            "no-such-program",
        ),
        keys(b"[[key]]\nkey = sk-secret\n", "not TOML"),
        Case {
            env: ("ANTHROPIC_API_KEY_1", " "),
            code: 3,
            ..line("keys list", "the key is blank", "unset it; `agent-runner help environment`")
        },
    ]);
}

/// A key file; [`check`] writes a configuration that names it.
const fn keys(text: &'static [u8], says: &'static str) -> Case {
    backlog("run -- RUN", ("keys.toml", text), says, "mend it, or name another file")
}

fn check_all(cases: &[Case]) {
    for case in cases {
        check(case);
    }
}

/// Does it wrong in a project that has a task already.
fn check(case: &Case) {
    let sandbox = sandbox();
    sandbox.write("old.txt", "an old task\n");
    sandbox.run(["import", "old.txt"]).exits(0);
    let before = tasks(&sandbox);
    sandbox.write("tasks.txt", "one\n");
    sandbox.write(case.file.0, case.file.1);
    if case.file.0 == "keys.toml" {
        sandbox.write("agent-runner.toml", "keys = \"keys.toml\"\n");
    }
    let args = case.args.replace("RUN", "touch ran");
    let call = sandbox.call(args.split(' ')).env(case.env.0, case.env.1).stdin(case.stdin);
    let output = call.run().exits(case.code).says("error: ").says(case.says);
    if !case.hint.is_empty() {
        let hints: Vec<_> =
            output.stderr.lines().filter(|line| line.starts_with("hint: ")).collect();
        assert!(hints.iter().any(|line| line.contains(case.hint)), "{:?}: {output}", case.hint);
    }
    assert_eq!(output.stdout, "", "data in spite of an error: {output}");
    assert!(!output.stderr.contains("secret"), "a secret is told: {output}");
    assert!(!sandbox.has("ran"), "an agent was run: {output}");
    assert_eq!(tasks(&sandbox), before, "the store was changed: {output}");
}

/// All tasks of the store with their states and attempts.
fn tasks(sandbox: &Sandbox) -> Vec<(String, i64, i64)> {
    let store = Connection::open(sandbox.path(".agent-runner/store.db")).expect("a store");
    let mut query = store.prepare("SELECT id, state, attempt FROM task").expect("a table");
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    rows.expect("the query runs").collect::<Result<_, _>>().expect("rows")
}
