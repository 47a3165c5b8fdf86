//! Requests that wait or run.

use std::ops::{Index, IndexMut};
use std::time::Duration;

use fc_core::Instant;

use crate::core::{SlotKey, WaiterKey};

/// How a request ends, once it runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::sim) enum Ended {
    /// As it should.
    Well,
    /// Its caller goes away.
    Left,
    /// The instance crashes under it.
    Broke,
    /// It does not: its slot is taken from it.
    Never,
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub(in crate::sim) struct Request {
    pub(in crate::sim) generation: u32,
    pub(in crate::sim) pool: u32,
    pub(in crate::sim) since: Instant,
    pub(in crate::sim) duration: Duration,
    pub(in crate::sim) ends: Ended,
    pub(in crate::sim) waiter: Option<WaiterKey>,
    pub(in crate::sim) slot: Option<(SlotKey, u32)>,
    alive: bool,
}

/// Requests that wait or run, by number; numbers are used again.
#[derive(Debug, Default)]
pub(in crate::sim) struct Requests {
    all: Vec<Request>,
    free: Vec<u32>,
}

impl Requests {
    pub(in crate::sim) fn add(
        &mut self,
        pool: u32,
        since: Instant,
        duration: Duration,
        ends: Ended,
    ) -> u32 {
        let mut request = Request {
            generation: 0,
            pool,
            since,
            duration,
            ends,
            waiter: None,
            slot: None,
            alive: true,
        };
        match self.free.pop() {
            Some(index) => {
                request.generation = self.all[index as usize].generation;
                self.all[index as usize] = request;
                index
            }
            None => {
                self.all.push(request);
                (self.all.len() - 1) as u32
            }
        }
    }

    pub(in crate::sim) fn alive(&self, index: u32, generation: u32) -> Option<Request> {
        let request = self.all[index as usize];
        (request.alive && request.generation == generation).then_some(request)
    }

    pub(in crate::sim) fn remove(&mut self, index: u32) {
        let request = &mut self.all[index as usize];
        debug_assert!(request.alive, "a request ended twice");
        request.alive = false;
        request.generation = request.generation.wrapping_add(1);
        self.free.push(index);
    }

    /// Those that run in an instance.
    pub(in crate::sim) fn running_in(&self, instance: u32) -> Vec<u32> {
        let here = |request: &&Request| {
            request.alive && request.slot.is_some_and(|(_, each)| each == instance)
        };
        let all = self.all.iter().enumerate();
        all.filter(|(_, request)| here(request)).map(|(index, _)| index as u32).collect()
    }

    pub(in crate::sim) fn len(&self) -> usize {
        self.all.len() - self.free.len()
    }
}

impl Index<u32> for Requests {
    type Output = Request;

    fn index(&self, index: u32) -> &Request {
        &self.all[index as usize]
    }
}

impl IndexMut<u32> for Requests {
    fn index_mut(&mut self, index: u32) -> &mut Request {
        &mut self.all[index as usize]
    }
}
