//! Bugs, and how they show in a history that was correct.

use fc_testkit::history::{
    Branch, Destinations, Ending, Event, Invariant, Outcome, Submission, What,
};

use crate::model::MS;
use crate::random::Random;
use crate::seen::{One, Seen};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bug {
    LostAck,
    SecondEnd,
    Phantom,
    AlteredPayload,
    ExtraDuplicate,
    RefusedAndRun,
    RefusedPayloadRun,
    EarlyStart,
    LateAtIdle,
    ShortBackoff,
    FifthAttempt,
    AfterTtl,
    UnreportedExpiry,
    MissingDestination,
    WrongBranch,
    AlteredResult,
    AfterTheEnd,
    TwoTasks,
    PoisonStarves,
    Depth17,
    DrainLoss,
    BegunInDrain,
    CutOffByDrain,
}

impl Bug {
    pub(crate) const ALL: [Self; 23] = [
        Self::LostAck,
        Self::SecondEnd,
        Self::Phantom,
        Self::AlteredPayload,
        Self::ExtraDuplicate,
        Self::RefusedAndRun,
        Self::RefusedPayloadRun,
        Self::EarlyStart,
        Self::LateAtIdle,
        Self::ShortBackoff,
        Self::FifthAttempt,
        Self::AfterTtl,
        Self::UnreportedExpiry,
        Self::MissingDestination,
        Self::WrongBranch,
        Self::AlteredResult,
        Self::AfterTheEnd,
        Self::TwoTasks,
        Self::PoisonStarves,
        Self::Depth17,
        Self::DrainLoss,
        Self::BegunInDrain,
        Self::CutOffByDrain,
    ];

    /// The rule that must find it.
    pub(crate) fn invariant(self) -> Invariant {
        match self {
            Self::LostAck | Self::SecondEnd => Invariant::I1,
            Self::Phantom | Self::AlteredPayload => Invariant::I2,
            Self::ExtraDuplicate => Invariant::I3,
            Self::RefusedAndRun | Self::RefusedPayloadRun => Invariant::I4,
            Self::EarlyStart | Self::LateAtIdle => Invariant::I5,
            Self::ShortBackoff | Self::FifthAttempt => Invariant::I6,
            Self::AfterTtl | Self::UnreportedExpiry => Invariant::I7,
            Self::MissingDestination | Self::WrongBranch | Self::AlteredResult => Invariant::I8,
            Self::AfterTheEnd => Invariant::I9,
            Self::TwoTasks => Invariant::I10,
            Self::PoisonStarves => Invariant::I11,
            Self::Depth17 => Invariant::I12,
            Self::DrainLoss | Self::BegunInDrain | Self::CutOffByDrain => Invariant::I28,
        }
    }

    /// Plants it; `false` if the history has no place for it.
    pub(crate) fn plant(self, events: &mut Vec<Event>, random: &mut Random) -> bool {
        self.try_plant(events, random).is_some()
    }

    fn try_plant(self, events: &mut Vec<Event>, random: &mut Random) -> Option<()> {
        let seen = Seen::new(events);
        match self {
            Self::LostAck => {
                let fits = |one: &One| one.acked > 0 && !seen.draining(one.acked_at, one.acked_at);
                let name = seen.pick(random, fits)?;
                events.retain(|event| {
                    event.what.task() != Some(&name) || matches!(event.what, What::Submit(_))
                });
            }
            Self::SecondEnd => {
                let name = seen.pick(random, |one| one.acked > 0 && one.ended > 0)?;
                let at = seen.tasks[&name].ended + MS;
                let kind = Ending::Failed;
                events.push(Event::new(at, What::Terminal { task: name, kind, result: None }));
            }
            Self::Phantom => run(events, seen.last, "phantom", "p", 1, Outcome::Success),
            Self::AlteredPayload => {
                let name = seen.pick(random, |one| !one.begins.is_empty())?;
                each(events, &name, |event| {
                    if let What::AttemptBegin { payload, .. } = &mut event.what {
                        payload.push('!');
                    }
                });
            }
            Self::ExtraDuplicate => {
                let fits = |one: &One| {
                    one.is_simple()
                        && !seen.crashed(one.asked_at, one.ended)
                        && !seen.draining(one.asked_at, one.ended)
                };
                let name = seen.pick(random, fits)?;
                let one = &seen.tasks[&name];
                let (payload, at) = (one.payload.clone(), one.ends[0] + 1);
                run(events, at, &name, &payload, 1 << 40, Outcome::Success);
                // Before the end was recorded.
                for event in events.iter_mut().filter(|event| event.at > at) {
                    if event.what.task() == Some(&name)
                        && matches!(event.what, What::AttemptEnd { fence, .. } if fence == 1 << 40)
                    {
                        event.at = at + 1;
                    }
                }
            }
            Self::RefusedAndRun => {
                let name = seen.pick(random, |one| one.asked == 1 && one.refused == 1)?;
                let payload = seen.tasks[&name].payload.clone();
                run(events, seen.last, &name, &payload, 1 << 40, Outcome::Success);
            }
            Self::RefusedPayloadRun => {
                let fits = |one: &One| one.refused == 1 && one.asked == 2 && !one.begins.is_empty();
                let name = seen.pick(random, fits)?;
                each(events, &name, |event| {
                    if let What::AttemptBegin { payload, .. } = &mut event.what {
                        payload.push_str(", another");
                    }
                });
            }
            Self::EarlyStart => {
                let fits = |one: &One| {
                    one.delay_ms > 100
                        && !one.begins.is_empty()
                        && !seen.draining(one.asked_at, one.begins[0])
                };
                let name = seen.pick(random, fits)?;
                let one = &seen.tasks[&name];
                let (was, at) = (one.begins[0], one.asked_at + one.delay_ms * MS - MS);
                each(events, &name, |event| {
                    if event.at == was && matches!(event.what, What::AttemptBegin { .. }) {
                        event.at = at;
                    }
                });
            }
            Self::LateAtIdle => {
                whole(events, seen.last, "late", |_| {}, &[(1500, Outcome::Success)]);
            }
            Self::ShortBackoff => {
                let fits = |one: &One| {
                    one.failed.is_some_and(|(end, next)| {
                        let from = *one.begins.first().unwrap_or(&end);
                        !seen.crashed(from, next)
                            && !seen.draining(from, next)
                            && one.expiries == 0
                            && one.unknown == 0
                    })
                };
                let name = seen.pick(random, fits)?;
                let (end, was) = seen.tasks[&name].failed?;
                each(events, &name, |event| {
                    if event.at == was && matches!(event.what, What::AttemptBegin { .. }) {
                        event.at = end + 499 * MS;
                    }
                });
            }
            Self::FifthAttempt => {
                let error = Outcome::FunctionError;
                let gaps = [1, 500, 1000, 2000, 4000].map(|gap| (gap, error));
                whole(events, seen.last, "fifth", |_| {}, &gaps);
            }
            Self::AfterTtl => {
                let fits = |one: &One| {
                    one.acked == 1
                        && one.asked == 1
                        && one.begins.first().is_some_and(|begin| *begin > one.acked_at + 2 * MS)
                        && one.kind != Some(Ending::Expired)
                };
                let name = seen.pick(random, fits)?;
                let one = &seen.tasks[&name];
                let ttl = (one.begins[0] - one.acked_at) / MS - 1;
                each(events, &name, |event| {
                    if let What::Submit(submission) = &mut event.what {
                        submission.ttl_ms = Some(ttl);
                    }
                });
            }
            Self::UnreportedExpiry => {
                let told = |one: &One| one.told_well || one.letters > 0;
                let name =
                    seen.pick(random, |one| one.kind == Some(Ending::Expired) && told(one))?;
                untell(events, &name);
            }
            Self::MissingDestination => {
                let fits = |one: &One| one.told_well && one.kind != Some(Ending::Expired);
                let name = seen.pick(random, fits)?;
                untell(events, &name);
            }
            Self::WrongBranch => {
                let fits = |one: &One| one.told_well && one.kind != Some(Ending::Expired);
                let name = seen.pick(random, fits)?;
                each(events, &name, |event| {
                    if let What::Dest { branch, .. } = &mut event.what {
                        *branch = match branch {
                            Branch::Success => Branch::Failure,
                            Branch::Failure => Branch::Success,
                        };
                    }
                });
            }
            Self::AlteredResult => {
                let name = seen.pick(random, |one| one.told_well)?;
                each(events, &name, |event| {
                    if let What::Dest { body, .. } = &mut event.what {
                        *body = Some("another".into());
                    }
                });
            }
            Self::AfterTheEnd => {
                let name = seen.pick(random, |one| one.ended > 0 && !one.begins.is_empty())?;
                let payload = seen.tasks[&name].payload.clone();
                run(events, seen.last, &name, &payload, 1 << 40, Outcome::Success);
            }
            Self::TwoTasks => {
                let fits = |one: &One| one.acked == 1 && one.asked == 1 && one.ended > 0;
                let name = seen.pick(random, fits)?;
                let mut again = Submission::new("again", &name, &seen.tasks[&name].payload);
                again.function = "f0".into();
                let handle = Some("another".to_owned());
                events.push(Event::new(seen.last, What::Submit(again)));
                events.push(Event::new(seen.last + MS, What::Ack { id: "again".into(), handle }));
                let payload = seen.tasks[&name].payload.clone();
                run(events, seen.last + 2 * MS, &name, &payload, 1 << 40, Outcome::Success);
                let kind = Ending::Succeeded;
                let end = What::Terminal { task: name, kind, result: None };
                events.push(Event::new(seen.last + 9 * MS, end));
            }
            Self::PoisonStarves => starve(events, seen.last),
            Self::Depth17 => {
                for depth in 0..=17_u64 {
                    let parent = depth.checked_sub(1).map(|up| format!("deep{up}"));
                    let edit = |one: &mut Submission| one.parent = parent;
                    let at = seen.last + depth * 1000 * MS;
                    whole(events, at, &format!("deep{depth}"), edit, &[(1, Outcome::Success)]);
                }
            }
            Self::DrainLoss => {
                let (host, from, _) = seen.calm_drain(random)?;
                let start = events.len();
                whole(events, from - 50 * MS, "drained", |_| {}, &[(1, Outcome::Success)]);
                let mut added = events.split_off(start);
                added.retain(|event| {
                    !matches!(event.what, What::AttemptEnd { .. } | What::Terminal { .. })
                });
                added.iter_mut().for_each(|event| event.host.clone_from(&host));
                events.extend(added);
            }
            Self::BegunInDrain => {
                let (host, from, _) = seen.calm_drain(random)?;
                let start = events.len();
                whole(events, from + 50 * MS, "new", |_| {}, &[(1, Outcome::Success)]);
                events[start..].iter_mut().for_each(|event| event.host.clone_from(&host));
            }
            Self::CutOffByDrain => {
                let (_, from, _) = seen.calm_drain(random)?;
                let submit = What::Submit(Submission::new("cut", "cut", "p"));
                events.push(Event::new(from + MS, submit));
                events.push(Event::new(from + 2 * MS, What::Unknown { id: "cut".into() }));
            }
        }
        Some(())
    }
}

fn each(events: &mut [Event], task: &str, mut edit: impl FnMut(&mut Event)) {
    events.iter_mut().filter(|event| event.what.task() == Some(task)).for_each(&mut edit);
}

fn untell(events: &mut Vec<Event>, task: &str) {
    events.retain(|event| {
        event.what.task() != Some(task)
            || !matches!(event.what, What::Dest { .. } | What::Dlq { .. })
    });
}

/// One attempt of 2 ms.
fn run(events: &mut Vec<Event>, at: u64, task: &str, payload: &str, fence: u64, outcome: Outcome) {
    let (task, payload, instance) = (task.to_owned(), payload.to_owned(), "i".to_owned());
    let begin = What::AttemptBegin { task: task.clone(), n: 1, instance, fence, payload };
    events.push(Event::new(at, begin));
    events.push(Event::new(at + 2 * MS, What::AttemptEnd { task, fence, outcome }));
}

/// A whole task: each attempt begins so many ms behind the one before.
fn whole(
    events: &mut Vec<Event>,
    mut at: u64,
    task: &str,
    edit: impl FnOnce(&mut Submission),
    attempts: &[(u64, Outcome)],
) {
    let mut submission = Submission::new(format!("{task}#1"), task, "p");
    submission.destinations = Destinations::default();
    edit(&mut submission);
    let id = submission.id.clone();
    events.push(Event::new(at, What::Submit(submission)));
    events.push(Event::new(at + MS, What::ack(id)));
    at += MS;
    for (fence, (gap, outcome)) in (1..).zip(attempts) {
        at += gap * MS;
        run(events, at, task, "p", fence, *outcome);
        at += 2 * MS;
    }
    let failed = attempts.last().is_some_and(|(_, outcome)| outcome.is_failure());
    let kind = if failed { Ending::Failed } else { Ending::Succeeded };
    let end = What::Terminal { task: task.into(), kind, result: None };
    events.push(Event::new(at + MS, end));
}

/// A function whose tasks wait in line, 10 ms each, and 50 ms as long as poison is under way.
fn starve(events: &mut Vec<Event>, at: u64) {
    let function = |submission: &mut Submission| submission.function = "poisoned".into();
    let error = Outcome::FunctionError;
    whole(
        events,
        at + 1000 * MS,
        "poison",
        function,
        &[1, 500, 1000, 2000].map(|gap| (gap, error)),
    );
    let (from, until) = (at + 1002 * MS, at + 4511 * MS);
    let mut now = at + 10 * MS;
    for number in 0..400 {
        let gap = (now - at) / MS - 1;
        whole(events, at, &format!("line{number}"), function, &[(gap, Outcome::Success)]);
        now += if (from..until).contains(&now) { 50 * MS } else { 10 * MS };
    }
}
