//! Many processes on few keys, killed at random, with a collector at work: driven and judged from
//! outside, through the line protocol of `examples/torture_agent.rs`.
//!
//! The harness does the critical sections itself. It enters one after it read `OK` and leaves it
//! before it sends `R` or kills the holder, so that an overlap which it counts is a real one.
//! `AGENT_RUNNER_TORTURE_SECS` makes it last longer than its few seconds.

use std::{
    hint, io,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use agent_runner_lock::{CleanOptions, LockDir};

use crate::agent::{Agent, Kind};

/// How to torture.
struct Plan {
    kind: Kind,
    processes: u64,
    keys: u64,
    kills: bool,
    /// Whether one more process lists, probes and cleans all the time.
    collector: bool,
    /// Whether to stop at the first sign of guilt.
    until_caught: bool,
    lasts: Duration,
}

/// What was seen.
#[derive(Debug, Default)]
struct Verdict {
    sections: AtomicU64,
    kills: AtomicU64,
    overlaps: AtomicU64,
    lost_updates: AtomicU64,
    token_inversions: AtomicU64,
    removed: AtomicU64,
    errors: Mutex<Vec<String>>,
}

/// One key's critical section.
#[derive(Default)]
struct Section {
    inside: AtomicU64,
    /// Read, then written: two in the section at once lose updates.
    counter: AtomicU64,
    entered: AtomicU64,
    newest_token: AtomicU64,
}

#[test]
fn strict_survives_kills_and_a_collector() {
    let verdict = torture(&Plan {
        kind: Kind::Strict,
        processes: 6,
        keys: 2,
        kills: true,
        collector: true,
        until_caught: false,
        lasts: duration(4),
    });
    println!("{verdict:?}");
    verdict.assert_innocent();
    let [sections, kills, removed] =
        [&verdict.sections, &verdict.kills, &verdict.removed].map(|count| count.load(SeqCst));
    assert!(sections > 100, "too little happened: {verdict:?}");
    assert!(kills > 10 && removed > 0, "too little went wrong: {verdict:?}");
}

#[test]
fn strict_survives_plain_contention() {
    let verdict = torture(&Plan {
        kind: Kind::Strict,
        processes: 8,
        keys: 1,
        kills: false,
        collector: false,
        until_caught: false,
        lasts: duration(2),
    });
    println!("{verdict:?}");
    verdict.assert_innocent();
    assert!(verdict.sections.load(SeqCst) > 100, "too little happened: {verdict:?}");
}

/// The positive control: a harness that does not catch the sketch proves nothing.
#[test]
fn the_sketch_is_caught() {
    let verdict = torture(&Plan {
        kind: Kind::Sketch,
        processes: 8,
        keys: 1,
        kills: false,
        collector: false,
        until_caught: true,
        lasts: Duration::from_secs(60),
    });
    assert!(verdict.overlaps.load(SeqCst) > 0, "nobody was caught: {verdict:?}");
}

#[test]
fn the_sketch_is_caught_with_kills_too() {
    let verdict = torture(&Plan {
        kind: Kind::Sketch,
        processes: 6,
        keys: 1,
        kills: true,
        collector: false,
        until_caught: true,
        lasts: Duration::from_secs(60),
    });
    assert!(verdict.overlaps.load(SeqCst) > 0, "nobody was caught: {verdict:?}");
}

pub(crate) fn duration(default: u64) -> Duration {
    let asked = std::env::var("AGENT_RUNNER_TORTURE_SECS").ok();
    Duration::from_secs(asked.and_then(|seconds| seconds.parse().ok()).unwrap_or(default))
}

impl Verdict {
    fn assert_innocent(&self) {
        let counts = [&self.overlaps, &self.lost_updates, &self.token_inversions];
        let clean = counts.iter().all(|count| count.load(SeqCst) == 0);
        assert!(
            clean && self.errors.lock().unwrap().is_empty(),
            "the lock does not hold: {self:?}"
        );
    }
}

fn torture(plan: &Plan) -> Verdict {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("locks");
    let sections: Vec<Section> = (0..plan.keys).map(|_| Section::default()).collect();
    let (verdict, stop) = (Verdict::default(), AtomicBool::new(false));

    thread::scope(|scope| {
        for number in 0..plan.processes {
            let (folder, sections, verdict, stop) = (&folder, &sections, &verdict, &stop);
            scope.spawn(move || drive(plan, number, folder, sections, verdict, stop));
        }
        if plan.collector {
            scope.spawn(|| collect(&folder, &verdict, &stop));
        }
        let start = Instant::now();
        let caught = || plan.until_caught && verdict.overlaps.load(SeqCst) > 0;
        while start.elapsed() < plan.lasts && !caught() {
            thread::park_timeout(Duration::from_millis(5));
        }
        stop.store(true, SeqCst);
    });
    for section in &sections {
        let lost = section.entered.load(SeqCst) - section.counter.load(SeqCst);
        verdict.lost_updates.fetch_add(lost, SeqCst);
    }
    verdict
}

/// Makes one agent after the other acquire and release, and kills some of them.
fn drive(
    plan: &Plan,
    number: u64,
    folder: &Path,
    sections: &[Section],
    verdict: &Verdict,
    stop: &AtomicBool,
) {
    let mut random = Random(number + 1);
    let mut agent = Agent::start(plan.kind, folder);
    while !stop.load(SeqCst) {
        let key = random.below(plan.keys);
        let section = &sections[usize::try_from(key).unwrap()];
        match act(plan, &mut agent, key, section, verdict, &mut random) {
            Ok(After::Alive) => {}
            Ok(After::Killed) => {
                verdict.kills.fetch_add(1, SeqCst);
                agent = Agent::start(plan.kind, folder);
            }
            Err(error) => {
                verdict.errors.lock().unwrap().push(error.to_string());
                return;
            }
        }
    }
}

enum After {
    Alive,
    Killed,
}

/// One try to acquire, the critical section, the release; with a kill in each place now and then.
fn act(
    plan: &Plan,
    agent: &mut Agent,
    key: u64,
    section: &Section,
    verdict: &Verdict,
    random: &mut Random,
) -> io::Result<After> {
    let mut doomed = |one_in: u64| plan.kills && random.below(one_in) == 0;
    let (while_acquiring, while_holding, while_releasing) = (doomed(60), doomed(20), doomed(20));

    agent.send(&format!("A key-{key}"))?;
    if while_acquiring {
        spin(random.below(300));
        return agent.kill().map(|()| After::Killed);
    }
    let answer = agent.receive()?;
    let Some(token) = answer.strip_prefix("OK") else {
        let fine = answer == "BUSY";
        return if fine { Ok(After::Alive) } else { Err(io::Error::other(answer)) };
    };

    if section.inside.fetch_add(1, SeqCst) != 0 {
        verdict.overlaps.fetch_add(1, SeqCst);
    }
    verdict.sections.fetch_add(1, SeqCst);
    section.entered.fetch_add(1, SeqCst);
    if let Ok(token) = token.trim().parse()
        && section.newest_token.swap(token, SeqCst) >= token
    {
        verdict.token_inversions.fetch_add(1, SeqCst);
    }
    let counter = section.counter.load(SeqCst);
    spin(random.below(300));
    section.counter.store(counter + 1, SeqCst);
    section.inside.fetch_sub(1, SeqCst);

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

/// Looks at everything and removes what is free, as fast as it can.
fn collect(folder: &Path, verdict: &Verdict, stop: &AtomicBool) {
    let dir = LockDir::open(folder).unwrap();
    let mut options = CleanOptions::default();
    options.retention = Duration::ZERO;
    while !stop.load(SeqCst) {
        let report = dir.clean_stale(&options).unwrap();
        verdict.removed.fetch_add(report.removed.len() as u64, SeqCst);
        dir.list().unwrap();
        dir.status("key-0").unwrap();
        thread::park_timeout(Duration::from_micros(200));
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
