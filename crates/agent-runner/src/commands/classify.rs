//! `classify`: what the recorded output of an agent came to.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    time::SystemTime,
};

use agent_runner_signals::{
    End, Format, Outcome, Parser, RULES_VERSION, Summary, Usage, Verdict, judge,
};
use jiff::Timestamp;
use serde::Serialize;

use super::unwritten;
use crate::{
    cli::Classify,
    error::{OrExit, Result},
    exit_code::Exit,
    profile::Profiles,
    project::Project,
    ui::Ui,
    units::local,
};

/// How much is read at once.
const CHUNK: usize = 64 * 1024;

/// Prints the outcome as one JSON object.
pub fn classify(ui: &Ui, project: &Project, args: &Classify) -> Result<Exit> {
    let profiles = Profiles::new(&project.config.profiles);
    let format = profiles.get(&args.profile)?.output.unwrap_or(Format::Plain);
    let mut parser = Parser::new(format);
    read(&args.stdout, |bytes| parser.feed(bytes, |_| {}))?;
    // Which of the two was written first, nobody knows any more: a failure comes near the end.
    if let Some(stderr) = &args.stderr {
        read(stderr, |bytes| parser.feed_stderr(bytes, |_| {}))?;
    }
    let summary = parser.finish();
    let ended = args.at.and_then(|at| at.try_into().ok()).unwrap_or_else(SystemTime::now);
    let verdict = judge(&summary, end(args), &local(ended));
    let view = serde_json::to_string(&View::new(&verdict, &summary)).expect("it has plain fields");
    ui.data(view).map_err(unwritten)?;
    Ok(Exit::Success)
}

fn end(args: &Classify) -> End {
    match args.signal {
        _ if args.timed_out => End::TimedOut,
        Some(signal) => End::Signaled(signal),
        None => End::Exited(args.exit_code),
    }
}

/// Reads a file of any size in pieces.
fn read(path: &Path, mut feed: impl FnMut(&[u8])) -> Result<()> {
    let what = || format!("could not read '{}'", path.display());
    let mut file: Box<dyn Read> = match path.to_str() {
        Some("-") => Box::new(io::stdin().lock()),
        _ => Box::new(File::open(path).or_invalid(what)?),
    };
    let mut buffer = vec![0; CHUNK];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => feed(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).or_invalid(what),
        }
    }
}

/// What is printed.
#[derive(Serialize)]
struct View<'a> {
    outcome: Outcome,
    message: Option<&'a str>,
    retry_after_s: Option<f64>,
    reset_at: Option<Timestamp>,
    session_id: Option<&'a str>,
    model: Option<&'a str>,
    usage: Usage,
    cost_usd: Option<f64>,
    messages: u64,
    tool_uses: u64,
    retries: u64,
    cli_version: Option<&'a str>,
    rule: Option<&'a str>,
    rules_version: u32,
}

impl<'a> View<'a> {
    fn new(verdict: &'a Verdict, summary: &'a Summary) -> Self {
        let timestamp = |time: SystemTime| Timestamp::try_from(time).ok();
        Self {
            outcome: verdict.outcome,
            message: verdict.message.as_deref(),
            retry_after_s: verdict.retry_after.map(|wait| wait.as_secs_f64()),
            reset_at: verdict.reset_at.and_then(timestamp),
            session_id: summary.session_id.as_deref(),
            model: summary.model.as_deref(),
            usage: summary.usage,
            cost_usd: summary.cost_usd,
            messages: summary.messages,
            tool_uses: summary.tool_uses,
            retries: summary.retries,
            cli_version: summary.cli_version.as_deref(),
            rule: verdict.rule,
            rules_version: RULES_VERSION,
        }
    }
}
