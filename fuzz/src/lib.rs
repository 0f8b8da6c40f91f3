//! What must hold for any bytes, for the targets in `fuzz_targets/`.
//!
//! `cargo xtask fuzz [--secs N] [TARGET]` runs them. By hand, from the root of the repository
//! (what is found on the way goes into the first folder, which git ignores):
//!
//! ```sh
//! mkdir -p fuzz/corpus/tick
//! cargo +nightly fuzz run tick fuzz/corpus/tick fuzz/seeds/tick -- -max_total_time=60
//! ```

use std::time::SystemTime;

use agent_runner_credentials::{Answer, classify};
use agent_runner_exec::ProcessIdentity;
use agent_runner_lock::{
    Glob, LockInfo, paths_overlap,
    record::{self, Block, State},
};
use agent_runner_signals::{End, Format as Output, Now, Outcome, Parser, judge};
use agent_runner_task_store::{
    NewTask,
    backlog::{self, Format},
};

/// Reading a backlog neither panics nor makes more tasks than there are bytes, and what was read is
/// the same when it is written and read again.
pub fn read_backlog(format: Format, bytes: &[u8]) {
    let read = backlog::read("fuzz", format, bytes).count();
    assert!(read <= bytes.len() + 1, "{read} tasks or errors in {} bytes", bytes.len());
    let Ok(tasks) = backlog::parse("fuzz", format, bytes) else { return };
    for other in [Format::Jsonl, format] {
        let mut text = Vec::new();
        let written = backlog::write(other, &tasks, &mut text);
        // TOML has no word for a few numbers and for null, nor plain lines for most fields.
        if tasks.is_empty() || (written.is_err() && other != Format::Jsonl) {
            continue;
        }
        written.expect("memory takes all");
        let again = backlog::parse("fuzz", other, &text);
        let again = again.unwrap_or_else(|errors| panic!("{errors} in {}", text.escape_ascii()));
        assert_eq!(plain(again), plain(tasks.clone()), "in {}", text.escape_ascii());
    }
}

fn plain(mut tasks: Vec<NewTask>) -> Vec<NewTask> {
    for task in &mut tasks {
        (task.key, task.source) = (None, None);
    }
    tasks
}

/// Ticking changes the boxes of what is done and no other byte, and does so once.
pub fn tick(bytes: &[u8]) {
    let Some((&bits, text)) = bytes.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let mut asked = 0;
    let mut done = Vec::new();
    let ticked = backlog::tick(text, |task| {
        asked += 1;
        let is_done = bits >> (asked % 8) & 1 == 1;
        if is_done {
            done.push((task.id.clone(), task.key.clone()));
        }
        is_done
    });
    assert_eq!(ticked.is_none(), done.is_empty());
    let Some(ticked) = ticked else { return };
    assert_eq!(ticked.len(), text.len());
    let changed = text.bytes().zip(ticked.bytes()).filter(|(before, after)| before != after);
    let changed: Vec<_> = changed.collect();
    assert_eq!(changed.len(), done.len(), "a box for each task, and nothing else");
    assert!(changed.iter().all(|&(before, after)| before.is_ascii_whitespace() && after == b'x'));
    let again = backlog::tick(&ticked, |task| done.contains(&(task.id.clone(), task.key.clone())));
    assert_eq!(again, None, "what is ticked is not asked about again");
}

/// A block that is not a record is none, and one that is says what was written.
pub fn lock_record(bytes: &[u8]) {
    if let Some(found) = record::parse(bytes) {
        let mut block = Block::held(&found.info);
        block.set_state(found.state);
        assert_eq!(record::parse(block.as_bytes()), Some(found));
    }
    // Mutations hardly ever meet the checksum, so that fields are also given without it.
    if let Ok(info) = serde_json::from_slice::<LockInfo>(bytes)
        && bytes.len() < 200
        && i64::try_from(info.token).is_ok()
    {
        let block = Block::held(&info);
        let found = record::parse(block.as_bytes()).expect("what was written is a record");
        assert_eq!((found.state, found.info), (State::Held, info));
    }
}

/// Two patterns and a path, a line each: the patterns overlap the same both ways, and they do if both
/// claim the path.
pub fn path_patterns(text: &str) {
    let mut lines = text.lines();
    let [a, b, path] = std::array::from_fn(|_| lines.next().unwrap_or_default());
    let overlap = paths_overlap(a, b);
    assert_eq!(overlap, paths_overlap(b, a));
    let (Ok(a), Ok(b)) = (Glob::new(a), Glob::new(b)) else { return };
    assert!(overlap || !a.matches(path) || !b.matches(path));
    for glob in [&a, &b] {
        assert_eq!(glob.to_string().parse::<Glob>().as_ref(), Ok(glob));
        // A claim covers what is in what it matches.
        assert!(!glob.matches(path) || glob.matches(&format!("{path}/x")) || path.ends_with('/'));
    }
}

/// Any answer of any server leads to a verdict.
pub fn classify_answer(bytes: &[u8]) {
    let Some((&[low, high], text)) = bytes.split_first_chunk() else { return };
    let text = String::from_utf8_lossy(text);
    let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let headers: Vec<_> = head.lines().filter_map(|line| line.split_once(':')).collect();
    let status = u16::from_le_bytes([low, high]) % 600;
    let answer = Answer::new(status, &headers, body);
    let now = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_795_000_000);
    if let Some(rejection) = classify(&answer, now).rejection() {
        assert!(!rejection.as_str().is_empty());
    }
}

/// Any output comes to a verdict, on stdout and on stderr, and to the same one in pieces.
pub fn signals(format: Output, bytes: &[u8]) {
    let Some((&first, output)) = bytes.split_first() else { return };
    let (size, on_stderr) = (usize::from(first >> 1) + 1, first & 1 == 1);
    let read = |chunks: &mut dyn Iterator<Item = &[u8]>| {
        let mut parser = Parser::new(format);
        let mut events = Vec::new();
        for chunk in chunks {
            if on_stderr {
                parser.feed_stderr(chunk, |event| events.push(event));
            } else {
                parser.feed(chunk, |event| events.push(event));
            }
        }
        (events, parser.finish())
    };
    let (events, summary) = read(&mut [output].into_iter());
    assert_eq!(read(&mut output.chunks(size)), (events, summary.clone()));
    let now = Now::utc(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_795_000_000));
    for end in [End::Exited(0), End::Exited(1), End::Exited(173), End::Signaled(9), End::TimedOut] {
        let verdict = judge(&summary, end, &now);
        assert_eq!(verdict.message.is_none(), verdict.outcome == Outcome::Succeeded);
    }
}

/// Events are the same however their bytes come, and are no longer than what was read.
pub fn server_sent_events(bytes: &[u8]) {
    let Some((&size, bytes)) = bytes.split_first() else { return };
    let whole = agent_runner::parsers::server_sent_events(bytes, bytes.len());
    let pieces = agent_runner::parsers::server_sent_events(bytes, usize::from(size));
    assert_eq!(whole, pieces);
    let read: usize = whole.iter().flatten().map(Vec::len).sum();
    assert!(read <= bytes.len());
}

/// What an agent says about its end is read or refused.
pub fn agent_result(bytes: &[u8]) {
    agent_runner::parsers::agent_result(bytes);
}

/// A configuration is read or refused.
pub fn configuration(text: &str) {
    agent_runner::parsers::configuration(text);
}

/// A command, a word on each line, is a template or is refused.
pub fn command_template(text: &str) {
    let words: Vec<_> = text.lines().map(str::to_owned).collect();
    agent_runner::parsers::command(&words);
}

/// What names a process is written as it was read.
pub fn process_identity(text: &str) {
    if let Ok(identity) = text.parse::<ProcessIdentity>() {
        assert_eq!(identity.to_string().parse::<ProcessIdentity>().as_ref(), Ok(&identity));
    }
}
