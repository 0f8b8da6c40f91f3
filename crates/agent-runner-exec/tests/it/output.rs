//! Logs, tails, masks.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use agent_runner_exec::{Command, LogOptions};
use tempfile::TempDir;

use crate::support::{TestResult, in_role, wait};

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn log(&self) -> PathBuf {
        self.0.path().join("logs/1.log")
    }

    fn sh(&self, script: &str) -> Command {
        Command::new("sh").args(["-c", script]).log(LogOptions::new(self.log()))
    }
}

#[tokio::test]
async fn both_streams_go_to_the_log() -> TestResult {
    let folder = Folder::new();
    let exit = wait(folder.sh("echo out; echo error >&2").spawn()?).await;
    let log = fs::read_to_string(folder.log())?;
    assert!(log == "out\nerror\n" || log == "error\nout\n", "{log:?}");
    assert_eq!((exit.stdout_bytes, exit.stderr_bytes), (4, 6));
    assert_eq!(exit.tail, log);
    Ok(())
}

#[tokio::test]
async fn a_listener_hears_all_that_the_child_wrote() -> TestResult {
    let folder = Folder::new();
    let heard = Arc::new(Mutex::new([Vec::new(), Vec::new()]));
    let listener = Arc::clone(&heard);
    let script =
        "i=0; while [ $i -lt 20000 ]; do echo the secret $i; i=$((i+1)); done; echo oh >&2";
    let command = folder.sh(script).mask(["secret"]).listen(move |stream, bytes| {
        listener.lock().unwrap()[stream as usize].extend_from_slice(bytes);
    });
    wait(command.spawn()?).await;
    let [stdout, stderr] = std::mem::take(&mut *heard.lock().unwrap());
    let lines: Vec<_> = (0..20_000).map(|i| format!("the secret {i}\n")).collect();
    assert!(stdout == lines.concat().as_bytes(), "all of it, in order, not masked");
    assert_eq!(stderr, b"oh\n");
    assert!(!fs::read_to_string(folder.log())?.contains("secret"), "the log is masked");
    Ok(())
}

#[tokio::test]
async fn merged_streams_keep_their_order() -> TestResult {
    let folder = Folder::new();
    let script = "for i in 1 2 3 4 5 6 7 8 9; do echo $i; echo $i >&2; done";
    let exit = wait(folder.sh(script).merge_output(true).spawn()?).await;
    let expected: Vec<_> = (1..10).flat_map(|i| [i.to_string(), i.to_string()]).collect();
    assert_eq!(fs::read_to_string(folder.log())?.lines().collect::<Vec<_>>(), expected);
    assert_eq!((exit.stdout_bytes, exit.stderr_bytes), (36, 0));
    Ok(())
}

#[tokio::test]
async fn an_empty_log_exists_and_an_old_one_is_emptied() -> TestResult {
    let folder = Folder::new();
    wait(folder.sh("echo old").spawn()?).await;
    wait(folder.sh("exit 0").spawn()?).await;
    assert_eq!(fs::read(folder.log())?, b"");
    Ok(())
}

#[tokio::test]
async fn a_long_output_keeps_its_beginning_and_its_end() -> TestResult {
    let folder = Folder::new();
    let log =
        LogOptions { limit_bytes: 100_000, tail_bytes: 40_000, ..LogOptions::new(folder.log()) };
    let exit = wait(folder.sh("seq 1 400000").log(log).spawn()?).await;
    let text = fs::read_to_string(folder.log())?;
    let mark = format!("\n[agent-runner: {:>16} bytes left out]\n", exit.left_out_bytes);
    let (head, end) = text.split_once(&mark).ok_or("there is no mark")?;
    assert!(exit.is_truncated() && text.len() < 100_100);
    assert!(head.starts_with("1\n2\n") && end.ends_with("\n399999\n400000\n"));
    assert_eq!((head.len() + end.len()) as u64 + exit.left_out_bytes, exit.stdout_bytes);
    assert_eq!(exit.last_line(), Some("400000"));
    Ok(())
}

#[tokio::test]
async fn lines_have_times_if_asked() -> TestResult {
    let folder = Folder::new();
    let log = LogOptions { timestamps: true, ..LogOptions::new(folder.log()) };
    wait(folder.sh("echo one; echo two").log(log).spawn()?).await;
    let text = fs::read_to_string(folder.log())?;
    for (line, word) in text.lines().zip(["one", "two"]) {
        let (time, rest) = line.split_once(' ').ok_or("no time")?;
        assert!(time.len() == 24 && time.starts_with("20") && time.ends_with('Z'), "{line}");
        assert_eq!(rest, word);
    }
    assert_eq!(text.lines().count(), 2);
    Ok(())
}

#[tokio::test]
async fn secrets_are_in_no_log_and_no_tail() -> TestResult {
    let folder = Folder::new();
    // Whole; in two writes; on both streams; and what only looks like one.
    let script =
        "echo a sk-one b; printf sk-; sleep 0.05; printf 'one\\n'; echo sk-two >&2; echo sk-o";
    let exit = wait(folder.sh(script).mask(["sk-one", "sk-two", ""]).spawn()?).await;
    let log = fs::read_to_string(folder.log())?;
    for text in [&log, &exit.tail] {
        assert!(!text.contains("sk-one") && !text.contains("sk-two"), "{text}");
        assert_eq!(text.matches("***").count(), 3, "{text}");
        assert!(text.contains("a *** b\n") && text.contains("sk-o\n"), "{text}");
    }
    Ok(())
}

#[tokio::test]
async fn bytes_that_are_no_text_are_logged_as_they_are() -> TestResult {
    let folder = Folder::new();
    let exit = wait(folder.sh("printf '\\377\\000\\303('; printf 'ok\\n'").spawn()?).await;
    assert_eq!(fs::read(folder.log())?, b"\xff\0\xc3(ok\n");
    assert_eq!(exit.tail, "\u{fffd}\0\u{fffd}(ok\n");
    Ok(())
}

#[tokio::test]
async fn a_full_disk_is_told_and_the_child_goes_on() -> TestResult {
    let log = LogOptions::new("/dev/full");
    let command = Command::new("sh").args(["-c", "seq 1 100000; echo done"]).log(log);
    let exit = wait(command.spawn()?).await;
    assert!(exit.is_success());
    assert_eq!(exit.last_line(), Some("done"));
    let error = exit.log_error.ok_or("the log is not complete")?;
    assert_eq!(error.source.kind(), std::io::ErrorKind::StorageFull);
    assert_eq!(error.to_string(), "could not write log '/dev/full'");
    Ok(())
}

#[tokio::test]
async fn a_log_that_cannot_be_created_is_an_error() {
    let error = Command::new("true").log(LogOptions::new("/proc/no/log")).spawn().unwrap_err();
    assert_eq!(error.to_string(), "could not create log '/proc/no/log'");
}

/// Starts a process that reads one long line, and returns how many KiB it grew by.
fn grown_by(len: u64, settings: &[(&str, &str)]) -> Result<u64, Box<dyn std::error::Error>> {
    let folder = TempDir::new()?;
    let mut reader = in_role("reader");
    reader.current_dir(&folder).env("LEN", len.to_string()).envs(settings.iter().copied());
    let output = reader.output()?;
    let text = String::from_utf8(output.stdout)?;
    let line = text.lines().find_map(|line| line.strip_prefix("grown: ")).ok_or(text.clone())?;
    let (grown, read) = line.split_once(" KiB, read: ").ok_or("another line")?;
    assert_eq!(read, len.to_string());
    assert!(fs::metadata(folder.path().join("log"))?.len() <= (1 << 20) + 200);
    Ok(grown.parse()?)
}

#[test]
fn a_line_of_a_gibibyte_needs_little_memory() -> TestResult {
    let grown = grown_by(1 << 30, &[("MERGE", "1")])?;
    assert!(grown < 4096, "{grown} KiB");
    let grown = grown_by(1 << 26, &[("SECRET", "xxy")])?;
    assert!(grown < 4096, "{grown} KiB with a mask");
    Ok(())
}
