//! A run in a file: import, work with several workers at once, and look at the result.
#![expect(clippy::print_stdout, reason = "an example speaks to its reader")]

use std::{sync::Arc, time::Duration};

use agent_runner_task_store::{
    Budget, ClaimRequest, NewTask, Report, SqliteStore, StoreError, Takes, TaskId, TaskStore,
    Verdict, Worker,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let store = Arc::new(SqliteStore::open(folder.path().join("store.db"))?);

    // A hundred tasks, and one that comes after all of them.
    let mut tasks: Vec<NewTask> = (1..=100).map(|n| task(&format!("part-{n}"))).collect();
    let parts: Vec<TaskId> = tasks.iter().filter_map(|task| task.id.clone()).collect();
    tasks.push(NewTask { depends_on: parts, ..task("whole") });
    let added = store.add(tasks).await?;
    println!("added {}", added.added);

    let workers = (0..4).map(|number| tokio::spawn(work(Arc::clone(&store), number)));
    for worker in workers.collect::<Vec<_>>() {
        println!("a worker did {} tasks", worker.await??);
    }
    println!("{:?}", store.counts().await?);
    Ok(())
}

fn task(id: &str) -> NewTask {
    NewTask { id: id.parse().ok(), prompt: format!("make {id}"), ..NewTask::default() }
}

/// Claims and finishes until all is done; each finish claims the next task at once.
async fn work(store: Arc<SqliteStore>, number: u32) -> Result<u32, StoreError> {
    let worker = Worker { run: "example".into(), host: "here".into(), pid: 1, number };
    let lease = Duration::from_secs(30);
    let request = ClaimRequest {
        worker,
        lease,
        budget: Budget::default(),
        tags: vec![],
        takes: Takes::default(),
    };
    let mut done = 0;
    while store.counts().await?.open() > 0 {
        let mut claim = store.claim(&request).await?;
        while let Some(held) = claim {
            let report = Report::new(Verdict::Succeeded, "succeeded");
            claim = store.finish(&held.fence, report, Some(&request)).await?.next;
            done += 1;
        }
        tokio::task::yield_now().await;
    }
    Ok(done)
}
