//! Reads a line of a gigabyte, and then an agent's end, and says how much memory that took.

use std::error::Error;

use agent_runner_signals::{End, Format, Now, Outcome, Parser, judge};

const GIBIBYTE: usize = 1 << 30;

fn main() -> Result<(), Box<dyn Error>> {
    for (what, start, filler) in [
        ("a text", "{\"type\":\"assistant\",\"x\":\"", "0123456789abcde "),
        ("a list", "{\"type\":\"assistant\",\"x\":[", "{\"a\":[1]},\"b\",0,"),
        ("a depth", "{\"type\":\"assistant\",\"x\":", "[[[[[[[[[[[[[[[["),
        ("garbage", "", "\u{0}garbage without "),
        ("fields", "{\"type\":\"assistant\"", ",\"x\":\"yyyyyyyyyy\""),
    ] {
        let mut parser = Parser::new(Format::ClaudeStreamJson);
        let chunk = filler.repeat(4096);
        parser.feed(start.as_bytes(), |_| {});
        for _ in 0..GIBIBYTE / chunk.len() {
            parser.feed(chunk.as_bytes(), |_| {});
        }
        parser.feed(b"\n{\"type\":\"result\",\"subtype\":\"success\"}\n", |_| {});
        let verdict =
            judge(&parser.finish(), End::Exited(0), &Now::utc(std::time::SystemTime::now()));
        assert_eq!(verdict.outcome, Outcome::Succeeded, "what comes after {what} is read");
        show(&format!("{what}: {}", memory()?));
    }
    Ok(())
}

/// The most memory that the process has had, where the system says it.
fn memory() -> Result<String, Box<dyn Error>> {
    if !cfg!(target_os = "linux") {
        return Ok("read".to_owned());
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    Ok(format!("{} at most", line.ok_or("the system does not say")?.trim()))
}

#[expect(clippy::print_stdout, reason = "an example's output goes to stdout")]
fn show(text: &str) {
    println!("{text}");
}
