//! No hot statement scans or sorts: their query plans, asserted.
//!
//! The statements are found in this crate's own sources, so that a new one cannot be forgotten.

use rusqlite::Connection;

use super::open::MIGRATIONS;

/// The sources of everything that runs while tasks are claimed, finished and watched.
const SOURCES: [(&str, &str); 9] = [
    ("claim", include_str!("claim.rs")),
    ("finish", include_str!("finish.rs")),
    ("resources", include_str!("resources.rs")),
    ("deps", include_str!("deps.rs")),
    ("tx", include_str!("tx.rs")),
    ("row", include_str!("row.rs")),
    ("read", include_str!("read.rs")),
    ("add", include_str!("add.rs")),
    ("change", include_str!("change.rs")),
];

/// Statements that look at a whole table which is small by nature, and may sort the few rows that
/// run.
const SMALL: [(&str, &str); 3] = [
    ("SELECT state, tasks FROM counter", "SCAN counter"),
    ("SELECT next FROM numbering", "SCAN numbering"),
    ("UPDATE numbering SET next", "SCAN numbering"),
];

#[test]
fn every_statement_uses_an_index() {
    let conn = Connection::open_in_memory().expect("a database");
    for script in MIGRATIONS {
        conn.execute_batch(script).expect("the schema is good");
    }
    let mut seen = 0;
    for (file, source) in SOURCES {
        for sql in statements(source) {
            check(&conn, file, &sql);
            seen += 1;
        }
    }
    assert!(seen > 50, "only {seen} statements were found in the sources");
}

fn check(conn: &Connection, file: &str, sql: &str) {
    let plan = plan(conn, sql);
    let allowed = SMALL.iter().find(|(start, _)| sql.starts_with(start)).map(|(_, scan)| *scan);
    for step in &plan {
        let scans = step.starts_with("SCAN") && !is_bounded(step);
        let sorts = step.contains("TEMP B-TREE") && !sql.contains("ORDER BY started");
        let allowed = allowed == Some(step.as_str());
        assert!(allowed || !(scans || sorts), "{file}: `{sql}` does this: {plan:#?}");
    }
}

/// A walk along a partial or ordered index ends with its LIMIT; one row of constants is no walk.
fn is_bounded(step: &str) -> bool {
    step.contains("USING INDEX task_ready")
        || step.contains("USING COVERING INDEX task_ready")
        || step.contains("CONSTANT ROW")
}

fn plan(conn: &Connection, sql: &str) -> Vec<String> {
    let mut explain = conn
        .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
        .unwrap_or_else(|error| panic!("`{sql}`: {error}"));
    let rows = explain.raw_query().mapped(|row| row.get("detail"));
    rows.collect::<Result<_, _>>().expect("a plan is text")
}

/// The string literals of a source that are SQL and look for rows.
fn statements(source: &str) -> Vec<String> {
    let literals = source.split('"').skip(1).step_by(2);
    let looks = ["SELECT ", "UPDATE ", "DELETE ", "INSERT "];
    literals
        .filter(|text| looks.iter().any(|word| text.starts_with(word)))
        .map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}
