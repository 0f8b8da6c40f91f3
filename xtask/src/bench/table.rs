//! Tables of what was measured.

use serde_json::Value;

use super::Case;

const HEADINGS: [&str; 6] = ["case", "ours", "limit", "unit", "ratio", "goal"];

/// An aligned table for the terminal.
pub(super) fn plain(cases: &[Case]) -> String {
    render(cases, |cells| cells.join("  ").trim_end().to_owned())
}

/// A table for a Markdown page, aligned as well.
pub(super) fn markdown(cases: &[Case]) -> String {
    render(cases, |cells| format!("| {} |", cells.join(" | ")))
}

fn render(cases: &[Case], line: impl Fn(&[String]) -> String) -> String {
    let mut rows = vec![HEADINGS.map(str::to_owned).to_vec()];
    rows.extend(cases.iter().map(cells));
    if rows.iter().any(|row| row.len() > HEADINGS.len()) {
        rows[0].push("more".to_owned());
    }
    let columns = rows[0].len();
    for row in &mut rows {
        row.resize(columns, String::new());
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..columns).filter_map(width).collect();
    rows.insert(1, widths.iter().map(|width| "-".repeat(*width)).collect());

    let mut text = String::new();
    for row in &rows {
        let padded: Vec<String> = (0..columns).map(|at| pad(&row[at], widths[at], at)).collect();
        text += &line(&padded);
        text.push('\n');
    }
    text
}

/// Numbers stand at the right of their column, words at the left.
fn pad(cell: &str, width: usize, column: usize) -> String {
    match HEADINGS.get(column) {
        Some(&"ours" | &"limit" | &"ratio") => format!("{cell:>width$}"),
        _ => format!("{cell:<width$}"),
    }
}

/// The columns of a case, and one more for whatever else it says.
fn cells(case: &Case) -> Vec<String> {
    let mut cells: Vec<String> =
        HEADINGS.iter().map(|key| case.get(*key).map(cell).unwrap_or_default()).collect();
    if let Some(verdict) = verdict(case) {
        cells[HEADINGS.len() - 1] += verdict;
    }
    let known = |key: &str| key == "bench" || HEADINGS.contains(&key);
    let more: Vec<String> = case
        .iter()
        .filter(|(key, _)| !known(key))
        .map(|(key, value)| format!("{key} {}", cell(value)))
        .collect();
    if !more.is_empty() {
        cells.push(more.join(", "));
    }
    cells
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Number(number) => number.as_f64().map_or_else(|| number.to_string(), three_digits),
        other => other.to_string(),
    }
}

/// A number as a person reads it: three digits that count, whole from 100 on.
fn three_digits(number: f64) -> String {
    let size = number.abs();
    let decimals = match size {
        _ if number.fract() == 0.0 || size >= 100.0 => 0,
        _ if size >= 10.0 => 1,
        _ if size >= 0.1 => 2,
        _ => 4,
    };
    format!("{number:.decimals$}")
}

/// Whether the goal was reached, where the goal is about the ratio: `<= 1.4`.
fn verdict(case: &Case) -> Option<&'static str> {
    let ratio = case.get("ratio")?.as_f64()?;
    let (sign, bound) = case.get("goal")?.as_str()?.trim().split_once(' ')?;
    let bound: f64 = bound.trim().parse().ok()?;
    let reached = match sign {
        "<=" | "≤" => ratio <= bound,
        ">=" | "≥" => ratio >= bound,
        _ => return None,
    };
    Some(if reached { " (met)" } else { " (missed)" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cases() -> Vec<Case> {
        [
            r#"{"bench":"lock","case":"acquire + release","ours":5.123,"limit":4.2,"unit":"us","ratio":1.2198,"goal":"<= 1.4"}"#,
            r#"{"bench":"lock","case":"list","ours":1234.5,"limit":null,"unit":"us","ratio":1.5,"goal":"<= 1.4","locks":1000}"#,
        ]
        .map(|line| serde_json::from_str(line).expect("it is JSON"))
        .to_vec()
    }

    #[test]
    fn columns_are_aligned_and_verdicts_given() {
        let expected = "\
case               ours  limit  unit  ratio  goal             more
-----------------  ----  -----  ----  -----  ---------------  ----------
acquire + release  5.12   4.20  us     1.22  <= 1.4 (met)
list               1234         us     1.50  <= 1.4 (missed)  locks 1000
";
        assert_eq!(plain(&cases()), expected);
    }

    #[test]
    fn a_goal_in_words_has_no_verdict() {
        let case: Case = serde_json::from_str(r#"{"ratio":2,"goal":"under 50 ms"}"#).expect("JSON");
        assert_eq!(verdict(&case), None);
    }

    #[test]
    fn markdown_is_a_table() {
        let table = markdown(&cases()[..1]);
        assert!(table.starts_with("| case "), "{table}");
        assert!(table.lines().all(|line| line.starts_with('|') && line.ends_with('|')), "{table}");
        assert_eq!(table.lines().count(), 3);
    }
}
