//! `run --dry-run` says what would be done, and does nothing.

use agent_runner_tests::Sandbox;

use crate::sandbox;

fn plan(sandbox: &Sandbox, args: &[&str]) -> Vec<String> {
    let args = ["run", "--json", "-n"].iter().chain(args).copied();
    let lines = sandbox.run(args).exits(0).json_lines();
    lines.iter().map(|line| format!("{} {}", line["id"], line["argv"])).collect()
}

#[test]
fn a_fresh_folder_is_as_it_was() {
    let sandbox = sandbox();
    sandbox.write("tasks.md", "- [ ] one {#a}\n- [ ] it's two {#b}\n");
    let before = sandbox.listing();
    let plan = plan(&sandbox, &["tasks.md", "--", "fake-agent", "write-file", "{{prompt}}"]);
    assert_eq!(
        plan,
        [
            r#""a" ["fake-agent","write-file","one"]"#,
            r#""b" ["fake-agent","write-file","it's two"]"#,
        ]
    );
    assert_eq!(sandbox.listing(), before, "nothing was made, nothing was changed");
}

#[test]
fn a_store_that_is_there_is_as_it_was() {
    let sandbox = sandbox();
    sandbox.write("tasks.csv", "id,prompt\na,one\nb,two\n");
    sandbox.run_fake(["tasks.csv", "--limit", "1"], "succeed").exits(5);
    let store = sandbox.list();
    sandbox.write("more.csv", "id,prompt\nb,changed\nc,three\n");
    let before = sandbox.listing();
    let plan = plan(&sandbox, &["more.csv", "--shell", "--", "echo {{prompt}}"]);
    assert_eq!(plan, [r#""b" ["sh","-c","echo 'changed'"]"#, r#""c" ["sh","-c","echo 'three'"]"#,]);
    assert_eq!(sandbox.listing(), before, "nothing was made, nothing was changed");
    assert_eq!(sandbox.list(), store);
}

#[test]
fn mistakes_are_found_before_anything_is_run() {
    let sandbox = sandbox();
    sandbox.write("tasks.csv", "id,prompt\na,one\na,two\n");
    let before = sandbox.listing();
    sandbox.run(["run", "-n", "tasks.csv", "--", "true"]).exits(3).says("tasks.csv:3");
    sandbox.run(["run", "-n", "missing.csv", "--", "true"]).exits(3);
    assert_eq!(sandbox.listing(), before);
}
