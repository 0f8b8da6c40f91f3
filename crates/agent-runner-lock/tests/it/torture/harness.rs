//! Drives agents through the line protocol of `examples/torture_agent.rs`, and judges what they say.
//!
//! The harness does the critical sections itself. It enters one after it read `OK` and leaves it
//! before it sends `R` or kills the holder, so that an overlap which it counts is a real one.

use std::{
    fs, hint, io,
    path::Path,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    thread,
    time::{Duration, Instant},
};

use agent_runner_lock::{CleanOptions, LockDir, LockDirBuilder};
use rustix::process::Signal;

use super::section::{Section, Verdict};
use crate::agent::{Agent, Kind, TTL};

/// How to torture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) kind: Kind,
    pub(super) processes: u64,
    pub(super) keys: u64,
    pub(super) with: &'static [Trouble],
    /// How long a section takes at most, in microseconds.
    pub(super) longest: u64,
    /// Whether to stop at the first sign of guilt.
    pub(super) until_caught: bool,
    pub(super) lasts: Duration,
}

/// What befalls those who are tortured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// SIGKILL, in any place.
    Kills,
    /// SIGSTOP for three times as long as a lease lasts, in any place.
    Stops,
    /// One more process lists, probes and cleans all the time.
    Collector,
    /// The folder is removed with all that is in it, every 300 ms.
    Removals,
    /// The folder is in memory, so that all goes faster.
    Memory,
}

impl Plan {
    pub(super) const fn new(kind: Kind, lasts: Duration) -> Self {
        Self { kind, processes: 6, keys: 1, with: &[], longest: 300, until_caught: false, lasts }
    }

    pub(super) fn has(&self, trouble: Trouble) -> bool {
        self.with.contains(&trouble)
    }

    fn folder(&self) -> tempfile::TempDir {
        // On Linux a tmpfs that everybody has.
        let memory = Path::new("/dev/shm");
        let found = if self.has(Trouble::Memory) && memory.is_dir() {
            tempfile::tempdir_in(memory)
        } else {
            tempfile::tempdir()
        };
        found.unwrap()
    }
}

/// Does it, says what was seen, and returns it.
pub(super) fn torture(plan: &Plan) -> Verdict {
    let folder = plan.folder();
    let folder = folder.path().join("locks");
    let sections: Vec<Section> = (0..plan.keys).map(|_| Section::default()).collect();
    let (verdict, stop) = (Verdict::default(), AtomicBool::new(false));
    let start = Instant::now();

    thread::scope(|scope| {
        for number in 0..plan.processes {
            let driver = Driver { plan, folder: &folder, sections: &sections, verdict: &verdict };
            let stop = &stop;
            scope.spawn(move || driver.drive(number, stop));
        }
        if plan.has(Trouble::Collector) {
            scope.spawn(|| collect(plan, &folder, &verdict, &stop));
        }
        if plan.has(Trouble::Removals) {
            scope.spawn(|| remove(&folder, &verdict, &stop));
        }
        let caught = || plan.until_caught && verdict.is_caught(plan);
        while start.elapsed() < plan.lasts && !caught() {
            thread::park_timeout(Duration::from_millis(5));
        }
        stop.store(true, SeqCst);
    });
    for section in &sections {
        section.close(&verdict);
    }
    verdict.print(plan, start.elapsed());
    verdict
}

/// One thread, with one agent at a time.
#[derive(Clone, Copy)]
struct Driver<'a> {
    plan: &'a Plan,
    folder: &'a Path,
    sections: &'a [Section],
    verdict: &'a Verdict,
}

#[derive(PartialEq, Eq)]
enum After {
    Alive,
    Killed,
}

impl Driver<'_> {
    fn drive(self, number: u64, stop: &AtomicBool) {
        let mut random = Random(number + 1);
        let mut agent = Agent::start(self.plan.kind, self.folder);
        while !stop.load(SeqCst) {
            match self.act(&mut agent, &mut random) {
                Ok(After::Alive) => {}
                Ok(After::Killed) => {
                    self.verdict.kills.fetch_add(1, SeqCst);
                    agent = Agent::start(self.plan.kind, self.folder);
                }
                Err(error) => {
                    self.verdict.errors.lock().unwrap().push(error.to_string());
                    return;
                }
            }
        }
    }

    /// One try to acquire, the critical section, the release; now and then with a kill or a stop.
    fn act(self, agent: &mut Agent, random: &mut Random) -> io::Result<After> {
        let [kills, stops] = [Trouble::Kills, Trouble::Stops].map(|what| self.plan.has(what));
        let mut doomed = |wanted: bool, one_in: u64| wanted && random.below(one_in) == 0;
        let (while_acquiring, while_holding, while_releasing) =
            (doomed(kills, 60), doomed(kills, 20), doomed(kills, 20));
        // Most tries are refused; stopped as often as holders, nobody would be left.
        let (stop_acquiring, stop_holding) = (doomed(stops, 10_000), doomed(stops, 60));
        let key = random.below(self.plan.keys);
        let section = &self.sections[usize::try_from(key).unwrap()];

        let asked = section.newest();
        agent.send(&format!("A key-{key}"))?;
        if stop_acquiring {
            spin(random.below(60));
            self.stop(agent)?;
        }
        if while_acquiring {
            spin(random.below(300));
            return agent.kill().map(|()| After::Killed);
        }
        let answer = agent.receive()?;
        let Some(token) = answer.strip_prefix("OK") else {
            // A folder that is removed just now can be in the way.
            let removals = self.plan.has(Trouble::Removals);
            let fine = answer == "BUSY" || (removals && answer.starts_with("ERR"));
            return if fine { Ok(After::Alive) } else { Err(io::Error::other(answer)) };
        };

        let visit = section.enter(token.trim().parse().ok(), asked, self.verdict);
        spin(random.below(self.plan.longest));
        if stop_holding {
            self.stop(agent)?;
        }
        if section.was_followed(&visit) && matches!(self.plan.kind, Kind::Lease(_)) {
            self.hear_loss(agent)?;
        }
        section.leave(&visit, self.verdict);

        if while_holding {
            return agent.kill().map(|()| After::Killed);
        }
        agent.send("R")?;
        if while_releasing {
            spin(random.below(200));
            return agent.kill().map(|()| After::Killed);
        }
        match agent.receive()?.as_str() {
            "OK" => Ok(After::Alive),
            other => Err(io::Error::other(other)),
        }
    }

    /// Stops an agent for longer than a lease lasts.
    fn stop(self, agent: &Agent) -> io::Result<()> {
        agent.signal(Signal::STOP)?;
        thread::sleep(3 * TTL);
        self.verdict.stops.fetch_add(1, SeqCst);
        agent.signal(Signal::CONT)
    }

    /// Somebody with a higher token entered, so that this holder must know of its loss.
    fn hear_loss(self, agent: &mut Agent) -> io::Result<()> {
        agent.send("C")?;
        let count = match agent.receive()? {
            answer if answer.starts_with("LOST") => &self.verdict.told,
            _ => &self.verdict.untold,
        };
        count.fetch_add(1, SeqCst);
        Ok(())
    }
}

fn open(plan: &Plan, folder: &Path) -> LockDir {
    let builder: LockDirBuilder = LockDir::builder(folder);
    match plan.kind {
        Kind::Lease(ttl) => builder.lease(ttl).open().unwrap(),
        _ => builder.open().unwrap(),
    }
}

/// Looks at everything and removes what is free, as fast as it can.
fn collect(plan: &Plan, folder: &Path, verdict: &Verdict, stop: &AtomicBool) {
    let dir = open(plan, folder);
    let mut options = CleanOptions::default();
    options.retention = Duration::ZERO;
    while !stop.load(SeqCst) {
        let report = dir.clean_stale(&options).unwrap();
        verdict.cleaned.fetch_add(report.removed.len() as u64, SeqCst);
        dir.list().unwrap();
        dir.status("key-0").unwrap();
        thread::park_timeout(Duration::from_micros(200));
    }
}

/// Removes the folder again and again.
fn remove(folder: &Path, verdict: &Verdict, stop: &AtomicBool) {
    for round in 0.. {
        if stop.load(SeqCst) {
            return;
        }
        thread::sleep(Duration::from_millis(300));
        // Moved first, because an agent can make a file while the others are removed.
        let moved = folder.with_extension(format!("removed-{round}"));
        if fs::rename(folder, &moved).is_ok() {
            verdict.removals.fetch_add(1, SeqCst);
            fs::remove_dir_all(&moved).ok();
        }
    }
}

pub(crate) fn spin(micros: u64) {
    let start = Instant::now();
    while start.elapsed() < Duration::from_micros(micros) {
        hint::spin_loop();
    }
}

/// xorshift64 (George Marsaglia, "Xorshift RNGs").
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % bound
    }
}
