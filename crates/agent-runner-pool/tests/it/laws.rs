//! Random scripts of failures, recoveries and orders, against a model that is too dull to be wrong: what
//! each attempt at a job should end as, and what a worker may do after what it has been through.

use std::time::Duration;

use proptest::prelude::*;
use tokio::time;

mod model;
mod script;
mod stage;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_job_is_lost_and_none_is_done_twice(script in script::script()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let day = Duration::from_secs(24 * 60 * 60);
        let seen = runtime
            .block_on(async { time::timeout(day, stage::perform(&script)).await })
            .expect("the run ends");
        seen.check(&script);
    }
}
