//! `export`: the tasks as a backlog again.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
};

use agent_runner_task_store::{
    Filter,
    backlog::{Format, Writer},
};

use super::{PAGE, import::parse_format, statuses, unwritten};
use crate::{
    cli::Export,
    error::{Error, OrExit, Result},
    exit_code::Exit,
    project::Project,
    ui::Ui,
    units,
};

/// Writes the tasks to a file or stdout.
pub async fn export(ui: &Ui, project: &Project, args: Export) -> Result<Exit> {
    let store = project.existing_store()?;
    let by_name = args.output.as_ref().and_then(Format::from_path);
    let format = match &args.format {
        Some(name) => parse_format(name)?,
        None => by_name.unwrap_or(Format::Jsonl),
    };
    let output: Box<dyn Write> = match &args.output {
        Some(path) => Box::new(
            File::create(path).or_invalid(|| format!("could not write '{}'", path.display()))?,
        ),
        None => Box::new(io::stdout().lock()),
    };
    let mut writer = Writer::new(format, BufWriter::new(output)).map_err(unwritten)?;
    let filter = Filter { statuses: statuses(&args.statuses), tags: Vec::new() };
    let (mut after, mut count) = (None, 0_u64);
    loop {
        let page = store.list(&filter, after.as_ref(), PAGE).await?;
        for task in &page {
            match writer.write(&task.spec) {
                Err(error) if is_unread(&error) => return Ok(Exit::Success),
                written => written.map_err(|error| not_in_format(error, &task.id))?,
            }
        }
        count += page.len() as u64;
        match page.last() {
            Some(task) if page.len() == PAGE => after = Some(task.id.clone()),
            _ => break,
        }
    }
    match writer.finish().and_then(|mut out| out.flush()) {
        Err(error) if is_unread(&error) => return Ok(Exit::Success),
        written => written.map_err(unwritten)?,
    }
    if let Some(path) = &args.output {
        ui.say(format_args!("{} written to {}", units::count(count, "task"), path.display()));
    }
    Ok(Exit::Success)
}

/// A reader that has seen enough is no error.
fn is_unread(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

fn not_in_format(error: io::Error, id: &agent_runner_task_store::TaskId) -> Error {
    if error.kind() != io::ErrorKind::InvalidData {
        return unwritten(error);
    }
    Error::new(
        Exit::Invalid,
        anyhow::Error::new(error).context(format!("could not write task '{id}' in this format")),
    )
    .hint("`--format jsonl` can hold every task")
}
