//! The rules of [`Runtime`] and [`Instance`](fc_core::Instance), one case each. A case's error says
//! how the rule is broken.
// That sentence is the `# Errors` of each case.
#![allow(clippy::missing_errors_doc)]

mod ends;
mod requests;
mod running;
mod starts;

use std::sync::Arc;

use async_trait::async_trait;
use fc_core::{Attachment, AttachmentId, FunctionVersion, Runtime};

pub use ends::*;
pub use requests::*;
pub use starts::*;

use super::Case;

/// What a function of the fixture does. Each answers with status 200.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Behaviour {
    /// Answers the request's body, with its method in the header `x-method` and its path and query
    /// in `x-path`.
    Echo,
    /// Answers each piece of the request's body as it comes, before it reads the next.
    Stream,
    /// Waits as many milliseconds as the request's body says, then answers that body.
    Sleep,
    /// Waits until as many requests have been in the instance at once as the request's body says,
    /// then answers that body. Its `instance_concurrency` is as high as the fixture's author wants to have tried out.
    Meet,
    /// Answers how many requests this instance was given, the present one included.
    Count,
    /// Prints the request's body as a line, and answers it.
    Print,
    /// Ends its instance while it has the request: leaves, aborts, or whatever the runtime has.
    Crash,
    /// Has an initializer, and answers `yes` if that has run, else `no`.
    Initializer,
    /// Has an initializer that fails.
    FailInitializer,
    /// Does not come up. The runtime should find out within seconds.
    NeverStarts,
}

/// What a driver's author brings: the driver, and functions that it can run.
#[async_trait]
pub trait RuntimeFixture: Send + Sync {
    /// The driver. Called once for each case.
    async fn runtime(&self) -> Arc<dyn Runtime>;

    /// A function that behaves like this; `None` if the driver can have none, whose cases are kept
    /// then. [`Behaviour::Echo`] there must be.
    fn version(&self, behaviour: Behaviour) -> Option<Arc<FunctionVersion>>;

    /// How much the driver holds for its instances: processes, directories, handles. `None` if
    /// nobody can tell.
    fn held(&self) -> Option<usize> {
        None
    }

    /// The network identity of the next instance; loopback without an address of its own, by
    /// default.
    fn attachment(&self) -> Attachment {
        Attachment {
            id: AttachmentId(0),
            address: [127, 0, 0, 1].into(),
            own_address: false,
            namespace: None,
        }
    }
}

/// What the cases take.
pub type Subject = dyn RuntimeFixture;

/// Proves a runtime: one `#[tokio::test]` for each rule.
///
/// Takes an expression that is called for each case: an async function or closure without arguments
/// that gives a [`RuntimeFixture`](crate::conformance::runtime::RuntimeFixture). The crate that calls
/// it needs `tokio` with `macros` and `rt-multi-thread`.
///
/// ```ignore
/// async fn fixture() -> impl RuntimeFixture {
///     MyFixture::new()
/// }
///
/// fc_testkit::runtime_conformance!(fixture);
/// ```
#[macro_export]
macro_rules! runtime_conformance {
    ($factory:expr) => {
        $crate::__runtime_cases!([$crate::__runtime_tests] $factory);
    };
}

/// One test for each case.
#[doc(hidden)]
#[macro_export]
macro_rules! __runtime_tests {
    ($factory:expr; $($case:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() -> $crate::conformance::Verdict {
                let fixture = ($factory)().await;
                $crate::conformance::bounded($crate::conformance::runtime::$case(&fixture)).await
            }
        )*
    };
}

/// The one list of cases: calls `$with!(arguments; case case …)`.
#[doc(hidden)]
#[macro_export]
macro_rules! __runtime_cases {
    ([$($with:tt)*] $($argument:tt)*) => {
        $($with)*!{ $($argument)*;
            capabilities_are_constant
            prepare_is_idempotent
            a_request_arrives_with_method_and_path
            a_body_comes_back_whole
            instances_have_a_state_of_their_own
            bodies_pass_while_they_arise
            the_declared_concurrency_is_there
            a_cancelled_request_disturbs_no_other_instance
            a_crash_is_reported_to_its_request
            a_crash_ends_the_instance
            exited_tells_everybody_the_same
            stop_is_idempotent
            a_stopped_instance_has_exited
            a_stopped_instance_refuses_requests
            stop_ends_what_runs
            stop_leaves_nothing
            an_initializer_runs_before_requests
            a_failing_initializer_is_reported
            what_does_not_start_is_reported
            a_failed_start_leaves_nothing
            a_dropped_start_leaves_nothing
            suspend_is_refused_unless_declared
            a_resumed_instance_answers
            log_tail_is_the_end_of_what_was_printed
        }
    };
}

macro_rules! table {
    ($_:tt; $($case:ident)*) => {
        vec![$(Case { name: stringify!($case), run: |fixture| Box::pin($case(fixture)) }),*]
    };
}

/// All cases, for a runner of one's own.
pub fn cases() -> Vec<Case<Subject>> {
    crate::__runtime_cases!([table] _)
}
