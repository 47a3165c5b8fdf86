//! The line of requests that wait for a slot: first come, first served, left in constant time.

use super::chain::{Chain, Link, Links};

/// Names a waiting request. A key of one that waits no more names nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct WaiterKey {
    index: u32,
    generation: u32,
}

#[derive(Debug)]
struct Place<W> {
    generation: u32,
    link: Link,
    waiter: Option<W>,
}

/// Requests in the order they came.
#[derive(Debug)]
pub struct Line<W> {
    places: Vec<Place<W>>,
    free: Vec<u32>,
    order: Chain,
    len: u32,
    /// Given to each waiter, so that no two of one line have the same key.
    generation: u32,
}

impl<W> Links for [Place<W>] {
    fn link(&mut self, node: u32) -> &mut Link {
        &mut self[node as usize].link
    }
}

impl<W> Default for Line<W> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new(), order: Chain::EMPTY, len: 0, generation: 0 }
    }
}

impl<W> Line<W> {
    /// How many wait.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// `waiter` goes to the end.
    pub fn join(&mut self, waiter: W) -> WaiterKey {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { generation: 0, link: Link::ALONE, waiter: None });
            (self.places.len() - 1) as u32
        });
        self.len += 1;
        self.places.push_back(&mut self.order, index);
        self.generation = self.generation.wrapping_add(1);
        let place = &mut self.places[index as usize];
        (place.waiter, place.generation) = (Some(waiter), self.generation);
        WaiterKey { index, generation: place.generation }
    }

    /// The one who has waited for longest.
    pub fn serve_next(&mut self) -> Option<W> {
        if self.order.is_empty() { None } else { self.take(self.order.first) }
    }

    /// `key` waits no more; `None` if it does not wait.
    pub fn leave(&mut self, key: WaiterKey) -> Option<W> {
        let place = self.places.get(key.index as usize)?;
        if place.generation != key.generation || place.waiter.is_none() {
            return None;
        }
        self.take(key.index)
    }

    fn take(&mut self, index: u32) -> Option<W> {
        self.places.unlink(&mut self.order, index);
        let waiter = self.places[index as usize].waiter.take();
        self.free.push(index);
        self.len -= 1;
        if self.len == 0 {
            // Who waited was a cold start: a function keeps no memory for it.
            *self = Self { generation: self.generation, ..Self::default() };
        }
        waiter
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The line is a queue from whose middle one may leave, as a `Vec` would be.
        #[test]
        fn behaves_like_a_vector(steps in prop::collection::vec((0u8..3, 0usize..20), 0..200)) {
            let mut line = Line::default();
            let mut model: Vec<(WaiterKey, usize)> = Vec::new();
            let mut gone: Vec<WaiterKey> = Vec::new();
            for (number, (step, pick)) in steps.into_iter().enumerate() {
                match step {
                    0 => model.push((line.join(number), number)),
                    1 => {
                        let expected = (!model.is_empty()).then(|| model.remove(0));
                        prop_assert_eq!(line.serve_next(), expected.map(|(_, waiter)| waiter));
                        gone.extend(expected.map(|(key, _)| key));
                    }
                    _ if model.is_empty() => {}
                    _ => {
                        let (key, waiter) = model.remove(pick % model.len());
                        prop_assert_eq!(line.leave(key), Some(waiter));
                        gone.push(key);
                    }
                }
                prop_assert_eq!(line.len() as usize, model.len());
                for key in &gone {
                    prop_assert_eq!(line.leave(*key), None);
                }
            }
        }
    }
}
