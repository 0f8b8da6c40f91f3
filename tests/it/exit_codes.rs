//! Every exit code that the table promises, provoked. 130 and 143 are in `signals`; 1 needs a bug.

use std::time::Duration;

use crate::sandbox;

#[test]
fn success_is_0() {
    let sandbox = sandbox();
    sandbox.write("tasks.txt", "one\n");
    sandbox.run_fake(["tasks.txt"], "succeed").exits(0);
    sandbox.run(["run", "--empty", "ok", "-C", "..", "--", "true"]).exits(0).says("nothing to do");
}

#[test]
fn a_wrong_command_line_is_2() {
    let sandbox = sandbox();
    sandbox.write("tasks.txt", "one\n");
    sandbox.run(["run", "--jbos", "3"]).exits(2).says("--jbos");
    sandbox.run(["run", "--jobs", "0", "tasks.txt"]).exits(2);
    sandbox.run(["run", "tasks.txt"]).exits(2).says("there is no agent");
    sandbox.run(["run", "tasks.txt", "--", "true", "{{promt}}"]).says("promt");
    sandbox.run(["frobnicate"]).exits(2);
    sandbox.run(["retry"]).exits(2);
    sandbox.run(["--store", "redis://localhost", "list"]).exits(2).says("redis://localhost");
}

#[test]
fn a_backlog_or_store_that_cannot_be_used_is_3_and_nothing_is_run() {
    let sandbox = sandbox();
    sandbox.run(["status"]).exits(3).says("there is no task store").says("hint:");
    sandbox.run_fake(["missing.md"], "succeed").exits(3).says("missing.md");
    sandbox.write("bad.json", r#"[{"prompt": "succeed"}, {"promt": "x"}]"#);
    let output = sandbox.run_fake(["bad.json"], "write-file").exits(3);
    output.says("bad.json:1").says("did you mean `prompt`?");
    assert!(!sandbox.has("1.txt"), "nothing was run");
    sandbox.write("good.txt", "succeed\n");
    sandbox.run(["run", "good.txt", "--", "no-such-program"]).exits(3).says("no-such-program");
    sandbox.write("agent-runner.toml", "jbos = 3\n");
    sandbox.run(["list"]).exits(3).says("agent-runner.toml:1").says("did you mean `jobs`?");
}

#[test]
fn no_task_at_all_is_4() {
    let sandbox = sandbox();
    sandbox.run_fake([""; 0], "succeed").exits(4).says("nothing to do").says("hint:");
    sandbox.run_fake(["--empty", "ok"], "succeed").exits(0);
    // A backlog without a task is nothing wrong by itself, and a tag that nothing has is a slip.
    sandbox.write("empty.txt", "# nothing today\n");
    sandbox
        .run(["run", "empty.txt", "--", "true"])
        .exits(4)
        .says("there is no task in 'empty.txt'");
    sandbox.run(["run", "empty.txt", "--empty", "ok", "--", "true"]).exits(0);
    sandbox.write("tasks.txt", "one\n");
    sandbox
        .run(["run", "tasks.txt", "--tag", "wbe", "--", "true"])
        .exits(4)
        .says("no task with the tag 'wbe'");
}

#[test]
fn tasks_that_are_left_are_5() {
    let sandbox = sandbox();
    sandbox.write("tasks.txt", "one\ntwo\n");
    sandbox.run_fake(["tasks.txt", "--limit", "1"], "succeed").exits(5);
    // What depends on a task that failed can never be run.
    let sandbox = crate::sandbox();
    let tasks = r#"[{"id": "a", "prompt": "a"}, {"id": "b", "prompt": "b", "depends_on": ["a"]}]"#;
    sandbox.write("tasks.json", tasks);
    sandbox.run_fake(["tasks.json", "--attempts", "1"], "fail-always").exits(100);
    assert_eq!(sandbox.counts().get("waiting"), Some(&1));
}

#[test]
fn no_key_is_6() {
    let sandbox = sandbox();
    sandbox.write("tasks.txt", "one\n");
    let refused = sandbox.run_fake(["tasks.txt"], "auth").exits(6);
    assert_eq!(refused.events("keys_exhausted").len(), 1, "{refused}");
    assert_eq!(sandbox.outcomes("1"), ["auth"]);
    assert_eq!(sandbox.show("1")["failures"], 0, "a refused key is not the task's failure");
}

#[test]
fn a_store_in_use_on_another_host_is_7() {
    let sandbox = sandbox();
    sandbox.write("tasks.txt", "one\n");
    let run = sandbox.call_fake(["tasks.txt"], "gate").start();
    sandbox.wait_for("1.1.begun");
    let store = rusqlite::Connection::open(sandbox.path(".agent-runner/store.db"));
    let store = store.expect("the store is SQLite");
    store.busy_timeout(Duration::from_secs(10)).expect("it can wait");
    store.execute("UPDATE worker SET host = 'elsewhere'", ()).expect("the host can be changed");
    sandbox.run_fake([""; 0], "gate").exits(7).says("on host elsewhere").says("hint:");
    sandbox.write("open", "");
    run.wait().exits(0);
}

#[test]
fn something_that_will_not_work_is_8() {
    let sandbox = sandbox();
    sandbox.run(["doctor"]).exits(0);
    sandbox.write("agent-runner.toml", "command = [\"no-such-agent\", \"{{prompt}}\"]\n");
    sandbox.run(["doctor"]).exits(8).prints("no-such-agent").prints("fix:");
}

#[test]
fn failed_tasks_are_100() {
    let sandbox = sandbox();
    sandbox.write("tasks.txt", "fail-always\nsucceed\n");
    sandbox.run_fake(["tasks.txt"], "prompt").exits(100);
}

#[test]
fn the_page_lists_them() {
    let sandbox = sandbox();
    let page = sandbox.run(["help", "exit-codes"]).exits(0).stdout;
    let codes: Vec<_> = page.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(codes, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "100", "130", "143"]);
}
