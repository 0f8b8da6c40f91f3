//! Machines on which something is missing, as namespaces show it. Where there are none, nothing is
//! shown.
#![cfg(target_os = "linux")]

use agent_runner_tests::Sandbox;

use crate::sandbox;

/// Whether these options of `unshare` are allowed here.
fn allowed(sandbox: &Sandbox, options: &str) -> bool {
    sandbox.shell(&format!("unshare {options} true")).code == Some(0)
}

#[test]
fn a_disk_with_too_many_files_is_told_as_a_full_one() {
    let sandbox = sandbox();
    if !allowed(&sandbox, "-rm") {
        return;
    }
    // Too few for the store; for what is beside it; for the locks of the tasks.
    for files in [5, 8, 14] {
        let script = format!(
            "mount -t tmpfs -o nr_inodes={files} tmpfs . && cd $PWD && echo one > tasks.txt && agent-runner run tasks.txt -- true"
        );
        let output = sandbox.shell(&format!("unshare -rm sh -c '{script}'")).exits(3);
        output.says("hint: free some space and run again").says("df -i");
    }
}

#[test]
fn a_missing_proc_is_named() {
    let sandbox = sandbox();
    sandbox.write_tasks(1);
    if allowed(&sandbox, "-rpf") {
        let output = sandbox.shell("unshare -rpf agent-runner run tasks.txt -- true");
        output.exits(3).says("`/proc` is missing").says("--mount-proc");
    }
}
