//! Time that moves only when it is told to.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use fc_core::{Clock, Instant, Sleep, Timestamp};
use parking_lot::Mutex;

/// A clock that moves only when it is told to. Clones show the same time.
///
/// Moving it wakes the sleeps that are due, earliest first, and among those of one instant the one
/// that was polled first. A sleep counts from its first poll to its end or its drop.
///
/// ```
/// use std::time::Duration;
/// use fc_core::{Clock, Instant, Timestamp};
/// use fc_testkit::SimClock;
///
/// let clock = SimClock::new(Timestamp::from_unix_millis(1_000));
/// clock.advance(Duration::from_millis(5));
/// assert_eq!(clock.now(), Instant::ORIGIN + Duration::from_millis(5));
/// assert_eq!(clock.wall(), Timestamp::from_unix_millis(1_005));
/// assert_eq!(clock.next_timer(), None);
/// ```
#[derive(Clone)]
pub struct SimClock {
    state: Arc<Mutex<State>>,
}

struct State {
    now: Instant,
    /// Wall-clock time of the origin, as jumps have left it.
    wall_origin: Timestamp,
    /// Sleeps by instant, then by first poll.
    timers: BTreeMap<(Instant, u64), Waker>,
    next_timer_id: u64,
}

impl SimClock {
    /// A clock at its origin, where the wall clock shows `wall`.
    pub fn new(wall: Timestamp) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                now: Instant::ORIGIN,
                wall_origin: wall,
                timers: BTreeMap::new(),
                next_timer_id: 0,
            })),
        }
    }

    /// Moves on by `by`.
    pub fn advance(&self, by: Duration) {
        self.move_on(|now| now + by);
    }

    /// Moves on to `to`; nothing happens if that has passed.
    pub fn advance_to(&self, to: Instant) {
        self.move_on(|now| now.max(to));
    }

    /// When the earliest pending sleep is due: to where a simulator may jump. A sleep until
    /// [`Instant::MAX`] is never due.
    pub fn next_timer(&self) -> Option<Instant> {
        let state = self.state.lock();
        state.timers.first_key_value().map(|(&(at, _), _)| at)
    }

    /// Sleeps that were polled, and neither ended nor dropped. Those until [`Instant::MAX`] are not
    /// kept and not counted.
    pub fn pending_timers(&self) -> usize {
        self.state.lock().timers.len()
    }

    /// Puts the wall clock `by_ms` milliseconds on, or back if negative. The monotonic clock stays.
    pub fn jump_wall(&self, by_ms: i64) {
        let mut state = self.state.lock();
        let jumped = state.wall_origin.as_unix_millis().saturating_add_signed(by_ms);
        state.wall_origin = Timestamp::from_unix_millis(jumped);
    }

    fn move_on(&self, to: impl FnOnce(Instant) -> Instant) {
        let due = {
            let mut state = self.state.lock();
            state.now = to(state.now);
            let later = match state.now.as_nanos().checked_add(1) {
                Some(after) => state.timers.split_off(&(Instant::from_nanos(after), 0)),
                None => BTreeMap::new(),
            };
            std::mem::replace(&mut state.timers, later)
        };
        // Without the lock: a waker may run its task here, and that may ask the time.
        due.into_values().for_each(Waker::wake);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Instant {
        self.state.lock().now
    }

    fn wall(&self) -> Timestamp {
        let state = self.state.lock();
        let passed = u64::try_from(state.now.since_origin().as_millis()).unwrap_or(u64::MAX);
        Timestamp::from_unix_millis(state.wall_origin.as_unix_millis().saturating_add(passed))
    }

    fn sleep_until(&self, at: Instant) -> Sleep {
        Box::pin(SimSleep { state: self.state.clone(), at, id: None })
    }
}

impl fmt::Debug for SimClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("SimClock")
            .field("now", &state.now)
            .field("wall_origin", &state.wall_origin)
            .field("pending_timers", &state.timers.len())
            .finish()
    }
}

struct SimSleep {
    state: Arc<Mutex<State>>,
    at: Instant,
    /// Place among the timers of its instant, from the first poll on.
    id: Option<u64>,
}

impl Future for SimSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.at == Instant::MAX {
            return Poll::Pending;
        }
        let shared = self.state.clone();
        let mut state = shared.lock();
        if state.now >= self.at {
            return Poll::Ready(());
        }
        let id = *self.id.get_or_insert_with(|| {
            state.next_timer_id += 1;
            state.next_timer_id
        });
        let replaced = state.timers.insert((self.at, id), cx.waker().clone());
        // A waker's drop may run foreign code.
        drop(state);
        drop(replaced);
        Poll::Pending
    }
}

impl Drop for SimSleep {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            let forgotten = self.state.lock().timers.remove(&(self.at, id));
            drop(forgotten);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Wake;

    use proptest::prelude::*;

    use super::*;

    /// Writes its number down when it is woken.
    struct Note {
        number: usize,
        woken: Arc<Mutex<Vec<usize>>>,
    }

    impl Wake for Note {
        fn wake(self: Arc<Self>) {
            self.woken.lock().push(self.number);
        }
    }

    fn clock() -> SimClock {
        SimClock::new(Timestamp::from_unix_millis(1_000_000))
    }

    fn poll(sleep: &mut Sleep, number: usize, woken: &Arc<Mutex<Vec<usize>>>) -> bool {
        let waker = Waker::from(Arc::new(Note { number, woken: woken.clone() }));
        sleep.as_mut().poll(&mut Context::from_waker(&waker)).is_ready()
    }

    #[derive(Clone, Debug)]
    enum Step {
        Sleep(u64),
        Poll(usize),
        Drop(usize),
        Advance(u64),
        AdvanceTo(u64),
        JumpWall(i64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => prop_oneof![0u64..100, Just(u64::MAX)].prop_map(Step::Sleep),
            3 => any::<usize>().prop_map(Step::Poll),
            1 => any::<usize>().prop_map(Step::Drop),
            2 => (0u64..20).prop_map(Step::Advance),
            1 => (0u64..120).prop_map(Step::AdvanceTo),
            1 => (-50i64..50).prop_map(Step::JumpWall),
        ]
    }

    /// A sleep as the model sees it.
    struct Modelled {
        sleep: Option<Sleep>,
        at: u64,
        /// Order of the first poll, once polled while not due.
        armed: Option<usize>,
    }

    proptest! {
        /// The clock agrees with a list that is searched from end to end.
        #[test]
        fn the_clock_agrees_with_a_naive_model(steps in prop::collection::vec(step(), 1..80)) {
            const MS: u64 = 1_000_000;
            let clock = clock();
            let woken = Arc::new(Mutex::new(Vec::new()));
            let mut sleeps: Vec<Modelled> = Vec::new();
            let (mut now, mut jumped, mut order) = (0u64, 0i64, 0usize);
            for step in steps {
                let count = sleeps.len();
                let mut to = now;
                match step {
                    Step::Sleep(at) => {
                        let at = if at == u64::MAX { at } else { at * MS };
                        let sleep = Some(clock.sleep_until(Instant::from_nanos(at)));
                        sleeps.push(Modelled { sleep, at, armed: None });
                    }
                    Step::Poll(index) if count > 0 => {
                        let number = index % count;
                        let modelled = &mut sleeps[number];
                        if let Some(sleep) = &mut modelled.sleep {
                            let due = modelled.at <= now && modelled.at != u64::MAX;
                            prop_assert_eq!(poll(sleep, number, &woken), due);
                            if due {
                                modelled.sleep = None;
                            } else if modelled.armed.is_none() {
                                order += 1;
                                modelled.armed = Some(order);
                            }
                        }
                    }
                    Step::Drop(index) if count > 0 => sleeps[index % count].sleep = None,
                    Step::Poll(_) | Step::Drop(_) => {}
                    Step::Advance(by) => {
                        to = now + by * MS;
                        clock.advance(Duration::from_millis(by));
                    }
                    Step::AdvanceTo(at) => {
                        to = now.max(at * MS);
                        clock.advance_to(Instant::from_nanos(at * MS));
                    }
                    Step::JumpWall(by) => {
                        jumped += by;
                        clock.jump_wall(by);
                    }
                }
                let mut due: Vec<(u64, usize, usize)> = Vec::new();
                for (number, modelled) in sleeps.iter().enumerate() {
                    if let (Some(_), Some(order)) = (&modelled.sleep, modelled.armed)
                        && now < modelled.at && modelled.at <= to
                    {
                        due.push((modelled.at, order, number));
                    }
                }
                due.sort_unstable();
                now = to;
                let expected: Vec<usize> = due.into_iter().map(|(_, _, number)| number).collect();
                prop_assert_eq!(std::mem::take(&mut *woken.lock()), expected);

                let pending: Vec<u64> = sleeps
                    .iter()
                    .filter(|m| m.sleep.is_some() && m.armed.is_some())
                    .filter(|m| m.at > now && m.at != u64::MAX)
                    .map(|m| m.at)
                    .collect();
                prop_assert_eq!(clock.pending_timers(), pending.len());
                let earliest = pending.into_iter().min().map(Instant::from_nanos);
                prop_assert_eq!(clock.next_timer(), earliest);
                prop_assert_eq!(clock.now(), Instant::from_nanos(now));
                let wall = 1_000_000u64.saturating_add_signed(jumped) + now / MS;
                prop_assert_eq!(clock.wall(), Timestamp::from_unix_millis(wall));
            }
        }
    }

    #[test]
    fn a_dropped_sleep_leaves_nothing() {
        let (clock, woken) = (clock(), Arc::default());
        for at in 1..1_000 {
            let mut sleep = clock.sleep_until(Instant::from_nanos(at));
            assert!(!poll(&mut sleep, 0, &woken));
            assert_eq!(clock.pending_timers(), 1);
        }
        assert_eq!(clock.pending_timers(), 0);
        clock.advance(Duration::from_secs(1));
        assert!(woken.lock().is_empty());
    }

    #[test]
    fn the_end_of_time_wakes_all_but_those_that_wait_for_ever() {
        let (clock, woken) = (clock(), Arc::default());
        let mut last = clock.sleep_until(Instant::from_nanos(u64::MAX - 1));
        let mut never = clock.sleep_until(Instant::MAX);
        assert!(!poll(&mut last, 1, &woken) && !poll(&mut never, 2, &woken));
        clock.advance(Duration::MAX);
        assert_eq!(*woken.lock(), [1]);
        assert!(poll(&mut last, 1, &woken) && !poll(&mut never, 2, &woken));
    }

    #[test]
    fn a_woken_task_may_ask_the_clock() {
        struct Asks(SimClock);
        impl Wake for Asks {
            fn wake(self: Arc<Self>) {
                assert_eq!(self.0.now(), Instant::from_nanos(7));
            }
        }
        let clock = clock();
        let waker = Waker::from(Arc::new(Asks(clock.clone())));
        let mut sleep = clock.sleep_until(Instant::from_nanos(7));
        assert!(sleep.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        clock.advance_to(Instant::from_nanos(7));
    }
}
