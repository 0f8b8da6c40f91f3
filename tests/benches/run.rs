//! The program beside the limits of the machine, in the same run: processes started one after the
//! other by one thread, a plain copy, a sleep; and beside other runners, where they are installed.

#![expect(clippy::print_stdout, reason = "a benchmark's data goes to stdout")]
#![expect(clippy::cast_precision_loss, reason = "figures to four digits")]

use std::{
    collections::VecDeque,
    env, fs,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_agent-runner-dup");
const MIB: usize = 1 << 20;

fn main() -> Result<()> {
    let quick =
        env::var_os("AGENT_RUNNER_BENCH_QUICK").is_some() || env::args().any(|arg| arg == "--test");
    let size = if quick { Size::QUICK } else { Size::FULL };
    // Folders are kept until the end: ext4 is slow to make files where many were just removed.
    let mut kept = Vec::new();
    for jobs in [2, 8] {
        throughput(&size, jobs, &mut kept)?;
    }
    start_up(&size, &mut kept)?;
    sleepers(&size)?;
    output(&size, &mut kept)?;
    million(&size)
}

struct Size {
    pairs: usize,
    tasks: usize,
    starts: usize,
    sleepers: usize,
    outputs: usize,
    backlog: usize,
    of_backlog: usize,
}

impl Size {
    const FULL: Self = Self {
        pairs: 3,
        tasks: 20_000,
        starts: 30,
        sleepers: 200,
        outputs: 100,
        backlog: 1_000_000,
        of_backlog: 5_000,
    };
    const QUICK: Self = Self {
        pairs: 1,
        tasks: 40,
        starts: 2,
        sleepers: 4,
        outputs: 2,
        backlog: 2_000,
        of_backlog: 20,
    };
}

/// `true`, many times, with the durable store, locks and logs on; then by other runners, which keep
/// none of these.
fn throughput(size: &Size, jobs: usize, kept: &mut Vec<Sandbox>) -> Result<()> {
    let mut pairs = Vec::new();
    for _ in 0..size.pairs {
        let limit = measured(|| spawn_loop(size.tasks, jobs))?;
        let sandbox = Sandbox::with_tasks(size.tasks)?;
        let ours = measured(|| sandbox.work(jobs, &["true"]))?;
        pairs.push((ours, limit));
        kept.push(sandbox);
    }
    let per_task = |seconds: f64| seconds * 1e3 / size.tasks as f64;
    let case = format!("{} x true at -j{jobs}", size.tasks);
    tell(
        &format!("{case}: CPU a task"),
        "ms",
        "<= 1.25",
        pairs.iter().map(|(a, b)| (per_task(a.cpu), per_task(b.cpu))),
    );
    let goal = if jobs > 2 { "<= 0.75" } else { "-" };
    tell(
        &format!("{case}: wall a task"),
        "ms",
        goal,
        pairs.iter().map(|(a, b)| (per_task(a.wall), per_task(b.wall))),
    );
    let limit = median(pairs.iter().map(|(_, limit)| limit.cpu));
    for peer in PEERS {
        // GNU parallel takes ten times as long a task.
        let count = if peer == "parallel" { size.tasks.div_ceil(20) } else { size.tasks };
        if let Some(cpu) = by_peer(peer, count, jobs)? {
            let case = format!("{count} x true at -j{jobs} by {peer}: CPU a task");
            let cpu = cpu * 1e3 / count as f64;
            tell(&case, "ms", "-", [(cpu, per_task(limit))].into_iter());
        }
    }
    Ok(())
}

const PEERS: [&str; 3] = ["xargs", "make", "parallel"];

/// The CPU seconds that another runner takes for so many times `true`; `None` if it is not there.
fn by_peer(peer: &str, count: usize, jobs: usize) -> Result<Option<f64>> {
    let is_there = Command::new(peer).arg("--version").stdin(Stdio::null()).output().is_ok();
    if !is_there {
        return Ok(None);
    }
    let program = true_program()?;
    let folder = tempfile::tempdir()?;
    let (lines, makefile) = (folder.path().join("lines"), folder.path().join("Makefile"));
    let numbers: Vec<_> = (0..count).map(|n| format!("t{n}")).collect();
    fs::write(&lines, numbers.join("\n") + "\n")?;
    let all = numbers.join(" ");
    fs::write(&makefile, format!(".PHONY: all {all}\nall: {all}\n{all}:\n\t@{program} $@\n"))?;
    let at_once = jobs.to_string();
    let mut command = Command::new(peer);
    match peer {
        "xargs" => command.args(["-n", "1", "-P", &at_once, program]),
        "make" => command.args(["-s", "-j", &at_once]),
        _ => command.args(["--joblog", "joblog", "-j", &at_once, program]),
    };
    command.current_dir(folder.path()).stdin(fs::File::open(&lines)?).stdout(Stdio::null());
    let taken = measured(|| {
        let status = command.stderr(Stdio::null()).status()?;
        ensure!(status.success(), "`{peer}` ended with {status}");
        Ok(())
    })?;
    Ok(Some(taken.cpu))
}

fn true_program() -> Result<&'static str> {
    let program = ["/bin/true", "/usr/bin/true"].into_iter().find(|path| Path::new(path).exists());
    program.context("there is no `true`")
}

/// One task from start to exit, beside starting `true`.
fn start_up(size: &Size, kept: &mut Vec<Sandbox>) -> Result<()> {
    let mut pairs = Vec::new();
    for _ in 0..size.starts {
        let limit = measured(|| spawn_loop(1, 1))?;
        let sandbox = Sandbox::with_tasks(1)?;
        let ours = measured(|| sandbox.work(1, &["true"]))?;
        pairs.push((ours.wall * 1e3, limit.wall * 1e3));
        kept.push(sandbox);
    }
    tell("one task from start to exit", "ms", "<= 8 ms", pairs.into_iter());
    Ok(())
}

/// Sleeps of a second, a hundred at a time, beside as many seconds.
fn sleepers(size: &Size) -> Result<()> {
    let sandbox = Sandbox::with_tasks(size.sleepers)?;
    let jobs = (size.sleepers / 2).max(1);
    let ours = measured(|| sandbox.work(jobs, &["sleep", "1"]))?;
    tell(
        &format!("{} x sleep 1 at -j{jobs}", size.sleepers),
        "s",
        "<= 1.05",
        [(ours.wall, 2.0)].into_iter(),
    );
    Ok(())
}

/// What agents print, into their logs, beside a plain copy to as many files.
fn output(size: &Size, kept: &mut Vec<Sandbox>) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let source = folder.path().join("10-MiB");
    fs::write(&source, b"sixteen bytes..\n".repeat(10 * MIB / 16))?;
    let mut pairs = Vec::new();
    let mut peak = 0;
    for _ in 0..size.pairs {
        let limit = measured(|| copies(&source, folder.path(), size.outputs))?;
        let sandbox = Sandbox::with_tasks(size.outputs)?;
        let ours = measured(|| {
            peak = peak.max(sandbox.work_watched(4, &["cat", &source.display().to_string()])?);
            Ok(())
        })?;
        pairs.push((ours.wall, limit.wall));
        kept.push(sandbox);
    }
    tell(&format!("{} x 10 MiB of output at -j4", size.outputs), "s", "<= 1.3", pairs.into_iter());
    tell("the same: peak memory", "MiB", "<= 16 MiB", [(mib(peak), f64::NAN)].into_iter());
    Ok(())
}

/// A large backlog: to import it, to ask about it, to work on it.
fn million(size: &Size) -> Result<()> {
    let sandbox = Sandbox::new()?;
    let backlog = sandbox.path().join("backlog.jsonl");
    let mut file = BufWriter::new(fs::File::create(&backlog)?);
    for n in 0..size.backlog {
        writeln!(
            file,
            r#"{{"id":"task-{n}","prompt":"do number {n} of many, as well as you can","tags":["bulk"]}}"#
        )?;
    }
    file.into_inner()?.sync_all()?;
    let import = measured(|| sandbox.run(&["import", "backlog.jsonl"]))?;
    let rate = size.backlog as f64 / import.wall / 1e3;
    tell(
        &format!("import {} tasks", size.backlog),
        "thousand tasks/s",
        ">= 100",
        [(rate, f64::NAN)].into_iter(),
    );
    let mut status: Vec<f64> = Vec::new();
    for _ in 0..size.pairs * 3 {
        status.push(measured(|| sandbox.run(&["status", "--json"]))?.wall * 1e3);
    }
    tell("status of it", "ms", "<= 20 ms", status.into_iter().map(|ms| (ms, f64::NAN)));
    let list = measured(|| sandbox.run(&["list", "--json"]))?;
    tell("list of it", "s", "-", [(list.wall, f64::NAN)].into_iter());
    let limit = size.of_backlog.to_string();
    let mut peak = 0;
    let work = measured(|| {
        peak = sandbox.watched(&["run", "-qq", "-j8", "--limit", &limit, "--", "true"])?;
        Ok(())
    })?;
    let per_task = work.cpu * 1e3 / size.of_backlog as f64;
    let case = format!("{} of them worked on at -j8", size.of_backlog);
    tell(&format!("{case}: CPU a task"), "ms", "-", [(per_task, f64::NAN)].into_iter());
    tell(&format!("{case}: peak memory"), "MiB", "<= 100 MiB", [(mib(peak), f64::NAN)].into_iter());
    Ok(())
}

/// A folder with a store.
struct Sandbox(TempDir);

impl Sandbox {
    fn new() -> Result<Self> {
        Ok(Self(tempfile::tempdir()?))
    }

    fn with_tasks(count: usize) -> Result<Self> {
        let sandbox = Self::new()?;
        let mut lines = fs::File::create(sandbox.path().join("tasks.txt")).map(BufWriter::new)?;
        for n in 0..count {
            writeln!(lines, "task number {n}")?;
        }
        lines.into_inner()?;
        sandbox.run(&["import", "-q", "tasks.txt"])?;
        Ok(sandbox)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn work(&self, jobs: usize, agent: &[&str]) -> Result<()> {
        let jobs = jobs.to_string();
        let args = [&["run", "-qq", "-j", &jobs, "--"], agent].concat();
        self.run(&args)
    }

    fn work_watched(&self, jobs: usize, agent: &[&str]) -> Result<u64> {
        let jobs = jobs.to_string();
        self.watched(&[&["run", "-qq", "-j", &jobs, "--"], agent].concat())
    }

    fn run(&self, args: &[&str]) -> Result<()> {
        let status = self.command(args).status()?;
        ensure!(
            matches!(status.code(), Some(0 | 5)),
            "`agent-runner {}` ended with {status}",
            args.join(" ")
        );
        Ok(())
    }

    /// Runs the program, and returns the most memory that it held in KiB.
    fn watched(&self, args: &[&str]) -> Result<u64> {
        let mut child = self.command(args).spawn()?;
        let status = PathBuf::from(format!("/proc/{}/status", child.id()));
        let mut peak = 0;
        while child.try_wait()?.is_none() {
            peak = peak.max(peak_kib(&status).unwrap_or(0));
            thread::sleep(Duration::from_millis(5));
        }
        Ok(peak)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(args).current_dir(self.path()).stdin(Stdio::null()).stdout(Stdio::null());
        command
    }
}

struct Measured {
    wall: f64,
    /// Of this process's children that have ended.
    cpu: f64,
}

fn measured(work: impl FnOnce() -> Result<()>) -> Result<Measured> {
    let (start, cpu) = (Instant::now(), children_cpu()?);
    work()?;
    Ok(Measured { wall: start.elapsed().as_secs_f64(), cpu: children_cpu()? - cpu })
}

/// One thread that starts `true` and waits for the oldest when all places are taken.
fn spawn_loop(count: usize, places: usize) -> Result<()> {
    let program = true_program()?;
    let mut running: VecDeque<Child> = VecDeque::with_capacity(places);
    for _ in 0..count {
        if running.len() == places {
            running.pop_front().context("a place is taken")?.wait()?;
        }
        running.push_back(Command::new(program).stdin(Stdio::null()).spawn()?);
    }
    for mut child in running {
        child.wait()?;
    }
    Ok(())
}

fn copies(source: &Path, folder: &Path, count: usize) -> Result<()> {
    for n in 0..count {
        let mut from = fs::File::open(source)?;
        let mut to = fs::File::create(folder.join(format!("copy-{n}")))?;
        let mut buffer = vec![0; 64 << 10];
        // As a pipe is read: through memory, and not within the kernel.
        loop {
            let bytes = std::io::Read::read(&mut from, &mut buffer)?;
            if bytes == 0 {
                break;
            }
            to.write_all(&buffer[..bytes])?;
        }
    }
    Ok(())
}

/// User and system seconds of all children that were waited for: fields 16 and 17 of
/// `/proc/self/stat`, a hundredth of a second each.
fn children_cpu() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').context("`/proc/self/stat` has no name")?;
    let fields: Vec<_> = fields.split_whitespace().collect();
    let ticks: u64 = fields[13].parse::<u64>()? + fields[14].parse::<u64>()?;
    Ok(ticks as f64 / 100.0)
}

fn peak_kib(status: &Path) -> Option<u64> {
    let text = fs::read_to_string(status).ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?
        .trim()
        .strip_suffix(" kB")?
        .parse()
        .ok()
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

/// Prints the medians; the ratio is the median of the pairs' ratios.
fn tell(case: &str, unit: &str, goal: &str, pairs: impl Iterator<Item = (f64, f64)>) {
    let pairs: Vec<_> = pairs.collect();
    let ours = median(pairs.iter().map(|(ours, _)| *ours));
    let limit = median(pairs.iter().map(|(_, limit)| *limit));
    let ratio = median(pairs.iter().map(|(ours, limit)| ours / limit));
    let known =
        |value: f64| if value.is_nan() { Value::Null } else { json!((value * 1e4).round() / 1e4) };
    let line = json!({
        "bench": "run",
        "case": case,
        "ours": known(ours),
        "limit": known(limit),
        "unit": unit,
        "ratio": known(ratio),
        "goal": goal,
    });
    println!("{line}");
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
