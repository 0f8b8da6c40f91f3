//! A backlog under simulated limits: forecasts without asking anybody.

use serde_json::Value;

use crate::{sandbox, schemas::Schema};

fn forecast(scenario: &str, flags: &[&str]) -> Value {
    let sandbox = sandbox();
    sandbox.write_tasks(50);
    sandbox.write("night.toml", scenario);
    let args = ["rehearse", "tasks.txt", "--scenario", "night.toml", "--json"].iter().chain(flags);
    let lines = sandbox.run(args.copied()).exits(0).json_lines();
    Schema::new("rehearse").holds(&lines[0]);
    lines[0].clone()
}

fn took(forecast: &Value) -> f64 {
    forecast["took_s"].as_f64().expect("a number")
}

#[test]
fn limits_agents_and_keys_decide_how_long_it_takes() {
    // 50 tasks of 10 requests of 6 s: 50 minutes of one agent.
    let scenario = "turns = 10\nlatency_s = 6\noverloaded = 0.0\n";
    let one = forecast(scenario, &["-j", "1"]);
    let minutes = took(&one) / 60.0;
    assert!((40.0..60.0).contains(&minutes), "{one}");
    let ten = forecast(scenario, &["-j", "10"]);
    assert!(took(&ten) < took(&one) / 8.0, "{ten}");

    let tight = format!("{scenario}requests_per_minute = 20\n");
    let limited = forecast(&tight, &["-j", "10"]);
    let minutes = took(&limited) / 60.0;
    assert!((24.0..27.0).contains(&minutes), "500 requests at 20 a minute: {limited}");
    assert!(limited["waited_part"].as_f64().expect("a number") > 0.5, "{limited}");
    let more = forecast(&tight, &["-j", "10", "--keys", "4"]);
    assert!(took(&more) < took(&limited) / 3.0, "{more}");
    let shared = forecast(&tight, &["-j", "10", "--keys", "4/1"]);
    assert!(took(&shared) > took(&limited) * 0.9, "keys of one account share it: {shared}");
    assert_eq!(forecast(&tight, &["-j", "10"]), limited, "the same seed, the same night");
}

#[test]
fn what_cannot_be_done_and_what_makes_no_sense_is_said() {
    let sandbox = sandbox();
    sandbox.write_tasks(50);
    sandbox.write("dead.toml", "[[key]]\nnumber = 1\nrevoked_at_s = 60\n");
    let run = |flags: &[&str]| sandbox.run(["rehearse", "tasks.txt"].iter().chain(flags).copied());
    run(&["--scenario", "dead.toml"]).exits(6).says("no key is left");
    run(&["--scenario", "dead.toml", "--keys", "2"]).exits(0);
    run(&["--keys", "2/4"]).exits(2).says("is no number of keys");
    sandbox.write("wrong.toml", "turn = 3\n");
    run(&["--scenario", "wrong.toml"]).exits(3).says("unknown field `turn`");
    sandbox.write("wrong.toml", "turns = 0\n");
    run(&["--scenario", "wrong.toml"]).exits(3).says("turns are from 1 to 10000");
}
