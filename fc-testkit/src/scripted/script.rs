//! What a function is to do.

use std::time::Duration;

/// What a function is to do: nothing that takes time, and an echo, by default.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Script {
    /// How long a start takes.
    pub start_delay: Duration,
    /// How long a request takes before it answers.
    pub run_time: Duration,
    /// How long each hook takes.
    pub hook_time: Duration,
    /// So many of the next starts fail; [`u32::MAX`]: all.
    pub start_failures: u32,
    /// So many of the next instances have an initializer that fails; [`u32::MAX`]: all.
    pub initializer_failures: u32,
    /// What a request is answered.
    pub answer: Answer,
}

/// What a request is answered, after the script's run time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Answer {
    /// The request's body as it comes, and its method, path and query in
    /// `x-method` and `x-path`.
    #[default]
    Echo,
    /// The request's body, once as many milliseconds have passed as it says.
    Wait,
    /// The request's body, once as many requests have been in the instance at once as it says.
    Meet,
    /// How many requests the instance was given, this one included.
    Count,
    /// `yes` or `no`: whether the initializer had run.
    Initialized,
    /// The request's body, which is also printed.
    Print,
    /// Nothing, ever.
    Never,
    /// `FunctionFailed`, after `about to fail` was printed. The instance lives on.
    Fail,
    /// The instance dies under the request.
    Crash,
    /// A panic in the runtime itself, which no runtime should do.
    Panic,
}

/// Takes one of `left`, if there is one; all are never used up.
pub(super) fn take_one(left: &mut u32) -> bool {
    let some = *left > 0;
    if some && *left != u32::MAX {
        *left -= 1;
    }
    some
}
