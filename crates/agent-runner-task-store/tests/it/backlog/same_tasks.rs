//! The same tasks in every format.

use std::{path::PathBuf, time::Duration};

use agent_runner_task_store::{
    CommandLine, NewTask, TaskId,
    backlog::{self, Format},
};
use serde_json::json;

use super::tasks;

fn fixture(name: &str) -> PathBuf {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests");
    tests.join("it/backlog/fixtures").join(name)
}

fn read(name: &str) -> Vec<NewTask> {
    let path = fixture(name);
    let source = path.display().to_string();
    let mut tasks = Vec::new();
    for task in backlog::open(&path, None).expect("the fixture is there") {
        let mut task = task.expect("the fixture is well-formed");
        assert_eq!(task.source.take().as_deref(), Some(source.as_str()));
        tasks.push(task);
    }
    tasks
}

fn id(id: &str) -> TaskId {
    TaskId::new(id).expect("it is a name")
}

fn expected() -> Vec<NewTask> {
    let shell = |line: &str| Some(CommandLine::Shell(line.into()));
    let argv = |words: &[&str]| {
        Some(CommandLine::Argv(words.iter().map(|&word| word.to_owned()).collect()))
    };
    let at_six = "2026-11-24T06:00:00Z".parse::<jiff::Timestamp>().expect("it is a time");
    vec![
        NewTask {
            id: Some(id("login")),
            title: "Stop the login from timing out".into(),
            prompt: "Sessions end after 30 s when the clock of the database is behind.\n\n\
                     Compare instants of one clock only, and add a test that moves the clock.\n"
                .into(),
            priority: 10,
            tags: vec!["backend".into(), "bug".into()],
            locks: vec!["database".into()],
            touches: vec!["src/session/**".into(), "tests/{session,login}.rs".into()],
            verify: shell("cargo test -p session"),
            timeout: Some(Duration::from_secs(90 * 60)),
            ..NewTask::default()
        },
        NewTask {
            id: Some(id("42")),
            title: "Upgrade the HTTP client to its new major version".into(),
            prompt: "Upgrade the HTTP client to its new major version".into(),
            depends_on: vec![id("login")],
            max_attempts: Some(2),
            idle_timeout: Some(Duration::from_secs(300)),
            memory: Some(4 << 30),
            verify: argv(&["cargo", "test", "--workspace"]),
            expect_diff: Some(true),
            ..NewTask::default()
        },
        NewTask {
            id: Some(id("docs/api")),
            title: "Generate the API pages".into(),
            prompt: "Generate the API pages".into(),
            command: shell("make docs && git diff --exit-code docs/"),
            depends_on: vec![id("login"), id("42")],
            not_before: Some(at_six.try_into().expect("the system knows 2026")),
            payload: json!({ "pages": 12, "languages": ["en", "de"], "draft": false }),
            ..NewTask::default()
        },
        NewTask {
            title: "Übersetze die Fehlermeldungen ins Deutsche".into(),
            prompt: "Übersetze die Fehlermeldungen ins Deutsche".into(),
            touches: vec!["[!a]*.po".into()],
            tags: vec!["docs".into()],
            ..NewTask::default()
        },
    ]
}

#[test]
fn every_structured_format_says_the_same() {
    let mut keys = Vec::new();
    for name in ["tasks.json", "tasks.jsonl", "tasks.yaml", "tasks.toml", "tasks.csv"] {
        let mut tasks = read(name);
        keys.push(tasks[3].key.take().expect("a task without an id has a key"));
        assert_eq!(tasks, expected(), "{name}");
    }
    keys.dedup();
    assert_eq!(keys.len(), 1, "the key of a task does not depend on the format");
}

#[test]
fn every_format_is_written_as_it_is_read() {
    for format in Format::ALL.into_iter().filter(|&format| format != Format::Lines) {
        let mut text = Vec::new();
        backlog::write(format, &expected(), &mut text).expect("memory takes all");
        let mut tasks = tasks(format, &text);
        for task in &mut tasks {
            (task.key, task.source) = (None, None);
        }
        assert_eq!(tasks, expected(), "{format}:\n{}", String::from_utf8_lossy(&text));
    }
}

#[test]
fn lines_are_prompts() {
    let tasks = read("tasks.txt");
    assert_eq!(
        super::prompts(&tasks),
        [
            "Fix the typo in the README",
            "Remove the unused feature `legacy`",
            "Replace {name} in templates, then run the tests",
        ]
    );
    let mut text = Vec::new();
    backlog::write(Format::Lines, &tasks, &mut text).expect("these are plain");
    assert_eq!(super::tasks(Format::Lines, &text).len(), 3);
    let of_prompt = |prompt: &str| NewTask {
        title: prompt.lines().next().unwrap_or_default().trim().into(),
        prompt: prompt.into(),
        ..NewTask::default()
    };
    let mut without_words = expected();
    without_words.extend(["# a comment", "two\nlines", " ", "\u{feff}a mark"].map(of_prompt));
    for task in &without_words {
        let error = backlog::write(Format::Lines, [task], &mut text);
        let error = error.expect_err("a plain line is a prompt of one line and nothing else");
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    }
}

#[test]
fn a_checklist_is_read_as_people_see_it() {
    let tasks = read("tasks.md");
    let ids: Vec<_> = tasks.iter().map(|task| task.id.as_ref().map(TaskId::as_str)).collect();
    assert_eq!(ids, [Some("login"), Some("42"), None, None, None]);
    assert_eq!(
        tasks[0].prompt,
        "Stop the login from timing out\n\
         \n\
         Sessions end after 30 s when the clock of the database is behind.\n\
         \n\
         1. Compare instants of one clock only.\n\
         2. Add a test that moves the clock:\n\
         \n\
         \x20  ```rust\n\
         \x20  clock.advance(Duration::from_secs(60));\n\
         \x20  ```"
    );
    assert_eq!(tasks[0].title, "Stop the login from timing out");
    assert_eq!(tasks[0].tags, ["backend", "bug"]);
    assert_eq!(tasks[0].priority, 10);
    assert_eq!(tasks[0].touches, ["src/session/**", "tests/{session,login}.rs"]);
    assert_eq!(tasks[1].depends_on, [id("login")]);
    assert_eq!(tasks[1].touches, ["Cargo.*"]);
    assert_eq!(tasks[1].verify, Some(CommandLine::Shell("cargo test --workspace".into())));
    assert_eq!(tasks[2].prompt, "Replace `{name}` in templates");
    assert_eq!(tasks[3].prompt, "Write to the people who\nquoted us");
    assert_eq!(tasks[4].prompt, tasks[2].prompt);
    assert_ne!(tasks[4].key, tasks[2].key, "the same words twice are two tasks");
}

#[test]
fn words_of_a_cell_are_split_at_semicolons_or_else_at_spaces() {
    for (cell, tags) in [
        ("a", vec!["a"]),
        ("a b", vec!["a", "b"]),
        ("a;b c; d ;", vec!["a", "b c", "d"]),
        ("two words;", vec!["two words"]),
        ("\"[\"\"a;b\"\", \"\"c\"\"]\"", vec!["a;b", "c"]),
        ("[draft]", vec!["[draft]"]),
    ] {
        let text = format!("prompt,tags\nx,{cell}\n");
        assert_eq!(tasks(Format::Csv, text)[0].tags, tags, "{cell}");
    }
}

#[test]
fn a_command_of_a_cell_is_a_list_when_it_is_one_in_json() {
    let shell = |line: &str| CommandLine::Shell(line.into());
    for (cell, command) in [
        ("make docs", shell("make docs")),
        ("[ -f x ] && rm x", shell("[ -f x ] && rm x")),
        ("\"[\"\"make\"\", \"\"-j\"\", 8]\"", {
            CommandLine::Argv(["make", "-j", "8"].map(str::to_owned).to_vec())
        }),
    ] {
        let text = format!("title,command\nx,{cell}\n");
        assert_eq!(tasks(Format::Csv, text)[0].command, Some(command), "{cell}");
    }
}

#[test]
fn what_is_left_out_is_filled_in() {
    for (text, title, prompt) in [
        (r#"{"prompt": "\n  Fix it. \n\nAll of it."}"#, "Fix it.", "\n  Fix it. \n\nAll of it."),
        (r#"{"title": "Fix it"}"#, "Fix it", "Fix it"),
        (r#"{"title": " Fix\n it ", "prompt": " "}"#, "Fix it", "Fix it"),
        (r#"{"command": "make\nmake install"}"#, "make", "make"),
        (r#"{"command": ["make", "install"], "title": null}"#, "make install", "make install"),
        (r#""Fix it""#, "Fix it", "Fix it"),
    ] {
        let tasks = tasks(Format::Jsonl, text);
        assert_eq!((tasks[0].title.as_str(), tasks[0].prompt.as_str()), (title, prompt), "{text}");
    }
}

#[test]
fn an_id_is_as_it_is_written() {
    for (format, text, expected) in [
        (Format::Json, r#"[{"id": 18446744073709551615, "prompt": "x"}]"#, "18446744073709551615"),
        (Format::Json, r#"[{"id": -7, "prompt": "x"}]"#, "-7"),
        (Format::Yaml, "- {id: 007, prompt: x}", "007"),
        (Format::Yaml, "- {id: 1_000, prompt: x}", "1_000"),
        (Format::Yaml, "- {id: no, prompt: x}", "no"),
        (Format::Toml, "[[task]]\nid = 7\nprompt = 'x'", "7"),
        (Format::Csv, "id,prompt\n 007 ,x", "007"),
        (Format::Csv, "id;prompt\n1,5;x", "1,5"),
        (Format::Csv, "Id\tPrompt\na b\tx", "a b"),
        (Format::Markdown, "- [ ] x {#T-12}", "T-12"),
        (Format::Markdown, "- [ ] x {#\"T 12\"}", "T 12"),
    ] {
        assert_eq!(tasks(format, text)[0].id, Some(id(expected)), "{text}");
    }
}
