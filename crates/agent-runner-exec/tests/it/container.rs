//! A container that was entered, as by `docker exec`: a PID namespace in which the leaders of our
//! session and group have no number.

use std::{
    env,
    process::{Command, Output},
};

/// Runs tests of this program again, in a namespace of their own.
fn again(tests: &[&str]) -> Output {
    let mut unshare = Command::new("unshare");
    unshare.args(["--pid", "--fork", "--mount-proc"]);
    if !rustix::process::geteuid().is_root() {
        unshare.arg("--map-root-user");
    }
    unshare.arg(env::current_exe().unwrap()).arg("--exact").args(tests).output().unwrap()
}

#[test]
fn strays_are_found_where_our_session_has_no_number() {
    let output = again(&[
        "tree::who_left_for_another_session_is_found",
        "tree::a_daemon_of_a_daemon_is_found",
        "tree::children_of_others_in_this_process_are_left_alone",
        "orphan::the_tree_of_a_killed_runner_is_ended",
    ]);
    if output.stderr.starts_with(b"unshare:") && env::var_os("CI").is_none() {
        return; // Not everybody may make namespaces; CI may.
    }
    let [said, erred] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(output.status.success(), "{said}\n{erred}");
    assert!(said.contains("4 passed"), "they did not run:\n{said}");
}
