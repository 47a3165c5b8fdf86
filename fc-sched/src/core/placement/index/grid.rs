//! Many nodes, by their levels of room.

use std::ops::ControlFlow;

use super::cell::{Cell, Entry, Seat, Seats};
use super::level::{DISK_LEVELS, LEVELS, Levels, levels};
use super::row::{CellRef, Row};
use super::{Dim, Room, fits};

/// Nodes in cells by the levels of their room.
///
/// Adding, moving and removing a node touch its old and its new cell, however many nodes there are.
/// A search goes through bitmaps of the cells that hold nodes and may hold what is needed, from the
/// lowest level of one quantity on. There are three sorts of those:
///
/// - all three levels are higher than what is needed: any of its nodes will do;
/// - two levels are higher and one is the same: some of its nodes will do just if the most that one
///   has of that quantity is enough, which is known beforehand;
/// - two or three levels are the same: its nodes are looked at one by one, if the most of each is
///   enough.
///
/// So a search costs as much as there are levels, and more only if many nodes have within an eighth
/// of what is needed of two quantities at once, some too little of one, some of the other.
#[derive(Debug)]
pub(super) struct Grid {
    /// A bit for each level, of each quantity, at which there are nodes.
    occupied: [u128; 3],
    /// By levels of vCPU.
    rows: Box<[Row; LEVELS]>,
    /// Of each row: a bit for each level of memory at which there are nodes.
    reach: Box<[u128; LEVELS]>,
    /// By levels of memory, and of disk: a bit for each row where there are nodes of that level.
    by_memory: Box<[u128; LEVELS]>,
    by_disk: Box<[u128; DISK_LEVELS]>,
    cells: Vec<Cell>,
    vacant: Vec<u32>,
}

impl Grid {
    pub(super) fn new() -> Self {
        Self {
            occupied: [0; 3],
            rows: Box::new(std::array::from_fn(|_| Row::default())),
            reach: Box::new([0; LEVELS]),
            by_memory: Box::new([0; LEVELS]),
            by_disk: Box::new([0; DISK_LEVELS]),
            cells: Vec::new(),
            vacant: Vec::new(),
        }
    }

    pub(super) fn insert(&mut self, seats: &mut Seats, entry: Entry) {
        self.sit(seats, entry, levels(&entry.room));
    }

    pub(super) fn remove(&mut self, seats: &mut Seats, index: u32) {
        let Seat { cell: id, place } = seats.of(index);
        let cell = &mut self.cells[id as usize];
        let (gone, moved) = cell.remove(place);
        if let Some(moved) = moved {
            seats.put(moved, Seat { cell: id, place });
        }
        let at = cell.at;
        if cell.nodes.is_empty() {
            self.close(id, at);
            return;
        }
        let row = &mut self.rows[usize::from(at[0])];
        if let Some(at) = row.find(at[1], at[2]) {
            cell.lower(&mut row.cell(at).most, &gone);
        }
    }

    /// The node has other room now.
    pub(super) fn update(&mut self, seats: &mut Seats, entry: Entry) {
        let Seat { cell, place } = seats.of(entry.index);
        let at = levels(&entry.room);
        let cell = &mut self.cells[cell as usize];
        if cell.at != at {
            self.remove(seats, entry.index);
            return self.sit(seats, entry, at);
        }
        let row = &mut self.rows[usize::from(at[0])];
        if let Some(at) = row.find(at[1], at[2]) {
            cell.set(place, &entry.room, &mut row.cell(at).most);
        }
    }

    /// A node with room for `need`, of the lowest level of `by` at which there is one.
    pub(super) fn find(&self, by: Dim, need: &Room) -> Option<Entry> {
        let found = self.each_cell(by, &levels(need), |of, cell| {
            let fitting = fits(need, &of.most).then(|| cell.find(by, need));
            fitting.flatten().map_or(ControlFlow::Continue(()), ControlFlow::Break)
        });
        found.break_value()
    }

    /// Whether some node has room for `need`: mostly without a look at cells.
    pub(super) fn holds(&self, need: &Room) -> bool {
        let from = levels(need);
        let above = (from[2] + 1).min(DISK_LEVELS as u8 - 1);
        let memories = u128::MAX << from[1] & !(1 << from[1]);
        let mut rows = bits(self.occupied[0] & u128::MAX << from[0] & !(1 << from[0]));
        from[2] < above && rows.any(|row| self.rows[row].memories_from(above) & memories != 0)
            || self.find(Dim::Cpu, need).is_some()
    }

    /// All nodes that may have room for `need`, by rising levels of `by`.
    pub(super) fn each<B>(
        &self,
        by: Dim,
        need: &Room,
        mut visit: impl FnMut(&Entry) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        self.each_cell(by, &levels(need), |_, cell| cell.nodes.iter().try_for_each(&mut visit))
    }

    /// The most of `by` that a node has.
    pub(super) fn most(&self, by: Dim) -> Option<u32> {
        let mut most = 0;
        let top = self.occupied[by as usize].checked_ilog2()?;
        let all = self.each_cell(by, &only(by, top as u8), |of, _| {
            most = most.max(by.of(&of.most));
            ControlFlow::<()>::Continue(())
        });
        debug_assert!(all.is_continue());
        Some(most)
    }

    /// The room of a node with the highest level of `by`.
    pub(super) fn roomy(&self, by: Dim) -> Option<Room> {
        let top = self.occupied[by as usize].checked_ilog2()?;
        let first = self.each_cell(by, &only(by, top as u8), |_, cell| {
            let most =
                cell.nodes.iter().map(|entry| entry.room).max_by_key(|room| (by.of(room), *room));
            most.map_or(ControlFlow::Continue(()), ControlFlow::Break)
        });
        first.break_value()
    }

    /// The cells not below `from`, by rising levels of `by`.
    fn each_cell<B>(
        &self,
        by: Dim,
        from: &Levels,
        mut visit: impl FnMut(&CellRef, &Cell) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let [cpu, memory, disk] = *from;
        let (memories, disks) = (u128::MAX << memory, u64::MAX << disk);
        let rows = bits(self.occupied[0] & u128::MAX << cpu);
        let rows = rows.filter(|row| self.reach[*row] & memories != 0);
        let mut rows = rows.filter(|row| self.rows[*row].memories_from(disk) & memories != 0);
        match by {
            Dim::Cpu => {
                for row in rows {
                    self.each_in_row(row, memories, disks, &mut visit)?;
                }
            }
            Dim::Memory | Dim::Disk => {
                // From here on there is a cell to be visited.
                let Some(first) = rows.next() else {
                    return ControlFlow::Continue(());
                };
                let rows = u128::MAX << first;
                let of_memory = by == Dim::Memory;
                let from = if of_memory { memories } else { u128::from(disks) };
                for level in bits(self.occupied[by as usize] & from) {
                    let (with, memories, disks) = match of_memory {
                        true => (self.by_memory[level], 1 << level, disks),
                        false => (self.by_disk[level], memories, 1 << level),
                    };
                    for row in bits(rows & with) {
                        self.each_in_row(row, memories, disks, &mut visit)?;
                    }
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn each_in_row<B>(
        &self,
        row: usize,
        memories: u128,
        disks: u64,
        visit: &mut impl FnMut(&CellRef, &Cell) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        for strip in self.rows[row].cells(memories, disks) {
            for of in strip {
                visit(of, &self.cells[of.id as usize])?;
            }
        }
        ControlFlow::Continue(())
    }

    fn sit(&mut self, seats: &mut Seats, entry: Entry, at: Levels) {
        let row = usize::from(at[0]);
        let found = self.rows[row].find(at[1], at[2]);
        let of = found.unwrap_or_else(|| self.open(at));
        let of = self.rows[row].cell(of);
        let place = self.cells[of.id as usize].push(entry, &mut of.most);
        seats.put(entry.index, Seat { cell: of.id, place });
    }

    /// A cell for nodes of these levels; gives where it is in its row.
    fn open(&mut self, at: Levels) -> usize {
        let id = match self.vacant.pop() {
            Some(id) => {
                self.cells[id as usize].at = at;
                id
            }
            None => {
                self.cells.push(Cell { at, nodes: Vec::new() });
                (self.cells.len() - 1) as u32
            }
        };
        let [cpu, memory, disk] = at.map(usize::from);
        let place = self.rows[cpu].open(at[1], at[2], id);
        self.reach[cpu] |= 1 << memory;
        self.by_memory[memory] |= 1 << cpu;
        self.by_disk[disk] |= 1 << cpu;
        for (levels, level) in self.occupied.iter_mut().zip(at) {
            *levels |= 1 << level;
        }
        place
    }

    /// No node is of these levels any more.
    fn close(&mut self, id: u32, at: Levels) {
        self.vacant.push(id);
        let [cpu, memory, disk] = at.map(usize::from);
        let row = &mut self.rows[cpu];
        row.close(at[1], at[2]);
        self.reach[cpu] = row.memories_from(0);
        let unset = |of: &mut u128, bit: usize| {
            *of &= !(1 << bit);
            *of == 0
        };
        if self.reach[cpu] & 1 << memory == 0 && unset(&mut self.by_memory[memory], cpu) {
            unset(&mut self.occupied[1], memory);
        }
        if row.disks & 1 << disk == 0 && unset(&mut self.by_disk[disk], cpu) {
            unset(&mut self.occupied[2], disk);
        }
        if row.is_empty() {
            unset(&mut self.occupied[0], cpu);
        }
    }
}

/// This level of one quantity, and any of the others.
fn only(by: Dim, level: u8) -> Levels {
    let mut from = [0; 3];
    from[by as usize] = level;
    from
}

/// The bits that are set, from the lowest on.
fn bits(mut of: u128) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = of.trailing_zeros() as usize;
        of &= of.wrapping_sub(1);
        (bit < LEVELS).then_some(bit)
    })
}
