//! `--isolate worktree`, `--merge` and `--expect-diff`: a worktree a task, the way back, and proof.

use agent_runner_tests::{Call, Output, Sandbox};
use serde_json::Value;

use crate::sandbox;

/// A repository with one file, and these lines as tasks.
pub(crate) fn project(tasks: &str) -> Sandbox {
    let sandbox = sandbox();
    sandbox.write("README", "one\n");
    sandbox.write(".gitignore", "*.log\n/tasks.*\n/agent-runner.toml\n/marks\n");
    sandbox.repository();
    sandbox.write("marks/.keep", "");
    sandbox.write("tasks.txt", tasks);
    sandbox
}

/// A run whose agent is a script for sh; `$a` is the attempt, `$root` the project, `$id` the task.
pub(crate) fn call(sandbox: &Sandbox, flags: &[&str], script: &str) -> Call {
    let head = "a=$AGENT_RUNNER_ATTEMPT; root=$AGENT_RUNNER_ROOT; id=$AGENT_RUNNER_TASK_ID";
    sandbox.script("the-agent", &format!("{head}\n{script}"));
    let isolate = if flags.contains(&"--isolate") { &[][..] } else { &["--isolate", "worktree"] };
    let run = ["run", "tasks.txt", "--json", "--retry-delay", "1ms"];
    sandbox
        .call(run)
        .args(isolate.iter().copied())
        .args(flags.iter().copied())
        .args(["--", "the-agent"])
}

pub(crate) fn run(sandbox: &Sandbox, flags: &[&str], script: &str) -> Output {
    call(sandbox, flags, script).run()
}

/// The proof of a task's last attempt.
pub(crate) fn proof(sandbox: &Sandbox, id: &str) -> Value {
    let shown = sandbox.show(id);
    shown["attempt_log"].as_array().and_then(|all| all.last()).expect("an attempt")["proof"].clone()
}

#[test]
fn an_agent_has_a_place_of_its_own() {
    let sandbox = project("one\n");
    let script = "env > $root/marks/env; pwd > $root/marks/pwd; git branch --show-current > $root/marks/branch
        echo new > new; exit 0";
    call(&sandbox, &[], script).env("GIT_DIR", "/nowhere").run().exits(0);
    assert!(!sandbox.has("new"), "the user's checkout is not the agent's");
    assert_eq!(sandbox.git("show agent-runner/1:new"), "new");
    let folder = sandbox.read("marks/pwd");
    assert!(folder.trim_end().ends_with(".agent-runner/worktrees/w1"), "{folder}");
    assert_eq!(sandbox.read("marks/branch"), "agent-runner/1\n");
    let environment = sandbox.read("marks/env");
    let has = |line: &str| environment.lines().any(|it| it == line);
    assert!(has(&format!("AGENT_RUNNER_WORKTREE={}", folder.trim_end())), "{environment}");
    assert!(has("AGENT_RUNNER_BRANCH=agent-runner/1") && has("AGENT_RUNNER_TARGET=main"));
    assert!(!environment.contains("GIT_DIR"), "it is not led to another repository");
    let proof = proof(&sandbox, "1");
    assert_eq!(proof["diff"]["files"], 1, "{proof}");
    assert_eq!(proof["work"]["branch"], "agent-runner/1", "{proof}");
    assert_eq!((&proof["verified"], &proof["merged"]), (&Value::Null, &Value::Null), "{proof}");
    assert_eq!(sandbox.git("log --oneline main").lines().count(), 1, "nothing was merged");
    sandbox.run(["show", "1"]).exits(0).prints("work: agent-runner/1 at ");
}

/// The project is a folder inside the repository.
#[test]
fn a_project_in_a_subfolder_keeps_its_place() {
    let sandbox = project("one\n");
    sandbox.write("app/code", "x");
    sandbox.git("add -A; git commit -qm app");
    sandbox.write("app/tasks.txt", "one\n");
    sandbox.script("the-agent", "pwd > $AGENT_RUNNER_ROOT/../marks/pwd; cat code; echo y > code");
    let run = ["-C", "app", "run", "tasks.txt", "--isolate", "worktree", "--merge"];
    sandbox.call(run).args(["--verify", "test y = $(cat code)", "--", "the-agent"]).run().exits(0);
    assert!(sandbox.read("marks/pwd").ends_with("worktrees/w1/app\n"));
    assert_eq!(sandbox.git("show main:app/code"), "y");
    assert_eq!(sandbox.read("app/code"), "y\n", "the checkout of the target moves along");
    assert!(sandbox.has("app/.agent-runner/store.db"));
    let error = sandbox.call(["status"]).run().exits(3);
    assert!(error.stderr.contains("there is no task store"), "the top is no project: {error}");
}

#[test]
fn a_warm_retry_builds_on_the_attempt_before() {
    for (merge, commits) in [("--merge", 1), ("--merge=keep", 2)] {
        let sandbox = project("one\n");
        let script = "if [ $a = 1 ]; then echo 1 > first; git add -A; git commit -qm 'first half'
            else test -f first || exit 9; echo 2 > second; fi";
        run(&sandbox, &[merge, "--verify", "test -f first -a -f second"], script).exits(0);
        assert_eq!(sandbox.outcomes("1"), ["verify_failed", "succeeded"]);
        assert_eq!((sandbox.read("first"), sandbox.read("second")), ("1\n".into(), "2\n".into()));
        let log = sandbox.git("log --format=%s main");
        assert_eq!(log.lines().count(), 1 + commits, "{log}");
        let proof = proof(&sandbox, "1");
        assert_eq!((&proof["verified"], &proof["ready"]), (&true.into(), &false.into()), "{proof}");
        assert_eq!(proof["merged"]["commit"], sandbox.git("rev-parse main"), "{proof}");
    }
}

#[test]
fn a_cold_retry_begins_at_the_base_and_loses_nothing() {
    let sandbox = project("one\n");
    let script =
        "test -f first && exit 9; if [ $a = 1 ]; then touch first; exit 1; fi; touch second";
    run(&sandbox, &["--merge", "--retries", "cold"], script).exits(0);
    assert_eq!(sandbox.outcomes("1"), ["task_failed", "succeeded"]);
    assert!(sandbox.has("second") && !sandbox.has("first"));
    assert_eq!(sandbox.git("ls-tree --name-only refs/agent-runner/1/1 first"), "first");
}

/// What a failed, a crashed and a hanging agent left is saved like that of a content one.
#[test]
fn no_attempt_loses_its_work() {
    let sandbox = project("one\n");
    let script = "echo $a > $a; case $a in 1) exit 1;; 2) kill -9 $$;; 3) sleep 100;; esac";
    run(&sandbox, &["--timeout", "700ms", "--grace", "100ms"], script).exits(0);
    assert_eq!(sandbox.outcomes("1"), ["task_failed", "crashed", "timed_out", "succeeded"]);
    assert_eq!(sandbox.git("ls-tree --name-only agent-runner/1 1 2 3 4"), "1\n2\n3\n4");
}

#[test]
fn what_a_check_leaves_is_not_the_agents_work() {
    let sandbox = project("one\n");
    let verify = "echo changed > README; touch report; test $AGENT_RUNNER_ATTEMPT = 2";
    run(&sandbox, &["--merge", "--verify", verify], "echo x > $a").exits(0);
    assert_eq!(sandbox.git("ls-tree --name-only main"), ".gitignore\n1\n2\nREADME");
    assert_eq!(sandbox.git("show main:README"), "one");
}

/// A success without any change is none, in a worktree and in the folder that all share.
#[test]
fn a_success_that_did_nothing_is_refused() {
    let script =
        "echo \"$AGENT_RUNNER_LAST_ERROR\" > $root/marks/told; test $a = 1 || echo x > new";
    for isolate in ["worktree", "none"] {
        let sandbox = project("one\n");
        run(&sandbox, &["--expect-diff", "--isolate", isolate], script).exits(0);
        assert_eq!(sandbox.outcomes("1"), ["no_diff", "succeeded"], "{isolate}");
        assert!(sandbox.read("marks/told").contains("changed no file"));
        let diff = &proof(&sandbox, "1")["diff"];
        assert_eq!((&diff["changed"], &diff["insertions"]), (&true.into(), &1.into()), "{diff}");
    }
}

#[test]
fn a_task_says_itself_whether_it_changes_something() {
    let sandbox = project("");
    sandbox.write("tasks.csv", "id,prompt,expect_diff\na,one,true\nb,two,false\nc,three,\n");
    sandbox
        .write("agent-runner.toml", "backlog = \"tasks.csv\"\nexpect_diff = true\nattempts = 1\n");
    sandbox.run(["run", "--", "true"]).exits(100);
    let ends = ["a", "b", "c"].map(|id| sandbox.outcomes(id).concat());
    assert_eq!(ends, ["no_diff", "succeeded", "no_diff"]);
    sandbox.run(["run", "--expect-diff=false", "--isolate", "none", "--", "true"]).exits(100);
    sandbox.run(["retry", "c"]).exits(0);
    sandbox.run(["run", "--expect-diff=false", "--", "true"]).exits(100);
    assert_eq!(sandbox.outcomes("c"), ["no_diff", "succeeded"]);
}

#[test]
fn a_commit_of_what_was_there_is_a_change() {
    let sandbox = project("one\n");
    sandbox.write("README", "two\n");
    let flags = ["--expect-diff", "--isolate", "none", "--attempts", "1"];
    run(&sandbox, &flags, "git commit -qam 'as it was'").exits(0);
    assert_eq!(proof(&sandbox, "1")["diff"]["files"], 0);
    assert_eq!(proof(&sandbox, "1")["diff"]["changed"], true);
}

/// An agent cannot write its own proof.
#[test]
fn proof_is_not_the_agents_to_give() {
    let sandbox = project("one\n");
    let script = r#"echo '{"outcome":"succeeded","details":{"proof":{"verified":true},"mine":1}}' > $AGENT_RUNNER_RESULT"#;
    run(&sandbox, &[], script).exits(0);
    let attempt = &sandbox.show("1")["attempt_log"][0];
    assert_eq!(attempt["proof"]["verified"], Value::Null, "{attempt}");
    let details = &attempt["details"];
    assert_eq!((&details["mine"], &details["proof"]), (&1.into(), &Value::Null), "{details}");
}

#[test]
fn what_cannot_be_isolated_is_refused_before_anything_is_run() {
    let outside = sandbox();
    outside.write("tasks.txt", "one\n");
    let run = |sandbox: &Sandbox, flags: &[&str]| {
        sandbox.call(["run", "tasks.txt"]).args(flags.iter().copied()).args(["--", "true"]).run()
    };
    let none = run(&outside, &["--isolate", "worktree"]).exits(3);
    let none = none.says("`--isolate worktree` cannot be had").says("is in no git repository");
    none.says("git init");
    run(&outside, &["--expect-diff"]).exits(3).says("is in no git repository");
    run(&outside, &["--merge"]).exits(2).says("add `--isolate worktree`");
    outside.write("tasks.csv", "id,prompt,expect_diff\na,one,true\n");
    outside.run(["run", "tasks.csv", "--", "true"]).exits(100);
    assert_eq!(outside.outcomes("a"), ["invalid"]);

    let empty = sandbox();
    empty.shell("git init -q").exits(0);
    empty.write("tasks.txt", "one\n");
    run(&empty, &["--isolate", "worktree"]).exits(3).says("has no commit");
    let detached = project("one\n");
    detached.git("checkout -q --detach");
    run(&detached, &["--isolate", "worktree", "--merge"]).exits(3).says("--target main");
    run(&detached, &["--isolate", "worktree", "--merge", "--target", "nope"])
        .exits(3)
        .says("there is no branch \"nope\"");
    run(&detached, &["--isolate", "worktree", "--merge", "--target", "main"]).exits(0);
}

#[test]
fn doctor_and_the_plan_say_how_agents_work() {
    let sandbox = project("one\n");
    sandbox.write("agent-runner.toml", "isolate = \"worktree\"\nmerge = \"keep\"\n");
    sandbox.run(["doctor"]).exits(0).prints("each in a worktree, its commits merged into");
    sandbox.run(["run", "-n", "tasks.txt", "--", "true"]).exits(0).says("each in a worktree");
    sandbox.write("agent-runner.toml", "isolate = \"worktree\"\ntarget = \"nope\"\n");
    sandbox.run(["doctor"]).exits(8).prints("there is no branch \"nope\"");
    sandbox.write("agent-runner.toml", "merge = \"perhaps\"\n");
    sandbox.run(["doctor"]).exits(3).says("`perhaps` is no way to merge");
}

#[test]
fn gc_removes_what_is_merged_and_nothing_else() {
    let sandbox = project("good\nbad\n");
    let script = "echo $id > $id; test $id = 1";
    run(&sandbox, &["--merge", "-j", "2", "--attempts", "1"], script).exits(100);
    let before = sandbox.run(["worktrees", "list"]).exits(0);
    assert_eq!(before.stdout.lines().count(), 2, "{before}");
    let said = sandbox.run(["worktrees", "gc"]).exits(0).says("2 worktrees, 1 branch,");
    said.prints("kept refs/heads/agent-runner/2: unmerged");
    assert_eq!(sandbox.git("branch --format='%(refname:short)'"), "agent-runner/2\nmain");
    assert_eq!(sandbox.git("show agent-runner/2:2"), "2");
    sandbox.run(["worktrees", "list"]).exits(0).says("there is no worktree");
    sandbox.run(["retry", "--failed"]).exits(0);
    run(&sandbox, &["--merge"], "test -f 2").exits(0);
    assert_eq!(sandbox.read("2"), "2\n", "a later retry went on with it");
}
