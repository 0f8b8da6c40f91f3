//! A child of ours beside what the system needs for it, in the same run.
//!
//! `true`: n programs that do nothing, with a log and one pipe each, against a one-thread `posix_spawn` loop
//! with no pipes and no logs. `output`: programs that print 10 MiB each, against threads that
//! copy the same output to files.
//!
//! `--test` or `AGENT_RUNNER_BENCH_QUICK=1` runs it with tiny numbers, so that it does not rot.
//! CPU seconds are those of this process and of its children; trust them more than the wall.

#![expect(clippy::print_stdout, reason = "results are data, one JSON object a line")]

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        collections::VecDeque,
        env,
        error::Error,
        fs::{self, File},
        io::{Read, Write},
        path::Path,
        process::{self, Stdio},
        sync::atomic::{AtomicUsize, Ordering},
        thread,
        time::Instant,
    };

    use agent_runner_exec::{Command, LogOptions, Stop, adopt_orphans};
    use tokio::{runtime::Runtime, task::JoinSet};

    pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

    /// What one run took.
    #[derive(Clone, Copy)]
    struct Cost {
        cpu: f64,
        wall: f64,
        /// The most memory that this process had, in KiB.
        peak: f64,
    }

    pub(crate) fn main() -> Result<()> {
        let is_quick = env::var_os("AGENT_RUNNER_BENCH_QUICK").is_some_and(|value| value == "1")
            || env::args().any(|arg| arg == "--test");
        let (count, files, len, rounds) =
            if is_quick { (20, 4, 1 << 16, 1) } else { (2000, 100, 10 << 20, 5) };
        adopt_orphans()?;
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).enable_all().build()?;
        let folder = tempfile::tempdir()?;
        for slots in [2, 8] {
            let command = || Command::new("/bin/true");
            let (ours, limit) = alternate(
                rounds,
                || ours(&runtime, folder.path(), count, slots, command),
                || spawn_loop(count, slots),
            )?;
            let goals = ("<= 1.25", if slots == 8 { "<= 0.75" } else { "" });
            report(&format!("true, {slots} at a time"), count, ours, limit, goals);
        }
        let size = len.to_string();
        let command = || Command::new("head").args(["-c", &size, "/dev/zero"]);
        let (ours, limit) = alternate(
            rounds,
            || ours(&runtime, folder.path(), files, 4, command),
            || copy(folder.path(), files, 4, &size),
        )?;
        report("output, 4 at a time", files, ours, limit, ("<= 1.3", "<= 1.3"));
        Ok(())
    }

    fn ours(
        runtime: &Runtime,
        folder: &Path,
        count: usize,
        slots: usize,
        command: impl Fn() -> Command,
    ) -> Result<()> {
        let next = std::sync::Arc::new(AtomicUsize::new(0));
        runtime.block_on(async {
            let mut workers = JoinSet::new();
            for _ in 0..slots {
                let (next, folder, command) = (next.clone(), folder.to_owned(), command());
                workers.spawn(async move {
                    let stop = Stop::new();
                    loop {
                        let n = next.fetch_add(1, Ordering::Relaxed);
                        if n >= count {
                            return Result::Ok(());
                        }
                        let log = LogOptions::new(folder.join(n.to_string()));
                        let exit = command
                            .clone()
                            .merge_output(true)
                            .log(log)
                            .spawn()?
                            .wait(&stop)
                            .await?;
                        assert!(exit.is_success(), "{exit:?}");
                    }
                });
            }
            while let Some(worker) = workers.join_next().await {
                worker??;
            }
            Ok(())
        })
    }

    fn spawn_loop(count: usize, slots: usize) -> Result<()> {
        let mut running = VecDeque::new();
        for _ in 0..count {
            if running.len() == slots {
                let child: Option<process::Child> = running.pop_front();
                child.ok_or("no slot")?.wait()?;
            }
            running.push_back(process::Command::new("/bin/true").stdin(Stdio::null()).spawn()?);
        }
        for mut child in running {
            child.wait()?;
        }
        Ok(())
    }

    fn copy(folder: &Path, files: usize, slots: usize, size: &str) -> Result<()> {
        let next = AtomicUsize::new(0);
        let work = || -> Result<()> {
            let mut room = vec![0; 64 << 10];
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= files {
                    return Ok(());
                }
                let mut file = File::create(folder.join(n.to_string()))?;
                let mut head = process::Command::new("/usr/bin/head");
                head.args(["-c", size, "/dev/zero"]).stdin(Stdio::null()).stdout(Stdio::piped());
                let mut child = head.spawn()?;
                let mut pipe = child.stdout.take().ok_or("no pipe")?;
                while let len @ 1.. = pipe.read(&mut room)? {
                    file.write_all(&room[..len])?;
                }
                child.wait()?;
            }
        };
        thread::scope(|scope| {
            let threads: Vec<_> = (0..slots).map(|_| scope.spawn(work)).collect();
            threads.into_iter().try_for_each(|thread| match thread.join() {
                Ok(result) => result,
                Err(_) => Err("a thread panicked".into()),
            })
        })
    }

    /// Runs both in turn; returns the median of each.
    fn alternate(
        rounds: usize,
        ours: impl Fn() -> Result<()>,
        limit: impl Fn() -> Result<()>,
    ) -> Result<(Cost, Cost)> {
        let (mut of_ours, mut of_limit) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            of_ours.push(measure(&ours)?);
            of_limit.push(measure(&limit)?);
        }
        Ok((median(&of_ours), median(&of_limit)))
    }

    fn measure(run: impl Fn() -> Result<()>) -> Result<Cost> {
        fs::write("/proc/self/clear_refs", "5")?; // begin the peak anew
        let (cpu, began) = (cpu_seconds()?, Instant::now());
        run()?;
        let wall = began.elapsed().as_secs_f64();
        Ok(Cost { cpu: cpu_seconds()? - cpu, wall, peak: peak_memory()? })
    }

    fn median(costs: &[Cost]) -> Cost {
        let of = |figure: fn(&Cost) -> f64| {
            let mut figures: Vec<f64> = costs.iter().map(figure).collect();
            figures.sort_by(f64::total_cmp);
            figures[figures.len() / 2]
        };
        Cost { cpu: of(|cost| cost.cpu), wall: of(|cost| cost.wall), peak: of(|cost| cost.peak) }
    }

    /// Ours and our children's, in steps of 10 ms.
    fn cpu_seconds() -> Result<f64> {
        let stat = fs::read_to_string("/proc/self/stat")?;
        let fields = stat.rsplit_once(')').ok_or("no name")?.1.split_whitespace();
        let ticks = fields.skip(11).take(4).map(str::parse::<f64>);
        Ok(ticks.sum::<std::result::Result<f64, _>>()? / 100.0)
    }

    fn peak_memory() -> Result<f64> {
        let status = fs::read_to_string("/proc/self/status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
        Ok(line.trim_end_matches("kB").trim().parse()?)
    }

    #[expect(clippy::cast_precision_loss, reason = "a number of programs is small")]
    fn report(case: &str, count: usize, ours: Cost, limit: Cost, goals: (&str, &str)) {
        let each = 1e6 / count as f64;
        let peak = ours.peak;
        for (what, ours, limit, goal) in
            [("cpu", ours.cpu, limit.cpu, goals.0), ("wall", ours.wall, limit.wall, goals.1)]
        {
            let (ours, limit) = (ours * each, limit * each);
            // A system that counts in ticks can have counted none: JSON knows no infinity.
            let ratio = ours / limit.max(1.0);
            println!(
                "{{\"bench\":\"exec\",\"case\":\"{case}: {what}\",\"ours\":{ours:.1},\
                 \"limit\":{limit:.1},\"unit\":\"us\",\"ratio\":{ratio:.3},\"goal\":\"{goal}\",\
                 \"peak_rss_kib\":{peak}}}"
            );
        }
    }
}

#[cfg(target_os = "linux")]
fn main() -> linux::Result<()> {
    linux::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("{{\"bench\":\"exec\",\"skipped\":\"the figures come from /proc\"}}");
}
