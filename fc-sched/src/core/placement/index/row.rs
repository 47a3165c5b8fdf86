//! The cells of one level of vCPU.

use super::Room;

/// The cells of one level of vCPU, by level of disk, then by level of memory.
///
/// Only cells that hold nodes are in it. A bit for each of them tells where it is: behind as many
/// others as there are bits before its own.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// A bit for each level of disk at which there are cells.
    pub(super) disks: u64,
    /// One for each of those.
    strips: Vec<Strip>,
    cells: Vec<CellRef>,
}

/// Cells of one level of vCPU and one of disk.
#[derive(Debug)]
struct Strip {
    /// A bit for each level of memory at which there is a cell.
    memories: u128,
    /// The same for this strip and those of higher levels of disk together.
    from_here: u128,
    /// Where in `cells` its first is.
    start: u32,
}

/// A cell that holds nodes.
#[derive(Clone, Copy, Debug)]
pub(super) struct CellRef {
    pub(super) id: u32,
    /// The most of each quantity that a node there has, maybe three nodes.
    pub(super) most: Room,
}

impl Row {
    pub(super) fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The levels of memory of all cells from this level of disk on.
    #[inline]
    pub(super) fn memories_from(&self, disk: u8) -> u128 {
        self.strips.get(self.rank(disk)).map_or(0, |strip| strip.from_here)
    }

    /// Where the cell of these levels is; it stays there until one is opened or closed.
    #[inline]
    pub(super) fn find(&self, memory: u8, disk: u8) -> Option<usize> {
        if self.disks & 1 << disk == 0 {
            return None;
        }
        let strip = &self.strips[self.rank(disk)];
        (strip.memories & 1 << memory != 0).then(|| strip.position(memory))
    }

    #[inline]
    pub(super) fn cell(&mut self, at: usize) -> &mut CellRef {
        &mut self.cells[at]
    }

    /// The cells at these levels of memory and of disk; each without a gap in it.
    #[inline]
    pub(super) fn cells(&self, memories: u128, disks: u64) -> impl Iterator<Item = &[CellRef]> {
        let first = self.rank(disks.trailing_zeros() as u8);
        let count = (self.disks & disks).count_ones() as usize;
        let lowest = memories.trailing_zeros() as u8;
        let strips = self.strips[first..first + count].iter();
        strips.filter(move |strip| strip.memories & memories != 0).map(move |strip| {
            let start = strip.position(lowest);
            &self.cells[start..start + (strip.memories & memories).count_ones() as usize]
        })
    }

    /// A cell for these levels, where there is none; gives where it is.
    pub(super) fn open(&mut self, memory: u8, disk: u8, id: u32) -> usize {
        let rank = self.rank(disk);
        if self.disks & 1 << disk == 0 {
            self.disks |= 1 << disk;
            let next = self.strips.get(rank);
            let from_here = next.map_or(0, |next| next.from_here);
            let start = next.map_or(self.cells.len() as u32, |next| next.start);
            self.strips.insert(rank, Strip { memories: 0, from_here, start });
        }
        let at = self.strips[rank].position(memory);
        self.cells.insert(at, CellRef { id, most: [0; 3] });
        self.strips[rank].memories |= 1 << memory;
        self.strips[..=rank].iter_mut().for_each(|strip| strip.from_here |= 1 << memory);
        self.strips[rank + 1..].iter_mut().for_each(|strip| strip.start += 1);
        at
    }

    /// The cell of these levels is gone.
    pub(super) fn close(&mut self, memory: u8, disk: u8) {
        let rank = self.rank(disk);
        let at = self.strips[rank].position(memory);
        self.cells.remove(at);
        self.strips[rank].memories &= !(1 << memory);
        self.strips[rank + 1..].iter_mut().for_each(|strip| strip.start -= 1);
        if self.strips[rank].memories == 0 {
            self.strips.remove(rank);
            self.disks &= !(1 << disk);
        }
        let changed = self.strips.len().min(rank + 1);
        let mut from_here = self.strips.get(changed).map_or(0, |strip| strip.from_here);
        for strip in self.strips[..changed].iter_mut().rev() {
            from_here |= strip.memories;
            strip.from_here = from_here;
        }
    }

    /// Where in `strips` this level is, or would be.
    #[inline]
    fn rank(&self, disk: u8) -> usize {
        let before = self.disks & !(u64::MAX << disk);
        // Mostly all have more than enough disk.
        if before == 0 { 0 } else { before.count_ones() as usize }
    }
}

impl Strip {
    /// Where in `cells` this level of memory is, or would be.
    #[inline]
    fn position(&self, memory: u8) -> usize {
        let before = self.memories & !(u128::MAX << memory);
        self.start as usize + before.count_ones() as usize
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn holds_what_a_map_does(
            steps in prop::collection::vec((0u8..128, 0u8..64, any::<bool>()), 0..200),
            asked in prop::collection::vec((0u8..128, 0u8..64), 20),
        ) {
            let (mut row, mut model) = (Row::default(), BTreeMap::new());
            for (id, (memory, disk, narrow)) in steps.into_iter().enumerate() {
                let (memory, disk) = if narrow { (memory % 5, disk % 3) } else { (memory, disk) };
                match model.remove(&(disk, memory)) {
                    Some(known) => {
                        let at = row.find(memory, disk).unwrap();
                        prop_assert_eq!(row.cell(at).id, known);
                        row.close(memory, disk);
                    }
                    None => {
                        let at = row.open(memory, disk, id as u32);
                        prop_assert_eq!(row.cell(at).id, id as u32);
                        model.insert((disk, memory), id as u32);
                    }
                }
                prop_assert!(model.contains_key(&(disk, memory)) == row.find(memory, disk).is_some());
                let all = row.cells(u128::MAX, u64::MAX).flatten().map(|cell| cell.id);
                prop_assert_eq!(all.collect::<Vec<_>>(), model.values().copied().collect::<Vec<_>>());
                prop_assert_eq!(row.is_empty(), model.is_empty());
            }
            for (memory, disk) in asked {
                let from: u128 = model
                    .keys()
                    .filter(|(at, _)| *at >= disk)
                    .fold(0, |levels, (_, memory)| levels | 1 << memory);
                prop_assert_eq!(row.memories_from(disk), from);
                for (memories, disks) in [
                    (u128::MAX << memory, u64::MAX << disk),
                    (1 << memory, u64::MAX << disk),
                    (u128::MAX << memory, 1 << disk),
                ] {
                    let here = row.cells(memories, disks).flatten().map(|cell| cell.id);
                    let expected = model
                        .iter()
                        .filter(|((disk, memory), _)| memories >> memory & 1 == 1 && disks >> disk & 1 == 1)
                        .map(|(_, id)| *id);
                    prop_assert_eq!(here.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
                }
            }
        }
    }
}
