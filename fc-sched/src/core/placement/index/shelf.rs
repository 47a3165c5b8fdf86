//! Nodes that are alike in all but their room.

use std::ops::ControlFlow;

use super::cell::{Entry, Seats};
use super::grid::Grid;
use super::{Dim, Room, fits};

/// Up to this many nodes are a list that is read from end to end: it is as fast, and small, for the
/// many accounts with few nodes of their own.
const LIST_MAX: usize = 32;

/// Nodes that are alike in all but their room.
#[derive(Debug)]
pub(in super::super) struct Shelf {
    len: u32,
    kept: Kept,
}

#[derive(Debug)]
enum Kept {
    List(Vec<Entry>),
    /// Once this, it stays so until the shelf is gone.
    Grid(Box<Grid>),
}

impl Shelf {
    pub(in super::super) const fn new() -> Self {
        Self { len: 0, kept: Kept::List(Vec::new()) }
    }

    pub(in super::super) fn len(&self) -> u32 {
        self.len
    }

    pub(in super::super) fn insert(&mut self, seats: &mut Seats, index: u32, room: &Room) {
        self.len += 1;
        let entry = Entry { room: *room, index };
        match &mut self.kept {
            Kept::Grid(grid) => grid.insert(seats, entry),
            Kept::List(list) => {
                list.push(entry);
                if list.len() > LIST_MAX {
                    let mut grid = Box::new(Grid::new());
                    list.iter().for_each(|entry| grid.insert(seats, *entry));
                    self.kept = Kept::Grid(grid);
                }
            }
        }
    }

    pub(in super::super) fn remove(&mut self, seats: &mut Seats, index: u32) {
        self.len -= 1;
        match &mut self.kept {
            Kept::Grid(grid) => grid.remove(seats, index),
            Kept::List(list) => list.retain(|entry| entry.index != index),
        }
    }

    /// The node has other room now.
    pub(in super::super) fn update(&mut self, seats: &mut Seats, index: u32, room: &Room) {
        match &mut self.kept {
            Kept::Grid(grid) => grid.update(seats, Entry { room: *room, index }),
            Kept::List(list) => {
                if let Some(entry) = list.iter_mut().find(|entry| entry.index == index) {
                    entry.room = *room;
                }
            }
        }
    }

    /// Of the nodes with room for `need`, one that has hardly more of `by` than the one that has
    /// least: its [level](super::level) is the same. Gives its room and its index.
    pub(in super::super) fn find(&self, by: Dim, need: &Room) -> Option<(Room, u32)> {
        let found = match &self.kept {
            Kept::Grid(grid) => grid.find(by, need),
            Kept::List(list) => {
                let fitting = list.iter().filter(|entry| fits(need, &entry.room));
                fitting.min_by_key(|entry| by.of(&entry.room)).copied()
            }
        };
        found.map(|entry| (entry.room, entry.index))
    }

    /// All nodes with room for `need`, by rising [levels](super::level) of `by`.
    pub(in super::super) fn each<B>(
        &self,
        by: Dim,
        need: &Room,
        mut visit: impl FnMut(u32) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let mut visit = |entry: &Entry| match fits(need, &entry.room) {
            true => visit(entry.index),
            false => ControlFlow::Continue(()),
        };
        match &self.kept {
            Kept::Grid(grid) => grid.each(by, need, visit),
            Kept::List(list) => {
                let mut order: Vec<_> = list.iter().collect();
                order.sort_by_key(|entry| by.of(&entry.room));
                order.into_iter().try_for_each(&mut visit)
            }
        }
    }

    /// Whether some node has room for `need`.
    pub(in super::super) fn holds(&self, need: &Room) -> bool {
        match &self.kept {
            Kept::Grid(grid) => grid.holds(need),
            Kept::List(list) => list.iter().any(|entry| fits(need, &entry.room)),
        }
    }

    /// The most of `by` that a node has.
    pub(in super::super) fn most(&self, by: Dim) -> Option<u32> {
        match &self.kept {
            Kept::Grid(grid) => grid.most(by),
            Kept::List(list) => list.iter().map(|entry| by.of(&entry.room)).max(),
        }
    }

    /// The room of a node that has hardly less of `by` than the one that has most: its
    /// [level](super::level) is the same.
    pub(in super::super) fn roomy(&self, by: Dim) -> Option<Room> {
        match &self.kept {
            Kept::Grid(grid) => grid.roomy(by),
            Kept::List(list) => {
                list.iter().map(|entry| entry.room).max_by_key(|room| (by.of(room), *room))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::level::level;
    use super::*;

    /// Nodes whose rooms and needs lie close together, so that many are of the same level and have a
    /// little too much or too little.
    fn room() -> impl Strategy<Value = Room> {
        let near = |around: [u32; 3], width: u32| {
            (0usize..3, 0..width).prop_map(move |(at, more)| around[at] + more)
        };
        let close =
            (near([0, 940, 2_000], 130), near([0, 1_900, 9_000], 300), near([0, 500, 10_000], 900));
        let any = (0u32..40_000, 0u32..80_000, 0u32..40_000);
        prop_oneof![
            3 => close.prop_map(|(cpu, memory, disk)| [cpu, memory, disk]),
            1 => any.prop_map(|(cpu, memory, disk)| [cpu, memory, disk]),
            1 => Just([u32::MAX; 3]),
            1 => Just([0; 3]),
        ]
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(Room),
        Remove(usize),
        Update(usize, Room),
        Shift(usize, [u32; 3]),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => room().prop_map(Step::Insert),
            2 => any::<usize>().prop_map(Step::Remove),
            2 => (any::<usize>(), room()).prop_map(|(pick, room)| Step::Update(pick, room)),
            4 => (any::<usize>(), prop::array::uniform3(0u32..30))
                .prop_map(|(pick, by)| Step::Shift(pick, by)),
        ];
        prop::collection::vec(step, 0..300)
    }

    fn check(shelf: &Shelf, model: &[(u32, Room)], need: &Room) -> Result<(), TestCaseError> {
        let fitting = || model.iter().filter(|(_, room)| fits(need, room));
        prop_assert_eq!(shelf.holds(need), fitting().next().is_some());
        for by in Dim::ALL {
            let found = shelf.find(by, need);
            let best = fitting().map(|(_, room)| by.of(room)).min();
            prop_assert_eq!(found.is_some(), best.is_some(), "feasible or not, exactly");
            if let (Some((room, index)), Some(best)) = (found, best) {
                prop_assert!(model.contains(&(index, room)) && fits(need, &room));
                prop_assert_eq!(level(by, by.of(&room)), level(by, best));
            }
            let (mut all, mut levels) = (Vec::new(), Vec::new());
            let end = shelf.each(by, need, |index| {
                all.push(index);
                let room = model.iter().find(|(each, _)| *each == index).map(|(_, room)| room);
                levels.push(room.map(|room| level(by, by.of(room))));
                ControlFlow::<()>::Continue(())
            });
            prop_assert!(end.is_continue() && levels.is_sorted());
            all.sort();
            let mut expected: Vec<u32> = fitting().map(|(index, _)| *index).collect();
            expected.sort();
            prop_assert_eq!(all, expected, "each node with room, once");
            let most = model.iter().map(|(_, room)| by.of(room)).max();
            prop_assert_eq!(shelf.most(by), most);
            let roomy = shelf.roomy(by).map(|room| level(by, by.of(&room)));
            prop_assert_eq!(roomy, most.map(|most| level(by, most)));
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]
        #[test]
        fn nod_1_finds_what_an_exhaustive_search_finds(
            many in 0u32..80,
            start in room(),
            steps in steps(),
            needs in prop::collection::vec(room(), 12),
        ) {
            let (mut shelf, mut seats) = (Shelf::new(), Seats::default());
            let mut model: Vec<(u32, Room)> = (0..many).map(|index| (index, start)).collect();
            model.iter().for_each(|(index, room)| shelf.insert(&mut seats, *index, room));
            let mut next = many;
            for step in steps {
                let pick = |at: usize| at % model.len().max(1);
                match step {
                    Step::Insert(room) => {
                        shelf.insert(&mut seats, next, &room);
                        model.push((next, room));
                        next += 1;
                    }
                    _ if model.is_empty() => {}
                    Step::Remove(at) => {
                        let (index, _) = model.swap_remove(pick(at));
                        shelf.remove(&mut seats, index);
                    }
                    Step::Update(at, room) => {
                        let at = pick(at);
                        model[at].1 = room;
                        shelf.update(&mut seats, model[at].0, &room);
                    }
                    Step::Shift(at, by) => {
                        let at = pick(at);
                        let room = &mut model[at].1;
                        *room = std::array::from_fn(|dim| match at % 2 {
                            0 => room[dim].saturating_sub(by[dim]),
                            _ => room[dim].saturating_add(by[dim]),
                        });
                        shelf.update(&mut seats, model[at].0, &model[at].1);
                    }
                }
                prop_assert_eq!(shelf.len() as usize, model.len());
            }
            for need in needs.iter().chain(model.clone().iter().take(12).map(|(_, room)| room)) {
                check(&shelf, &model, need)?;
            }
            for (index, _) in &model {
                shelf.remove(&mut seats, *index);
            }
            check(&shelf, &[], &[0; 3])?;
        }
    }
}
