//! The parser beside what it cannot do without, in the same run: reading each line as JSON.

#![expect(clippy::print_stdout, reason = "a benchmark's data goes to stdout")]

use std::{env, hint::black_box, time::Instant};

use agent_runner_signals::{Format, Parser};
use serde_json::Value;

fn main() {
    let quick =
        env::var_os("AGENT_RUNNER_BENCH_QUICK").is_some() || env::args().any(|arg| arg == "--test");
    let (rounds, turns) = if quick { (3, 5) } else { (15, 4_000) };
    let claude = claude(turns);
    for (case, format, output) in [
        ("Claude, a long session", Format::ClaudeStreamJson, &claude),
        ("Codex, a long session", Format::CodexJson, &codex(turns)),
        ("plain text", Format::Plain, &claude),
    ] {
        compare(case, rounds, format, output);
    }
}

/// A session as they are: most of it is what tools print.
fn claude(turns: usize) -> String {
    let (text, file) = (text(), file());
    let line = |turn: usize| {
        format!(
            r#"{{"type":"assistant","message":{{"id":"{turn}","type":"message","role":"assistant","content":[{{"type":"text","text":{text}}},{{"type":"tool_use","name":"Read","input":{{"path":"/home/dev/a.rs"}}}}],"usage":{{"input_tokens":{turn},"output_tokens":9,"cache_read_input_tokens":5}}}},"session_id":"s"}}
{{"type":"user","message":{{"role":"user","content":[{{"type":"tool_result","content":{file}}}]}},"session_id":"s"}}
"#
        )
    };
    (0..turns).map(line).collect()
}

fn codex(turns: usize) -> String {
    let (text, file) = (text(), file());
    let line = |turn: usize| {
        format!(
            r#"{{"type":"item.completed","item":{{"id":"{turn}","type":"command_execution","command":"cat a.rs","aggregated_output":{file},"exit_code":0}}}}
{{"type":"item.completed","item":{{"id":"{turn}","type":"agent_message","text":{text}}}}}
"#
        )
    };
    (0..turns).map(line).collect()
}

/// What a model says, as JSON.
fn text() -> Value {
    "Now I look at the file. ".repeat(8).into()
}

/// What a tool prints, as JSON.
fn file() -> Value {
    "    let x = \"a\";\n    f(x, 17)?;\n".repeat(80).into()
}

fn ours(format: Format, output: &str) {
    let mut parser = Parser::new(format);
    for chunk in output.as_bytes().chunks(64 * 1024) {
        parser.feed(chunk, |event| {
            black_box(event);
        });
    }
    black_box(parser.finish());
}

fn lines_of_json(output: &str) {
    for line in output.as_bytes().split(|&byte| byte == b'\n') {
        black_box(serde_json::from_slice::<Value>(line)).ok();
    }
}

fn compare(case: &str, rounds: usize, format: Format, output: &str) {
    let (mut our_rates, mut limit_rates) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        our_rates.push(rate(output, &mut |output| ours(format, output)));
        limit_rates.push(rate(output, &mut lines_of_json));
    }
    let (ours, limit) = (median(our_rates), median(limit_rates));
    println!(
        r#"{{"bench":"signals","case":"{case}","ours":{ours:.0},"limit":{limit:.0},"unit":"MB/s","ratio":{:.2},"goal":">= 0.8"}}"#,
        ours / limit
    );
}

fn rate(output: &str, work: &mut dyn FnMut(&str)) -> f64 {
    let start = Instant::now();
    work(output);
    #[expect(clippy::cast_precision_loss, reason = "a rate needs no exact bytes")]
    let bytes = output.len() as f64;
    bytes / 1e6 / start.elapsed().as_secs_f64()
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}
