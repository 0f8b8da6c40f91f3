//! `rehearse`: how long a backlog will take under a provider's limits, without asking anybody.

use std::{fs, path::Path, time::Duration};

use agent_runner_credentials::simulate::{
    Account, Job, Key, Random, Report, Scenario, Scheduled, Turn, run,
};
use serde::{Deserialize, Serialize};

use super::{read_backlogs, unwritten};
use crate::{
    cli::Rehearse,
    error::{Error, OrExit, Result},
    exit_code::Exit,
    project::Project,
    ui::Ui,
    units::{count, show_duration},
};

/// Lets the scheduler work through a backlog against a simulated provider, in virtual time.
pub fn rehearse(ui: &Ui, project: &Project, args: &Rehearse) -> Result<Exit> {
    let tasks = read_backlogs(&args.backlogs, None)?.len();
    let night = args.scenario.as_deref().map(Night::read).transpose()?.unwrap_or_default();
    let (keys, accounts) = parse_keys(&args.keys)?;
    let scenario = night.scenario(keys, accounts)?;
    let workers = args.jobs.or(project.config.jobs).unwrap_or(4).max(1) as usize;
    let jobs = night.jobs(tasks);
    let mut client = Scheduled::new(keys);
    let report = run(&scenario, &jobs, workers, &mut client);
    let forecast = Forecast::new(&night, tasks, keys, workers, &report);
    if ui.json {
        let json = serde_json::to_string(&forecast)
            .map_err(|error| Error::new(Exit::Unexpected, error))?;
        ui.data(json).map_err(unwritten)?;
    } else {
        forecast.print(ui)?;
    }
    Ok(if report.done == tasks { Exit::Success } else { Exit::NoKeys })
}

/// `8` are eight keys, each of an account of its own; `8/2` are eight keys of two accounts.
fn parse_keys(text: &str) -> Result<(usize, usize)> {
    let (keys, accounts) = text.split_once('/').unwrap_or((text, text));
    let number =
        |text: &str| text.trim().parse::<usize>().ok().filter(|it| (1..=1000).contains(it));
    match (number(keys), number(accounts)) {
        (Some(keys), Some(accounts)) if accounts <= keys => Ok((keys, accounts)),
        _ => Err(Error::usage(format!(
            "'{text}' is no number of keys; `8` are eight keys, `8/2` eight keys of two accounts"
        ))),
    }
}

/// What agents ask for, what the provider allows, and what it costs. All has a default.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Night {
    /// Limits of each account, a minute.
    requests_per_minute: f64,
    input_tokens_per_minute: f64,
    output_tokens_per_minute: f64,
    /// How much of a minute's worth can be used at once.
    burst: f64,
    /// The part of the limits that somebody else uses.
    outside: f64,
    /// Requests of a task.
    turns: usize,
    /// Input tokens of the first, and how many each further one adds.
    first_input_tokens: f64,
    input_tokens_a_turn: f64,
    output_tokens_a_turn: f64,
    /// How long an answer takes.
    latency_s: f64,
    /// How long a prompt cache lasts.
    cache_s: f64,
    /// When everybody is refused: from, to, in seconds from the start.
    outages_s: Vec<(f64, f64)>,
    /// The part of requests that is refused as overload at all times.
    overloaded: f64,
    /// What happens to single keys, numbered from 1.
    key: Vec<KeyFault>,
    /// Prices of a million tokens.
    input_price: f64,
    cache_write_price: f64,
    cache_read_price: f64,
    output_price: f64,
    seed: u64,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFault {
    number: usize,
    revoked_at_s: Option<f64>,
    daily_quota: Option<u64>,
}

impl Default for Night {
    fn default() -> Self {
        Self {
            requests_per_minute: 1_000.0,
            input_tokens_per_minute: 450_000.0,
            output_tokens_per_minute: 90_000.0,
            burst: 0.1,
            outside: 0.0,
            turns: 20,
            first_input_tokens: 15_000.0,
            input_tokens_a_turn: 2_000.0,
            output_tokens_a_turn: 500.0,
            latency_s: 10.0,
            cache_s: 300.0,
            outages_s: Vec::new(),
            overloaded: 0.002,
            key: Vec::new(),
            input_price: 3.0,
            cache_write_price: 3.75,
            cache_read_price: 0.3,
            output_price: 15.0,
            seed: 1,
        }
    }
}

impl Night {
    fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path)
            .or_invalid(|| format!("could not read scenario '{}'", path.display()))?;
        let night: Self = toml::from_str(&text).map_err(|error| {
            Error::invalid(format!("could not understand scenario '{}': {error}", path.display()))
        })?;
        night.check().map_err(|problem| {
            Error::invalid(format!("scenario '{}': {problem}", path.display()))
        })?;
        Ok(night)
    }

    fn check(&self) -> std::result::Result<(), &'static str> {
        let limits = [
            self.requests_per_minute,
            self.input_tokens_per_minute,
            self.output_tokens_per_minute,
            self.burst,
        ];
        let tokens = [
            self.first_input_tokens,
            self.input_tokens_a_turn,
            self.output_tokens_a_turn,
            self.latency_s,
            self.cache_s,
        ];
        let is_amount = |it: &f64| (0.0..1e12).contains(it);
        match () {
            () if !limits.iter().all(|it| *it > 0.0 && is_amount(it)) => {
                Err("limits and burst are positive numbers")
            }
            () if !tokens.iter().all(is_amount) => Err("tokens and seconds are not negative"),
            () if !(1..=10_000).contains(&self.turns) => Err("turns are from 1 to 10000"),
            () if !(0.0..1.0).contains(&self.overloaded) || !(0.0..1.0).contains(&self.outside) => {
                Err("parts are from 0 to below 1")
            }
            () if !self.outages_s.iter().all(|(from, to)| is_amount(from) && is_amount(to)) => {
                Err("outages are from a second to a second")
            }
            () => Ok(()),
        }
    }

    fn scenario(&self, keys: usize, accounts: usize) -> Result<Scenario> {
        let account = Account {
            requests: self.requests_per_minute,
            input_tokens: self.input_tokens_per_minute,
            output_tokens: self.output_tokens_per_minute,
            burst: self.burst,
            outside: self.outside,
            ..Account::default()
        };
        let mut scenario = Scenario::clean(keys, self.seed);
        scenario.accounts = vec![account; accounts];
        let key = |number| Key { account: number % accounts, ..Key::default() };
        scenario.keys = (0..keys).map(key).collect();
        for fault in &self.key {
            let number = fault.number.wrapping_sub(1);
            let key = scenario.keys.get_mut(number).ok_or_else(|| {
                Error::invalid(format!("the scenario has no key number {}", fault.number))
            })?;
            key.revoked_at = fault.revoked_at_s.map(seconds);
            key.daily_quota = fault.daily_quota;
        }
        scenario.outages =
            self.outages_s.iter().map(|(from, to)| (seconds(*from), seconds(*to))).collect();
        scenario.overloaded = self.overloaded;
        scenario.cache = seconds(self.cache_s);
        Ok(scenario)
    }

    fn jobs(&self, tasks: usize) -> Vec<Job> {
        let mut random = Random::new(self.seed);
        (0..tasks).map(|_| self.job(&mut random)).collect()
    }

    fn job(&self, random: &mut Random) -> Job {
        const SPREAD: f64 = 0.5;
        let mut context = 0;
        let turn = |number| {
            let mean = if number == 0 { self.first_input_tokens } else { self.input_tokens_a_turn };
            let turn = Turn {
                fresh: whole(random.skewed(mean, SPREAD)),
                context,
                output: whole(random.skewed(self.output_tokens_a_turn, SPREAD)),
                latency: seconds(random.skewed(self.latency_s, SPREAD)),
            };
            context += turn.fresh + turn.output;
            turn
        };
        Job { turns: (0..self.turns).map(turn).collect() }
    }

    fn cost(&self, report: &Report) -> f64 {
        let million = |tokens: u64| float(tokens) / 1e6;
        // What agents send is cached as it is new.
        let written = self.cache_write_price.max(self.input_price);
        million(report.input_tokens) * written
            + million(report.cached_tokens) * self.cache_read_price
            + million(report.output_tokens) * self.output_price
    }
}

/// What is to be expected: `rehearse --json`.
#[derive(Debug, Serialize)]
struct Forecast {
    tasks: usize,
    done: usize,
    keys: usize,
    agents: usize,
    took_s: f64,
    requests: usize,
    /// How long agents waited for limits, all together.
    waited_s: f64,
    /// The part of agents' time that this was.
    waited_part: f64,
    rate_limited: usize,
    overloaded: usize,
    input_tokens: u64,
    cached_tokens: u64,
    output_tokens: u64,
    cost: f64,
}

impl Forecast {
    fn new(night: &Night, tasks: usize, keys: usize, agents: usize, report: &Report) -> Self {
        let answers = |status| report.answers.get(&status).copied().unwrap_or_default();
        let waited = report.waited.as_secs_f64();
        let busy: f64 = report.times.iter().map(Duration::as_secs_f64).sum();
        Self {
            tasks,
            done: report.done,
            keys,
            agents,
            took_s: report.took.as_secs_f64(),
            requests: report.sent,
            waited_s: waited,
            waited_part: if busy > 0.0 { waited / busy } else { 0.0 },
            rate_limited: answers(429),
            overloaded: answers(529),
            input_tokens: report.input_tokens,
            cached_tokens: report.cached_tokens,
            output_tokens: report.output_tokens,
            cost: night.cost(report),
        }
    }

    fn print(&self, ui: &Ui) -> Result<()> {
        let time = |seconds: f64| show_duration(self::seconds(seconds));
        let agents = count(self.agents as u64, "agent");
        let rows = [
            ("tasks", format!("{} of {}, {agents} at once", self.done, self.tasks)),
            ("time", time(self.took_s)),
            ("requests", self.requests.to_string()),
            (
                "waits",
                format!(
                    "{} of all agents together, {:.0} % of their time",
                    time(self.waited_s),
                    self.waited_part * 100.0
                ),
            ),
            (
                "refused",
                format!("{} for a limit, {} by an overload", self.rate_limited, self.overloaded),
            ),
            (
                "tokens",
                format!(
                    "{} in, {} from the cache, {} out",
                    self.input_tokens, self.cached_tokens, self.output_tokens
                ),
            ),
            ("cost", format!("{:.2}", self.cost)),
        ];
        for (name, value) in rows {
            ui.data(format_args!("{name:<9} {value}")).map_err(unwritten)?;
        }
        if self.done < self.tasks {
            ui.warn("not all tasks can be done: no key is left");
        }
        Ok(())
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "no count of tokens comes near 2^53")]
const fn float(number: u64) -> f64 {
    number as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is positive, and rounded on purpose"
)]
fn whole(number: f64) -> u64 {
    number.round() as u64
}
