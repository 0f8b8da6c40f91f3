//! From the command line to an exit code.

use std::{env, process::ExitCode};

use clap::Parser;

use crate::{
    cli::{Cli, Command, Locks},
    commands, demo,
    error::{Error, OrExit, Result},
    exit_code::Exit,
    messages,
    project::Project,
    run,
    ui::Ui,
};

/// Runs the program.
pub fn main() -> ExitCode {
    // The demo's agents are this program again. That is nobody's command line, and not in its help.
    let mut words = env::args().skip(1);
    if let (Some("__agent"), Some(script)) = (words.next().as_deref(), words.next()) {
        return demo::agent(&script);
    }
    let cli = Cli::parse();
    let ui = Ui::new(&cli.global);
    match act(cli, ui.clone()) {
        Ok(code) => code,
        Err(error) => {
            ui.error(&error);
            error.exit().into()
        }
    }
}

fn act(cli: Cli, ui: Ui) -> Result<ExitCode> {
    if let Some(folder) = &cli.global.directory {
        env::set_current_dir(folder)
            .or_exit(Exit::Usage, || format!("could not enter folder '{}'", folder.display()))?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Error::new(Exit::Unexpected, error))?;
    let exit = runtime.block_on(dispatch(cli, ui));
    // A thread that still reads from somewhere must not keep the program from ending.
    runtime.shutdown_background();
    exit
}

async fn dispatch(cli: Cli, ui: Ui) -> Result<ExitCode> {
    let project = || Project::find(&cli.global);
    let exit = match cli.command {
        None => commands::welcome(&ui, &project()?).await,
        Some(Command::Demo(args)) => demo::demo(ui, &args).await,
        Some(Command::Init(args)) => commands::init(&ui, &project()?, &args),
        Some(Command::Doctor) => commands::doctor(&ui, &project()?).await,
        Some(Command::Run(args)) => run::run(ui, &project()?, &args).await,
        Some(Command::Add(args)) => commands::add(&ui, &project()?, args).await,
        Some(Command::Import(args)) => commands::import(&ui, &project()?, &args).await,
        Some(Command::List(args)) => commands::list(&ui, &project()?, args).await,
        Some(Command::Show(args)) => commands::show(&ui, &project()?, args).await,
        Some(Command::Status) => commands::status(&ui, &project()?).await,
        Some(Command::Logs(args)) => commands::logs(&ui, &project()?, args).await,
        Some(Command::Retry(args)) => commands::retry(&ui, &project()?, args).await,
        Some(Command::Cancel(args)) => commands::cancel(&ui, &project()?, args).await,
        Some(Command::Export(args)) => commands::export(&ui, &project()?, args).await,
        Some(Command::Locks(Locks::Run(args))) => {
            return commands::run_locked(&ui, &project()?, &args).await;
        }
        Some(Command::Locks(args)) => commands::locks(&ui, &project()?, &args).await,
        Some(Command::Worktrees(args)) => commands::worktrees(&ui, &project()?, &args).await,
        Some(Command::Gateway(args)) => commands::gateway(&ui, &project()?, &args).await,
        Some(Command::Keys(keys)) => commands::keys(&ui, &project()?, &keys).await,
        Some(Command::Rehearse(args)) => commands::rehearse(&ui, &project()?, &args),
        Some(Command::Classify(args)) => commands::classify(&ui, &project()?, &args),
        Some(Command::Messages(args)) => return messages::messages(&ui, *args).await,
        Some(Command::Completions(args)) => Ok(commands::completions(&args)),
        Some(Command::Man) => commands::man(),
        Some(Command::Help(args)) => commands::help(&ui, &args),
    };
    exit.map(ExitCode::from)
}
