//! Holders in processes of their own: this test program again, started as a child that runs only the
//! test below and finds itself told to serve.

use std::{
    env,
    io::{self, BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStderr, ChildStdin, Command, ExitStatus, Stdio},
    time::Duration,
};

use agent_runner_lock::LockDir;
use rustix::process::{Pid, Signal, kill_process};

use crate::rivals;

#[path = "../../examples/torture_agent.rs"]
#[expect(dead_code, reason = "its main is for those who run the example")]
mod torture_agent;

const KIND: &str = "AGENT_RUNNER_LOCK_TEST_AGENT";
const FOLDER: &str = "AGENT_RUNNER_LOCK_TEST_FOLDER";
const TTL_MS: &str = "AGENT_RUNNER_LOCK_TEST_TTL_MS";

/// How long a lease lasts in a torture: far shorter than anybody would choose.
pub(crate) const TTL: Duration = Duration::from_millis(300);

/// Whose algorithm an agent follows.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Strict,
    /// A lease directory, with leases that last so long.
    Lease(Duration),
    /// Not ours; see `rivals`.
    Rival(&'static str),
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Lease(_) => "lease",
            Self::Rival(name) => name,
        }
    }
}

/// A child that answers on its standard error, because the test runner in it writes to its
/// standard output.
pub(crate) struct Agent {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStderr>,
}

impl Agent {
    pub(crate) fn start(kind: Kind, folder: &Path) -> Self {
        Self::start_under(&["env"], kind, folder)
    }

    /// Starts one by a program which becomes it or waits for it.
    pub(crate) fn start_under(tool: &[&str], kind: Kind, folder: &Path) -> Self {
        let ttl = if let Kind::Lease(ttl) = kind { ttl.as_millis() } else { 0 };
        let mut child = Command::new(tool[0])
            .args(&tool[1..])
            .arg(env::current_exe().unwrap())
            .args(["--exact", "agent::an_agent_speaks_the_protocol", "--nocapture"])
            .env(KIND, kind.name())
            .env(FOLDER, folder)
            .env(TTL_MS, ttl.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let requests = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stderr.take().unwrap());
        Self { child, requests, answers }
    }

    /// Sends one request and waits for the answer.
    pub(crate) fn ask(&mut self, request: &str) -> String {
        self.send(request).unwrap();
        self.receive().unwrap()
    }

    pub(crate) fn send(&mut self, request: &str) -> io::Result<()> {
        self.requests.write_all(format!("{request}\n").as_bytes())
    }

    pub(crate) fn receive(&mut self) -> io::Result<String> {
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        Ok(answer.trim_end().to_owned())
    }

    /// SIGSTOP or SIGCONT.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    /// Has it acquire a lock that nobody holds.
    pub(crate) fn take(&mut self, key: &str) {
        self.send(&format!("A {key}")).unwrap();
        let answer = self.receive().unwrap();
        assert!(answer.starts_with("OK "), "{answer}");
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.kill().unwrap();
    }
}

#[test]
fn an_agent_speaks_the_protocol() {
    if let (Ok(kind), Some(folder)) = (env::var(KIND), env::var_os(FOLDER)) {
        let (requests, answers) = (io::stdin().lock(), io::stderr());
        if !["strict", "lease"].contains(&kind.as_str()) {
            return rivals::serve(&kind, Path::new(&folder), requests, answers).unwrap();
        }
        let mut dir = LockDir::builder(folder).holder_id("agent");
        let ttl = env::var(TTL_MS).unwrap().parse().unwrap();
        if ttl > 0 {
            dir = dir.lease(Duration::from_millis(ttl));
        }
        return torture_agent::serve(&dir.open().unwrap(), requests, answers).unwrap();
    }

    let folder = tempfile::tempdir().unwrap();
    let dir = LockDir::open(folder.path().join("locks")).unwrap();
    let mut answers = Vec::new();
    torture_agent::serve(&dir, &b"A 42\nA 42\nC\nR\nR\nA\nQ\nR\n"[..], &mut answers).unwrap();
    let answers = String::from_utf8(answers).unwrap();
    let lines: Vec<&str> = answers.lines().collect();
    assert!(lines[0].strip_prefix("OK ").is_some_and(|token| token.parse::<u64>().is_ok()));
    let rest = ["BUSY", "OK", "OK", "ERR nothing is held", "ERR unknown request \"A\""];
    assert_eq!(lines[1..], rest, "after Q nothing is answered");
}
