//! Targets by what happened at this time of day before.

use std::cell::Cell;
use std::time::Duration;

use fc_core::{Instant, Result, Timestamp};

use super::season::ForecastShape;
use super::{Load, Scaling, ScalingState};

/// Expected requests at once below which none is expected.
const NOTHING: f32 = 0.5;

/// How far ahead it looks at most, however long a start takes.
const AHEAD_MAX: Duration = Duration::from_secs(3_600);

/// Learns how many requests run at once at each time of the day, and has instances ready before.
///
/// The season is cut into slots, in UTC. Of each it keeps the highest number of running requests,
/// smoothed over the seasons, and its mean deviation. What it asks for now is enough for every slot
/// that begins within the next tick and the time of a start, that is, level + safety × deviation,
/// divided by the requests at once in one instance. What happens each day is expected from the
/// second day on; what happened once is forgotten within some days; what is the same all day is
/// just that, without a surplus.
///
/// It has no opinion on a slot that it has not seen, hence none at all on the first day. Time in
/// which it is not asked is time without a request; if only the wall clock moved, it is nothing.
/// 2.4 KB a function with the usual shape, 8 bytes a slot.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Forecast {
    shape: ForecastShape,
}

impl Forecast {
    /// With other numbers than the usual.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` that names the field whose number makes no sense.
    pub fn new(shape: ForecastShape) -> Result<Self> {
        shape.check()?;
        Ok(Self { shape })
    }
}

impl Scaling for Forecast {
    fn name(&self) -> &'static str {
        "forecast"
    }

    fn begin(&self) -> Box<dyn ScalingState> {
        Box::new(State::new(self.shape))
    }
}

/// What is known of one slot: requests at once.
#[derive(Clone, Copy, Debug)]
struct Level {
    /// Not a number if the slot was never seen: an `Option` would be half as large again.
    level: f32,
    deviation: f32,
}

impl Level {
    const UNSEEN: Self = Self { level: f32::NAN, deviation: 0.0 };

    fn seen(self) -> Option<Self> {
        Some(self).filter(|level| !level.level.is_nan())
    }
}

#[derive(Debug)]
struct State {
    shape: ForecastShape,
    slot_ms: u64,
    slots: Box<[Level]>,
    under_way: Option<UnderWay>,
    /// How far ahead the last load had to look, and how many requests one instance took.
    ahead_ms: u64,
    concurrency: u32,
    /// The last answer of `next_change`: until then nothing is looked for again.
    change: Cell<Option<Change>>,
}

/// The slot that is being observed.
#[derive(Clone, Copy, Debug)]
struct UnderWay {
    /// Counted from the Unix epoch.
    slot: u64,
    peak: u32,
    asked: Instant,
}

/// From `from` on, the target next changes at `at`.
#[derive(Clone, Copy, Debug)]
struct Change {
    from: u64,
    at: Option<u64>,
}

impl State {
    fn new(shape: ForecastShape) -> Self {
        // `Forecast` sees to it that both are whole and above zero.
        let slot_ms = (shape.slot.as_millis() as u64).max(1);
        let slots = (shape.season.time().as_millis() as u64 / slot_ms).max(1);
        Self {
            shape,
            slot_ms,
            slots: vec![Level::UNSEEN; slots as usize].into(),
            under_way: None,
            ahead_ms: 0,
            concurrency: 1,
            change: Cell::new(None),
        }
    }

    fn observe(&mut self, load: &Load) {
        // What is reported is of the tick that ends now, so it belongs to the slot that this tick
        // began in: rather a little early than late.
        let waited = self.under_way.map_or(Duration::ZERO, |before| load.now - before.asked);
        let ticked = u64::try_from(waited.min(load.tick).as_millis()).unwrap_or(u64::MAX);
        let slot = load.wall.as_unix_millis().saturating_sub(ticked) / self.slot_ms;
        let peak = load.running_peak;
        let now = UnderWay { slot, peak, asked: load.now };
        let before = self.under_way.replace(now);
        let Some(before) = before.filter(|before| before.slot <= slot) else {
            // The first call, or the wall clock was set back.
            return;
        };
        if before.slot == slot {
            self.under_way = Some(UnderWay { peak: peak.max(before.peak), ..now });
            return;
        }
        self.learn(before.slot, before.peak);
        // Slots in between passed without a call. If the wall clock alone moved, they did not pass.
        let waited = waited.as_millis() / u128::from(self.slot_ms);
        let waited = u64::try_from(waited).unwrap_or(u64::MAX);
        let passed = (slot - before.slot - 1).min(waited).min(self.slots.len() as u64);
        for empty in 1..=passed {
            self.learn(before.slot + empty, 0);
        }
        self.change.set(None);
    }

    fn learn(&mut self, slot: u64, peak: u32) {
        let (peak, smoothing) = (peak as f32, self.shape.smoothing as f32);
        let place = self.place(slot);
        self.slots[place] = match self.slots[place].seen() {
            None => Level { level: peak, deviation: 0.0 },
            Some(Level { level, deviation }) => {
                let error = peak - level;
                Level {
                    level: level + smoothing * error,
                    deviation: deviation + smoothing * (error.abs() - deviation),
                }
            }
        };
    }

    fn place(&self, slot: u64) -> usize {
        // Less than the number of slots, which is a usize.
        (slot % self.slots.len() as u64) as usize
    }

    /// Instances for the slots from `wall` to so much later.
    fn target_at(&self, wall: u64) -> Option<u32> {
        let first = wall / self.slot_ms;
        let last = wall.saturating_add(self.ahead_ms) / self.slot_ms;
        let safety = self.shape.safety as f32;
        let known = (first..=last).take(self.slots.len());
        let known = known.filter_map(|slot| self.slots[self.place(slot)].seen());
        let running = known.map(|known| known.level + safety * known.deviation);
        let running = running.reduce(f32::max)?;
        if running < NOTHING {
            return Some(0);
        }
        // What smoothing leaves of a number that does not change any more is not one more.
        let instances = (running - 0.01) / self.concurrency as f32;
        Some((instances.ceil() as u32).min(self.shape.target_max))
    }

    /// The first time after `wall` at which a slot comes into view or passes, and with it the
    /// target changes; within one season.
    fn change_after(&self, wall: u64) -> Option<u64> {
        let now = self.target_at(wall);
        let (first, last) =
            (wall / self.slot_ms, wall.saturating_add(self.ahead_ms) / self.slot_ms);
        let begins = |slot: u64| slot.checked_mul(self.slot_ms);
        let (mut passing, mut coming) = (first + 1, last + 1);
        for _ in 0..2 * self.slots.len() {
            let (passes, comes) = (begins(passing)?, begins(coming)? - self.ahead_ms);
            let at = passes.min(comes);
            passing += u64::from(passes == at);
            coming += u64::from(comes == at);
            if self.target_at(at) != now {
                return Some(at);
            }
        }
        None
    }
}

impl ScalingState for State {
    fn target(&mut self, load: &Load) -> Option<u32> {
        self.observe(load);
        let ahead = load.start_cost.saturating_add(load.tick).min(AHEAD_MAX);
        let (ahead_ms, concurrency) = (ahead.as_millis() as u64, load.concurrency.max(1));
        if (ahead_ms, concurrency) != (self.ahead_ms, self.concurrency) {
            (self.ahead_ms, self.concurrency) = (ahead_ms, concurrency);
            self.change.set(None);
        }
        self.target_at(load.wall.as_unix_millis())
    }

    fn next_change(&self, wall: Timestamp) -> Option<Timestamp> {
        let wall = wall.as_unix_millis();
        let holds = |change: &Change| change.from <= wall && change.at.is_none_or(|at| wall < at);
        let change = self.change.get().filter(holds).unwrap_or_else(|| {
            let change = Change { from: wall, at: self.change_after(wall) };
            self.change.set(Some(change));
            change
        });
        change.at.map(Timestamp::from_unix_millis)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Season, TARGET_MAX, load};
    use super::*;

    const DAY: u64 = 86_400;
    const HOUR: u64 = 3_600;
    const TICK: u64 = 10;

    fn forecast() -> Box<dyn ScalingState> {
        Forecast::default().begin()
    }

    /// Asks at the end of each tick, in which so many requests ran, and says what it asks for.
    fn run(
        state: &mut dyn ScalingState,
        from: u64,
        to: u64,
        running: impl Fn(u64) -> u32,
    ) -> Vec<(u64, Option<u32>)> {
        let tick = Duration::from_secs(TICK);
        (from..to)
            .step_by(TICK as usize)
            .map(|second| {
                let load = Load { tick, ..load(second, running(second.saturating_sub(TICK))) };
                (second, state.target(&load))
            })
            .collect()
    }

    /// From 09:00 to 10:00, 40 requests at once.
    fn morning(second: u64) -> u32 {
        if (9 * HOUR..10 * HOUR).contains(&(second % DAY)) { 40 } else { 0 }
    }

    #[test]
    fn sch_11_a_daily_peak_is_ready_before_it_on_the_second_day() {
        let mut state = forecast();
        // Up to where the second day comes into view.
        let first = run(&mut *state, 0, DAY - 12, morning);
        assert!(first.iter().all(|(_, target)| target.is_none()), "nothing was seen before");
        run(&mut *state, DAY - 10, DAY, morning);
        for (second, target) in run(&mut *state, DAY, 3 * DAY, morning) {
            // A start takes 2 s, a tick 10 s: within 12 s it must be begun.
            let (begun, over) = (9 * HOUR - 12, 10 * HOUR);
            let expected = if (begun..over).contains(&(second % DAY)) { 40 } else { 0 };
            assert_eq!(target, Some(expected), "at {} of day {}", second % DAY, second / DAY);
        }
    }

    #[test]
    fn sch_8_the_longer_a_start_took_the_earlier_it_begins() {
        let mut state = forecast();
        run(&mut *state, 0, DAY, morning);
        let ask =
            |start_cost: u64| Load { start_cost: Duration::from_secs(start_cost), ..load(DAY, 0) };
        for (start_cost, ahead) in [(0, 1), (20, 21), (900, 901), (1_000_000, HOUR)] {
            assert_eq!(state.target(&ask(start_cost)), Some(0));
            let begun = Timestamp::from_unix_millis((DAY + 9 * HOUR - ahead) * 1000);
            assert_eq!(state.next_change(ask(0).wall), Some(begun), "{start_cost}");
        }
    }

    #[test]
    fn sch_11_what_is_flat_stays_flat() {
        let mut state = forecast();
        run(&mut *state, 0, DAY, |_| 3);
        let targets = run(&mut *state, DAY, 5 * DAY, |_| 3);
        assert!(targets.iter().all(|(_, target)| *target == Some(3)));
        let mut shared = forecast();
        let ask = |second| Load { concurrency: 2, ..load(second, 3) };
        (0..DAY).step_by(60).for_each(|second| _ = shared.target(&ask(second)));
        assert_eq!(shared.target(&ask(DAY)), Some(2), "two instances have three slots");
    }

    #[test]
    fn sch_11_an_idle_function_is_asked_only_when_something_changes() {
        let mut state = forecast();
        run(&mut *state, 0, DAY, morning);
        let wall = |second: u64| Timestamp::from_unix_millis(second * 1000);
        let tick = Duration::from_secs(TICK);
        let ask = |second| Load { tick, ..load(second, 0) };
        assert_eq!(state.target(&ask(DAY)), Some(0));
        // As the engine does when the function has no instance: it waits for the next change.
        let begun = DAY + 9 * HOUR - 12;
        assert_eq!(state.next_change(wall(DAY)), Some(wall(begun)));
        assert_eq!(state.target(&ask(begun)), Some(40));
        assert_eq!(state.next_change(wall(begun)), Some(wall(DAY + 10 * HOUR)));
        // In the time without a call there were no requests: 40 becomes 28, with 12 for safety.
        assert_eq!(state.target(&ask(DAY + 10 * HOUR)), Some(0));
        let next = 2 * DAY + 9 * HOUR - 12;
        assert_eq!(state.next_change(wall(DAY + 10 * HOUR)), Some(wall(next)));
        assert_eq!(state.target(&ask(next)), Some(40));
    }

    #[test]
    fn sch_11_what_happened_once_is_forgotten_within_days() {
        let mut state = forecast();
        run(&mut *state, 0, DAY, |second| u32::from(second == 9 * HOUR));
        let mut days = Vec::new();
        for day in 1..12 {
            let asked = run(&mut *state, day * DAY, (day + 1) * DAY, |_| 0);
            assert!(asked.iter().all(|(_, target)| target.is_some_and(|target| target <= 1)));
            days.push(asked.iter().any(|(_, target)| *target == Some(1)));
        }
        let forgotten = days.iter().position(|asked| !asked).unwrap();
        assert!((1..10).contains(&forgotten) && !days[forgotten..].contains(&true), "{days:?}");
    }

    #[test]
    fn sch_11_a_weekly_season_knows_the_days_apart() {
        let shape = ForecastShape { season: Season::Week, ..ForecastShape::default() };
        let mut state = Forecast::new(shape).unwrap().begin();
        let monday = |second: u64| if second % (7 * DAY) < DAY { 8 } else { 1 };
        run(&mut *state, 0, 7 * DAY, monday);
        let noon = |day: u64| 7 * DAY + day * DAY + DAY / 2;
        let target = |state: &mut dyn ScalingState, second| state.target(&load(second, 1));
        assert_eq!(target(&mut *state, noon(0)), Some(8));
        assert_eq!(target(&mut *state, noon(1)), Some(1));
        assert_eq!(target(&mut *state, noon(7)), Some(8));
    }

    #[test]
    fn sch_11_a_wall_clock_that_is_set_teaches_nothing() {
        let mut state = forecast();
        run(&mut *state, 0, 2 * DAY, |_| 5);
        // An hour forward, an hour back; ten seconds passed each time.
        let at = |second: u64, wall: u64| Load {
            wall: Timestamp::from_unix_millis(wall * 1000),
            ..load(second, 5)
        };
        for (passed, wall) in [(10, HOUR), (20, 10), (30, 2 * HOUR), (40, 40)] {
            assert_eq!(state.target(&at(2 * DAY + passed, 2 * DAY + wall)), Some(5));
        }
        let targets = run(&mut *state, 2 * DAY + 50, 4 * DAY, |_| 5);
        assert!(targets.iter().all(|(_, target)| *target == Some(5)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Against asking each minute of the day that follows.
        #[test]
        fn sch_11_the_next_change_is_the_first_one(
            levels in prop::collection::vec(
                prop_oneof![Just(None), (0u8..4, 0u8..3).prop_map(Some)], 24),
            wall in 0u64..100 * 1_440, ahead in 0u64..60, concurrency in 1u32..4,
        ) {
            let (slot, target_max) = (Duration::from_secs(HOUR), 5);
            let mut state = State::new(ForecastShape { slot, target_max, ..ForecastShape::default() });
            for (slot, level) in state.slots.iter_mut().zip(levels) {
                *slot = level.map_or(Level::UNSEEN, |(level, deviation)| Level {
                    level: level.into(),
                    deviation: deviation.into(),
                });
            }
            (state.ahead_ms, state.concurrency) = (ahead * 60_000, concurrency);
            let target = |minute: u64| state.target_at(minute * 60_000);
            prop_assert!(target(wall).is_none_or(|now| now <= target_max));
            let expected = (wall + 1..=wall + 1_440).find(|minute| target(*minute) != target(wall));
            for asked in [wall, wall + 1, wall + 7] {
                let expected = match expected {
                    Some(minute) if minute <= asked => continue,
                    other => other.map(|minute| Timestamp::from_unix_millis(minute * 60_000)),
                };
                let found = state.next_change(Timestamp::from_unix_millis(asked * 60_000));
                prop_assert_eq!(found, expected);
            }
        }

        #[test]
        fn sch_11_no_loads_make_it_panic(
            loads in prop::collection::vec((any::<u64>(), any::<u64>(), any::<u32>(), any::<u64>()), 0..40),
        ) {
            let mut state = forecast();
            for (now, wall, running_peak, start_cost) in loads {
                let wall = Timestamp::from_unix_millis(wall);
                let start_cost = Duration::from_nanos(start_cost);
                let now = Instant::from_nanos(now);
                let concurrency = running_peak / 7;
                let load = Load { now, wall, running_peak, start_cost, concurrency, ..load(0, 0) };
                prop_assert!(state.target(&load).is_none_or(|target| target <= TARGET_MAX));
                prop_assert!(state.next_change(wall).is_none_or(|change| change > wall));
            }
        }
    }
}
