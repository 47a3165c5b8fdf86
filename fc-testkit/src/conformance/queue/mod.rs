//! The rules of [`Queue`](fc_core::Queue), one case each. A case's error says how the rule is broken.
//!
//! A case uses lanes of its own that no other run uses: the queue need not be empty, and may be in
//! use. It runs on the queue's own clock, which must move by itself: leases of a case end after some
//! tenths of a second, and what must be held is held for longer than a case lasts.
// The first sentence is the `# Errors` of each case.
#![allow(clippy::missing_errors_doc)]

mod cancels;
mod follow_ups;
mod leases;
mod letters;
mod limits;
mod looks;
mod pushes;
mod races;
mod reopening;
mod settlements;
mod subject;
mod times;
mod tokens;
mod trial;
mod waits;

pub use cancels::*;
pub use follow_ups::*;
pub use leases::*;
pub use letters::*;
pub use limits::*;
pub use looks::*;
pub use pushes::*;
pub use races::*;
pub use reopening::*;
pub use settlements::*;
pub use subject::{Reopen, Subject};
pub use times::*;
pub use tokens::*;
pub use waits::*;

use super::Case;

/// Proves a queue: one `#[tokio::test]` for each rule.
///
/// Takes an expression that is called for each case: an async function or closure without arguments
/// that gives a [`Subject`]. A rule that asks for more than the queue declares is kept, as are those
/// about reopening for a subject that cannot. The crate that calls it needs `tokio` with `macros`,
/// `rt` and `time`.
///
/// ```ignore
/// async fn queue() -> Subject {
///     let clock = Arc::new(SystemClock::new());
///     Subject::new(Arc::new(MyQueue::new(clock.clone())), clock)
/// }
///
/// fc_testkit::queue_conformance!(queue);
/// ```
#[macro_export]
macro_rules! queue_conformance {
    ($factory:expr) => {
        $crate::__queue_cases!([$crate::__queue_tests] $factory);
    };
}

/// One test for each case.
#[doc(hidden)]
#[macro_export]
macro_rules! __queue_tests {
    ($factory:expr; $($case:ident)*) => {
        $(
            #[tokio::test]
            async fn $case() -> $crate::conformance::Verdict {
                let subject: $crate::conformance::queue::Subject = ($factory)().await;
                $crate::conformance::bounded($crate::conformance::queue::$case(&subject)).await
            }
        )*
    };
}

/// The one list of cases: calls `$with!(arguments; case case …)`.
#[doc(hidden)]
#[macro_export]
macro_rules! __queue_cases {
    ([$($with:tt)*] $($argument:tt)*) => {
        $($with)*!{ $($argument)*;
            capabilities_are_constant
            what_was_pushed_is_leased
            a_known_id_changes_nothing
            an_id_is_known_while_its_task_is_leased
            an_id_is_known_while_its_task_is_buried
            an_id_is_free_once_its_task_is_over
            an_id_belongs_to_its_lane
            a_lane_gives_its_own_tasks_alone
            the_longest_names_are_told_apart
            a_bad_id_is_refused
            a_payload_over_the_limit_is_refused
            a_note_over_the_limit_is_refused
            a_delay_over_the_limit_is_refused
            a_settlement_over_a_limit_changes_nothing
            a_redrive_over_the_limit_changes_nothing
            a_task_is_not_leased_before_its_time
            a_retried_task_is_not_leased_before_its_time
            a_redriven_letter_is_not_leased_before_its_time
            tasks_are_leased_in_the_order_in_which_they_became_visible
            a_lease_gives_no_more_than_asked
            a_leased_task_is_nobody_elses
            a_task_whose_lease_ends_is_leased_again
            a_later_lease_has_a_greater_fence
            extend_holds_a_task_from_now
            a_stale_token_settles_nothing
            a_stale_token_extends_nothing
            an_expired_token_settles_if_nobody_leased_since
            a_lease_settles_once
            a_done_task_is_gone
            a_retried_task_comes_back_with_its_note
            a_buried_task_is_set_aside
            follow_ups_are_pushed
            a_known_follow_up_changes_nothing
            an_invalid_follow_up_changes_nothing
            a_stale_settlement_pushes_nothing
            cancel_removes_what_nobody_holds
            cancel_leaves_what_is_held
            cancel_of_nothing_is_absent
            depth_counts_every_place
            depth_follows_the_end_of_a_lease
            the_oldest_is_the_first_push_that_waits
            lanes_are_listed_in_byte_order_and_in_pages
            a_lane_without_tasks_is_not_listed
            a_list_shows_each_place
            a_list_is_in_the_order_of_pushes
            a_list_goes_on_behind_a_position
            redrive_of_one_leaves_the_others
            redrive_of_all_leaves_none
            purge_removes_what_waits
            purge_removes_dead_letters
            purge_of_leased_tasks_is_refused
            wait_is_over_at_once_for_a_visible_task
            wait_ends_upon_a_push
            wait_ends_when_a_delay_ends
            wait_ends_when_a_lease_ends
            wait_ends_upon_a_settlement
            wait_ends_at_its_deadline
            racing_pushes_of_one_id_give_one_new
            two_lessees_never_hold_one_task
            racing_settlements_of_one_lease_give_one
            a_cancelled_task_is_never_leased
            what_was_acknowledged_survives_reopening
            an_old_token_is_stale_after_reopening
        }
    };
}

macro_rules! table {
    ($_:tt; $($case:ident)*) => {
        vec![$(Case { name: stringify!($case), run: |queue| Box::pin($case(queue)) }),*]
    };
}

/// All cases, for a runner of one's own.
pub fn cases() -> Vec<Case<Subject>> {
    crate::__queue_cases!([table] _)
}
