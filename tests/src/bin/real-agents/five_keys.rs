//! Sixteen tasks with five keys of which one is good, beside the same with five good ones. Nobody may
//! notice, but by the time that it takes; and no key may be anywhere.

mod night;
mod report;

use anyhow::Result;
use night::Night;
use serde_json::{Value, json};

use crate::stage::Stage;

const GOOD: [&str; 5] = ["ok"; 5];
const TROUBLED: [&str; 5] = ["revoked", "quota", "throttled", "flapping", "ok"];
/// The tasks may take less than so many times as long.
const SLOWER: f64 = 3.0;
/// So often is it measured at most: a machine that is busy with something else for a while slows down
/// one of the two alone.
const ROUNDS: usize = 3;

/// Plays both, in turns.
pub(crate) fn play(stage: &Stage<'_>) -> Result<Value> {
    let mut round = 1;
    let (good, troubled, ratio) = loop {
        let (good, troubled) = (Night::play(stage, GOOD)?, Night::play(stage, TROUBLED)?);
        let ratio = troubled.seconds / good.seconds;
        if ratio < SLOWER || round == ROUNDS {
            break (good, troubled, ratio);
        }
        round += 1;
    };
    let mut wrong = [&good, &troubled].map(report::wrong).concat();
    wrong.extend(report::wrongly_asked(&troubled));
    if ratio >= SLOWER {
        wrong.push(format!("it took {ratio:.1} times as long as with five good keys"));
    }
    Ok(json!({
        "agent": stage.agent.name, "version": stage.version, "scenario": "five keys",
        "ok": wrong.is_empty(), "outcomes": troubled.outcomes(),
        "expected_outcomes": [format!("{} succeeded", night::TASKS)],
        "exit": troubled.exit, "expected_exit": 0, "agent_exit": troubled.attempts.agent_exit,
        "wrote_file": troubled.written == night::TASKS, "requests": troubled.answers.len(),
        "is_limit": false, "acted_after_s": null, "seconds": troubled.seconds,
        "good_seconds": good.seconds, "ratio": ratio, "rounds": round,
        "keys": report::asked(&troubled), "looks_at_processes": troubled.found.looks,
        "files_searched": troubled.found.files, "message": wrong.join("; "),
        "note": report::note(&good, &troubled),
    }))
}
