//! What may be asked in any order, by several writers of one log: the ledger is what a naive model
//! says, and whoever begins where the log was cut has the same.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use fc_core::Timestamp;
use fc_core::port::queue::{
    Cancelled, FollowUp, Lane, LeaseToken, NewTask, Place, Pushed, Settlement, Verdict,
};
use proptest::prelude::*;

use super::fact::Batch;
use super::ledger::{Ledger, Read};
use super::plan::{Answer, Op, Outcome, Plan, Room};

const LANES: [&str; 2] = ["a", "b/c"];
const ROOM: Room = Room { facts_bytes: 47_000, body_bytes: 1 << 20, log_bytes: 1 << 30 };

/// The log, and all payloads in it.
struct World {
    log: Vec<(Batch, Bytes)>,
    ledger: Ledger,
    now: u64,
    number: u64,
    tokens: Vec<LeaseToken>,
    /// What must be there: id, payload and whether it is a dead letter.
    model: BTreeMap<(usize, String), (Bytes, bool)>,
    /// The last lease of each task.
    fences: BTreeMap<(usize, String), u64>,
}

#[derive(Clone, Debug)]
enum Step {
    Push(usize, u8, u8),
    Lease(usize, usize, u8),
    Settle(u8, u8, u8),
    Extend(u8),
    Cancel(usize, u8),
    Redrive(usize, Option<u8>),
    Purge(usize, bool),
    Carry(u8),
    Pass(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let lane = 0..LANES.len();
    prop_oneof![
        4 => (lane.clone(), 0..12u8, any::<u8>()).prop_map(|(l, id, d)| Step::Push(l, id, d)),
        4 => (lane.clone(), 1..4usize, any::<u8>()).prop_map(|(l, n, s)| Step::Lease(l, n, s)),
        4 => (any::<u8>(), 0..4u8, 0..12u8).prop_map(|(t, v, f)| Step::Settle(t, v, f)),
        1 => any::<u8>().prop_map(Step::Extend),
        1 => (lane.clone(), 0..12u8).prop_map(|(l, id)| Step::Cancel(l, id)),
        1 => (lane.clone(), proptest::option::of(0..12u8)).prop_map(|(l, id)| Step::Redrive(l, id)),
        1 => (lane, any::<bool>()).prop_map(|(l, buried)| Step::Purge(l, buried)),
        2 => (1..4u8).prop_map(Step::Carry),
        2 => any::<u8>().prop_map(Step::Pass),
    ]
}

fn lane(index: usize) -> Lane {
    Lane::new(LANES[index]).unwrap()
}

fn index(lane: &Lane) -> usize {
    LANES.iter().position(|name| *name == lane.as_str()).unwrap()
}

impl World {
    fn new() -> Self {
        Self {
            log: Vec::new(),
            ledger: Ledger::new(0, 1),
            now: 1000,
            number: 0,
            tokens: Vec::new(),
            model: BTreeMap::new(),
            fences: BTreeMap::new(),
        }
    }

    fn at(&self, ms: u64) -> Timestamp {
        Timestamp::from_unix_millis(self.now + ms)
    }

    fn op(&self, step: &Step) -> Option<Op> {
        let token = |number: u8| {
            let count = self.tokens.len();
            (count > 0).then(|| self.tokens[usize::from(number) % count].clone())
        };
        Some(match step {
            Step::Push(to, id, delay) => {
                let payload = vec![*id; usize::from(*delay)];
                let at = self.at(u64::from(*delay % 4) * 50);
                Op::Push(lane(*to), NewTask::new(id.to_string(), payload).visible_at(at))
            }
            Step::Lease(of, max, ms) => {
                Op::Lease(lane(*of), *max, Duration::from_millis(u64::from(*ms)))
            }
            Step::Settle(number, verdict, follow_up) => {
                let verdict = match verdict {
                    0 => Verdict::Retry { at: self.at(20), note: "again".into() },
                    1 => Verdict::Bury { reason: "why".into(), note: "n".into() },
                    _ => Verdict::Done,
                };
                let task = NewTask::new(follow_up.to_string(), vec![*follow_up; 3]);
                let follow_up = FollowUp { lane: lane(usize::from(*follow_up % 2)), task };
                let follow_ups = if *number % 2 == 0 { vec![follow_up] } else { Vec::new() };
                Op::Settle(token(*number)?, Settlement { verdict, follow_ups })
            }
            Step::Extend(number) => {
                Op::Extend(token(*number)?, Duration::from_millis(u64::from(*number)))
            }
            Step::Cancel(of, id) => Op::Cancel(lane(*of), id.to_string()),
            Step::Redrive(of, id) => {
                let id = id.map(|id| id.to_string());
                Op::Redrive(lane(*of), id, None, self.at(0), "redriven".into())
            }
            Step::Purge(of, buried) => {
                let place = if *buried { Place::Buried } else { Place::Waiting };
                Op::Purge(lane(*of), place, None)
            }
            Step::Carry(_) | Step::Pass(_) => return None,
        })
    }

    /// Writes what a few steps ask for as one message.
    fn write(&mut self, steps: &[Step]) -> Result<(), TestCaseError> {
        self.number += 1;
        let now = self.at(0);
        // What is about many tasks comes before all else of its message, so here it is alone.
        let is_wide = |step: &Step| matches!(step, Step::Purge(..) | Step::Redrive(..));
        let wide = steps.iter().position(is_wide);
        let steps = wide.map_or(steps, |at| &steps[at..=at]);
        let mut plan = Plan::new(ROOM, 1, self.number, now);
        let mut answered = Vec::new();
        for step in steps {
            match step {
                Step::Pass(ms) => self.now += u64::from(*ms),
                Step::Carry(count) => self.carry(&mut plan, usize::from(*count)),
                _ => {
                    let Some(op) = self.op(step) else { continue };
                    let from = self.now;
                    let after = |span: Duration| {
                        Timestamp::from_unix_millis(from + span.as_millis() as u64)
                    };
                    match plan.take(&mut self.ledger, &op, after) {
                        Outcome::Answer(answer) => answered.push((op, answer)),
                        Outcome::Later => {}
                    }
                }
            }
        }
        let sequence = self.ledger.applied() + 1;
        if !plan.is_empty() {
            let (_, encoded, body) = plan.finish();
            let batch = Batch::decode(&encoded).unwrap();
            let read = self.ledger.read(sequence, sequence - 1, 0, &batch);
            prop_assert!(matches!(read, Read::Next(_)));
            self.log.push((batch, body));
        }
        for (op, answer) in answered {
            self.learn(op, answer, sequence)?;
        }
        Ok(())
    }

    fn carry(&self, plan: &mut Plan, count: usize) {
        let rearmost: Vec<(u64, Lane)> =
            self.ledger.rearmost().take(count).map(|(at, lane)| (at, lane.clone())).collect();
        for (position, lane) in rearmost {
            let (entry, _) = self.ledger.book.stands(lane.as_str(), position).unwrap();
            let body = self.payload(entry.payload);
            assert!(plan.carry(&self.ledger, &lane, position, &body));
        }
    }

    fn payload(&self, spot: super::ledger::Spot) -> Bytes {
        let body = &self.log[spot.sequence as usize - 1].1;
        body.slice(spot.offset as usize..(spot.offset + spot.bytes) as usize)
    }

    /// What the answers say must be so from now on.
    fn learn(
        &mut self,
        op: Op,
        answer: fc_core::Result<Answer>,
        sequence: u64,
    ) -> Result<(), TestCaseError> {
        match (op, answer) {
            (Op::Push(to, task), Ok(Answer::Pushed(pushed))) => {
                let key = (index(&to), task.id);
                prop_assert_eq!(pushed == Pushed::Known, self.model.contains_key(&key));
                self.model.entry(key).or_insert((task.payload, false));
            }
            (Op::Lease(of, max, _), Ok(Answer::Leased(taken))) => {
                prop_assert!(taken.len() <= max);
                for taken in taken {
                    let task = taken.entry.id.to_string();
                    let key = (index(&of), task.clone());
                    prop_assert_eq!(self.model.get(&key).map(|task| task.1), Some(false));
                    prop_assert!(taken.entry.visible_at.as_unix_millis() <= self.now);
                    let last = self.fences.insert(key, sequence);
                    prop_assert!(last.is_none_or(|last| last < sequence));
                    let (lane, position) = (of.clone(), taken.position);
                    self.tokens.push(LeaseToken { lane, task, position, fence: sequence });
                }
            }
            (Op::Settle(token, settlement), Ok(_)) => {
                let key = (index(&token.lane), token.task.clone());
                prop_assert_eq!(self.fences.get(&key), Some(&token.fence));
                for follow_up in settlement.follow_ups {
                    let key = (index(&follow_up.lane), follow_up.task.id);
                    self.model.entry(key).or_insert((follow_up.task.payload, false));
                }
                match settlement.verdict {
                    Verdict::Done => _ = self.model.remove(&key),
                    Verdict::Bury { .. } => self.model.get_mut(&key).unwrap().1 = true,
                    Verdict::Retry { .. } => {}
                }
                self.tokens.retain(|known| *known != token);
            }
            (Op::Extend(token, _), Ok(_)) => {
                let key = (index(&token.lane), token.task);
                prop_assert_eq!(self.fences.get(&key), Some(&token.fence));
            }
            (Op::Cancel(of, id), Ok(Answer::Cancelled(cancelled))) => {
                let known = self.model.contains_key(&(index(&of), id.clone()));
                prop_assert_eq!(cancelled == Cancelled::Absent, !known);
                if cancelled == Cancelled::Removed {
                    self.model.remove(&(index(&of), id));
                }
            }
            (Op::Redrive(of, id, ..), Ok(Answer::Changed(portion))) => {
                let means = |known: &(usize, String)| {
                    known.0 == index(&of) && id.as_ref().is_none_or(|id| *id == known.1)
                };
                let buried = self.model.iter_mut().filter(|(key, task)| means(key) && task.1);
                let mut count = 0;
                for (_, task) in buried {
                    task.1 = false;
                    count += 1;
                }
                prop_assert_eq!(portion.count, count);
            }
            (Op::Purge(of, place, _), Ok(Answer::Changed(_))) => {
                let there = self.there(&self.ledger, index(&of));
                self.model.retain(|key, _| key.0 != index(&of) || there.contains(&key.1));
                if place == Place::Buried {
                    prop_assert!(
                        !self.model.iter().any(|(key, task)| key.0 == index(&of) && task.1)
                    );
                }
            }
            (Op::Settle(token, _) | Op::Extend(token, _), Err(_)) => {
                let key = (index(&token.lane), token.task.clone());
                let is_stale = self.fences.get(&key) != Some(&token.fence)
                    || !self.tokens.contains(&token)
                    || !self.model.contains_key(&key);
                prop_assert!(is_stale, "{:?} is refused", token);
            }
            (op, answer) => prop_assert!(false, "{:?}: {:?}", op, answer),
        }
        // A token of a task that is over is good for none that comes later under its id.
        self.fences.retain(|key, _| self.model.contains_key(key));
        Ok(())
    }

    fn there(&self, ledger: &Ledger, of: usize) -> Vec<String> {
        let book = &ledger.book;
        let ids = (0..12u8).map(|id| id.to_string());
        ids.filter(|id| book.get(LANES[of], id).is_some()).collect()
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let mut count = 0;
        for (of, lane) in LANES.into_iter().enumerate() {
            for id in self.there(&self.ledger, of) {
                let (position, entry) = self.ledger.book.get(lane, &id).unwrap();
                let (_, standing) = self.ledger.book.stands(lane, position).unwrap();
                let must = self.model.get(&(of, id)).map(|(payload, buried)| (payload, *buried));
                let payload = self.payload(entry.payload);
                prop_assert_eq!(must, Some((&payload, standing.place == Place::Buried)));
                prop_assert!(entry.payload.sequence >= self.ledger.needed());
                count += 1;
            }
        }
        prop_assert_eq!(count, self.model.len());
        prop_assert_eq!(self.ledger.live(), count as u64);
        Ok(())
    }

    /// Who begins where the log may be cut has the same.
    fn check_newcomer(&self) -> Result<(), TestCaseError> {
        let needed = self.ledger.needed().max(1);
        let mut newcomer = Ledger::new(needed - 1, 2);
        for (at, (batch, _)) in self.log.iter().enumerate().skip(needed as usize - 1) {
            let sequence = at as u64 + 1;
            let read = newcomer.read(sequence, sequence - 1, 0, batch);
            prop_assert!(matches!(read, Read::Next(_)));
        }
        for lane in LANES {
            for id in (0..12u8).map(|id| id.to_string()) {
                let seen = |ledger: &Ledger| {
                    let (position, _) = ledger.book.get(lane, &id)?;
                    let (entry, standing) = ledger.book.stands(lane, position)?;
                    Some((position, entry.clone(), standing))
                };
                let (mut is, mut must) = (seen(&newcomer), seen(&self.ledger));
                // Leases that have ended are told by the clock, whenever somebody looks.
                for seen in [&mut is, &mut must].into_iter().flatten() {
                    if seen.2.place == Place::Leased {
                        seen.2.place = Place::Waiting;
                    }
                    seen.2.until = Timestamp::default();
                }
                let plain = |seen: Option<(u64, crate::core::book::Entry<_>, _)>| {
                    seen.map(|(at, entry, standing)| {
                        let head = (at, entry.payload, entry.pushed_at, entry.visible_at);
                        (head, entry.leases, entry.note, entry.reason, standing)
                    })
                };
                prop_assert_eq!(plain(is), plain(must));
            }
        }
        prop_assert_eq!(newcomer.live(), self.ledger.live());
        prop_assert_eq!(newcomer.live_bytes(), self.ledger.live_bytes());
        prop_assert_eq!(newcomer.needed(), self.ledger.needed());
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn the_log_says_what_was_answered_wherever_it_is_cut(
        messages in proptest::collection::vec(proptest::collection::vec(step(), 1..5), 1..60)
    ) {
        let mut world = World::new();
        for steps in messages {
            world.write(&steps)?;
            world.check()?;
            world.check_newcomer()?;
        }
    }
}
