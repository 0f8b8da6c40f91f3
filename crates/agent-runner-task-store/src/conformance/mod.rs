//! The suite that every [`TaskStore`] must pass, for those who write their own.
//!
//! [`conformance!`](crate::conformance!) makes one `#[test]` of each case. It wants an expression that makes a store:
//! a function from a clock, which the suite moves by hand, to a [`Fixture`] with an empty store.
//!
//! ```
//! use agent_runner_task_store::{MemoryStore, conformance::Fixture};
//!
//! agent_runner_task_store::conformance!(memory, |clock| async {
//!     Fixture::new(MemoryStore::with_clock(clock))
//! });
//! # fn main() {}
//! ```
//!
//! The cases use nothing but the trait. None of them sleeps, and each is fast enough for a
//! database on another machine.

mod adding;
mod claiming;
mod dependencies;
mod finishing;
mod leases;
mod locks;
mod looking;
pub mod model;
mod people;
mod subject;
mod touches;

use std::{any::Any, fmt, pin::Pin, sync::Arc};

use self::subject::Subject;
use crate::{ManualClock, Overlap, TaskStore, rules};

/// A store to be tested, and what must live as long as it does.
pub struct Fixture {
    // Dropped in this order: a store before the folder that it is in.
    store: Arc<dyn TaskStore>,
    kept: Vec<Box<dyn Any + Send>>,
    overlap: Overlap,
}

impl Fixture {
    /// An empty store.
    pub fn new(store: impl TaskStore) -> Self {
        Self { store: Arc::new(store), kept: Vec::new(), overlap: rules::any_two_overlap }
    }

    /// Says which [`touches`](crate::NewTask::touches) overlap for the store; else any two do.
    ///
    /// The suite's patterns look like `src/**` and `src/a/b`.
    pub fn overlap(mut self, overlap: Overlap) -> Self {
        self.overlap = overlap;
        self
    }

    /// Keeps something until the store is dropped, such as a temporary folder.
    pub fn keeping(mut self, kept: impl Any + Send) -> Self {
        self.kept.push(Box::new(kept));
        self
    }
}

impl fmt::Debug for Fixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fixture").field("kept", &self.kept.len()).finish_non_exhaustive()
    }
}

/// Runs one case against a fresh store, on a runtime of its own.
///
/// # Panics
///
/// When the store does not keep what the case wants, or when there is no such case.
pub fn run<F>(case: &str, make: impl FnOnce(Arc<ManualClock>) -> F)
where
    F: Future<Output = Fixture>,
{
    let (_, body) = CASES
        .iter()
        .find(|(name, _)| *name == case)
        .unwrap_or_else(|| panic!("there is no case '{case}'"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be built").block_on(async {
        let clock = Arc::new(ManualClock::default());
        let Fixture { store, kept, overlap } = make(Arc::clone(&clock)).await;
        let subject = Subject { store, clock, overlap };
        body(&subject).await;
        drop((subject, kept));
    });
}

/// The names of all cases.
pub fn cases() -> impl Iterator<Item = &'static str> {
    CASES.iter().map(|(name, _)| *name)
}

type Case = for<'s> fn(&'s Subject) -> Pin<Box<dyn Future<Output = ()> + 's>>;

/// Lists cases by their functions, so that names and functions cannot part.
macro_rules! cases {
    ($($module:ident: $($case:ident),+;)+) => {
        const CASES: &[(&str, Case)] = &[
            $($((stringify!($case), |subject| Box::pin($module::$case(subject))),)+)+
        ];
    };
}

cases! {
    adding: added_tasks_are_kept_whole, the_title_is_the_first_line_of_the_prompt, tasks_without_an_id_get_the_next_free_number, a_key_makes_it_the_same_task, adding_again_changes_nothing, other_content_updates_a_task, other_content_reopens_an_ended_task, a_running_task_is_not_changed, where_it_was_read_is_no_content, the_same_id_twice_is_refused, an_unknown_dependency_is_refused, circles_are_refused_and_named, a_circle_through_older_tasks_is_refused, importing_is_adding, a_failing_import_adds_nothing;
    claiming: nothing_comes_from_an_empty_store, higher_priority_first_then_the_order_of_adding, a_claim_says_what_is_to_be_done, only_tasks_with_one_of_the_tags, only_tasks_whose_command_is_taken, tags_are_found_again_after_a_release, a_task_is_not_claimed_before_its_time, what_is_due_keeps_its_place, no_task_is_given_to_two, finishing_claims_the_next_at_once, a_claim_nobody_receives_is_given_back;
    dependencies: a_task_waits_for_what_it_needs, what_has_succeeded_is_not_waited_for, a_failed_or_cancelled_need_keeps_a_task_waiting, doing_a_need_again_stops_what_has_not_begun, an_update_may_change_the_needs, a_changed_need_is_waited_for_again, many_tasks_may_wait_for_one, a_long_chain_runs_in_its_order;
    finishing: success_is_the_end, failures_are_counted_until_the_budget_is_spent, a_budget_of_its_own_is_stronger, crashes_are_counted_apart, the_claims_budget_counts, released_tasks_keep_their_place_and_pay_nothing, no_retry_mends_what_is_dead, a_retry_waits_as_long_as_it_was_told, a_claim_is_finished_once, only_the_very_claim_may_finish, a_refused_finish_claims_nothing, every_attempt_is_recorded;
    leases: a_heartbeat_extends_the_lease, heartbeats_are_answered_in_order, the_lease_runs_out_by_the_stores_clock, a_late_holder_that_nobody_replaced_may_finish, rescues_are_bounded_and_begin_with_the_longest_overdue, a_rescue_ends_only_the_attempt_it_names, rescues_are_rationed, running_says_who_holds_what;
    locks: a_claim_goes_around_a_held_lock, blocked_tasks_keep_their_order, every_end_releases_the_lock, a_task_may_hold_several_locks, a_wake_up_that_is_no_use_is_passed_on, a_cancelled_task_lets_the_next_one_by, an_update_may_change_the_locks, a_lock_wakes_tasks_of_every_tag, a_waiting_need_holds_no_lock,
        a_head_full_of_blocked_tasks_is_gone_around;
    looking: what_is_not_there_is_not_found, pages_follow_the_order_of_adding, lists_are_filtered, filtered_pages_go_on_where_they_ended, every_task_is_counted_once;
    touches: a_claim_goes_around_what_is_touched, what_overlaps_never_runs_together, a_task_waits_for_its_paths_and_for_its_locks, every_end_lets_go_of_the_paths, an_update_may_change_what_is_touched, a_path_wakes_tasks_of_every_tag;
    people: a_task_that_does_not_run_is_cancelled_at_once, a_running_task_is_told_to_stop, a_cancelled_task_is_not_tried_again, a_retry_fills_the_budgets, an_unknown_id_changes_nothing, changes_may_concern_all_that_fit;
    model: behaves_like_the_model;
}

/// Makes a module with one `#[test]` for each case of the [suite](mod@crate::conformance).
#[macro_export]
macro_rules! conformance {
    ($module:ident, $make:expr) => {
        $crate::conformance! {
            @cases $module, $make;
            added_tasks_are_kept_whole
            the_title_is_the_first_line_of_the_prompt
            tasks_without_an_id_get_the_next_free_number
            a_key_makes_it_the_same_task
            adding_again_changes_nothing
            other_content_updates_a_task
            other_content_reopens_an_ended_task
            a_running_task_is_not_changed
            where_it_was_read_is_no_content
            the_same_id_twice_is_refused
            an_unknown_dependency_is_refused
            circles_are_refused_and_named
            a_circle_through_older_tasks_is_refused
            importing_is_adding
            a_failing_import_adds_nothing
            nothing_comes_from_an_empty_store
            higher_priority_first_then_the_order_of_adding
            a_claim_says_what_is_to_be_done
            only_tasks_with_one_of_the_tags
            only_tasks_whose_command_is_taken
            tags_are_found_again_after_a_release
            a_task_is_not_claimed_before_its_time
            what_is_due_keeps_its_place
            no_task_is_given_to_two
            finishing_claims_the_next_at_once
            a_claim_nobody_receives_is_given_back
            a_task_waits_for_what_it_needs
            what_has_succeeded_is_not_waited_for
            a_failed_or_cancelled_need_keeps_a_task_waiting
            doing_a_need_again_stops_what_has_not_begun
            an_update_may_change_the_needs
            a_changed_need_is_waited_for_again
            many_tasks_may_wait_for_one
            a_long_chain_runs_in_its_order
            success_is_the_end
            failures_are_counted_until_the_budget_is_spent
            a_budget_of_its_own_is_stronger
            crashes_are_counted_apart
            the_claims_budget_counts
            released_tasks_keep_their_place_and_pay_nothing
            no_retry_mends_what_is_dead
            a_retry_waits_as_long_as_it_was_told
            a_claim_is_finished_once
            only_the_very_claim_may_finish
            a_refused_finish_claims_nothing
            every_attempt_is_recorded
            a_heartbeat_extends_the_lease
            heartbeats_are_answered_in_order
            the_lease_runs_out_by_the_stores_clock
            a_late_holder_that_nobody_replaced_may_finish
            rescues_are_bounded_and_begin_with_the_longest_overdue
            a_rescue_ends_only_the_attempt_it_names
            rescues_are_rationed
            running_says_who_holds_what
            a_claim_goes_around_a_held_lock
            blocked_tasks_keep_their_order
            every_end_releases_the_lock
            a_task_may_hold_several_locks
            a_wake_up_that_is_no_use_is_passed_on
            a_cancelled_task_lets_the_next_one_by
            an_update_may_change_the_locks
            a_lock_wakes_tasks_of_every_tag
            a_waiting_need_holds_no_lock
            a_head_full_of_blocked_tasks_is_gone_around
            what_is_not_there_is_not_found
            pages_follow_the_order_of_adding
            lists_are_filtered
            filtered_pages_go_on_where_they_ended
            every_task_is_counted_once
            a_claim_goes_around_what_is_touched
            what_overlaps_never_runs_together
            a_task_waits_for_its_paths_and_for_its_locks
            every_end_lets_go_of_the_paths
            an_update_may_change_what_is_touched
            a_path_wakes_tasks_of_every_tag
            a_task_that_does_not_run_is_cancelled_at_once
            a_running_task_is_told_to_stop
            a_cancelled_task_is_not_tried_again
            a_retry_fills_the_budgets
            an_unknown_id_changes_nothing
            changes_may_concern_all_that_fit
            behaves_like_the_model
        }
    };
    (@cases $module:ident, $make:expr; $($case:ident)+) => {
        mod $module {
            use super::*;

            $(
                #[test]
                fn $case() {
                    $crate::conformance::run(stringify!($case), $make);
                }
            )+

            #[test]
            fn every_case_is_run() {
                let listed = [$(stringify!($case)),+];
                assert!(
                    $crate::conformance::cases().eq(listed),
                    "this list and the suite's have parted",
                );
            }
        }
    };
}
