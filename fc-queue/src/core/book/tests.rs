//! The book agrees with a list that is searched from end to end.

mod memory;
mod model;

use fc_core::port::queue::{Lane, LeaseToken, NewTask, Place, Verdict};
use fc_core::{ErrorKind, Timestamp};
use proptest::prelude::*;

use self::model::Model;
use super::{Book, Visible};

const LANES: [&str; 3] = ["one", "one/f", "two"];
const PLACES: [Place; 3] = [Place::Waiting, Place::Leased, Place::Buried];

#[derive(Clone, Debug)]
enum Step {
    /// Times are milliseconds from now.
    Push {
        lane: usize,
        id: u8,
        at: i64,
        gap: u64,
    },
    Lease {
        lane: usize,
        max: usize,
        span: u64,
    },
    /// Tokens are counted from the last one.
    Extend {
        token: usize,
        span: u64,
    },
    Settle {
        token: usize,
        verdict: End,
    },
    Cancel {
        lane: usize,
        id: u8,
    },
    Redrive {
        lane: usize,
        id: Option<u8>,
        at: i64,
    },
    Purge {
        lane: usize,
        place: Place,
    },
    Pass(u64),
}

#[derive(Clone, Debug)]
enum End {
    Done,
    Retry(i64),
    Bury,
}

fn step() -> impl Strategy<Value = Step> {
    let lane = || 0..LANES.len();
    let id = || 0u8..6;
    let at = || -20i64..30;
    let token = || prop_oneof![3 => 0usize..3, 1 => 0usize..40];
    let end = prop_oneof![Just(End::Done), at().prop_map(End::Retry), Just(End::Bury)];
    let place = prop_oneof![Just(Place::Waiting), Just(Place::Buried), Just(Place::Leased)];
    prop_oneof![
        6 => (lane(), id(), at(), 0u64..3)
            .prop_map(|(lane, id, at, gap)| Step::Push { lane, id, at, gap }),
        5 => (lane(), 0usize..4, 0u64..25)
            .prop_map(|(lane, max, span)| Step::Lease { lane, max, span }),
        2 => (token(), 0u64..25).prop_map(|(token, span)| Step::Extend { token, span }),
        6 => (token(), end).prop_map(|(token, verdict)| Step::Settle { token, verdict }),
        2 => (lane(), id()).prop_map(|(lane, id)| Step::Cancel { lane, id }),
        2 => (lane(), prop::option::of(id()), at())
            .prop_map(|(lane, id, at)| Step::Redrive { lane, id, at }),
        1 => (lane(), place).prop_map(|(lane, place)| Step::Purge { lane, place }),
        4 => (0u64..15).prop_map(Step::Pass),
    ]
}

/// The book and its model, side by side.
struct Pair {
    book: Book<u64>,
    model: Model,
    now: u64,
    tokens: Vec<LeaseToken>,
    /// What tells payloads and notes apart.
    serial: u64,
}

impl Pair {
    fn new() -> Self {
        let book = Book::new(7, 100);
        Self { book, model: Model::default(), now: 1_000, tokens: Vec::new(), serial: 0 }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.now)
    }

    fn at(&self, by: i64) -> Timestamp {
        Timestamp::from_unix_millis(self.now.saturating_add_signed(by))
    }

    fn token(&self, back: usize) -> Option<LeaseToken> {
        let index = self.tokens.len().checked_sub(back + 1)?;
        self.tokens.get(index).cloned()
    }

    fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        let now = self.now();
        self.serial += 1;
        let note = self.serial.to_string();
        match step {
            Step::Push { lane, id, at, gap } => {
                let (lane, position) = (named(lane), self.book.next_position() + gap);
                let task = NewTask {
                    note: note.into(),
                    ..NewTask::new(id.to_string(), "").visible_at(self.at(at))
                };
                let must = self.model.push(position, &lane, &task, self.serial, now);
                let is = self.book.push_at(position, &lane, task, self.serial, now);
                prop_assert_eq!(is, must);
            }
            Step::Lease { lane, max, span } => {
                let (lane, until) = (named(lane), self.at(span as i64));
                let must = self.model.lease(&lane, max, until, now);
                let lent = self.book.lease(&lane, max, until, now);
                let last = self.tokens.last().map_or(100, |token| token.fence);
                let fences = lent.iter().map(|lent| lent.token.fence);
                prop_assert!(fences.eq((last + 1..).take(lent.len())));
                let is: Vec<_> = lent.iter().map(|lent| lent.token.position).collect();
                prop_assert_eq!(is, must);
                for lent in lent {
                    self.model.note_fence(lent.token.position, lent.token.fence);
                    prop_assert_eq!(&*lent.token.task, &*lent.entry.id);
                    self.tokens.push(lent.token);
                }
            }
            Step::Extend { token, span } => {
                if let Some(token) = self.token(token) {
                    let until = self.at(span as i64);
                    let is = self.book.extend(&token, until);
                    prop_assert_eq!(is.is_ok(), self.model.extend(&token, until));
                    prop_assert!(is.err().is_none_or(|error| error.kind() == ErrorKind::Conflict));
                }
            }
            Step::Settle { token, verdict } => {
                if let Some(token) = self.token(token) {
                    let verdict = match verdict {
                        End::Done => Verdict::Done,
                        End::Retry(at) => Verdict::Retry { at: self.at(at), note: note.into() },
                        End::Bury => Verdict::Bury { reason: "why".into(), note: note.into() },
                    };
                    let must = self.model.settle(&token, &verdict);
                    let is = self.book.settle(&token, verdict);
                    prop_assert_eq!(is.as_ref().ok(), must.as_ref());
                    prop_assert!(is.err().is_none_or(|error| error.kind() == ErrorKind::Conflict));
                }
            }
            Step::Cancel { lane, id } => {
                let (lane, id) = (named(lane), id.to_string());
                let must = self.model.cancel(&lane, &id, now);
                prop_assert_eq!(self.book.cancel(&lane, &id, now), must);
            }
            Step::Redrive { lane, id, at } => {
                let (lane, id, at) = (named(lane), id.map(|id| id.to_string()), self.at(at));
                let positions = self.book.buried(lane.as_str(), id.as_deref());
                prop_assert_eq!(&positions, &self.model.buried(&lane, id.as_deref()));
                for position in positions {
                    prop_assert!(self.book.revive(&lane, position, at, note.clone().into()));
                    self.model.revive(position, at, &note);
                    // It is no dead letter any more.
                    prop_assert!(!self.book.revive(&lane, position, at, "again".into()));
                }
            }
            Step::Purge { lane, place } => {
                let lane = named(lane);
                match self.book.purgeable(lane.as_str(), place, now) {
                    Err(error) => {
                        prop_assert_eq!(place, Place::Leased);
                        prop_assert_eq!(error.kind(), ErrorKind::InvalidArgument);
                    }
                    Ok(positions) => {
                        prop_assert_eq!(&positions, &self.model.at(&lane, place, now));
                        for position in positions {
                            let removed = self.book.remove(&lane, position).map(|e| e.payload);
                            prop_assert_eq!(removed, self.model.remove(position));
                        }
                    }
                }
            }
            Step::Pass(ms) => self.now += ms,
        }
        self.compare()
    }

    /// Whatever can be asked has the same answer.
    fn compare(&mut self) -> Result<(), TestCaseError> {
        let now = self.now();
        prop_assert_eq!(self.book.len(), self.model.len());
        prop_assert_eq!(self.book.is_empty(), self.model.len() == 0);
        prop_assert_eq!(self.book.lanes(None, 9), self.model.lanes());
        for name in LANES {
            let lane = Lane::new(name).unwrap();
            let behind: Vec<_> = self.model.lanes().into_iter().filter(|l| *l > lane).collect();
            prop_assert_eq!(self.book.lanes(Some(name), 1), behind[..behind.len().min(1)].to_vec());
            prop_assert_eq!(self.book.depth(name, now), self.model.depth(&lane, now));
            for place in PLACES {
                let must = self.model.at(&lane, place, now);
                let listed = self.book.list(name, place, None, 99, now);
                let is: Vec<_> = listed.iter().map(|(position, _)| *position).collect();
                prop_assert_eq!(&is, &must);
                for (position, entry) in &listed {
                    prop_assert!(self.model.shows(*position, entry));
                    prop_assert_eq!(self.book.entry(name, *position), Some(entry));
                    prop_assert_eq!(self.book.get(name, &entry.id), Some((*position, entry)));
                }
                if let [first, second, ..] = must[..] {
                    let page = self.book.list(name, place, Some(first), 1, now);
                    prop_assert_eq!(page.first().map(|(at, _)| *at), Some(second));
                }
            }
            for id in 0..6 {
                let known = self.model.knows(&lane, &id.to_string());
                prop_assert_eq!(self.book.contains(name, &id.to_string()), known);
            }
            prop_assert_eq!(self.book.visible(name, now), self.model.visible(&lane, now));
        }
        Ok(())
    }
}

fn named(lane: usize) -> Lane {
    Lane::new(LANES[lane]).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_book_agrees_with_a_naive_model(steps in prop::collection::vec(step(), 1..120)) {
        let mut pair = Pair::new();
        for step in steps {
            pair.take(step)?;
        }
    }
}

#[test]
fn a_lease_for_no_time_gives_no_task_twice() {
    let (mut book, lane, now) = (Book::new(0, 0), named(0), Timestamp::from_unix_millis(5));
    book.push(&lane, NewTask::new("a", ""), 0, now);
    let lent = book.lease(&lane, 9, now, now);
    assert_eq!(lent.len(), 1);
    assert_eq!(book.visible(lane.as_str(), now), Visible::Now);
}

#[test]
fn what_is_tried_again_does_not_starve_behind_new_tasks() {
    let (mut book, lane) = (Book::new(0, 0), named(0));
    let at = Timestamp::from_unix_millis;
    book.push(&lane, NewTask::new("retried", ""), 0, at(100));
    let held = book.lease(&lane, 1, at(200), at(100)).remove(0);
    let retry = Verdict::Retry { at: at(150), note: "".into() };
    book.settle(&held.token, retry).unwrap();
    // Pushed later, visible "from the beginning of time on".
    book.push(&lane, NewTask::new("new", ""), 0, at(160));
    let order: Vec<_> =
        book.lease(&lane, 9, at(900), at(170)).into_iter().map(|l| l.entry.id).collect();
    assert_eq!(order, ["retried".into(), "new".into()]);
}
