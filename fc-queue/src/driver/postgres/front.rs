//! Where the tasks of a lane begin that wait since they were pushed.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use fc_core::{Clock, Instant};
use parking_lot::Mutex;

use super::look::LOOK_AGAIN;

/// How long a lane is leased from behind what is known to be gone: what is not told (a notification
/// lost, a lease of a process that died with it) is found as late as by one who waits.
const WHOLE_EVERY: Duration = LOOK_AGAIN;

/// Pushes that are remembered while a lane is being leased from.
const TOLD_MAX: usize = 4_096;

/// Lanes that are remembered.
const LANES_MAX: usize = 100_000;

/// The first positions that may wait, lane by lane.
///
/// What was leased and settled stays in the server's index until it is vacuumed, a minute or more: to
/// begin at the front each time would walk over all of it. Tasks that were pushed to be leased at once
/// stand in order of their positions and never come back to their place, so those in front of the last
/// that was leased are gone, except for pushes that were committed meanwhile: those are told, with their
/// positions, in this process and in the others.
#[derive(Debug)]
pub(super) struct Fronts {
    clock: Arc<dyn Clock>,
    lanes: Mutex<HashMap<i32, Front>>,
}

#[derive(Default, Debug)]
struct Front {
    /// Nothing that is known waits before this position.
    from: i64,
    /// When somebody last began at the front.
    whole_at: Option<Instant>,
    /// Leases that are on their way.
    scans: usize,
    /// Positions that were told since the first of them began.
    told: VecDeque<i64>,
    /// How many were told before those.
    before: u64,
}

impl Front {
    fn from(&self, now: Instant) -> i64 {
        let is_fresh = self.whole_at.is_some_and(|at| now < at + WHOLE_EVERY);
        if is_fresh { self.from } else { 0 }
    }

    /// Leases that have begun do not know what is told from now on.
    fn forget(&mut self) {
        self.before += self.told.len() as u64 + 1;
        self.told.clear();
        self.whole_at = None;
    }
}

impl Fronts {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { clock, lanes: Mutex::default() })
    }

    /// Before the lane is leased from.
    pub(super) fn begin(self: &Arc<Self>, lane: i32) -> Scan {
        let now = self.clock.now();
        let mut lanes = self.lanes.lock();
        if lanes.len() >= LANES_MAX && !lanes.contains_key(&lane) {
            lanes.retain(|_, front| front.scans > 0);
        }
        let front = lanes.entry(lane).or_default();
        let from = front.from(now);
        if from == 0 {
            // Until it is answered nobody knows better.
            front.from = 0;
            front.whole_at = Some(now);
        }
        front.scans += 1;
        let next = front.before + front.told.len() as u64;
        Scan { fronts: self.clone(), lane, is_ended: false, from, next }
    }

    /// From where on to look whether anything waits.
    pub(super) fn from(&self, lane: i32) -> i64 {
        let now = self.clock.now();
        self.lanes.lock().get(&lane).map_or(0, |front| front.from(now))
    }

    /// What was pushed at this position can be leased, and it may be that more was behind it.
    pub(super) fn told(&self, lane: i32, position: i64) {
        let mut lanes = self.lanes.lock();
        let Some(front) = lanes.get_mut(&lane) else {
            return;
        };
        front.from = front.from.min(position);
        if front.scans > 0 {
            front.told.push_back(position);
            if front.told.len() > TOLD_MAX {
                front.told.pop_front();
                front.before += 1;
            }
        }
    }

    /// Anything may have been pushed, nobody knows where.
    pub(super) fn forget_all(&self) {
        self.lanes.lock().values_mut().for_each(Front::forget);
    }
}

/// A lease on its way. Dropped before it has ended, it may have kept others from what it did not take.
#[derive(Debug)]
pub(super) struct Scan {
    fronts: Arc<Fronts>,
    lane: i32,
    is_ended: bool,
    /// Where it begins.
    pub(super) from: i64,
    /// The number of the first push that is told after it has begun.
    next: u64,
}

impl Scan {
    /// It has taken all from where it began up to `last`, but what was pushed meanwhile or is being taken
    /// by others; `None`: nothing.
    pub(super) fn took(mut self, last: Option<i64>) {
        self.is_ended = true;
        let mut lanes = self.fronts.lanes.lock();
        let (Some(front), Some(last)) = (lanes.get_mut(&self.lane), last) else {
            return;
        };
        // More was told than is remembered.
        if self.next < front.before {
            return;
        }
        let skipped = usize::try_from(self.next - front.before).unwrap_or(usize::MAX);
        let least = front.told.iter().skip(skipped).copied().min().unwrap_or(i64::MAX);
        let from = least.min(last + 1);
        // One that began at the front has seen all, also that positions went back with a restored server.
        front.from = if self.from == 0 { from } else { front.from.max(from) };
    }
}

impl Drop for Scan {
    fn drop(&mut self) {
        if let Some(front) = self.fronts.lanes.lock().get_mut(&self.lane) {
            if !self.is_ended {
                front.forget();
            }
            front.scans -= 1;
            if front.scans == 0 {
                front.before += front.told.len() as u64;
                front.told.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use fc_core::Timestamp;
    use fc_testkit::SimClock;
    use proptest::prelude::*;

    use super::*;

    const LANE: i32 = 7;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// A push gets its position.
        Push,
        /// It is committed; by its number, modulo.
        Commit(usize),
        /// Its caller has the answer, or other processes were told of it.
        Tell(usize, bool),
        /// A lease begins, is done by the server, and is answered.
        Begin(usize),
        Lease(usize),
        End(usize, usize),
        /// Time to begin at the front.
        Pass,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => Just(Step::Push),
            4 => any::<usize>().prop_map(Step::Commit),
            4 => (any::<usize>(), any::<bool>()).prop_map(|(n, is_here)| Step::Tell(n, is_here)),
            2 => (1_usize..4).prop_map(Step::Begin),
            2 => any::<usize>().prop_map(Step::Lease),
            2 => (any::<usize>(), 0_usize..6).prop_map(|(n, kept)| Step::End(n, kept)),
            1 => Just(Step::Pass),
        ]
    }

    #[derive(Clone, Copy, PartialEq, Debug)]
    enum Task {
        Sent,
        Committed,
        Told,
        /// Somebody is about to lease it, who knew it as this.
        Locked(bool),
        Leased,
    }

    /// A lease: how many it asks for, and what it has locked.
    struct Lease {
        scan: Scan,
        most: usize,
        locked: Option<Vec<usize>>,
    }

    fn pick(of: &[usize], number: usize) -> Option<usize> {
        of.get(number.checked_rem(of.len())?).copied()
    }

    proptest! {
        /// What was told is never behind where the next lease begins.
        #[test]
        fn what_was_told_is_found(steps in proptest::collection::vec(step(), 1..120)) {
            let clock = SimClock::new(Timestamp::default());
            let fronts = Fronts::new(Arc::new(clock.clone()));
            let mut tasks: Vec<Task> = Vec::new();
            let mut leases: Vec<Lease> = Vec::new();
            for step in steps {
                let all = |of: &[Task], is: &[Task]| -> Vec<usize> {
                    (0..of.len()).filter(|n| is.contains(&of[*n])).collect()
                };
                match step {
                    Step::Push => tasks.push(Task::Sent),
                    Step::Commit(number) => {
                        if let Some(n) = pick(&all(&tasks, &[Task::Sent]), number) {
                            tasks[n] = Task::Committed;
                        }
                    }
                    Step::Tell(number, is_here) => {
                        if let Some(n) = pick(&all(&tasks, &[Task::Committed]), number) {
                            tasks[n] = Task::Told;
                            match is_here {
                                true => fronts.told(LANE, n as i64 + 1),
                                false => fronts.forget_all(),
                            }
                        }
                    }
                    Step::Begin(most) => {
                        leases.push(Lease { scan: fronts.begin(LANE), most, locked: None });
                    }
                    Step::Lease(number) => {
                        let open: Vec<usize> =
                            (0..leases.len()).filter(|n| leases[*n].locked.is_none()).collect();
                        if let Some(n) = pick(&open, number) {
                            let lease = &mut leases[n];
                            let there = all(&tasks, &[Task::Committed, Task::Told]);
                            let got = there.into_iter().filter(|n| *n as i64 + 1 >= lease.scan.from);
                            let got: Vec<usize> = got.take(lease.most).collect();
                            for n in &got {
                                tasks[*n] = Task::Locked(tasks[*n] == Task::Told);
                            }
                            lease.locked = Some(got);
                        }
                    }
                    Step::End(number, kept) => {
                        let done: Vec<usize> =
                            (0..leases.len()).filter(|n| leases[*n].locked.is_some()).collect();
                        if let Some(n) = pick(&done, number) {
                            let lease = leases.swap_remove(n);
                            let locked = lease.locked.unwrap_or_default();
                            for (index, n) in locked.iter().enumerate() {
                                tasks[*n] = match tasks[*n] {
                                    Task::Locked(_) if index < kept => Task::Leased,
                                    Task::Locked(true) => Task::Told,
                                    _ => Task::Committed,
                                };
                            }
                            if kept >= locked.len() {
                                lease.scan.took(locked.last().map(|n| *n as i64 + 1));
                            }
                        }
                    }
                    Step::Pass => clock.advance(WHOLE_EVERY),
                }
                let from = fronts.from(LANE);
                let told = all(&tasks, &[Task::Told]);
                prop_assert!(told.iter().all(|n| *n as i64 + 1 >= from), "{from}: {told:?}");
            }
        }
    }

    /// Where a lease begins that finds nothing.
    fn begun(fronts: &Arc<Fronts>) -> i64 {
        let scan = fronts.begin(LANE);
        let from = scan.from;
        scan.took(None);
        from
    }

    #[test]
    fn what_is_gone_is_passed_over_until_it_is_time_to_look() {
        let clock = SimClock::new(Timestamp::default());
        let fronts = Fronts::new(Arc::new(clock.clone()));
        assert_eq!(fronts.from(LANE), 0);
        let scan = fronts.begin(LANE);
        assert_eq!(scan.from, 0);
        scan.took(Some(10));
        assert_eq!(begun(&fronts), 11);
        fronts.told(LANE, 4);
        fronts.told(LANE + 1, 1);
        assert_eq!(begun(&fronts), 4);
        clock.advance(WHOLE_EVERY);
        assert_eq!(fronts.from(LANE), 0);
        fronts.begin(LANE).took(Some(12));
        assert_eq!(fronts.from(LANE), 13);
        drop(fronts.begin(LANE));
        assert_eq!(fronts.from(LANE), 0);
        fronts.begin(LANE).took(Some(14));
        fronts.forget_all();
        assert_eq!(fronts.from(LANE), 0);
    }

    #[test]
    fn more_than_is_remembered_is_not_passed_over() {
        let fronts = Fronts::new(Arc::new(SimClock::new(Timestamp::default())));
        fronts.begin(LANE).took(Some(5));
        let scan = fronts.begin(LANE);
        (0..=TOLD_MAX as i64).for_each(|n| fronts.told(LANE, 10 + n));
        scan.took(Some(100_000));
        assert_eq!(fronts.from(LANE), 6);
    }
}
