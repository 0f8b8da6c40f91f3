//! The commands around `run`.

use std::collections::BTreeSet;

use agent_runner_tests::{Sandbox, wait_until};
use serde_json::Value;

use crate::sandbox;

fn failed_and_done() -> Sandbox {
    let sandbox = sandbox();
    sandbox.write(
        "tasks.csv",
        "id,prompt,tags\nbad,fail-always,x\ngood,succeed,y\nworse,fail-always,z\n",
    );
    sandbox.run_fake(["tasks.csv", "--attempts", "2"], "prompt").exits(100);
    sandbox
}

#[test]
fn retry_gives_failed_tasks_all_their_attempts_again() {
    let sandbox = failed_and_done();
    sandbox.run(["retry", "bad"]).exits(0).says("1 task pending again");
    let task = sandbox.show("bad");
    assert_eq!((&task["status"], &task["failures"]), (&"pending".into(), &0.into()), "{task}");
    sandbox.run(["retry", "--failed"]).exits(0).says("1 task");
    assert_eq!(sandbox.counts().get("pending"), Some(&2));
    sandbox.run_fake(["--attempts", "2"], "prompt").exits(100);
    assert_eq!(sandbox.outcomes("bad"), ["task_failed"; 4], "old attempts stay on record");
    sandbox.run(["retry", "--failed", "--tag", "z"]).exits(0).says("1 task");
    sandbox.run(["retry", "good"]).exits(0);
    assert_eq!(sandbox.show("good")["status"], "pending", "a task that is done can be done again");
    sandbox.run(["retry", "nobody"]).exits(2).says("nobody");
}

#[test]
fn cancel_takes_tasks_out() {
    let sandbox = sandbox();
    sandbox.write("tasks.csv", "id,prompt,tags\na,succeed,x\nb,succeed,y\nc,succeed,y\n");
    sandbox.run(["import", "tasks.csv"]).exits(0);
    sandbox.run(["cancel", "a"]).exits(0).says("1 task cancelled");
    sandbox.run(["cancel", "--tag", "y"]).exits(0).says("2 tasks cancelled");
    let output = sandbox.run_fake([""; 0], "prompt").exits(0);
    assert_eq!(output.summary()["attempts"], 0);
    assert_eq!(sandbox.counts().get("cancelled"), Some(&3));
    sandbox.run(["cancel"]).exits(2);
}

#[test]
fn cancel_ends_the_agent_of_a_running_task() {
    let sandbox = sandbox();
    sandbox.write("tasks.txt", "one\n");
    let run = sandbox.call_fake(["tasks.txt", "--grace", "1s"], "hang").start();
    sandbox.wait_for("1.hangs");
    sandbox.run(["cancel", "1"]).exits(0).says("stops when its runner next looks");
    let output = run.wait().exits(0);
    assert_eq!(sandbox.outcomes("1"), ["cancelled"], "{output}");
    assert_eq!(sandbox.counts().get("cancelled"), Some(&1));
}

#[test]
fn what_is_exported_is_the_same_when_it_is_imported() {
    let sandbox = sandbox();
    let full = r#"[{"id": "x", "title": "T", "prompt": "P, \"quoted\";\n  second line", "command": ["a", "b c"],
        "priority": 3, "depends_on": ["y"], "locks": ["l"], "tags": ["t", "u"], "max_attempts": 2,
        "timeout": "1m 30s", "idle_timeout": 5, "memory": "1536M", "verify": "v", "expect_diff": false,
        "not_before": "2027-01-01T00:00:00Z", "payload": {"k": [1, "two"]}}, {"id": "y", "prompt": "only a prompt"}]"#;
    sandbox.write("tasks.json", full);
    sandbox.run(["import", "tasks.json"]).exits(0);
    let comparable = |store: &str| {
        let lines = sandbox.run(["list", "--json", "--store", store]).exits(0).json_lines();
        let strip = |mut task: Value| {
            for changing in ["source", "created_at"] {
                task[changing].take();
            }
            task
        };
        lines.into_iter().map(strip).collect::<Vec<_>>()
    };
    let original = comparable("sqlite:.agent-runner/store.db");
    for name in ["a.json", "a.jsonl", "a.yaml", "a.toml", "a.csv", "a.md"] {
        sandbox.run(["export", "-o", name]).exits(0).says("2 tasks written");
        let store = format!("sqlite:{name}.db");
        sandbox.run(["import", name, "--store", &store]).exits(0);
        assert_eq!(comparable(&store), original, "{name}: {}", sandbox.read(name));
    }
    let lines = sandbox.run(["export", "--status", "waiting"]).exits(0).json_lines();
    assert_eq!(lines.len(), 1, "only `x` waits, for `y`");
}

#[test]
fn every_format_comes_in_through_stdin() {
    for (format, text) in [
        ("json", r#"["one", "two"]"#),
        ("jsonl", "{\"prompt\": \"one\"}\n{\"prompt\": \"two\"}\n"),
        ("yaml", "- one\n- prompt: two\n"),
        ("toml", "[[tasks]]\nprompt = \"one\"\n[[tasks]]\nprompt = \"two\"\n"),
        ("csv", "prompt\none\ntwo\n"),
        ("md", "# To do\n- [ ] one\n- [x] done before\n- [ ] two\n"),
        ("txt", "one\ntwo\n"),
    ] {
        let sandbox = sandbox();
        sandbox.call(["import", "-", "--format", format]).stdin(text).run().exits(0);
        let prompts: Vec<_> =
            sandbox.list().iter().map(|task| task["prompt"].to_string()).collect();
        assert_eq!(prompts, ["\"one\"", "\"two\""], "{format}");
    }
    let sandbox = sandbox();
    sandbox.call(["run", "-", "--", "true"]).stdin("- [ ] one\n- [ ] two\n").run().exits(0);
    assert_eq!(sandbox.counts().get("succeeded"), Some(&2));
    sandbox.call(["add", "-"]).stdin("a prompt\nof two lines\n").run().exits(0);
    assert_eq!(sandbox.show("3")["prompt"], "a prompt\nof two lines");
}

#[test]
fn logs_prints_an_attempt_or_its_path() {
    let sandbox = failed_and_done();
    sandbox.run(["logs", "good"]).exits(0).prints("all done");
    let path = sandbox.run(["logs", "bad", "--attempt", "1", "--path"]).exits(0).stdout;
    assert!(path.ends_with(".agent-runner/logs/bad/1.log\n"), "{path}");
    sandbox.run(["logs", "bad", "--attempt", "9"]).exits(2).says("there is no attempt 9");
    sandbox.run(["logs", "nobody"]).exits(2).says("there is no task 'nobody'");
}

#[test]
fn locks_are_listed_and_a_held_one_is_never_cleaned_away() {
    let sandbox = sandbox();
    sandbox.write("tasks.txt", "one\n");
    let run = sandbox.call_fake(["tasks.txt"], "gate").start();
    sandbox.wait_for("1.1.begun");
    let locks = sandbox.run(["locks", "list", "--json"]).exits(0).json_lines();
    assert_eq!(locks.len(), 1);
    assert_eq!((&locks[0]["key"], &locks[0]["state"]), (&"1".into(), &"held".into()));
    assert_eq!(locks[0]["info"]["pid"], run.pid());
    sandbox.run(["locks", "clean"]).exits(0).says("0 removed, 1 held");
    sandbox.write("open", "");
    run.wait().exits(0);
    sandbox.run(["locks", "list"]).exits(0).says("there is no lock");
}

#[test]
fn a_store_can_be_named_or_be_in_memory() {
    let sandbox = sandbox();
    sandbox.write("tasks.txt", "one\n");
    let elsewhere = format!("sqlite:{}", sandbox.home().join("elsewhere.db").display());
    sandbox.run_fake(["tasks.txt", "--store", &elsewhere], "succeed").exits(0);
    assert!(sandbox.home().join("elsewhere.db").is_file());
    assert!(!sandbox.has(".agent-runner/store.db"), "only the store that was named is used");
    sandbox.run(["status", "--store", &elsewhere]).exits(0).prints("succeeded          1");
    let by_variable = sandbox.call(["list", "--plain"]).env("AGENT_RUNNER_STORE", &elsewhere);
    by_variable.run().exits(0).prints("1\tsucceeded\t1\tone");

    let output = sandbox.run_fake(["tasks.txt", "--store", "memory:"], "succeed").exits(0);
    assert_eq!(output.summary()["counts"]["succeeded"], 1);
    assert!(!sandbox.has(".agent-runner/store.db"), "a store in memory leaves no file");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let sandbox = sandbox();
    sandbox.write_tasks(4_000);
    sandbox.run(["import", "tasks.txt"]).exits(0);
    for command in ["list", "list --json", "list --plain", "export", "export --format yaml"] {
        let line = format!("agent-runner {command} | head -n 1; echo ${{PIPESTATUS[0]}}");
        let output = sandbox.shell(&line).exits(0);
        assert_eq!(output.stdout.lines().last(), Some("0"), "{output}");
        assert_eq!(output.stderr, "", "{output}");
    }
}

#[test]
fn the_state_folder_keeps_itself_out_of_git() {
    let sandbox = sandbox();
    sandbox.shell("git init --quiet").exits(0);
    sandbox.write("tasks.txt", "one\n");
    sandbox.run_fake(["tasks.txt"], "succeed").exits(0);
    let status = sandbox.shell("git status --short").exits(0).stdout;
    assert_eq!(status, "?? tasks.txt\n");
}

#[test]
fn init_writes_what_is_missing_and_keeps_what_is_there() {
    let sandbox = sandbox();
    sandbox.write("tasks.md", "- [ ] mine\n");
    sandbox.run(["init"]).exits(0).says("wrote").says("kept");
    assert_eq!(sandbox.read("tasks.md"), "- [ ] mine\n");
    let plan = sandbox.run(["run", "-n", "--json", "--", "true", "{{prompt}}"]).exits(0);
    assert_eq!(plan.json()["argv"][1], "mine", "its configuration names the backlog");
}

#[test]
fn a_configuration_is_found_from_a_folder_below() {
    let sandbox = sandbox();
    sandbox.shell("git init --quiet && mkdir -p deep/er").exits(0);
    sandbox.write(
        "agent-runner.toml",
        "command = [\"fake-agent\", \"record\", \"{{prompt}}\"]\njobs = 1\n",
    );
    sandbox.write("tasks.md", "- [ ] one {#a}\n");
    sandbox.run(["-C", "deep/er", "run"]).exits(0);
    let seen: Value = serde_json::from_str(&sandbox.read("a.1.json")).expect("JSON");
    assert_eq!(seen["args"][0], "one", "the agent works in the project's folder");
    assert_eq!(sandbox.read("tasks.md"), "- [x] one {#a}\n");
}

#[test]
fn quiet_and_progress_decide_what_stderr_says() {
    let sandbox = sandbox();
    sandbox.write("tasks.txt", "fail-always\nsucceed\n");
    let run = |flags: &[&str], store: &str| {
        let args = ["run", "tasks.txt", "--attempts", "1", "--store", store];
        let agent = sandbox.fake("prompt");
        sandbox.call(args).args(flags.iter().copied()).args(agent).run().exits(100).stderr
    };
    let normal = run(&[], "sqlite:1.db");
    assert!(normal.contains("✓ 2 succeed") && normal.contains("✗ 1 fail-always"), "{normal}");
    let once = run(&["-q"], "sqlite:2.db");
    assert!(!once.contains('✓') && once.contains("✗ 1 fail-always"), "{once}");
    assert_eq!(run(&["-qq"], "sqlite:3.db"), "");
    let verbose = run(&["-v"], "sqlite:4.db");
    assert!(verbose.contains("▶ 2 succeed attempt 1"), "{verbose}");
}

#[test]
fn completions_know_every_command() {
    let sandbox = sandbox();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = sandbox.run(["completions", shell]).exits(0).stdout;
        for command in ["demo", "doctor", "import", "export", "completions"] {
            assert!(script.contains(command), "{shell} completes {command}");
        }
    }
    let script = sandbox.run(["completions", "bash"]).exits(0).stdout;
    sandbox.write("completions.bash", script);
    sandbox.shell("source completions.bash && complete -p agent-runner").exits(0);
}

#[test]
fn the_manual_is_a_manual() {
    let manual = sandbox().run(["man"]).exits(0).stdout;
    assert!(manual.contains(".TH agent-runner 1"), "{}", &manual[..200]);
    assert!(manual.contains("EXIT") || manual.contains("Exit codes"), "exit codes are mentioned");
}

#[test]
fn the_demo_shows_everything_that_goes_wrong() {
    let sandbox = sandbox();
    let output = sandbox.run(["demo", "--seed", "1", "--speed", "10", "--json"]).exits(0);
    let lines = output.json_lines();
    let kinds: BTreeSet<_> = lines.iter().filter_map(|line| line["event"].as_str()).collect();
    for kind in ["run_started", "task_rescued", "key_rested", "task_finished", "run_finished"] {
        assert!(kinds.contains(kind), "{kind} in {output}");
    }
    assert!(!output.stdout.contains("demo-key-1-not-a-secret"), "not even a pretend key is shown");
}

#[test]
fn a_list_that_nobody_reads_ends_at_once() {
    let sandbox = sandbox();
    sandbox.write_tasks(3_000);
    sandbox.run(["import", "tasks.txt"]).exits(0);
    // Who reads on to the end finds that the last task is damaged.
    let store = rusqlite::Connection::open(sandbox.path(".agent-runner/store.db"));
    let store = store.expect("the store is SQLite");
    let damage = "UPDATE spec SET content = '{' WHERE seq = (SELECT max(seq) FROM spec)";
    assert_eq!(store.execute(damage, ()).expect("it can be changed"), 1);
    for flags in ["", " --json", " --plain"] {
        sandbox.shell(&format!("agent-runner list{flags} > read")).exits(3);
        let closed = format!("exec 4> >(:); wait $!; agent-runner list{flags} >&4");
        sandbox.shell(&closed).exits(0);
    }
}

#[test]
fn one_task_is_no_plural() {
    let sandbox = sandbox();
    sandbox.write_tasks(1);
    let [flag, program] = &sandbox.fake("fail-always")[..2] else { panic!() };
    let run = ["run", "tasks.txt", "--attempts", "1", flag, program, "fail-always"];
    let dry = [&run[..2], &["-n"], &run[2..]].concat();
    sandbox.run(dry).exits(0).says("1 task to do");
    sandbox
        .call(run)
        .env("ANTHROPIC_API_KEY_1", "sk-ant-0123456789-one")
        .run()
        .exits(100)
        .says("1 task to do, 4 at once, 1 key\n");
    sandbox.run(["export", "-o", "out.jsonl"]).exits(0).says("1 task written");
    sandbox.run(["doctor"]).exits(0).prints(", 1 task, 0 to do");
    sandbox.run(["show", "1"]).exits(0).prints("1 failure, 0 recoveries used");
}

#[test]
fn who_looks_for_a_log_is_pointed_to_what_the_check_printed() {
    let sandbox = sandbox();
    sandbox.write_tasks(1);
    let run = ["run", "tasks.txt", "--attempts", "1", "--verify"];
    let silent = ["--", "true"];
    sandbox.run([&run[..], &["false"], &silent].concat()).exits(100);
    let logs = sandbox.run(["logs", "1"]).exits(0);
    assert!(logs.says("has printed nothing\n").stdout.is_empty());
    sandbox.run(["retry", "1"]).exits(0);
    sandbox.run([&run[..], &["echo red; false"], &silent].concat()).exits(100);
    let logs = sandbox.run(["logs", "1"]).exits(0).says("has printed nothing; its check has: ");
    let (_, path) = logs.stderr.trim_end().rsplit_once(": ").expect("it names a file");
    assert_eq!(std::fs::read_to_string(path).expect("it is there"), "red\n");
}

#[test]
fn nothing_is_left_of_a_cancelled_wait() {
    // A task that is not due keeps a run waiting; Ctrl-C ends it at once.
    let sandbox = sandbox();
    sandbox.write("tasks.json", r#"[{"prompt": "p", "not_before": "2100-01-01T00:00:00Z"}]"#);
    let mut run = sandbox.call_fake(["tasks.json"], "succeed").start();
    run.event_named("run_started");
    run.signal(agent_runner_tests::Signal::INT);
    wait_until("the end of the run", || run.has_ended());
    run.wait().exits(130);
}

/// Sandboxes of agents leave empty folders of this name behind, in `/tmp` of all places.
#[test]
fn an_empty_git_folder_makes_no_repository() {
    let sandbox = sandbox();
    let add = "mkdir -p inner && cd inner && agent-runner add 'a task'";
    sandbox.shell("mkdir .git; agent-runner add 'a task'").exits(0);
    sandbox.shell(add).exits(0);
    assert!(sandbox.has("inner/.agent-runner"), "the folder above is another project");
    sandbox.shell("rm -r inner .git; git init -q").exits(0);
    sandbox.shell(add).exits(0);
    assert!(!sandbox.has("inner/.agent-runner"), "they are one repository");
}
