//! A call of the program that goes on while the test does other things.

use std::{
    io::Write,
    process::{Child, Command, ExitStatus},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};
use serde_json::Value;

use crate::{Output, capture::Capture, json_lines, sandbox::PATIENCE};

/// The program at work. It is killed when this is dropped, and when it takes too long.
#[derive(Debug)]
pub struct Running {
    pid: Pid,
    shown: String,
    stdout: Capture,
    stderr: Capture,
    ended: Receiver<ExitStatus>,
    status: Option<ExitStatus>,
    deadline: Instant,
}

impl Running {
    pub(crate) fn spawn(mut command: Command, stdin: Option<Vec<u8>>, limit: Duration) -> Self {
        let shown = format!("{command:?}");
        let child = command.spawn();
        let mut child = child.unwrap_or_else(|error| panic!("could not start {shown}: {error}"));
        let stdout = Capture::start(child.stdout.take().expect("stdout is a pipe"));
        let stderr = Capture::start(child.stderr.take().expect("stderr is a pipe"));
        feed(&mut child, stdin);
        let pid = Pid::from_child(&child);
        let (tell, ended) = mpsc::channel();
        thread::spawn(move || tell.send(child.wait().expect("a child can be waited for")));
        Self { pid, shown, stdout, stderr, ended, status: None, deadline: Instant::now() + limit }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Sends a signal.
    pub fn signal(&mut self, signal: Signal) {
        if !self.has_ended() {
            // It may have ended since: then there is nobody to tell.
            let _ = kill_process(self.pid, signal);
        }
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.status = self.status.or_else(|| self.ended.try_recv().ok());
        self.status.is_some()
    }

    /// Waits for an event of `run --json` and returns it.
    pub fn event(&self, mut wanted: impl FnMut(&Value) -> bool) -> Value {
        let find = |text: &str| {
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            json_lines(whole).into_iter().find(|event| wanted(event))
        };
        self.stdout
            .find(PATIENCE, find)
            .unwrap_or_else(|| panic!("the event did not come\n{}", self.state()))
    }

    /// Waits for the event of this name.
    pub fn event_named(&self, name: &str) -> Value {
        self.event(|event| event["event"] == name)
    }

    /// Waits until stderr holds `text`.
    pub fn says(&self, text: &str) {
        let found = self.stderr.find(PATIENCE, |so_far| so_far.contains(text).then_some(()));
        assert!(found.is_some(), "it never said {text:?}\n{}", self.state());
    }

    /// Waits for its end; kills it and panics when that does not come in time.
    pub fn wait(mut self) -> Output {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let status = match self.status.take() {
            Some(status) => status,
            None => match self.ended.recv_timeout(left) {
                Ok(status) => status,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("it took too long and was killed\n{}", self.state())
                }
                Err(RecvTimeoutError::Disconnected) => panic!("nobody waited for {}", self.shown),
            },
        };
        self.status = Some(status);
        let (stdout, stderr) = (self.stdout.text(PATIENCE), self.stderr.text(PATIENCE));
        Output::new(self.shown.clone(), status, stdout, stderr)
    }

    fn state(&self) -> String {
        let (stdout, stderr) = (self.stdout.so_far(), self.stderr.so_far());
        format!("{}\n--- stdout\n{stdout}\n--- stderr\n{stderr}", self.shown)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

fn feed(child: &mut Child, stdin: Option<Vec<u8>>) {
    if let (Some(mut pipe), Some(bytes)) = (child.stdin.take(), stdin) {
        // A program that does not read its stdin is no error of the test's.
        thread::spawn(move || drop(pipe.write_all(&bytes)));
    }
}
