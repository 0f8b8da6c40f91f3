//! Random actions, shrunk to the few that matter when a store and the model part.

use std::sync::Arc;

use agent_runner_task_store::{
    ManualClock,
    conformance::model::{Action, replay},
};
use proptest::{collection::vec, prelude::*};

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_actions_tells_it_from_the_model(dice in vec(any::<[u32; 8]>(), 1..150)) {
        let actions: Vec<_> = dice.into_iter().map(Action::from_dice).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.expect("a runtime can be built").block_on(async {
            let folder = super::folder();
            let clock = Arc::new(ManualClock::default());
            let store = super::open(&folder.path().join("store.db"), Arc::clone(&clock));
            replay(Arc::new(store), clock, crate::overlap, &actions).await;
        });
    }
}
