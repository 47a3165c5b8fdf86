//! Nodes in the order of one quantity.

use super::page::Pages;
use super::tree::{Hit, Tree};
use super::{Dim, Place, Room};

/// Boundaries of the bands by free disk, MB: the two sizes of an instance's disk (QUO-6), and the
/// powers of two between them.
const DISK_BANDS_MB: [u32; 6] = [512, 1_024, 2_048, 4_096, 8_192, 10_240];

/// Boundaries of the bands by free vCPU, thousandths: from the smallest instance's to the largest's.
const CPU_BANDS_MILLI: [u32; 9] = [50, 100, 250, 500, 1_000, 2_000, 4_000, 8_000, 16_000];

const BANDS_MAX: usize = CPU_BANDS_MILLI.len() + 1;

/// Nodes ordered by their room in one quantity.
///
/// A tree finds the first of them with enough of the two others fast only if few nodes have enough
/// of one and not of the other: of three quantities it can order one and bound one. So the third
/// is divided into bands, with a tree each. In all bands above that of what is needed there is
/// enough of it. Only nodes in that very band, between two neighbours of the boundaries, can be
/// looked at in vain; none if what is needed is itself a boundary.
#[derive(Debug)]
pub(in super::super) struct View {
    dim: Dim,
    bands: [Tree; BANDS_MAX],
}

impl View {
    pub(in super::super) fn new(dim: Dim) -> Self {
        Self { dim, bands: [Tree::EMPTY; BANDS_MAX] }
    }

    pub(in super::super) fn insert(&mut self, pages: &mut Pages, index: u32, room: &Room) {
        let (place, rest) = (self.place(index, room), self.rest(room));
        self.bands[self.band(room)].insert(pages, place.0, rest);
    }

    pub(in super::super) fn remove(&mut self, pages: &mut Pages, index: u32, room: &Room) {
        let place = self.place(index, room);
        let found = self.bands[self.band(room)].remove(pages, place.0);
        debug_assert!(found, "node {index} is not where its room says");
    }

    /// The first node from `lo` on, and before `below`, with room for `need`.
    pub(in super::super) fn first(
        &self,
        pages: &Pages,
        lo: Place,
        need: &Room,
        below: Place,
    ) -> Option<(Place, Room)> {
        let (lo, rest) = (lo.max(self.place(0, need)), self.rest(need));
        let mut best = None;
        let mut below = below;
        for band in &self.bands[self.band(need)..] {
            if let Some(hit) = band.first(pages, lo.0, rest, below.0) {
                below = Place(hit.key);
                best = Some((below, self.room(hit)));
            }
        }
        best
    }

    /// The room of the node that has most of this view's quantity.
    pub(in super::super) fn roomiest(&self, pages: &Pages) -> Option<Room> {
        let last = self.bands.iter().filter_map(|band| band.last(pages));
        last.max_by_key(|hit| hit.key).map(|hit| self.room(hit))
    }

    /// The most of each quantity, maybe of three nodes.
    pub(in super::super) fn most(&self, pages: &Pages) -> Room {
        let mut most = [0; 3];
        let bands = self.bands.iter().filter_map(|band| Some((band.last(pages)?, band.most())));
        for (Hit { key, .. }, rest) in bands {
            let of = self.room(Hit { key, rest });
            most = std::array::from_fn(|dim| most[dim].max(of[dim]));
        }
        most
    }

    fn place(&self, index: u32, room: &Room) -> Place {
        Place::new(self.dim.of(room), index)
    }

    /// The other two: that which the tree bounds, and that which the bands divide.
    const fn others(&self) -> [Dim; 2] {
        match self.dim {
            Dim::Cpu => [Dim::Memory, Dim::Disk],
            Dim::Memory => [Dim::Cpu, Dim::Disk],
            Dim::Disk => [Dim::Memory, Dim::Cpu],
        }
    }

    fn rest(&self, room: &Room) -> [u32; 2] {
        self.others().map(|dim| dim.of(room))
    }

    fn room(&self, hit: Hit) -> Room {
        let mut room = [0; 3];
        room[self.dim as usize] = (hit.key >> 32) as u32;
        for (dim, value) in self.others().into_iter().zip(hit.rest) {
            room[dim as usize] = value;
        }
        room
    }

    fn band(&self, room: &Room) -> usize {
        let reached = |bounds: &[u32], value| bounds.iter().filter(|each| **each <= value).count();
        match self.others()[1] {
            Dim::Disk => reached(&DISK_BANDS_MB, Dim::Disk.of(room)),
            _ => reached(&CPU_BANDS_MILLI, Dim::Cpu.of(room)),
        }
    }
}
