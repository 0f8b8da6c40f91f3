//! Runners that are killed at any moment. What they had done is found, saved and merged, once.

use std::{
    process::Child,
    thread,
    time::{Duration, Instant},
};

use crate::night::{assert_morning, project, spawn};

/// Kills one worker after another, each a little later than the one before, so that over the time
/// every step of the work is hit.
#[test]
fn killed_at_any_moment() {
    let sandbox = project();
    let tasks: Vec<String> = (0..12).map(|n| format!("task-{n}")).collect();
    let shares: Vec<Vec<String>> =
        (0..2).map(|worker| tasks.iter().skip(worker).step_by(2).cloned().collect()).collect();
    let whole = Instant::now();
    let mut kills = 0;
    let mut patience = Duration::from_millis(40);
    loop {
        let mut workers: Vec<Child> = shares.iter().map(|share| spawn(&sandbox, share)).collect();
        thread::sleep(patience);
        // Longer each time, so that the last ones come to an end on any machine.
        patience = patience.mul_f32(1.15) + Duration::from_millis(7);
        let mut ended = 0;
        for worker in &mut workers {
            if worker.try_wait().unwrap().is_some() {
                ended += 1;
            } else {
                worker.kill().unwrap();
                kills += 1;
            }
        }
        for worker in workers {
            let output = worker.wait_with_output().unwrap();
            let text = String::from_utf8_lossy(&output.stderr);
            assert!(!text.contains("panicked"), "{text}");
        }
        if ended == 2 {
            break;
        }
    }
    println!("{kills} kills in {:?}", whole.elapsed());
    assert!(kills >= 4, "too few were killed: {kills}");
    assert_eq!(assert_morning(&sandbox, &tasks), 0);
}
