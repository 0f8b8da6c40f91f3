//! `docs/benchmarks.md`: tables between markers, with the text of people around them.

use std::{fs, io};

use anyhow::Context as _;
use xshell::{Shell, cmd};

use super::{Case, table};
use crate::workspace::Workspace;

const NEW_PAGE: &str = "# Benchmarks

Each benchmark measures our own work beside its limit in the same run, in turns, so that the ratio
says more than either number. The tables are written by `cargo xtask bench --update`.
";

/// Writes the table of one benchmark into the page.
pub(super) fn update(
    sh: &Shell,
    workspace: &Workspace,
    bench: &str,
    cases: &[Case],
) -> anyhow::Result<()> {
    let path = workspace.root.join("docs/benchmarks.md");
    let page = match fs::read_to_string(&path) {
        Ok(page) => page,
        Err(error) if error.kind() == io::ErrorKind::NotFound => NEW_PAGE.to_owned(),
        Err(error) => return Err(error).with_context(|| format!("could not read {path}")),
    };
    let content = format!(
        "`cargo xtask bench {bench}` on {date}; {machine}.\n\n{table}",
        date = cmd!(sh, "date -u +%F").quiet().read()?,
        machine = machine(sh)?,
        table = table::markdown(cases),
    );
    sh.create_dir("docs")?;
    fs::write(&path, replace(&page, bench, &content))
        .with_context(|| format!("could not write {path}"))
}

/// The page with new content between the markers of a benchmark; without markers, at the end.
fn replace(page: &str, bench: &str, content: &str) -> String {
    let (begin, end) = (format!("<!-- begin {bench} -->"), format!("<!-- end {bench} -->"));
    let block = format!("{begin}\n{content}{end}");
    let found = page.find(&begin).zip(page.find(&end)).filter(|(begin, end)| begin < end);
    match found {
        Some((from, to)) => format!("{}{block}{}", &page[..from], &page[to + end.len()..]),
        None => format!("{}\n\n## {bench}\n\n{block}\n", page.trim_end()),
    }
}

/// What the numbers depend on: processor, cores, memory, kernel, compiler.
fn machine(sh: &Shell) -> anyhow::Result<String> {
    let cores = std::thread::available_parallelism()?;
    let cpu = proc_value("/proc/cpuinfo", "model name").unwrap_or("unknown processor".to_owned());
    let memory = proc_value("/proc/meminfo", "MemTotal")
        .and_then(|value| value.trim_end_matches(" kB").parse::<u64>().ok())
        .map_or("unknown".to_owned(), |kib| format!("{} GiB", (kib + (1 << 19)) >> 20));
    let kernel = cmd!(sh, "uname -sr").quiet().read()?;
    let rustc = cmd!(sh, "rustc --version").quiet().read()?;
    Ok(format!("{cores} cores of {cpu}, {memory} of memory, {kernel}, {rustc}"))
}

fn proc_value(file: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_around_the_markers_stays() {
        let page = "# Benchmarks\n\nWords.\n\n<!-- begin lock -->\nold\n<!-- end lock -->\n\nMore words.\n";
        assert_eq!(
            replace(page, "lock", "new\n"),
            "# Benchmarks\n\nWords.\n\n<!-- begin lock -->\nnew\n<!-- end lock -->\n\nMore words.\n",
        );
    }

    #[test]
    fn a_new_benchmark_gets_a_section_and_the_second_time_keeps_it() {
        let once = replace("# Benchmarks\n", "pool", "1\n");
        assert_eq!(once, "# Benchmarks\n\n## pool\n\n<!-- begin pool -->\n1\n<!-- end pool -->\n");
        assert_eq!(replace(&once, "pool", "2\n"), once.replace("\n1\n", "\n2\n"));
    }
}
