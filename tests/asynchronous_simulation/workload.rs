//! What clients do and functions answer, by a seed.

use std::time::Duration;

use fc::core::ErrorKind;
use fc_testkit::history::Destinations;
use serde_json::{Value, json};

use crate::log::Draws;

/// Those that clients call, and those that only destinations do.
pub(crate) const FUNCTIONS: [&str; 6] = ["plain", "told", "kept", "ok", "bad", "last"];

/// How long after its acceptance a task may begin where its function does not say.
pub(crate) const AGE: Duration = Duration::from_secs(600);

pub(crate) fn ttl_ms_of(function: &str) -> Option<u64> {
    matches!(function, "told" | "kept").then_some(60_000)
}

pub(crate) fn destinations_of(function: &str) -> Destinations {
    match function {
        "told" | "kept" => Destinations { success: true, failure: true, dlq: true },
        "ok" => Destinations { success: true, failure: false, dlq: true },
        _ => Destinations { success: false, failure: false, dlq: true },
    }
}

/// Functions before it in its chain.
pub(crate) fn depth_of(function: &str) -> u32 {
    match function {
        "ok" | "bad" => 1,
        "last" => 2,
        _ => 0,
    }
}

/// The settings of a function.
pub(crate) fn config_of(function: &str) -> Option<Value> {
    let to = |name: &str| json!({ "destination": format!("acs:fc:::functions/{name}") });
    match function {
        "told" | "kept" => Some(json!({
            "asyncTask": function == "kept",
            "maxAsyncEventAgeInSeconds": 60,
            "destinationConfig": { "onSuccess": to("ok"), "onFailure": to("bad") },
        })),
        "ok" => Some(json!({ "destinationConfig": { "onSuccess": to("last") } })),
        _ => None,
    }
}

/// What a function does when it is entered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Echo,
    Fail,
    Error(ErrorKind),
    Take(Duration),
    /// It does not end before the platform ends it.
    Never,
}

/// What the `n`-th attempt of a task does, from 0.
pub(crate) fn act(seed: u64, task: &str, n: u32) -> Act {
    let hash = task.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut draws = Draws(hash);
    let kind = draws.below(100);
    let times = 1 + draws.below(5) as u32;
    let take = Duration::from_millis(draws.of(&[1, 20, 500, 3_000, 15_000, 70_000]));
    match kind {
        0..40 => Act::Echo,
        40..60 => Act::Take(take),
        60..75 if n < times => Act::Fail,
        75..85 if n < times => Act::Error(ErrorKind::ResourceExhausted),
        85..91 if n < times => Act::Error(ErrorKind::InternalServerError),
        91..94 => Act::Never,
        94..97 => Act::Error(ErrorKind::ResourceExhausted),
        _ => Act::Echo,
    }
}

/// What a client does.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Submit { function: &'static str, name: Option<String>, delay: Option<Duration> },
    Stop { function: &'static str, name: String },
}

/// What happens from outside, and when.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    Op(Op),
    /// One more process.
    Start,
    /// One of the processes is told to finish, by this time.
    Drain(Duration),
    /// A crash of this host is over.
    CrashEnd(String),
}

/// All of a run that the seed decides beforehand.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) happenings: Vec<(Duration, Happening)>,
    pub(crate) has_faults: bool,
    /// Crashes that may still come.
    pub(crate) crashes: u64,
    /// Until then there are faults and crashes.
    pub(crate) rough_until: Duration,
    pub(crate) sideline_enter: u64,
    pub(crate) visibility: Duration,
    pub(crate) lane_idle: Duration,
}

pub(crate) fn plan(seed: u64) -> Plan {
    let mut draws = Draws(seed);
    let rough_until = Duration::from_secs(draws.of(&[2, 10, 40]));
    let within =
        |draws: &mut Draws| Duration::from_millis(draws.below(rough_until.as_millis() as u64));
    let mut happenings = vec![(Duration::ZERO, Happening::Start)];
    for _ in 0..3 + draws.below(8) {
        let function = draws.of(&["plain", "told", "kept"]);
        // Few names, so that some come twice.
        let name = draws.percent(60).then(|| format!("t{}", draws.below(6)));
        let delay = draws.percent(25).then(|| Duration::from_millis(1 + draws.below(30_000)));
        let at = within(&mut draws);
        if let Some(name) = &name
            && draws.percent(25)
        {
            let stop = Op::Stop { function, name: name.clone() };
            let later = Duration::from_millis(draws.of(&[0, 1, 30, 700, 8_000]));
            happenings.push((at + later, Happening::Op(stop)));
        }
        happenings.push((at, Happening::Op(Op::Submit { function, name, delay })));
    }
    if draws.percent(25) {
        happenings.push((within(&mut draws), Happening::Start));
    }
    if draws.percent(30) {
        let deadline = Duration::from_millis(draws.of(&[0, 500, 10_000, 30_000]));
        happenings.push((within(&mut draws), Happening::Drain(deadline)));
    }
    happenings.sort_by_key(|(at, _)| *at);
    Plan {
        happenings,
        has_faults: draws.percent(70),
        crashes: if draws.percent(70) { 1 + draws.below(3) } else { 0 },
        rough_until,
        // Not yet: a task that is pushed again may be in two lanes, and is run in both.
        sideline_enter: 1000,
        visibility: Duration::from_secs(draws.of(&[6, 60])),
        lane_idle: Duration::from_secs(draws.of(&[5, 60])),
    }
}
