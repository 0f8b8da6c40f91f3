//! The life of a task in memory: added, claimed, failed, tried again, done.
#![expect(clippy::print_stdout, reason = "an example speaks to its reader")]

use std::time::Duration;

use agent_runner_task_store::{
    Budget, ClaimRequest, MemoryStore, NewTask, Report, Takes, TaskId, TaskStore, Verdict, Worker,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = MemoryStore::new();
    let id = TaskId::new("fix-login")?;
    let prompt = "Fix the flaky login test".to_owned();
    store.add(vec![NewTask { id: Some(id.clone()), prompt, ..NewTask::default() }]).await?;

    let request = ClaimRequest {
        worker: Worker { run: "example-1".into(), host: "here".into(), pid: 1, number: 0 },
        lease: Duration::from_secs(60),
        budget: Budget::default(),
        tags: vec![],
        takes: Takes::default(),
    };
    let mut verdicts = vec![
        Verdict::Succeeded,
        Verdict::Crashed { retry_after: Duration::ZERO },
        Verdict::Failed { retry_after: Duration::ZERO },
    ];
    while let Some(claim) = store.claim(&request).await? {
        println!("attempt {}: {}", claim.fence.attempt, claim.task.spec.title);
        let verdict = verdicts.pop().ok_or("a task too many")?;
        let report = Report::new(verdict, "example").with_message("as it happens");
        let finished = store.finish(&claim.fence, report, None).await?;
        println!("  {verdict:?}: now {}", finished.status);
    }
    for attempt in store.attempts(&id).await? {
        println!("{attempt:?}");
    }
    Ok(())
}
