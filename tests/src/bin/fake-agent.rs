//! An agent that does as it is told: `fake-agent VERB [ARGS]`. `fakes.rs` says what comes of it.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, Read, Write},
    path::Path,
    process::{Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::json;

/// Nothing that a test forgot goes on for longer.
const LIFETIME: Duration = Duration::from_secs(120);

fn main() -> Result<ExitCode> {
    let args: Vec<_> = env::args().skip(1).collect();
    let (verb, rest) = args.split_first().context("a verb")?;
    act(verb, rest)
}

fn act(verb: &str, args: &[String]) -> Result<ExitCode> {
    match verb {
        "succeed" => done(),
        _ if verb.ends_with("-once") && attempt()? > 1 => done(),
        _ if verb.ends_with("-twice") && attempt()? > 2 => done(),
        "fail-always" => fail("cannot do it"),
        "fail-once" | "fail-twice" => fail("not yet"),
        "hang" | "hang-once" => hang(),
        "ignore-sigterm" => ignore_signals(),
        "crash-once" | "crash" => std::process::abort(),
        "leak-a-child" => leak(Command::new(env::current_exe()?)),
        "leak-a-daemon" => {
            let mut setsid = Command::new("setsid");
            setsid.arg(env::current_exe()?);
            leak(setsid)
        }
        "print-10mb" => print_much(10 << 20),
        "print-garbage" => print(&[0xff, 0x00, 0x1b, b'[', b'3', b'1', b'm', b'\r', 0xfe, b'\n']),
        "write-file" => write_file(),
        "throttle-once" => limit("throttled", "429"),
        "overload-once" => limit("overloaded", "529"),
        "auth" => {
            say("401")?;
            result(&json!({ "outcome": "auth", "message": "the key is refused" }), 1)
        }
        "result" => result(&serde_json::from_str(&args[0])?, 0),
        "result-garbage" => {
            fs::write(env::var("AGENT_RUNNER_RESULT")?, "{ not JSON")?;
            say("wrote nonsense")?;
            Ok(ExitCode::SUCCESS)
        }
        "deny-success" => {
            say("said yes, left with 1")?;
            result(&json!({ "outcome": "succeeded" }), 1)
        }
        "record" => record(args),
        "gate" => gate(),
        "by-key" => by_key(),
        "ask" => ask_often(args[0].parse()?),
        "prompt" => as_the_prompt_says(),
        other => bail!("there is no fake agent '{other}'"),
    }
}

fn done() -> Result<ExitCode> {
    say("all done")?;
    Ok(ExitCode::SUCCESS)
}

fn fail(why: &str) -> Result<ExitCode> {
    writeln!(io::stderr(), "{why}")?;
    Ok(ExitCode::FAILURE)
}

fn hang() -> Result<ExitCode> {
    say("hanging")?;
    mark("hangs")?;
    thread::sleep(LIFETIME);
    bail!("nobody ended it")
}

/// Signals that are ignored stay so when a shell becomes another program.
fn ignore_signals() -> Result<ExitCode> {
    let line = "trap '' INT TERM HUP; exec \"$0\" hang";
    let status = Command::new("sh").args(["-c", line]).arg(env::current_exe()?).status()?;
    bail!("nobody ended it: {status}")
}

/// Leaves a child behind whose pid is in `ID.leaked`.
fn leak(mut command: Command) -> Result<ExitCode> {
    let child = command.arg("hang").stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let hangs = format!("{}.hangs", id()?);
    wait_for(Path::new(&hangs))?;
    let pid = fs::read_to_string(&hangs)?;
    fs::write(format!("{}.leaked", id()?), pid)?;
    say(&format!("left {}", child.id()))?;
    Ok(ExitCode::SUCCESS)
}

fn print_much(bytes: usize) -> Result<ExitCode> {
    let line = [b"0123456789abcdef".repeat(63), b"\n".to_vec()].concat();
    let mut stdout = io::stdout().lock();
    for _ in 0..bytes / line.len() {
        stdout.write_all(&line)?;
    }
    writeln!(stdout, "the last line")?;
    Ok(ExitCode::SUCCESS)
}

fn print(bytes: &[u8]) -> Result<ExitCode> {
    io::stdout().write_all(bytes)?;
    Ok(ExitCode::SUCCESS)
}

fn write_file() -> Result<ExitCode> {
    let file = format!("{}.txt", id()?);
    fs::write(&file, format!("{}\n", task()?["prompt"].as_str().unwrap_or_default()))?;
    say(&format!("wrote {file}"))?;
    Ok(ExitCode::SUCCESS)
}

fn limit(outcome: &str, status: &str) -> Result<ExitCode> {
    say(status)?;
    result(&json!({ "outcome": outcome, "retry_after_s": 0.05, "message": "slow down" }), 1)
}

fn result(result: &serde_json::Value, code: u8) -> Result<ExitCode> {
    fs::write(env::var("AGENT_RUNNER_RESULT")?, result.to_string())?;
    Ok(ExitCode::from(code))
}

/// Writes all that it was given to `ID.ATTEMPT.json`.
fn record(args: &[String]) -> Result<ExitCode> {
    let mut stdin = String::new();
    io::stdin().read_to_string(&mut stdin)?;
    let environment: BTreeMap<_, _> = env::vars().collect();
    let record = json!({
        "args": args,
        "stdin": stdin,
        "env": environment,
        "cwd": env::current_dir()?,
        "task": task()?,
    });
    fs::write(format!("{}.{}.json", id()?, attempt()?), record.to_string())?;
    done()
}

/// Says that it has begun (`ID.ATTEMPT.begun`) and goes on when there is a file `open`.
fn gate() -> Result<ExitCode> {
    mark(&format!("{}.begun", attempt()?))?;
    wait_for(Path::new("open"))?;
    mark(&format!("{}.ended", attempt()?))?;
    done()
}

/// Prints the key that it was lent, and is refused or told to wait when the key's text says so.
fn by_key() -> Result<ExitCode> {
    let key = env::var("ANTHROPIC_API_KEY").context("ANTHROPIC_API_KEY is not set")?;
    say(&format!("my key is {key}"))?;
    let limit = |outcome: &str| {
        result(
            &json!({ "outcome": outcome, "retry_after_s": 3600, "message": format!("{key}: no") }),
            1,
        )
    };
    match () {
        () if key.ends_with("-revoked") => limit("auth"),
        () if key.ends_with("-throttled") => limit("throttled"),
        () if key.ends_with("-spent") => limit("quota"),
        () if key.ends_with("-owing") => limit("billing"),
        () => done(),
    }
}

/// Asks its provider so many times, and says how that ended. What it sees of itself is in
/// `ID.ATTEMPT.seen`.
fn ask_often(times: u32) -> Result<ExitCode> {
    fs::write(format!("{}.{}.seen", id()?, attempt()?), agent_runner_tests::seen_of_itself())?;
    say(&agent_runner_tests::seen_of_itself())?;
    for _ in 0..times {
        let answer = agent_runner_tests::ask()?;
        say(&answer)?;
        let outcome = match answer.get(9..12) {
            Some("200") => continue,
            Some("401") => "auth",
            Some("402") => "billing",
            Some("429") => "throttled",
            _ => bail!("{answer}"),
        };
        return result(&json!({ "outcome": outcome, "message": "the provider said no" }), 1);
    }
    done()
}

/// Each task has its own verb: its prompt.
fn as_the_prompt_says() -> Result<ExitCode> {
    let task = task()?;
    let words: Vec<_> = task["prompt"].as_str().context("a prompt")?.split(' ').collect();
    let (verb, args) = words.split_first().context("a verb")?;
    act(verb, &args.iter().map(ToString::to_string).collect::<Vec<_>>())
}

/// A file that tells the test how far the agent is; it holds the pid.
fn mark(name: &str) -> Result<()> {
    let (path, whole) = (format!("{}.{name}", id()?), format!(".{}.{name}", id()?));
    fs::write(&whole, std::process::id().to_string())?;
    Ok(fs::rename(whole, path)?)
}

fn wait_for(file: &Path) -> Result<()> {
    let started = Instant::now();
    while !file.exists() {
        if started.elapsed() > LIFETIME {
            bail!("'{}' did not come", file.display());
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn id() -> Result<String> {
    Ok(env::var("AGENT_RUNNER_TASK_ID")?)
}

fn attempt() -> Result<u32> {
    Ok(env::var("AGENT_RUNNER_ATTEMPT")?.parse()?)
}

fn task() -> Result<serde_json::Value> {
    Ok(serde_json::from_slice(&fs::read(env::var("AGENT_RUNNER_TASK_FILE")?)?)?)
}

fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}
