//! Random operations, what was said of each, and whether a queue that is opened again agrees.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use fc_core::port::queue::{Cancelled, FollowUp, Lane, NewTask, Place, Queue, Settlement, Verdict};
use fc_core::{ErrorKind, Result};

use super::super::EmbeddedQueue;
use super::{BEGIN, CX, Random, lane};

/// What is known of all tasks, each of which has an id of its own.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    pub present: BTreeSet<String>,
    pub absent: BTreeSet<String>,
    pub unsure: BTreeSet<String>,
    next: u64,
    /// How many operations failed, and how many of those are of unknown outcome.
    pub failed: u64,
    pub unknown: u64,
}

/// The payload of a task follows from its id.
pub(super) fn payload(id: &str) -> Bytes {
    let number: usize = id.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
    id.bytes().cycle().take(number % 700).collect::<Vec<u8>>().into()
}

pub(super) fn task(id: &str) -> NewTask {
    NewTask { note: Bytes::from(format!("note {id}")), ..NewTask::new(id, payload(id)) }
}

impl Model {
    fn fresh(&mut self, kind: &str) -> String {
        self.next += 1;
        format!("{kind}-{}", self.next)
    }

    /// The id of a task whose push the caller will see succeed.
    pub(super) fn pushed(&mut self) -> String {
        let id = self.fresh("push");
        self.present.insert(id.clone());
        id
    }

    fn told<T>(&mut self, result: &Result<T>, gone: &[String], come: &[String]) {
        let kind = match result {
            Ok(_) => {
                for id in gone {
                    self.present.remove(id);
                    self.unsure.remove(id);
                    self.absent.insert(id.clone());
                }
                self.present.extend(come.iter().cloned());
                return;
            }
            Err(error) => error.kind(),
        };
        self.failed += 1;
        if kind == ErrorKind::Unknown {
            self.unknown += 1;
            for id in gone.iter().chain(come) {
                self.present.remove(id);
                self.unsure.insert(id.clone());
            }
        } else {
            self.absent.extend(come.iter().cloned());
        }
    }

    /// Does something.
    pub(super) async fn step(&mut self, queue: &EmbeddedQueue, random: &mut Random) {
        let lane = lane();
        match random.below(10) {
            0..=4 => {
                let id = self.fresh("push");
                let pushed = queue.push(CX, &lane, task(&id)).await;
                self.told(&pushed, &[], &[id]);
            }
            5 => {
                let known: Vec<_> = self.present.iter().collect();
                if !known.is_empty() {
                    let id = known[random.below(known.len() as u64) as usize].clone();
                    let cancelled = queue.cancel(CX, &lane, &id).await;
                    if !matches!(cancelled, Ok(Cancelled::Held)) {
                        assert!(!matches!(cancelled, Ok(Cancelled::Absent)), "{id} is there");
                        self.told(&cancelled, &[id], &[]);
                    }
                }
            }
            6 if random.below(4) == 0 => {
                let at = BEGIN;
                let redriven = queue.redrive(CX, &lane, None, at, Bytes::new()).await;
                self.told(&redriven, &[], &[]);
            }
            _ => self.lease_and_settle(queue, &lane, random).await,
        }
    }

    async fn lease_and_settle(&mut self, queue: &EmbeddedQueue, lane: &Lane, random: &mut Random) {
        let max = 1 + random.below(3) as usize;
        let Ok(leased) = queue.lease(CX, lane, max, Duration::from_secs(60)).await else {
            return;
        };
        for leased in leased {
            let id = leased.token.task.clone();
            assert_eq!(leased.payload, payload(&id));
            assert!(!self.absent.contains(&id), "{id} is over, and was leased");
            let (verdict, gone) = match random.below(4) {
                0 => (Verdict::Retry { at: BEGIN, note: "again".into() }, vec![]),
                1 => (Verdict::Bury { reason: "dead".into(), note: "dead".into() }, vec![]),
                _ => (Verdict::Done, vec![id]),
            };
            let follow_up = |id: &String| FollowUp { lane: lane.clone(), task: task(id) };
            let come: Vec<_> = (0..random.below(3)).map(|_| self.fresh("follow")).collect();
            let settlement =
                Settlement { verdict, follow_ups: come.iter().map(follow_up).collect() };
            let settled = queue.settle(CX, &leased.token, settlement).await;
            self.told(&settled, &gone, &come);
        }
    }

    /// Whether the queue holds what it has to, and nothing that it must not.
    pub(super) async fn judge(&self, queue: &EmbeddedQueue) {
        let found = tasks(queue).await;
        for id in &self.present {
            assert!(found.contains_key(id), "{id} was acknowledged, and is lost");
        }
        for (id, held) in &found {
            assert!(!self.absent.contains(id), "{id} is over or was refused, and is there");
            assert!(self.present.contains(id) || self.unsure.contains(id), "{id} was never pushed");
            assert_eq!(*held, payload(id), "{id} has another payload");
        }
    }

    /// What is there settles what was not known.
    pub(super) async fn learn(&mut self, queue: &EmbeddedQueue) {
        let found = tasks(queue).await;
        for id in std::mem::take(&mut self.unsure) {
            if found.contains_key(&id) {
                self.present.insert(id)
            } else {
                self.absent.insert(id)
            };
        }
    }
}

/// All tasks of the lane, and their payloads.
pub(super) async fn tasks(queue: &EmbeddedQueue) -> BTreeMap<String, Bytes> {
    let mut found = BTreeMap::new();
    for place in [Place::Waiting, Place::Leased, Place::Buried] {
        let listed = queue.list(&lane(), place, None, 100_000).await.unwrap();
        found.extend(listed.into_iter().map(|view| (view.id, view.payload)));
    }
    found
}
