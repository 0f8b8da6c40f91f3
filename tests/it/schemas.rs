//! What the program prints is what `docs/schemas` promises.

use std::{collections::BTreeSet, fs, path::PathBuf, time::Duration};

use agent_runner_tests::{Provider, Sandbox, Signal, wait_until};
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::sandbox;

/// A file of `docs/schemas`.
pub(crate) struct Schema {
    name: &'static str,
    text: Value,
    validator: Validator,
}

impl Schema {
    pub(crate) fn new(name: &'static str) -> Self {
        let path = folder().join(format!("{name}.schema.json"));
        let text = fs::read_to_string(&path).expect("the schema is there");
        let text: Value = serde_json::from_str(&text).expect("a schema is JSON");
        let validator = jsonschema::draft202012::options()
            .should_validate_formats(true)
            .build(&text)
            .unwrap_or_else(|error| panic!("{name} is not a schema: {error}"));
        Self { name, text, validator }
    }

    #[track_caller]
    fn holds_all(&self, values: &[Value]) {
        for value in values {
            self.holds(value);
        }
    }

    #[track_caller]
    pub(crate) fn holds(&self, value: &Value) {
        let errors: Vec<_> = self
            .validator
            .iter_errors(value)
            .map(|e| format!("{} at {}", e, e.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{}: {errors:#?}\n{value:#}", self.name);
    }

    #[track_caller]
    fn refuses(&self, value: &Value) {
        assert!(!self.validator.is_valid(value), "{} should refuse {value:#}", self.name);
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/schemas")
}

/// A task that uses every field, and one that uses none.
const BACKLOG: &str = r#"{"tasks": [
    {"id": "full", "title": "a title", "prompt": "succeed", "command": ["fake-agent", "succeed"],
     "priority": 5, "depends_on": ["first"], "locks": ["git"], "tags": ["a", "b"], "max_attempts": 2,
     "timeout": "1m", "idle_timeout": 30, "memory": "1G", "verify": "true", "expect_diff": false, "not_before": "2026-01-01T00:00:00Z",
     "payload": {"any": ["thing", 1, null]}},
    {"id": "first", "prompt": "succeed"},
    {"id": "bad", "prompt": "fail-always", "max_attempts": 1},
    {"id": "crash", "prompt": "crash-once"},
    "throttle-once"
]}"#;

#[test]
fn outputs_of_the_commands() {
    let sandbox = sandbox();
    sandbox.write("tasks.json", BACKLOG);
    let json = |args: &[&str]| {
        let args = ["--json"].iter().chain(args).copied();
        sandbox.call(args).env("ANTHROPIC_API_KEY_1", "sk-ant-1234567890abcdef").run()
    };
    let backlog = serde_json::from_str(BACKLOG).expect("JSON");
    Schema::new("backlog").holds(&backlog);
    for line in json(&["run", "-n", "tasks.json", "--", "fake-agent", "{{prompt}}"]).json_lines() {
        Schema::new("plan").holds(&line);
    }
    Schema::new("import").holds(&json(&["import", "tasks.json"]).exits(0).json());
    Schema::new("add").holds(&json(&["add", "one more"]).exits(0).json());
    Schema::new("change").holds(&json(&["cancel", "1"]).exits(0).json());
    check_tasks(&sandbox);
    let run = json(&["run", "--retry-delay", "1ms", "--", "fake-agent", "{{prompt}}"]).exits(100);
    let event = Schema::new("event");
    event.holds_all(&run.json_lines());
    check_tasks(&sandbox);
    Schema::new("change").holds(&json(&["retry", "bad"]).exits(0).json());
    Schema::new("doctor").holds_all(&json(&["doctor"]).json_lines());
    let keys = json(&["keys", "list"]).exits(0).json_lines();
    assert_eq!(keys.len(), 1);
    Schema::new("key").holds_all(&keys);
    let exported = json(&["export", "--format", "json"]).exits(0).json();
    assert_eq!(exported.as_array().map(Vec::len), Some(6), "{exported}");
    Schema::new("backlog").holds(&exported);
    let lines = json(&["export", "--format", "jsonl"]).exits(0).json_lines();
    Schema::new("backlog").holds(&Value::Array(lines));
}

fn check_tasks(sandbox: &Sandbox) {
    Schema::new("status").holds(&sandbox.status());
    let (task, show) = (Schema::new("task"), Schema::new("show"));
    for line in sandbox.list() {
        task.holds(&line);
        show.holds(&sandbox.show(line["id"].as_str().expect("an id")));
    }
}

#[test]
fn a_running_task_its_lock_and_the_file_it_is_given() {
    let sandbox = sandbox();
    sandbox.write("tasks.txt", "one\n");
    let mut run = sandbox.call_fake(["tasks.txt"], "gate").start();
    sandbox.wait_for("1.1.begun");
    let status = sandbox.status();
    assert_eq!(status["running"].as_array().map(Vec::len), Some(1), "{status}");
    check_tasks(&sandbox);
    let locks = sandbox.run(["locks", "list", "--json"]).exits(0).json_lines();
    assert_eq!(locks.len(), 1);
    Schema::new("lock").holds_all(&locks);
    let holder = &status["running"][0];
    let (run_name, worker) = (holder["run"].as_str().expect("a name"), &holder["worker"]);
    let file = sandbox.read(format!(".agent-runner/desks/{run_name}/{worker}.task.json"));
    Schema::new("task").holds(&serde_json::from_str(&file).expect("JSON"));
    let cleaned = sandbox.run(["locks", "clean", "--json"]).exits(0).json();
    assert_eq!(cleaned["held"].as_array().map(Vec::len), Some(1), "{cleaned}");
    Schema::new("locks-clean").holds(&cleaned);
    run.signal(Signal::KILL);
    run.wait();
    let orphaned = sandbox.run(["locks", "list", "--json"]).exits(0).json_lines();
    Schema::new("lock").holds_all(&orphaned);
    Schema::new("status").holds(&sandbox.status());
    let shown = sandbox.run(["locks", "show", "1", "--json"]).exits(0).json();
    assert_eq!(shown["keepers"][0]["command"], "fake-agent", "{shown}");
    Schema::new("lock").holds(&shown);
    Schema::new("locks-clean").holds(&sandbox.run(["locks", "clean", "--json"]).exits(0).json());
}

#[test]
fn locks_of_resources() {
    let sandbox = sandbox();
    let list = "agent-runner locks list --json; agent-runner locks show db --json";
    let held = sandbox
        .call(["locks", "run", "db", "--touches", "src/**", "--shared", "--", "sh", "-c", list])
        .run()
        .exits(0)
        .json_lines();
    assert_eq!(held.len(), 2);
    assert_eq!(held[0]["resources"][1]["paths"], "src/**");
    Schema::new("lock").holds_all(&held);
}

/// Several runs that provoke everything that can be told.
#[test]
fn every_kind_of_event() {
    let schema = Schema::new("event");
    let mut seen = BTreeSet::new();
    let mut see = |events: Vec<Value>| {
        for event in events {
            schema.holds(&event);
            seen.insert(event["event"].as_str().expect("a name").to_owned());
        }
    };
    see(rescued_and_stopped());
    see(keys_rest());
    see(workers_are_given_up());
    see(claim_is_lost());
    see(starts_are_held());
    see(work_is_saved());
    see(keys_are_used());
    let known: BTreeSet<_> = schema.text["$defs"]
        .as_object()
        .expect("definitions")
        .keys()
        .filter(|name| *name != "counts")
        .cloned()
        .collect();
    assert_eq!(seen, known, "the kinds that were told and the kinds that the schema knows");
}

fn keys_are_used() -> Vec<Value> {
    let (sandbox, provider) = (sandbox(), Provider::start());
    sandbox.write_tasks(1);
    let run = sandbox.call_fake(["tasks.txt", "--gateway", "on"], "ask 1");
    let run = run.env("ANTHROPIC_API_KEY", "sk-ant-0123456789-one");
    run.env("ANTHROPIC_BASE_URL", provider.url()).run().exits(0).json_lines()
}

fn rescued_and_stopped() -> Vec<Value> {
    let sandbox = sandbox();
    sandbox.write("tasks.txt", "one\ntwo\n");
    let mut first = sandbox.call_fake(["tasks.txt", "-j", "1"], "gate").start();
    sandbox.wait_for("1.1.begun");
    first.signal(Signal::KILL);
    first.wait();
    let mut waits =
        sandbox.call_fake(["-j", "1", "--orphans", "wait", "--limit", "1"], "gate").start();
    let orphaned = waits.event_named("task_orphaned");
    waits.signal(Signal::KILL);
    let mut second = sandbox.call_fake(["-j", "1"], "gate").start();
    sandbox.wait_for("1.2.begun");
    second.signal(Signal::INT);
    second.event_named("stopping");
    sandbox.write("open", "");
    let mut events = second.wait().exits(130).json_lines();
    events.push(orphaned);
    events
}

fn keys_rest() -> Vec<Value> {
    let sandbox = sandbox();
    sandbox.write("tasks.txt", "one\ntwo\n");
    sandbox
        .call_fake(["tasks.txt", "-j", "1", "--no-wait-keys"], "by-key")
        .env("ANTHROPIC_API_KEY_1", "sk-ant-1111111111-throttled")
        .env("ANTHROPIC_API_KEY_2", "sk-ant-2222222222-revoked")
        .run()
        .exits(6)
        .json_lines()
}

fn workers_are_given_up() -> Vec<Value> {
    let sandbox = sandbox();
    sandbox.write_tasks(40);
    sandbox.run_fake(["tasks.txt", "-j", "1"], "crash").exits(5).json_lines()
}

fn starts_are_held() -> Vec<Value> {
    let sandbox = sandbox();
    sandbox.write("tasks.txt", "one\ntwo\n");
    let flags = ["tasks.txt", "-j", "2", "--adaptive", "--min-free-memory", "1000T"];
    let run = sandbox.call_fake(flags, "gate").start();
    run.event_named("starts_held");
    sandbox.write("open", "");
    run.wait().exits(0).json_lines()
}

/// A runner is killed whose agent had a worktree.
fn work_is_saved() -> Vec<Value> {
    let sandbox = sandbox();
    sandbox.repository();
    sandbox.write("tasks.txt", "one\n");
    let flags = ["tasks.txt", "--isolate", "worktree"];
    let script = "echo x > new; touch \"$AGENT_RUNNER_ROOT/begun.$AGENT_RUNNER_ATTEMPT\"; test $AGENT_RUNNER_ATTEMPT = 2 || sleep 100";
    let agent = ["run", "--json", "--retry-delay", "1ms", "--shell"];
    let call = || sandbox.call(agent).args(flags).args(["--", script]);
    let mut first = call().start();
    sandbox.wait_for("begun.1");
    first.signal(Signal::KILL);
    first.wait();
    let list = || sandbox.run(["worktrees", "list", "--json"]).exits(0).json_lines();
    Schema::new("worktree").holds_all(&list());
    let events = call().run().exits(0).json_lines();
    Schema::new("worktree").holds_all(&list());
    check_tasks(&sandbox);
    let collected = sandbox.run(["worktrees", "gc", "--json"]).exits(0).json();
    Schema::new("worktrees-gc").holds(&collected);
    assert_eq!(collected["kept"][0]["because"], "unmerged", "{collected}");
    events
}

/// Somebody takes the claim away while the agent works.
fn claim_is_lost() -> Vec<Value> {
    let sandbox = sandbox();
    sandbox.write("tasks.txt", "one\n");
    let run = sandbox.call_fake(["tasks.txt", "-j", "1"], "gate").start();
    sandbox.wait_for("1.1.begun");
    let store = rusqlite::Connection::open(sandbox.path(".agent-runner/store.db"));
    let store = store.expect("the store is SQLite");
    store.busy_timeout(Duration::from_secs(10)).expect("it can wait");
    store.execute("UPDATE task SET lease_until = 0", ()).expect("the lease can be ended");
    wait_until("the task to be taken back", || sandbox.status()["counts"]["running"] == 0);
    sandbox.write("open", "");
    let lost = run.event_named("claim_lost");
    assert_eq!(lost["task"], "1");
    run.wait().json_lines()
}

#[test]
fn what_is_not_promised_is_refused() {
    let sandbox = sandbox();
    sandbox.write("tasks.json", BACKLOG);
    sandbox.run(["import", "tasks.json"]).exits(0);
    let with = |value: &Value, name: &str, new: Value| {
        let mut value = value.clone();
        value[name] = new;
        value
    };
    let task = &sandbox.list()[0];
    Schema::new("task").refuses(&with(task, "surprise", json!(1)));
    Schema::new("task").refuses(&with(task, "status", json!("done")));
    let status = sandbox.status();
    Schema::new("status").refuses(&with(&status, "total", json!(-1)));
    Schema::new("backlog").refuses(&json!([{ "prompt": "p", "priorty": 1 }]));
    Schema::new("backlog").refuses(&json!([{ "id": "no prompt" }]));
    Schema::new("event").refuses(&json!({ "event": "task_started" }));
}

#[test]
fn every_schema_is_named_on_the_page_and_is_strict() {
    let page = fs::read_to_string(folder().join("README.md")).expect("a page");
    for entry in fs::read_dir(folder()).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
        if let Some(stem) = name.strip_suffix(".schema.json") {
            assert!(page.contains(name), "{name} is not in README.md");
            let text = fs::read_to_string(&path).expect("a schema");
            let schema: Value = serde_json::from_str(&text).expect("JSON");
            let id = schema["$id"].as_str().expect("an id");
            assert!(id.ends_with(&format!("/{stem}.schema.json")), "{id}");
            assert_strict(&schema, name);
        }
    }
}

/// An object with named properties has no others.
fn assert_strict(schema: &Value, name: &str) {
    match schema {
        Value::Object(object) => {
            if object.get("properties").is_some_and(Value::is_object) {
                assert_eq!(object["additionalProperties"], false, "{name}: {schema}");
            }
            object.values().for_each(|value| assert_strict(value, name));
        }
        Value::Array(list) => list.iter().for_each(|value| assert_strict(value, name)),
        _ => {}
    }
}
