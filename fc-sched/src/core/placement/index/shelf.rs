//! Nodes that are alike in all but their room.

use super::{Dim, Pages, Place, Room, View, fits};

/// Up to this many nodes are a list that is read from end to end: it is faster than a tree, and
/// small, for the many accounts with few nodes of their own.
const LIST_MAX: usize = 32;

/// Nodes that are alike in all but their room.
#[derive(Debug)]
pub(in super::super) struct Shelf {
    len: u32,
    kept: Kept,
}

#[derive(Debug)]
enum Kept {
    List(Vec<(Room, u32)>),
    /// By vCPU, by memory, by disk. Once this, it stays so until the shelf is gone.
    Views(Box<[View; 3]>),
}

impl Shelf {
    pub(in super::super) const fn new() -> Self {
        Self { len: 0, kept: Kept::List(Vec::new()) }
    }

    pub(in super::super) fn len(&self) -> u32 {
        self.len
    }

    pub(in super::super) fn insert(&mut self, pages: &mut Pages, index: u32, room: &Room) {
        self.len += 1;
        if let Kept::List(list) = &mut self.kept {
            if list.len() < LIST_MAX {
                return list.push((*room, index));
            }
            let mut views = Box::new(Dim::ALL.map(View::new));
            for (room, index) in list {
                views.iter_mut().for_each(|view| view.insert(pages, *index, room));
            }
            self.kept = Kept::Views(views);
        }
        if let Kept::Views(views) = &mut self.kept {
            views.iter_mut().for_each(|view| view.insert(pages, index, room));
        }
    }

    pub(in super::super) fn remove(&mut self, pages: &mut Pages, index: u32, room: &Room) {
        self.len -= 1;
        match &mut self.kept {
            Kept::List(list) => {
                if let Some(at) = list.iter().position(|(_, each)| *each == index) {
                    list.swap_remove(at);
                }
            }
            Kept::Views(views) => {
                views.iter_mut().for_each(|view| view.remove(pages, index, room));
            }
        }
    }

    /// The node has other room now.
    pub(in super::super) fn update(
        &mut self,
        pages: &mut Pages,
        index: u32,
        old: &Room,
        new: &Room,
    ) {
        match &mut self.kept {
            Kept::List(list) => {
                if let Some((room, _)) = list.iter_mut().find(|(_, each)| *each == index) {
                    *room = *new;
                }
            }
            Kept::Views(views) => {
                for view in views.iter_mut() {
                    view.remove(pages, index, old);
                    view.insert(pages, index, new);
                }
            }
        }
    }

    /// In the order of `by`, the first node from `lo` on, and before `below`, with room for `need`.
    pub(in super::super) fn first(
        &self,
        pages: &Pages,
        by: Dim,
        lo: Place,
        need: &Room,
        below: Place,
    ) -> Option<Place> {
        let views = match &self.kept {
            Kept::Views(views) => views,
            Kept::List(list) => {
                let fitting = list.iter().filter(|(room, _)| fits(need, room));
                let places = fitting.map(|(room, index)| Place::new(by.of(room), *index));
                return places.filter(|place| *place >= lo && *place < below).min();
            }
        };
        let mut below = below;
        if by == Dim::Disk {
            // Bands by disk are exact for the sizes that disks have, bands by vCPU are not: so ask
            // first whether there is room at all. That also bounds the search for the best.
            let (place, room) =
                views[Dim::Cpu as usize].first(pages, Place::FIRST, need, Place::END)?;
            let some = Place::new(by.of(&room), place.index());
            if some >= lo {
                below = below.min(some.next());
            }
        }
        views[by as usize].first(pages, lo, need, below).map(|(place, _)| place)
    }

    /// The room of the node that has most of `by`.
    pub(in super::super) fn roomiest(&self, pages: &Pages, by: Dim) -> Option<Room> {
        match &self.kept {
            Kept::List(list) => {
                list.iter().max_by_key(|(room, index)| (by.of(room), *index)).map(|(room, _)| *room)
            }
            Kept::Views(views) => views[by as usize].roomiest(pages),
        }
    }
}
