//! Targets by the clock.

use std::sync::Arc;

use fc_core::Timestamp;

use super::{Load, Period, Scaling, ScalingState};
use crate::core::policy::Cron;

/// Sets a target again and again, or once, while its period lasts.
#[derive(Clone, Debug)]
pub struct Action {
    fires: Fires,
    period: Period,
    target: u32,
}

#[derive(Clone, Debug)]
enum Fires {
    Cron(Cron),
    At(Timestamp),
}

impl Action {
    /// Sets `target` whenever `cron` says so within `period`.
    pub const fn cron(cron: Cron, period: Period, target: u32) -> Self {
        Self { fires: Fires::Cron(cron), period, target }
    }

    /// Sets `target` at that time, if it lies within `period`.
    pub const fn at(at: Timestamp, period: Period, target: u32) -> Self {
        Self { fires: Fires::At(at), period, target }
    }

    fn known_at(&self, wall: Timestamp) -> Known {
        let never = Timestamp::from_unix_millis(u64::MAX);
        let ends = self.period.end.unwrap_or(never);
        if self.period.is_over(wall) {
            return Known { fired: None, from: ends, until: never, fires_then: false };
        }
        let start = self.period.start.unwrap_or_default();
        let before_start = Timestamp::from_unix_millis(start.as_unix_millis().saturating_sub(1));
        let looking_from = wall.max(before_start);
        let (last, next) = match &self.fires {
            // What fires at the very beginning of 1970 is not looked for.
            Fires::Cron(cron) => (cron.last_at(wall), cron.next_after(looking_from)),
            Fires::At(at) => {
                let at = Some(*at);
                (at.filter(|at| *at <= wall), at.filter(|at| *at > wall && *at >= start))
            }
        };
        let fired = last.filter(|last| *last >= start);
        let next = next.filter(|next| *next < ends);
        let fires_then = next.is_some();
        Known { fired, from: fired.unwrap_or_default(), until: next.unwrap_or(ends), fires_then }
    }
}

/// What is known of an action while the time is between `from` and just before `until`.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// When it last fired in its period, if that lasts.
    fired: Option<Timestamp>,
    from: Timestamp,
    until: Timestamp,
    /// Whether it fires at `until`. Otherwise its period ends then, or nothing ever happens.
    fires_then: bool,
}

impl Known {
    const NOTHING: Self = Self {
        fired: None,
        from: Timestamp::from_unix_millis(0),
        until: Timestamp::from_unix_millis(0),
        fires_then: false,
    };

    fn holds_at(&self, wall: Timestamp) -> bool {
        self.from <= wall && wall < self.until
    }

    fn next_change(&self) -> Option<Timestamp> {
        let never = self.until.as_unix_millis() == u64::MAX;
        Some(self.until).filter(|_| !never && (self.fires_then || self.fired.is_some()))
    }
}

/// Targets by the clock (`scheduledActions`; FunctionGraph's `cron_configs`).
///
/// The action that fired last holds until another fires or its own period ends; of two that fire at
/// once the higher target holds. So `cron(0 0 20 * * *)` with 50 and `cron(0 0 22 * * *)` with 10
/// keep 50 instances for two hours a day and 10 otherwise. When the period of the last one ends,
/// the one before it holds again if its own period lasts; if there is none, there is no target.
///
/// It is a function of the time alone: what it says after a restart is what it would have said. Per
/// function 40 bytes an action; the calendar is asked only when an action is due.
///
/// ```
/// use fc_sched::core::policy::{Action, Cron, Period, Schedule, Zone};
///
/// let shanghai = Zone::parse("time_zone", "Asia/Shanghai")?;
/// let up = Cron::parse("schedule_expression", "0 0 20 * * *", &shanghai)?;
/// let down = Cron::parse("schedule_expression", "0 0 22 * * *", &shanghai)?;
/// let schedule = Schedule::new([
///     Action::cron(up, Period::ALWAYS, 50),
///     Action::cron(down, Period::ALWAYS, 10),
/// ]);
/// # Ok::<(), fc_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Schedule {
    actions: Arc<[Action]>,
}

impl Schedule {
    /// What these actions say.
    pub fn new(actions: impl IntoIterator<Item = Action>) -> Self {
        Self { actions: actions.into_iter().collect() }
    }
}

impl Scaling for Schedule {
    fn name(&self) -> &'static str {
        "schedule"
    }

    fn begin(&self) -> Box<dyn ScalingState> {
        let actions = Arc::clone(&self.actions);
        let known = vec![Known::NOTHING; actions.len()].into();
        Box::new(State { actions, known })
    }
}

#[derive(Debug)]
struct State {
    actions: Arc<[Action]>,
    known: Box<[Known]>,
}

impl ScalingState for State {
    fn target(&mut self, load: &Load) -> Option<u32> {
        let wall = load.wall;
        for (action, known) in self.actions.iter().zip(&mut self.known) {
            if !known.holds_at(wall) {
                *known = action.known_at(wall);
            }
        }
        let fired = self.actions.iter().zip(&self.known);
        let fired = fired.filter_map(|(action, known)| Some((known.fired?, action.target)));
        fired.max().map(|(_, target)| target)
    }

    fn next_change(&self, wall: Timestamp) -> Option<Timestamp> {
        let known = self.actions.iter().zip(&self.known).map(|(action, known)| {
            if known.holds_at(wall) { *known } else { action.known_at(wall) }
        });
        known.filter_map(|known| known.next_change()).min()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::load;
    use super::*;
    use crate::core::policy::Zone;

    fn cron(expression: &str) -> Cron {
        Cron::parse("schedule_expression", expression, &Zone::utc()).unwrap()
    }

    fn time(text: &str) -> Timestamp {
        Zone::utc().time("wall", text).unwrap()
    }

    fn period(start: &str, end: &str) -> Period {
        Period { start: Some(time(start)), end: Some(time(end)) }
    }

    fn at(wall: Timestamp) -> Load {
        Load { wall, ..load(0, 0) }
    }

    /// What a schedule says from each of these times on, as the engine would ask it.
    fn check(schedule: &Schedule, from: &str, expected: &[(&str, Option<u32>)]) {
        let mut state = schedule.begin();
        let mut wall = time(from);
        for (index, (text, target)) in expected.iter().enumerate() {
            assert_eq!(wall, time(text), "change {index}");
            assert_eq!(state.target(&at(wall)), *target, "at {text}");
            // Asked anew, it says the same: nothing depends on when it began.
            assert_eq!(schedule.begin().target(&at(wall)), *target, "anew at {text}");
            let change = state.next_change(wall);
            assert_eq!(schedule.begin().next_change(wall), change, "anew at {text}");
            match expected.get(index + 1) {
                Some(_) => wall = change.unwrap(),
                None => assert_eq!(change, None, "after {text}"),
            }
        }
    }

    #[test]
    fn sch_4_up_for_the_evening_and_down_at_night() {
        // The example of alibaba-fc.md 4.7.
        let august = period("2024-08-01T10:00:00", "2024-08-03T10:00:00");
        let schedule = Schedule::new([
            Action::cron(cron("0 0 20 * * *"), august, 50),
            Action::cron(cron("0 0 22 * * *"), august, 10),
        ]);
        check(
            &schedule,
            "2024-07-31T21:00:00",
            &[
                ("2024-07-31T21:00:00", None),
                ("2024-08-01T20:00:00", Some(50)),
                ("2024-08-01T22:00:00", Some(10)),
                ("2024-08-02T20:00:00", Some(50)),
                ("2024-08-02T22:00:00", Some(10)),
                ("2024-08-03T10:00:00", None),
            ],
        );
    }

    #[test]
    fn sch_4_a_time_of_its_own_and_an_end_that_uncovers_what_was_before() {
        let (new_year, launch) = (time("2024-01-01T00:00:00"), time("2024-08-01T20:00:00"));
        let schedule = Schedule::new([
            Action::at(new_year, Period::ALWAYS, 3),
            Action::at(launch, period("2024-08-01T00:00:00", "2024-08-02T00:00:00"), 40),
            // At once with the launch, and lower.
            Action::at(launch, period("2024-08-01T00:00:00", "2024-08-02T00:00:00"), 4),
            // Before its period, and after it.
            Action::at(new_year, period("2024-02-01T00:00:00", "2024-03-01T00:00:00"), 99),
            Action::at(launch, period("2024-02-01T00:00:00", "2024-08-01T20:00:00"), 99),
        ]);
        check(
            &schedule,
            "2023-01-01T00:00:00",
            &[
                ("2023-01-01T00:00:00", None),
                ("2024-01-01T00:00:00", Some(3)),
                ("2024-08-01T20:00:00", Some(40)),
                ("2024-08-02T00:00:00", Some(3)),
            ],
        );
        assert_eq!(Schedule::new([]).begin().target(&at(launch)), None);
    }

    #[test]
    fn sch_4_a_period_begins_with_what_fires_at_its_start() {
        let noon = period("2024-08-01T12:00:00", "2024-08-01T13:00:00");
        let schedule = Schedule::new([Action::cron(cron("0 0 * * * *"), noon, 7)]);
        check(
            &schedule,
            "2024-08-01T11:00:00",
            &[
                ("2024-08-01T11:00:00", None),
                ("2024-08-01T12:00:00", Some(7)),
                ("2024-08-01T13:00:00", None),
            ],
        );
    }

    const EXPRESSIONS: [&str; 4] =
        ["0 */5 * * * *", "30 7 */2 * * *", "0 0 9 * * *", "0 0 0 5 * *"];

    proptest! {
        /// Against the actions' definition, asked in any order of times: forwards as the engine
        /// does, and back as when the clock is set.
        #[test]
        fn sch_4_the_last_to_fire_in_its_period_holds(
            actions in prop::collection::vec(
                (0..EXPRESSIONS.len(), prop::option::of(0u64..40_000), prop::option::of(0u64..40_000),
                 0u32..100), 0..6),
            walls in prop::collection::vec(0u64..40_000, 1..40),
        ) {
            let minute = |minute: u64| Timestamp::from_unix_millis(minute * 60_000);
            let periods: Vec<_> = actions.iter().map(|(expression, start, end, target)| {
                let period = Period { start: start.map(minute), end: end.map(minute) };
                (cron(EXPRESSIONS[*expression]), period, *target)
            }).collect();
            let schedule = Schedule::new(periods.iter().map(|(cron, period, target)| {
                Action::cron(cron.clone(), *period, *target)
            }));
            let holds = |wall: Timestamp| {
                let open = periods.iter().filter(|(_, period, _)| period.contains(wall));
                let fired = open.filter_map(|(cron, period, target)| {
                    let fired = cron.last_at(wall).filter(|fired| period.has_begun(*fired));
                    fired.map(|fired| (fired, *target))
                });
                fired.max().map(|(_, target)| target)
            };
            let mut state = schedule.begin();
            for wall in walls {
                let wall = minute(wall);
                prop_assert_eq!(state.target(&at(wall)), holds(wall));
                // Until the change that it names nothing changes.
                let change = state.next_change(wall);
                prop_assert!(change.is_none_or(|change| change > wall));
                let until = change.map_or(wall.as_unix_millis() + 90 * 86_400_000,
                    |change| change.as_unix_millis() - 1);
                let half = (wall.as_unix_millis() + until) / 2;
                for later in [half, until] {
                    prop_assert_eq!(holds(Timestamp::from_unix_millis(later)), holds(wall));
                }
            }
        }
    }
}
