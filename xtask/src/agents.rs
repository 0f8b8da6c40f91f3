//! Real agents, from the npm registry, against a pretend provider in a network namespace.

use std::{
    io::{BufRead, BufReader},
    process::{Command, ExitCode, Stdio},
};

use anyhow::Context as _;
use cargo_metadata::camino::Utf8PathBuf;
use serde_json::Value;
use xshell::{Shell, cmd};

use crate::{flags, workspace::Workspace};

/// Which versions, for `npm ci`.
const PINNED: [&str; 2] = ["package.json", "package-lock.json"];
/// Brings loopback up in a new network namespace, which has nothing else.
const WITH_LOOPBACK: &str = "ip link set lo up && exec \"$@\"";

/// Shows what becomes of each agent in each scenario, and fails if one is not as it should be.
pub(crate) fn run(
    sh: &Shell,
    workspace: &Workspace,
    options: &flags::Agents,
) -> anyhow::Result<ExitCode> {
    let unshare = match tools(sh) {
        Ok(unshare) => unshare,
        Err(missing) => {
            eprintln!("skipped: {missing}");
            return Ok(ExitCode::SUCCESS);
        }
    };
    let agents = install(sh, workspace)?;
    // As the tests are built, so that nothing is built twice.
    cmd!(sh, "cargo build --workspace --all-features --bins").run()?;
    let built = workspace.target.join("debug");
    let (player, runner) = (built.join("real-agents"), built.join("agent-runner"));
    let agent = options.agent.as_deref();
    let play = cmd!(
        sh,
        "unshare {unshare} -- sh -c {WITH_LOOPBACK} sh {player} {runner} {agents} {agent...}"
    );
    let seen = show(play.quiet().into(), options.json)?;
    anyhow::ensure!(seen.scenarios > 0, "no agent is called so; there are claude and codex");
    eprintln!("\nagents: {} scenarios, {} not as they should be", seen.scenarios, seen.wrong);
    Ok(if seen.wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The option by which `unshare` gives a network of its own here, or what is missing.
fn tools(sh: &Shell) -> Result<&'static str, String> {
    let works = |program: &str, args: &[&str]| {
        sh.cmd(program).args(args).quiet().ignore_stdout().ignore_stderr().run().is_ok()
    };
    for (program, flag) in [("npm", "--version"), ("ip", "-V"), ("unshare", "--version")] {
        if !works(program, &[flag]) {
            return Err(format!("`{program}` is not installed"));
        }
    }
    let options = ["-n", "-rn"];
    let works = options.into_iter().find(|option| works("unshare", &[option, "true"]));
    works.ok_or_else(|| "`unshare -n` is not allowed here".to_owned())
}

/// Installs the pinned versions below `target`, once, and returns the folder of their programs.
fn install(sh: &Shell, workspace: &Workspace) -> anyhow::Result<Utf8PathBuf> {
    let (from, to) = (workspace.root.join("xtask/agents"), workspace.target.join("agents"));
    let (lock, installed) = (sh.read_file(from.join("package-lock.json"))?, to.join("installed"));
    let bin = to.join("node_modules/.bin");
    if sh.read_file(&installed).is_ok_and(|text| text == lock) {
        return Ok(bin);
    }
    sh.create_dir(&to)?;
    for file in PINNED {
        sh.copy_file(from.join(file), to.join(file))?;
    }
    let _folder = sh.push_dir(&to);
    cmd!(sh, "npm ci --no-audit --no-fund").run().context("npm could not install the agents")?;
    sh.write_file(installed, lock)?;
    Ok(bin)
}

#[derive(Debug, Default)]
struct Seen {
    scenarios: usize,
    wrong: usize,
}

/// Runs the scenarios and shows each as it comes.
fn show(mut command: Command, as_json: bool) -> anyhow::Result<Seen> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("could not start unshare")?;
    let mut seen = Seen::default();
    if !as_json {
        println!("{}", cells(|_, heading| heading.to_owned()));
    }
    for line in BufReader::new(child.stdout.take().expect("it is piped")).lines() {
        let line = line?;
        let scenario: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
        seen.scenarios += 1;
        seen.wrong += usize::from(scenario["ok"] != true);
        println!("{}", if as_json { line } else { row(&scenario) });
    }
    anyhow::ensure!(child.wait()?.success(), "the scenarios could not be played, see above");
    Ok(seen)
}

/// The columns, with their headings.
const COLUMNS: [(&str, &str); 10] = [
    ("agent", "agent"),
    ("scenario", "scenario"),
    ("outcomes", "outcomes"),
    ("exit", "exit"),
    ("agent_exit", "agent"),
    ("wrote_file", "file"),
    ("requests", "requests"),
    ("acted_after_s", "acted after"),
    ("seconds", "took"),
    ("ok", "as expected"),
];

fn cells(cell: impl Fn(&str, &str) -> String) -> String {
    let widths = [7, 19, 19, 5, 6, 5, 9, 12, 9, 0];
    let cells = COLUMNS.iter().zip(widths).enumerate().map(|(at, (&(name, heading), width))| {
        let cell = cell(name, heading);
        if at < 3 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
    });
    cells.collect::<Vec<_>>().join(" ")
}

fn row(scenario: &Value) -> String {
    let text = |name: &str| match &scenario[name] {
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
        Value::Null => "-".to_owned(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::Number(number) if number.is_f64() => {
            format!("{:.2} s", number.as_f64().unwrap_or_default())
        }
        other => other.to_string(),
    };
    let mut row = cells(|name, _| text(name));
    if let Some(note) = scenario["note"].as_str() {
        row = format!("{row}: {note}");
    }
    if scenario["ok"] != true {
        let [outcomes, exit, message] = ["expected_outcomes", "expected_exit", "message"].map(text);
        row = format!("{row}: {outcomes} and {exit}; {message}");
    }
    row
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_scenario_is_a_row_under_its_heading() {
        let mut scenario = json!({
            "agent": "claude", "scenario": "throttle", "ok": true, "outcomes": ["throttled"],
            "exit": 6, "agent_exit": null, "wrote_file": false, "requests": 1,
            "acted_after_s": 0.29, "seconds": 2.6,
        });
        let shown = row(&scenario);
        let heading = cells(|_, heading| heading.to_owned());
        assert_eq!(shown.find("throttled"), heading.find("outcomes"), "{shown}");
        assert_eq!(shown.rfind("yes"), heading.find("as expected"), "{shown}");
        scenario["ok"] = json!(false);
        scenario["note"] = json!("twice as long");
        assert!(row(&scenario).contains("no: twice as long: "), "{}", row(&scenario));
        scenario["note"] = json!(null);
        scenario["expected_outcomes"] = json!(["quota"]);
        assert!(row(&scenario).contains("no: quota and -"), "{}", row(&scenario));
    }
}
