//! The rules of [`Store`], one case each. A case's error says how the rule is broken.
//!
//! A case uses keys that start with its own name, and removes what is left of them first: the store
//! need not be empty.
// The first sentence is the `# Errors` of each case.
#![allow(clippy::missing_errors_doc)]

mod common;
mod lists;
mod records;
mod watches;

use std::sync::Arc;

use fc_core::Store;

pub use lists::*;
pub use records::*;
pub use watches::*;

use super::Case;

/// Proves a store: one `#[tokio::test]` for each rule.
///
/// Takes an expression that is called for each case: an async function or closure without arguments
/// that gives an `Arc<dyn Store>`. The crate that calls it needs `tokio` with `macros` and `rt`.
///
/// ```ignore
/// async fn empty() -> Arc<dyn Store> {
///     Arc::new(MyStore::new())
/// }
///
/// fc_testkit::store_conformance!(empty);
/// ```
#[macro_export]
macro_rules! store_conformance {
    ($factory:expr) => {
        $crate::__store_cases!([$crate::__store_tests] $factory);
    };
}

/// One test for each case.
#[doc(hidden)]
#[macro_export]
macro_rules! __store_tests {
    ($factory:expr; $($case:ident)*) => {
        $(
            #[tokio::test]
            async fn $case() -> $crate::conformance::Verdict {
                let store: $crate::conformance::store::Subject = ($factory)().await;
                $crate::conformance::bounded($crate::conformance::store::$case(&store)).await
            }
        )*
    };
}

/// The one list of cases: calls `$with!(arguments; case case …)`.
#[doc(hidden)]
#[macro_export]
macro_rules! __store_cases {
    ([$($with:tt)*] $($argument:tt)*) => {
        $($with)*!{ $($argument)*;
            capabilities_are_constant
            what_was_put_is_read_back
            absent_takes_only_a_free_key
            unchanged_takes_only_the_revision_that_was_read
            always_overwrites
            revisions_grow_and_are_never_used_again
            delete_says_whether_there_was_a_record
            delete_heeds_its_condition
            racing_writers_lose_no_update
            list_is_in_byte_order
            list_keeps_to_its_prefix
            list_goes_on_behind_a_key
            list_gives_no_more_than_asked
            watch_gives_every_change_in_order
            watch_begins_when_it_returns
            watch_replays_what_came_since
            watch_keeps_to_its_prefix
            a_lagging_watcher_is_told
            a_watcher_that_comes_too_late_is_told
            a_key_over_the_limit_is_refused
            a_value_over_the_limit_is_refused
        }
    };
}

macro_rules! table {
    ($_:tt; $($case:ident)*) => {
        vec![$(Case { name: stringify!($case), run: |store| Box::pin($case(store)) }),*]
    };
}

/// All cases, for a runner of one's own.
pub fn cases() -> Vec<Case<Subject>> {
    crate::__store_cases!([table] _)
}

/// What the cases take.
pub type Subject = Arc<dyn Store>;
