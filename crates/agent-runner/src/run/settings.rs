//! What a run was asked to do: flags first, then the configuration, then the defaults.

use std::{path::PathBuf, time::Duration};

use agent_runner_task_store::{Budget, CommandLine};

use super::{
    admission::{AdmissionRules, Floor},
    lending::LendingOptions,
    programs::find_program,
};
use crate::{
    cli::{self, Empty, GatewayMode, Orphans, Retries},
    config::Config,
    error::{Error, Result},
    exit_code::Exit,
    isolation::Isolation,
    profile::{Profile, Profiles, Recipe},
    project::Project,
    units::FailureLimit,
};

const JOBS: u32 = 4;
const GRACE: Duration = Duration::from_secs(30);
const RETRY_DELAY: Duration = Duration::from_secs(1);
const MAX_RETRY_DELAY: Duration = Duration::from_secs(60);
/// Where a backlog is looked for when none is named and the store is empty.
const BACKLOGS: [&str; 9] = [
    "tasks.md",
    "tasks.jsonl",
    "tasks.json",
    "tasks.yaml",
    "tasks.yml",
    "tasks.toml",
    "tasks.csv",
    "tasks.txt",
    "TODO.md",
];

/// A run, decided.
#[derive(Debug)]
pub struct Settings {
    pub(super) admission: AdmissionRules,
    pub(super) tags: Vec<String>,
    pub(super) limit: Option<u64>,
    pub(super) recipe: Option<Recipe>,
    pub(super) profiles: Profiles,
    pub(super) retries: Retries,
    pub(super) isolation: Isolation,
    pub(super) verify: Option<CommandLine>,
    pub(super) timeout: Option<Duration>,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) memory: Option<u64>,
    pub(super) log_limit: Option<u64>,
    pub(super) cgroups: bool,
    pub(super) grace: Duration,
    pub(super) budget: Budget,
    pub(super) retry_delay: Duration,
    pub(super) max_retry_delay: Duration,
    pub(super) max_failures: Option<FailureLimit>,
    pub(super) orphans: Orphans,
    pub(super) wait_for_keys: bool,
    pub(super) lending: LendingOptions,
    pub(super) empty: Empty,
}

impl Settings {
    /// Decides, and checks what can be checked before anything is run.
    pub fn new(args: &cli::Run, project: &Project) -> Result<Self> {
        let config = &project.config;
        let profiles = Profiles::new(&config.profiles);
        let retry_delay = args.retry_delay.or(config.retry_delay).unwrap_or(RETRY_DELAY);
        let recipe = recipe(args, config, &profiles)?;
        Ok(Self {
            admission: admission(args, config, recipe.as_ref())?,
            tags: args.tags.clone(),
            limit: args.limit,
            recipe,
            isolation: Isolation::new(&args.isolation, config)?,
            retries: args.retries.or(config.retries).unwrap_or_default(),
            profiles,
            verify: args.verify.clone().or_else(|| config.verify.clone()).map(CommandLine::Shell),
            timeout: args.timeout.or(config.timeout),
            idle_timeout: args.idle_timeout.or(config.idle_timeout),
            memory: args.memory.or(config.memory),
            log_limit: args.log_limit.or(config.log_limit),
            cgroups: config.cgroups,
            grace: args.grace.or(config.grace).unwrap_or(GRACE),
            budget: Budget {
                attempts: args.attempts.or(config.attempts).unwrap_or(Budget::default().attempts),
                ..Budget::default()
            },
            retry_delay,
            max_retry_delay: MAX_RETRY_DELAY.max(retry_delay),
            max_failures: if args.fail_fast {
                Some(FailureLimit::Tasks(1))
            } else {
                args.max_failures
            },
            orphans: args.orphans.or(config.orphans).unwrap_or_default(),
            wait_for_keys: !args.no_wait_keys,
            lending: lending(args, config)?,
            empty: args.empty,
        })
    }
}

/// What is minded before an agent is started.
fn admission(args: &cli::Run, config: &Config, recipe: Option<&Recipe>) -> Result<AdmissionRules> {
    let usual = recipe.and_then(|recipe| recipe.profile.stagger);
    let floor = Floor {
        load: args.max_load.or(config.max_load),
        memory: args.min_free_memory.or(config.min_free_memory),
    };
    Ok(AdmissionRules {
        jobs: args.jobs.or(config.jobs).unwrap_or(JOBS).clamp(1, 1024),
        adaptive: args.adaptive || config.adaptive,
        stagger: args.stagger.or(config.stagger).or(usual).unwrap_or_default(),
        floor: floor.check()?,
    })
}

/// The backlogs to add before the run: those named, else the configuration's, else, for an empty
/// store, the first that has a usual name.
pub(super) fn backlogs(args: &cli::Run, project: &Project, store_is_empty: bool) -> Vec<PathBuf> {
    if !args.backlogs.is_empty() {
        return args.backlogs.clone();
    }
    if let Some(backlog) = &project.config.backlog {
        return vec![backlog.clone()];
    }
    let usual = || BACKLOGS.iter().map(|name| project.root.join(name)).find(|path| path.is_file());
    store_is_empty.then(usual).flatten().into_iter().collect()
}

/// How keys are lent. What is to be counted has to go through the gateway.
fn lending(args: &cli::Run, config: &Config) -> Result<LendingOptions> {
    let lending = LendingOptions {
        holds: !args.no_wait_keys,
        mode: args.gateway.or(config.gateway).unwrap_or_default(),
        budget: args.budget.or(config.budget),
        task_budget: args.task_budget.or(config.task_budget),
        prices: config.prices.clone(),
    };
    let budgets = [lending.budget, lending.task_budget];
    if lending.mode == GatewayMode::Off && budgets.iter().any(Option::is_some) {
        return Err(Error::usage("a budget needs the gateway, which is off")
            .hint("leave out `--gateway off`, or the budget"));
    }
    if budgets.iter().flatten().any(|it| it.usd.is_some()) && lending.prices.0.is_empty() {
        return Err(Error::invalid("a budget in dollars needs prices, and the configuration has none")
            .hint("add `[prices.claude-opus]` with `input` and `output` in dollars a million tokens, or give the budget in tokens: `--budget 5M`"));
    }
    Ok(lending)
}

/// The run's command with what is known of its agent: the words of the command line, else of the
/// profile that it names, else of the configuration, else of the profile that is named there.
fn recipe(args: &cli::Run, config: &Config, profiles: &Profiles) -> Result<Option<Recipe>> {
    let named = args.profile.as_ref().or(config.profile.as_ref());
    let named = named.map(|name| profiles.get(name)).transpose()?;
    let its = named.map(|profile| &profile.command);
    let by_flag = its.filter(|_| args.profile.is_some());
    let given = [Some(&args.command), by_flag, Some(&config.command)];
    let given = given.into_iter().flatten().find(|words| !words.is_empty());
    let Some(words) = given.or(its) else { return Ok(None) };
    let Some(program) = words.first() else {
        let name = args.profile.as_ref().or(config.profile.as_ref());
        return Err(Error::usage(format!(
            "profile '{}' has no command of its own",
            name.map(String::as_str).unwrap_or_default()
        ))
        .hint("give one: `agent-runner run --profile NAME -- CMD`"));
    };
    let recipe = if args.shell {
        Recipe::for_shell(words)
    } else {
        let unknown = Profile::default();
        let profile = named.or_else(|| profiles.of_command(words)).unwrap_or(&unknown);
        Recipe::new(profile, words)
    };
    let recipe = recipe.map_err(|error| {
        let meant = error.suggestion();
        let error = Error::new(Exit::Usage, error);
        let error = match meant {
            Some(field) => error.hint(format!("did you mean `{field}`?")),
            None => error,
        };
        error.hint("`agent-runner help templates` lists the placeholders")
    })?;
    if !args.shell && !program.contains("{{") {
        find_program(program).map_err(|error| {
            Error::new(Exit::Invalid, error)
                .hint(format!("install it, give its full path, or run `agent-runner run --shell -- '{program} …'` for a shell's own commands"))
        })?;
    }
    Ok(Some(recipe))
}
