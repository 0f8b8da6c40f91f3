//! Every mistake has a message with its place, and a hint where there is one to give.

use agent_runner_task_store::backlog::{self, BacklogErrors, Format};

/// Reads `text` as `tasks.EXTENSION`, and compares the message and the hint of its only error.
fn check(extension: &str, text: impl AsRef<[u8]>, message: &str, hint: &str) {
    let format = Format::from_extension(extension).expect("it is an extension");
    let errors = backlog::parse("tasks", format, text).expect_err(message);
    assert_eq!(errors.to_string(), format!("tasks:{message}"));
    let [error] = errors.errors() else { panic!("one error is expected: {errors}") };
    assert_eq!(error.hint().unwrap_or_default(), hint, "{message}");
}

const NOT_A_TASK: &str = "a task is an object with fields, or its prompt as text";
const QUOTES: &str = "put it in quotes";
const DURATION: &str = "write it like `90s`, `30m` or `1h 30m`, or as a number of seconds";

#[test]
fn of_fields() {
    for (fields, message, hint) in [
        (r#""promt": "a""#, "unknown field 'promt'", "did you mean `prompt`?"),
        (r#""Depends-On": "a""#, "unknown field 'Depends-On'", "did you mean `depends_on`?"),
        (r#""labels": ["a"]"#, "unknown field 'labels'", "did you mean `tags`?"),
        (
            r#""colour": "red""#,
            "unknown field 'colour'",
            "the fields are id, title, prompt, command, priority, depends_on, locks, touches, tags, \
             max_attempts, timeout, idle_timeout, memory, verify, expect_diff, not_before, payload",
        ),
        (r#""prompt": "a", "prompt": "b""#, "field 'prompt' is given twice", ""),
        (r#""prompt": "a", "description": "b""#, "field 'prompt' is given twice", ""),
        (
            r#""tags": ["a"], "title": " ""#,
            "the task has neither a prompt, a title nor a command",
            "say in `prompt` what there is to do",
        ),
        (r#""prompt": 1"#, "'prompt' should be text, not a number", ""),
        (r#""title": ["a"]"#, "'title' should be text, not a list", ""),
        (r#""id": 1.5"#, "'id' should be text or a whole number, not a fraction", QUOTES),
        (r#""id": true"#, "'id' should be text or a whole number, not true or false", QUOTES),
        (r#""id": """#, "bad 'id': a task id cannot be empty", ""),
        (
            r#""depends_on": ["a "]"#,
            "bad 'depends_on': task id \"a \" has a control character, or white space at an end",
            "",
        ),
        (r#""tags": [""]"#, "'tags' cannot be '': it is empty, or has white space at an end", ""),
        (r#""locks": [{}]"#, "'locks' should be text, not an object", ""),
        (r#""command": " ""#, "'command' cannot be ' ': there is no program in it", ""),
        (r#""verify": []"#, "'verify' cannot be '[]': there is no program in it", ""),
        (
            r#""command": 5"#,
            "'command' should be text for a shell, or a list of words, not a number",
            "",
        ),
        (
            r#""command": ["a", true]"#,
            "'command' should be a list of words, not true or false",
            QUOTES,
        ),
        (r#""expect_diff": "maybe""#, "'expect_diff' should be `true` or `false`, not text", ""),
        (
            r#""memory": "much""#,
            "'memory' cannot be 'much': it is not an amount of memory",
            "write it like `512M` or `4G`, or as a number of bytes",
        ),
        (
            r#""memory": 0"#,
            "'memory' cannot be '0': it has to be more than nothing",
            "write it like `512M` or `4G`, or as a number of bytes",
        ),
        (r#""priority": "high""#, "'priority' should be a whole number, not text", ""),
        (r#""priority": 0.5"#, "'priority' should be a whole number, not a fraction", ""),
        (r#""priority": 3000000000"#, "'priority' cannot be '3000000000': it is out of range", ""),
        (r#""attempts": 0"#, "'max_attempts' cannot be '0': a task needs at least one", ""),
        (r#""attempts": -1"#, "'max_attempts' cannot be '-1': it is out of range", ""),
        (r#""timeout": "soon""#, "'timeout' cannot be 'soon': it is not a duration", DURATION),
        (r#""timeout": "-5m""#, "'timeout' cannot be '-5m': it is not a duration", DURATION),
        (r#""timeout": -5"#, "'timeout' cannot be '-5': it is not a duration", DURATION),
        (
            r#""idle_timeout": "0s""#,
            "'idle_timeout' cannot be '0s': it has to be longer than nothing",
            DURATION,
        ),
        (r#""timeout": 1.5"#, "'timeout' should be a duration, not a fraction", DURATION),
        (
            r#""not_before": "2026-11-24""#,
            "'not_before' cannot be '2026-11-24': it is not a time with its zone",
            "write it like `2026-11-24T06:00:00Z` or `2026-11-24T06:00:00+01:00`",
        ),
    ] {
        check("jsonl", format!("\n{{{fields}}}\n"), &format!("2: {message}"), hint);
    }
}

#[test]
fn of_places() {
    check("jsonl", "\"a\"\n\n{\"promt\": 1}", "3: unknown field 'promt'", "did you mean `prompt`?");
    check(
        "json",
        "[{\"prompt\": \"a\"},\n {\"title\": \"b\",\n  \"timeout\": true}]",
        "3:14: 'timeout' should be a duration, not true or false",
        DURATION,
    );
    check(
        "yaml",
        "- prompt: a\n- title: b\n  tag:\n  - c\n",
        "3:3: unknown field 'tag'",
        "did you mean `tags`?",
    );
    check(
        "toml",
        "[[tasks]]\nprompt = 'a'\n\n[[tasks]]\nprompt = 'b'\ntimout = 5\n",
        "6:1: unknown field 'timout'",
        "did you mean `timeout`?",
    );
    check("csv", "id,promt\n1,a\n", "1: unknown field 'promt'", "did you mean `prompt`?");
    check(
        "csv",
        "prompt,timeout\na,1\nb,soon\n",
        "3: 'timeout' cannot be 'soon': it is not a duration",
        DURATION,
    );
    check(
        "md",
        "# Today\n\n- [ ] a\n- [ ] b {priorty=5}\n",
        "4: unknown field 'priorty'",
        "did you mean `priority`?",
    );
}

#[test]
fn of_ids_that_come_twice() {
    let hint = "give one of them another id, or leave it out";
    for (extension, text, place) in [
        ("jsonl", "{\"id\": 1, \"prompt\": \"a\"}\n{\"id\": \"1\", \"prompt\": \"b\"}\n", "2"),
        ("json", "[{\"id\": 1, \"prompt\": \"a\"},\n{\"id\": \"1\", \"prompt\": \"b\"}]", "2:1"),
        ("yaml", "- {id: 1, prompt: a}\n- {id: '1', prompt: b}\n", "2:3"),
        ("toml", "tasks = [{id = 1, prompt = 'a'},\n{id = '1', prompt = 'b'}]", "2:1"),
        ("md", "- [ ] a {#1}\n- [ ] b {#1}\n", "2"),
        ("md", "- [x] a {#1}\n- [ ] b {#1}\n", "2"),
    ] {
        let message = format!("{place}: task id '1' is used twice, first at line 1");
        check(extension, text, &message, hint);
    }
    check("csv", "id,prompt\n1,a\n1,b\n", "3: task id '1' is used twice, first at line 2", hint);
}

#[test]
fn of_json() {
    check(
        "json",
        "[\n  \"a\",\n]\n",
        "3:1: not valid JSON: trailing comma",
        "remove the comma before the closing bracket",
    );
    check(
        "json",
        "{\"prompt\": \"a\"}\n{\"prompt\": \"b\"}\n",
        "2:1: not valid JSON: trailing characters",
        "one object a line is JSON Lines: name the file `.jsonl`",
    );
    check("json", "[\"a\", 5]", "1:7: expected a task, found a number", NOT_A_TASK);
    check("json", "{\"tasks\": {}}", " expected a list of tasks, found an object", "");
    check("json", "5", " expected a list of tasks, found a number", "");
    check("json", "{\"taks\": []}", " unknown field 'taks'", "the tasks stand in `tasks`");
    check(
        "json",
        "{\"prompt\": \"a\"}",
        " unknown field 'prompt'",
        "a backlog is a list of tasks, or has that list in `tasks`",
    );
    check("json", "[\"a\"", "1:4: not valid JSON: EOF while parsing a list", "");
    check(
        "json",
        format!("[{{\"title\": \"a\", \"payload\": {}1{}}}]", "[".repeat(500), "]".repeat(500)),
        "1:28: not valid JSON: recursion limit exceeded",
        "",
    );
    check(
        "jsonl",
        "[",
        "1:1: not valid JSON Lines: EOF while parsing a list",
        "each line has to be a task; a `.json` file may span lines",
    );
    check(
        "jsonl",
        "{\"prompt\": \"a\"},",
        "1:16: not valid JSON Lines: trailing characters",
        "no comma stands between lines",
    );
}

#[test]
fn of_yaml() {
    check(
        "yaml",
        "tasks:\n  - prompt: a\n   - prompt: b\n",
        "3:4: not valid YAML: while parsing a block collection, did not find expected '-' indicator",
        "",
    );
    check(
        "yaml",
        "- a\n---\n- b\n",
        "3:1: not valid YAML: there is more than one document in it",
        "",
    );
    check("yaml", "- 5\n", "1:3: expected a task, found a number", NOT_A_TASK);
}

#[test]
fn of_yaml_bombs() {
    let level = |level: usize| match level {
        0 => "- &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned(),
        _ => format!("- &a{level} [{}]\n", format!("*a{}, ", level - 1).repeat(10)),
    };
    let exponential = (0..10).map(level).collect::<String>();
    let long = "x".repeat(100_000);
    let many = "*long, ".repeat(40_000);
    let quadratic = format!("- title: a\n  payload: [&long {long}, {many}]\n");
    for bomb in [exponential, quadratic] {
        let errors = backlog::parse("tasks", Format::Yaml, bomb).expect_err("it is a bomb");
        assert!(errors.to_string().contains(": refused: "), "{errors}");
    }
}

#[test]
fn of_toml() {
    check(
        "toml",
        "[[tasks]]\nprompt = a b\n",
        "2:10: not valid TOML: string values must be quoted, expected literal string",
        "",
    );
    check(
        "toml",
        "[tasks]\nprompt = 'a'\n",
        "1:2: expected a list of tasks, found a table",
        "write `[[tasks]]`",
    );
    check(
        "toml",
        "prompt = 'a'\n",
        "1:1: unknown field 'prompt'",
        "a backlog is a list of tasks, or has that list in `tasks`",
    );
    check("toml", "tasks = [5]\n", "1:10: expected a task, found a number", NOT_A_TASK);
}

#[test]
fn of_csv() {
    let cells = "put a cell that has the separator in it in double quotes";
    check("csv", "id,prompt\n1,a,b\n", "2: the row has 3 cells, the header has 2", cells);
    check("csv", "id,prompt\n1\n", "2: the row has 1 cells, the header has 2", cells);
    check("csv", "id,prompt,Id\n", "1: field 'id' is given twice", "");
    check(
        "csv",
        "id,prompt\n1,\"a\n2,b\n3,c\n",
        "2: not valid CSV: the row never ends",
        "is there a double quote that is never closed?",
    );
}

#[test]
fn of_encodings() {
    for (extension, text, place) in [
        ("json", "[\"a\",\n\"\u{e9}\"]", "2:2"),
        ("jsonl", "\"a\"\n\"\u{e9}\"\n", "2:2"),
        ("yaml", "- a\n- \u{e9}\n", "2:3"),
        ("toml", "tasks = [\n'\u{e9}']\n", "2:2"),
        ("csv", "prompt\na\u{e9}\n", "2"),
        ("md", "- [ ] a\n- [ ] \u{e9}\n", "2:7"),
        ("txt", "a\n\u{e9}\n", "2:1"),
    ] {
        let latin1: Vec<u8> =
            text.chars().map(|char| u8::try_from(char).expect("it is Latin-1")).collect();
        check(extension, latin1, &format!("{place}: not UTF-8 text"), "save it as UTF-8");
        let utf16: Vec<u8> = std::iter::once('\u{feff}')
            .chain(text.chars())
            .flat_map(|char| u16::try_from(char).expect("it is of one unit").to_le_bytes())
            .collect();
        let errors = Format::from_extension(extension)
            .map(|format| backlog::parse("tasks", format, utf16).expect_err("it is UTF-16"));
        let errors = errors.expect("it is an extension");
        assert_eq!(errors.errors().len(), 1, "{errors}");
        let hint = errors.errors()[0].hint();
        assert_eq!(hint, Some("it looks like UTF-16: save it as UTF-8"), "{extension}");
    }
}

#[test]
fn of_empty_backlogs() {
    for (extension, text, hint) in [
        ("json", " \n", ""),
        ("json", "[]", ""),
        ("json", "{\"tasks\": []}", ""),
        ("jsonl", "\n\n", ""),
        ("yaml", "# nothing\n", ""),
        ("yaml", "tasks:\n", ""),
        ("toml", "", "each task begins with `[[tasks]]`"),
        ("csv", "", "tasks are the rows below the header"),
        ("csv", "id,prompt\n,\n", "tasks are the rows below the header"),
        ("md", "# Nothing\n\n- to do\n", "tasks are checklist items: `- [ ] what to do`"),
        ("txt", "# nothing\n\n", ""),
    ] {
        check(extension, text, " there is no task in it", hint);
    }
}

#[test]
fn are_collected_up_to_a_limit() {
    let text = "{\"promt\": 1}\n".repeat(BacklogErrors::MAX);
    let errors = backlog::parse("t", Format::Jsonl, &text).expect_err("all are wrong");
    assert_eq!((errors.errors().len(), errors.is_truncated()), (BacklogErrors::MAX, false));
    let lines: Vec<_> = errors.errors().iter().filter_map(backlog::BacklogError::line).collect();
    assert_eq!(lines, (1..=BacklogErrors::MAX).collect::<Vec<_>>());
    let errors = backlog::parse("t", Format::Jsonl, text + "x\n").expect_err("all are wrong");
    assert_eq!((errors.errors().len(), errors.is_truncated()), (BacklogErrors::MAX, true));
}
