//! The first command of the README: what it promises is seen, and it says so.

use std::fs;

use crate::sandbox;

#[test]
fn the_demo_shows_what_the_readme_promises() {
    let sandbox = sandbox();
    // By its own name, as a person has it: by that it can be taken for an agent.
    let program = sandbox.path("agent-runner");
    let built = sandbox.bin().join("agent-runner").canonicalize().expect("it is built");
    if fs::hard_link(&built, &program).is_err() {
        fs::copy(&built, &program).expect("it can be copied");
    }
    let demo = sandbox.shell("./agent-runner demo --seed 1 --speed 10").exits(0);
    let demo = demo.says("3 pretend keys; nothing leaves this machine").says("what you just saw");
    for seen in [
        "rate limit (429)",
        "revoked key (401)",
        "overload (529)",
        "agent crashed",
        "agent hung",
        "agent failed",
    ] {
        assert!(demo.stderr.contains(&format!("✓ {seen}")), "{seen} is not seen in {demo}");
    }
    let demo = demo.says("✓ dead runner         1 ×").says("✓ tasks done twice    0 ×");
    demo.says("✓ tasks succeeded    13 ×").says("13 succeeded, 1 failed, 0 left");
}
