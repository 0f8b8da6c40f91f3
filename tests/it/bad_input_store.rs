//! Stores, folders, disks and streams that cannot be used, or not any more.

use std::{fs, os::unix::fs::PermissionsExt};

use agent_runner_tests::{Output, Sandbox};
use rusqlite::Connection;

use crate::sandbox;

const STORE: &str = ".agent-runner/store.db";

/// A project with two tasks.
fn project() -> Sandbox {
    let sandbox = sandbox();
    sandbox.write("tasks.txt", "one\ntwo\n");
    sandbox.run(["import", "tasks.txt"]).exits(0);
    sandbox
}

/// Every command that opens the store refuses it, and leaves it as it is.
fn check_refused(sandbox: &Sandbox, says: &str, hint: &str) {
    let before = fs::read(sandbox.path(STORE)).expect("there is a store");
    for args in ["run -- touch ran", "status", "list", "export", "add three", "show 1", "retry 1"] {
        let output = sandbox.run(args.split(' ')).exits(3).says(says).says("\nhint: ").says(hint);
        assert_eq!(output.stdout, "", "{output}");
        let after = fs::read(sandbox.path(STORE)).expect("there is a store");
        assert!(before == after, "the file was changed by {output}");
    }
    assert!(!sandbox.has("ran"), "an agent was run");
}

#[test]
fn a_store_of_a_newer_version() {
    let sandbox = project();
    let store = Connection::open(sandbox.path(STORE)).expect("a store");
    store.pragma_update(None, "user_version", 99).expect("a number that can be set");
    store.close().expect("it can be closed");
    check_refused(&sandbox, "has schema version 99", "upgrade");
}

#[test]
fn a_store_whose_pages_are_overwritten() {
    let sandbox = project();
    let mut bytes = fs::read(sandbox.path(STORE)).expect("there is a store");
    bytes[4096..].fill(0xa5);
    sandbox.write(STORE, bytes);
    check_refused(&sandbox, "is damaged", "keep the file");
}

#[test]
fn a_file_that_is_no_store() {
    let sandbox = project();
    sandbox.write(STORE, "This is a letter, not a database.\n");
    check_refused(&sandbox, "is not a task store", "--store");
}

#[test]
fn the_database_of_another_program() {
    let sandbox = project();
    fs::remove_file(sandbox.path(STORE)).expect("it was there");
    let store = Connection::open(sandbox.path(STORE)).expect("a database");
    store.execute_batch("CREATE TABLE person (name TEXT)").expect("a table");
    store.close().expect("it can be closed");
    check_refused(&sandbox, "is not a task store", "--store");
}

#[test]
fn a_store_that_is_used_on_another_host() {
    let sandbox = project();
    let there = sandbox.call_fake(["-j", "1"], "gate").env("AGENT_RUNNER_HOST", "elsewhere");
    let there = there.start();
    sandbox.wait_for("1.1.begun");
    let here = sandbox.run(["run", "--", "touch", "ran"]).exits(7).says("on host elsewhere");
    here.says("hint: an SQLite store serves the runs of one machine");
    assert!(!sandbox.has("ran"));
    sandbox.write("open", "");
    there.wait().exits(0);
    assert_eq!(sandbox.outcomes("1"), ["succeeded"]);
}

#[test]
fn a_lock_folder_that_others_can_write_to() {
    let sandbox = project();
    let locks = sandbox.path(".agent-runner/locks");
    fs::create_dir_all(&locks).expect("a folder");
    fs::set_permissions(&locks, fs::Permissions::from_mode(0o777)).expect("it is ours");
    let output = sandbox.run(["run", "--", "touch", "ran"]).exits(3);
    output.says("other users can write to lock folder").says("chmod go-w");
    assert!(!sandbox.has("ran"));
    fs::set_permissions(&locks, fs::Permissions::from_mode(0o700)).expect("it is ours");
    sandbox.run(["run", "--", "true"]).exits(0);
}

#[test]
fn files_where_folders_should_be() {
    let sandbox = sandbox();
    sandbox.write(".agent-runner", "not a folder");
    sandbox.run(["add", "one"]).exits(3).says("could not make state folder").says("hint: ");

    let sandbox = project();
    sandbox.write(".agent-runner/locks", "not a folder");
    sandbox.run(["run", "--", "touch", "ran"]).exits(3).says("could not open lock folder");
    assert!(!sandbox.has("ran"));
}

#[test]
fn ids_that_are_paths_stay_in_the_state_folder() {
    let sandbox = sandbox();
    let long = "x".repeat(200);
    let ids = ["../../etc/passwd", "/etc/passwd", "..", "a/b", "~root", "-rf", "CON", &long];
    for id in ids {
        sandbox.run(["add", "x", &format!("--id={id}")]).exits(0);
    }
    let outside = sandbox.root().parent().expect("a folder").to_owned();
    let before = fs::read_dir(&outside).expect("it can be read").count();
    sandbox.run(["run", "--", "echo", "{{id}}"]).exits(0);
    assert_eq!(fs::read_dir(&outside).expect("it can be read").count(), before);
    let logs = fs::read_dir(sandbox.path(".agent-runner/logs")).expect("it can be read");
    assert_eq!(logs.count(), ids.len(), "each task has a folder of its own");
    for id in ids {
        let printed = sandbox.run(["logs", "--", id]).exits(0).stdout;
        assert_eq!(printed, format!("{id}\n"));
    }
    sandbox.run(["add", "x", "--id", &"x".repeat(10_000)]).exits(2).says("error: ");
}

#[test]
fn a_prompt_with_a_nul_fails_its_task_alone() {
    let sandbox = sandbox();
    sandbox.write(
        "t.jsonl",
        "{\"id\":\"nul\",\"prompt\":\"a\\u0000b\"}\n{\"id\":\"b\",\"prompt\":\"b\"}\n",
    );
    let output = sandbox.run(["run", "--json", "t.jsonl", "--", "echo", "{{prompt}}"]).exits(100);
    assert_eq!(sandbox.outcomes("nul"), ["invalid"], "{output}");
    assert!(sandbox.show("nul")["error"].as_str().is_some_and(|why| why.contains("NUL")));
    assert_eq!(sandbox.outcomes("b"), ["succeeded"]);
}

#[test]
fn closed_streams_and_no_home() {
    for closed in ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"] {
        let sandbox = project();
        let run = format!("agent-runner run -- touch ran {closed}; echo code $? >code");
        sandbox.shell(&run).exits(0);
        assert_eq!(sandbox.read("code"), "code 0\n", "{closed}");
        assert!(sandbox.has("ran"));
    }
    let sandbox = project();
    sandbox.shell("unset HOME; agent-runner run -- touch ran").exits(0);
    sandbox.shell("agent-runner list >/dev/full").exits(1).says("could not write to stdout");
    let blind = sandbox.shell("agent-runner add more; agent-runner run --json -- true >/dev/full");
    blind.exits(0).says("events are missing on stdout: No space left on device");
}

#[test]
fn a_state_folder_that_an_agent_removes() {
    let sandbox = project();
    let agent = ["run", "-j", "1", "--", "rm", "-rf", ".agent-runner"];
    let output = sandbox.run(agent).exits(3).says("was removed or replaced");
    assert!(output.stderr.contains("hint: "), "{output}");
}

#[test]
fn a_folder_that_cannot_be_written() {
    let sandbox = project();
    let script = "mount --bind . . && mount -o remount,ro,bind . && cd \"$PWD\" &&
        agent-runner run -- touch ran; echo code $?; agent-runner add x; echo code $?";
    let Some(output) = in_own_namespace(&sandbox, script) else { return };
    assert_eq!(output.stdout, "code 3\ncode 3\n", "{output}");
    let output = output.says("could not use store").says("hint: check that the folder");
    assert!(!output.stderr.contains("panicked") && !sandbox.has("ran"), "{output}");
    sandbox.run(["run", "--", "true"]).exits(0);
}

/// An agent's work waits for somebody who frees some space.
#[test]
fn a_disk_that_fills_up_and_is_freed() {
    let sandbox = project();
    let script = r"
        mkdir small && mount -t tmpfs -o size=1m tmpfs small && cd small && cp ../tasks.txt . || exit 9
        agent-runner run tasks.txt -j 1 -- sh -c 'cat /dev/zero >filler 2>/dev/null; :' 2>../err &
        until grep -q 'waits for it' ../err; do kill -0 $! || break; sleep 0.05; done
        rm filler; mkdir filler
        wait $!; echo code $?
        cat ../err >&2
        agent-runner status
    ";
    let Some(output) = in_own_namespace(&sandbox, script) else { return };
    let output = output.exits(0).says("no space left for store").prints("code 0\n");
    output.prints("succeeded          2\n");
}

/// Three signals end a run that waits for space, and nothing is lost.
#[test]
fn a_disk_that_stays_full() {
    let sandbox = project();
    let script = r#"
        mkdir small && mount -t tmpfs -o size=1m tmpfs small && cd small && cp ../tasks.txt . || exit 9
        agent-runner run tasks.txt -j 1 -- sh -c 'cat /dev/zero >filler 2>/dev/null; :' 2>../err &
        until grep -q 'waits for it' ../err; do kill -0 $! || break; sleep 0.05; done
        for stage in 'no new tasks' 'ending the agents' 'killing the agents'; do
            kill -TERM $!
            until grep -q "$stage" ../err; do sleep 0.05; done
        done
        wait $!; echo code $?
        rm filler
        agent-runner run -- true 2>>../err; echo code $?
        cat ../err >&2
        agent-runner status
    "#;
    let Some(output) = in_own_namespace(&sandbox, script) else { return };
    let output = output.exits(0).prints("code 3\ncode 0\n").prints("succeeded          2\n");
    output.says("error: no space left for store").says("hint: free some space and run again");
}

/// Runs a script that may mount; only root may, and the others learn that nothing was checked.
fn in_own_namespace(sandbox: &Sandbox, script: &str) -> Option<Output> {
    // Should a disk not be as small as it was made, then a file at least does not fill it.
    sandbox.write("script.sh", format!("ulimit -f 16384\n{script}"));
    if sandbox.shell("unshare --mount true").code != Some(0) {
        eprint_skipped();
        return None;
    }
    Some(sandbox.shell("unshare --mount bash script.sh"))
}

#[expect(clippy::print_stderr, reason = "whoever looks at the test should know")]
fn eprint_skipped() {
    eprintln!("not checked: only root can mount");
}
