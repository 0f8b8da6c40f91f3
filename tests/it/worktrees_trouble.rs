//! Merges that go wrong: kills at the worst moment, things in the way, checks that change their mind.

use agent_runner_tests::{Output, Running, Sandbox, Signal, wait_until};

use crate::worktrees::{call, project, proof, run};

/// A git that kills whoever started it, once, right before or after it has moved the target.
fn deadly_git(sandbox: &Sandbox, when: &str) {
    let real = sandbox.shell("command -v git").exits(0).stdout;
    let kill = "mkdir $MARKS/killed 2> /dev/null && kill -9 $PPID && exit 1";
    let (before, after) = if when == "before" { (kill, ":") } else { (":", kill) };
    let script = format!(
        "case \"$*\" in *'merge --ff-only'*) {before};; esac
        {} \"$@\"; code=$?
        case \"$*\" in *'merge --ff-only'*) {after};; esac
        exit $code",
        real.trim_end()
    );
    sandbox.script("git", &script);
}

/// The target moves last before the runner can note it. It is known all the same, and done once.
#[test]
fn a_runner_that_is_killed_at_the_merge_has_merged_or_not() {
    for when in ["after", "before"] {
        let sandbox = project("one\n");
        let script = "echo $a >> $root/marks/ran; echo x > new";
        deadly_git(&sandbox, when);
        let marks = sandbox.path("marks");
        let marks = marks.to_str().expect("UTF-8");
        let killed = call(&sandbox, &["--merge"], script).env("MARKS", marks).run();
        assert_eq!(killed.signal, Some(9), "{killed}");
        let again = call(&sandbox, &["--merge"], script).env("MARKS", marks).run().exits(0);
        assert_eq!(sandbox.outcomes("1"), ["lost", "succeeded"], "{when}: {again}");
        assert_eq!(sandbox.git("rev-list --count main"), "2", "{when}");
        assert_eq!(sandbox.read("new"), "x\n");
        let merged = &proof(&sandbox, "1")["merged"];
        assert_eq!(merged["already"], when == "after", "{when}: {merged}");
        assert_eq!(merged["commit"], sandbox.git("rev-parse main"), "{when}");
        let runs = if when == "after" { "1\n" } else { "1\n2\n" };
        assert_eq!(sandbox.read("marks/ran"), runs, "{when}: the agent is not run for nothing");
    }
}

/// A person wants it done again: what was recorded as merged is no reason to skip it.
#[test]
fn a_merged_task_can_be_done_again() {
    let sandbox = project("one\n");
    let script = "echo $a >> new";
    run(&sandbox, &["--merge"], script).exits(0);
    sandbox.run(["retry", "1"]).exits(0);
    run(&sandbox, &["--merge"], script).exits(0);
    assert_eq!(sandbox.read("new"), "1\n2\n");
    assert_eq!(sandbox.git("rev-list --count main"), "3");
}

/// Another store has tasks of the same names: they are others.
#[test]
fn a_new_store_begins_anew() {
    let sandbox = project("one\n");
    run(&sandbox, &["--merge"], "echo 1 > old").exits(0);
    run(
        &sandbox,
        &["--merge", "--store", "sqlite:other.db", "--attempts", "2"],
        "test $a = 2 && echo 2 > new",
    )
    .exits(0);
    assert_eq!((sandbox.read("old"), sandbox.read("new")), ("1\n".into(), "2\n".into()));
}

/// What is not committed stays, and what is in the way of it waits; the agent is not run again.
#[test]
fn a_merge_waits_for_what_is_in_the_way() {
    let sandbox = project("one\n");
    sandbox.write("README", "mine\n");
    let script = "echo $a >> $root/marks/ran; echo theirs > README";
    let running = call(&sandbox, &["--merge"], script).start();
    let blocked = running.event(|event| event["outcome"] == "merge_blocked");
    let message = blocked["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("could not be merged into main: README in '"), "{blocked}");
    assert_eq!(blocked["proof"]["ready"], true, "{blocked}");
    assert_eq!(sandbox.read("README"), "mine\n", "it is left alone");
    sandbox.git("checkout -q README");
    running.wait().exits(0);
    assert_eq!(sandbox.read("README"), "theirs\n");
    assert_eq!(sandbox.read("marks/ran"), "1\n", "only the merge was tried again");
    assert_eq!(sandbox.outcomes("1").last().map(String::as_str), Some("succeeded"));
    assert_eq!(sandbox.show("1")["failures"], 0, "it costs the task nothing");
}

/// A run in which only a person could do something tries for a minute, says so, and ends.
#[test]
fn a_run_ends_when_something_is_in_the_way_of_all_that_is_left() {
    let sandbox = project("one\n");
    sandbox.write("README", "mine\n");
    let script = "echo $a >> $root/marks/ran; echo theirs > README";
    hastened(&sandbox, call(&sandbox, &["--merge"], script).start(), 6).exits(5);
    assert_eq!(sandbox.outcomes("1"), ["merge_blocked"; 6]);
    let again = ["run", "--isolate", "worktree", "--merge", "--", "the-agent"];
    let again = sandbox.call(again);
    let told = hastened(&sandbox, again.start(), 7).exits(5);
    let told = told.says("something is in the way of all that is left");
    told.says("⏸ 1 one: could not be merged into main: README in '").says("run again");
    sandbox.git("checkout -q README");
    let last = call(&sandbox, &["--merge"], script).start();
    hastened(&sandbox, last, 8).exits(0);
    assert_eq!(sandbox.read("README"), "theirs\n");
    assert_eq!(sandbox.read("marks/ran"), "1\n", "the agent is not run again");
}

/// Waits for the end of a run in which no task waits for its time before its last attempt.
fn hastened(sandbox: &Sandbox, mut running: Running, attempts: u32) -> Output {
    wait_until("the end of the run", || {
        let store = rusqlite::Connection::open(sandbox.path(".agent-runner/store.db"));
        let sql = "UPDATE task SET due = 1 WHERE state = 2 AND attempt < ?1";
        // It may not be there yet, or be in use.
        drop(store.and_then(|store| store.execute(sql, [attempts])));
        running.has_ended()
    });
    running.wait()
}

/// Each is fine for itself, both together are not: the second hears of it and mends it.
#[test]
fn what_lands_was_checked_there() {
    let sandbox = project("one\ntwo\n");
    let verify = "test $(cat n-* | wc -l) -le 1";
    let script = "test $id = 1 || while [ $a = 1 -a ! -f $root/n-1 ]; do sleep 0.02; done
        if [ $a = 1 ]; then echo x > n-$id; else echo \"$AGENT_RUNNER_LAST_ERROR\" > $root/marks/told; : > n-$id; fi";
    run(&sandbox, &["--merge", "-j", "2", "--verify", verify], script).exits(0);
    assert_eq!(sandbox.outcomes("2"), ["verify_failed", "succeeded"]);
    let told = sandbox.read("marks/told");
    assert!(told.contains("after the work was moved onto what others have merged"), "{told}");
    assert!(sandbox.has(".agent-runner/logs/2/1.merge.log"));
    assert_eq!(sandbox.git("show main:n-1"), "x");
}

/// Nobody merges for a task that a person took out while it was checked.
#[test]
fn a_cancelled_task_is_not_merged() {
    let sandbox = project("one\ntwo\n");
    let verify = "test ! -f first || test $AGENT_RUNNER_TASK_ID = 1 || { touch $AGENT_RUNNER_ROOT/marks/checks; sleep 100; }";
    let script = "test $id = 1 || while [ ! -f $root/first ]; do sleep 0.02; done
        if [ $id = 1 ]; then sleep 0.3; touch first; else touch second; fi";
    let running =
        call(&sandbox, &["--merge", "-j", "2", "--grace", "200ms", "--verify", verify], script)
            .start();
    sandbox.wait_for("marks/checks");
    sandbox.run(["cancel", "2"]).exits(0);
    running.wait().exits(0);
    assert_eq!(sandbox.outcomes("2"), ["cancelled"]);
    assert!(sandbox.has("first") && !sandbox.has("second"));
    assert_eq!(
        sandbox.git("ls-tree --name-only agent-runner/2 second"),
        "second",
        "but it is kept"
    );
}

/// Ctrl-C while a merge is checked ends the check, and the next run only has to merge.
#[test]
fn a_stopped_merge_is_gone_on_with() {
    let sandbox = project("one\ntwo\n");
    let verify = "test ! -f first || test -f $AGENT_RUNNER_ROOT/marks/open || test $AGENT_RUNNER_TASK_ID = 1 || { touch $AGENT_RUNNER_ROOT/marks/checks; sleep 100; }";
    let script = "echo $a >> $root/marks/ran-$id
        test $id = 1 || while [ ! -f $root/first ]; do sleep 0.02; done
        if [ $id = 1 ]; then touch first; else touch second; fi";
    let flags = ["--merge", "-j", "2", "--grace", "200ms", "--verify", verify];
    let mut running = call(&sandbox, &flags, script).start();
    sandbox.wait_for("marks/checks");
    running.signal(Signal::INT);
    running.event_named("stopping");
    running.signal(Signal::INT);
    running.wait().exits(130);
    assert!(!sandbox.has("second"), "it is not merged");
    sandbox.write("marks/open", "");
    call(&sandbox, &flags, script).run().exits(0);
    assert!(sandbox.has("second"));
    assert_eq!(sandbox.read("marks/ran-2"), "1\n", "the agent is not run again");
}

/// The agent removes what git needs, its own worktree and its branch.
#[test]
fn an_agent_that_breaks_its_worktree_loses_nothing_that_lies_there() {
    let sandbox = project("one\ntwo\nthree\n");
    let script = "echo $id > $id; case $id in
        1) rm .git;;
        2) git add -A; git commit -qm mine; rm -rf ../w*/.git; cd $root; rm -rf \"$AGENT_RUNNER_WORKTREE\";;
        3) git checkout -q --detach; git branch -q -D agent-runner/3;;
        esac";
    run(&sandbox, &["--merge", "-j", "1"], script).exits(0);
    for id in ["1", "2", "3"] {
        assert_eq!(sandbox.read(id), format!("{id}\n"));
    }
    assert_eq!(sandbox.git("rev-list --count main"), "4");
}

/// An agent that merges by itself, and leaves it to others to resolve what comes of it, is not done,
/// whatever it says: git's markers would be merged as its work.
#[test]
fn conflicts_that_the_agent_left_are_no_success() {
    let sandbox = project("one\n");
    let script = "echo $a > README; git commit -qam mine
        test $a = 1 || exit 0
        git checkout -q --detach main; echo other > README; git commit -qam other
        other=$(git rev-parse HEAD); git checkout -q agent-runner/1; git merge -q $other; exit 0";
    let ran = run(&sandbox, &["--merge"], script).exits(0);
    assert_eq!(sandbox.outcomes("1"), ["conflict", "succeeded"], "{ran}");
    let first = sandbox.show("1")["attempt_log"][0].clone();
    assert_eq!(first["proof"]["conflicts"], serde_json::json!(["README"]), "{first}");
    assert!(first["message"].as_str().is_some_and(|it| it.contains("README")), "{first}");
    assert_eq!(sandbox.read("README"), "2\n", "without git's markers");
}

/// Somebody removes the branch that all work begins at and goes to. That costs no task anything:
/// what is done waits to be merged, the rest waits to be begun.
#[test]
fn a_target_that_is_gone_is_waited_for() {
    let sandbox = project("one\ntwo\n");
    sandbox.git("branch target");
    let script = "test $id = 1 && git branch -qD target
        echo $a >> $root/marks/ran-$id; echo x > new-$id";
    let flags = ["--merge", "--target", "target", "-j", "1"];
    let running = call(&sandbox, &flags, script).start();
    let waits = |outcome: &str, id: &str| {
        let ended = running.event(|event| event["outcome"] == outcome && event["task"] == id);
        let message = ended["message"].as_str().unwrap_or_default().to_owned();
        assert!(message.contains("target"), "{ended}");
    };
    waits("merge_blocked", "1");
    waits("worktree_blocked", "2");
    sandbox.git("branch target main");
    running.wait().exits(0);
    for id in ["1", "2"] {
        assert_eq!(sandbox.git(&format!("show target:new-{id}")), "x");
        let shown = sandbox.show(id);
        assert_eq!((&shown["failures"], &shown["recoveries"]), (&0.into(), &0.into()), "{shown}");
    }
    assert_eq!(sandbox.read("marks/ran-1"), "1\n", "the agent is not run again");
}

/// While one merge is checked, `status` says who waits for its turn, and no longer when it came.
#[test]
fn status_shows_merges_that_wait() {
    let sandbox = project("one\ntwo\nthree\n");
    let verify = "test ! -f new-1 -o -f $AGENT_RUNNER_ROOT/marks/open || test $AGENT_RUNNER_TASK_ID = 1 || { touch $AGENT_RUNNER_ROOT/marks/checks; while [ ! -f $AGENT_RUNNER_ROOT/marks/open ]; do sleep 0.02; done; }";
    let script = "cd $root/marks; touch began-$id
        test $id = 1 || while [ ! -f $root/new-1 ]; do sleep 0.02; done
        while [ ! -f began-2 -o ! -f began-3 ]; do sleep 0.02; done
        cd $AGENT_RUNNER_WORKTREE; touch new-$id";
    let running = call(&sandbox, &["--merge", "-j", "3", "--verify", verify], script).start();
    sandbox.wait_for("marks/checks");
    let waiting = || {
        let status = sandbox.status();
        let tasks = status["running"].as_array().expect("a list").clone();
        tasks.iter().filter(|task| task["waits_to_merge"] == true).count()
    };
    agent_runner_tests::wait_until("a merge that waits", || waiting() == 1);
    let shown = sandbox.run(["status"]).exits(0).stdout;
    assert_eq!(shown.matches("waits for its turn to merge").count(), 1, "{shown}");
    sandbox.write("marks/open", "");
    running.wait().exits(0);
    assert_eq!(waiting(), 0);
    assert_eq!(sandbox.git("rev-list --count main"), "4");
}
