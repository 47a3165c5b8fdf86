//! Pages of the trees, in one arena.

/// Entries of a page: with 16, a page is six cache lines and 100 000 entries are five levels.
pub(super) const FAN: usize = 16;

/// A page below this is joined with its neighbour, so that a tree of n entries has at most
/// log₄ n levels, whatever was added and removed.
pub(super) const LEAST: usize = FAN / 4;

/// No page.
pub(super) const NONE: u32 = u32::MAX;

/// A leaf, whose entries are nodes, or an inner page, whose entries are pages.
///
/// Places past `len` hold zeros in `rest`, so that a maximum needs no bound.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    pub(super) len: u32,
    /// Leaf: the entry's key. Inner: no key of the child is greater, all of the next one are.
    pub(super) keys: [u64; FAN],
    /// The other two quantities; of an inner page, the most that is found in the child.
    pub(super) rest: [[u32; FAN]; 2],
    /// Inner: the child.
    pub(super) child: [u32; FAN],
}

impl Page {
    const EMPTY: Self = Self { len: 0, keys: [0; FAN], rest: [[0; FAN]; 2], child: [NONE; FAN] };

    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    /// The most of each of the other two quantities.
    pub(super) fn most(&self) -> [u32; 2] {
        self.rest.map(|of| of.into_iter().fold(0, u32::max))
    }

    /// A bit for each entry that may hold a key from `lo` on with enough of the rest.
    #[inline]
    pub(super) fn candidates(&self, lo: u64, need: [u32; 2]) -> u32 {
        let mut bits = 0u32;
        for slot in 0..FAN {
            let fits = (self.keys[slot] >= lo)
                & (self.rest[0][slot] >= need[0])
                & (self.rest[1][slot] >= need[1]);
            bits |= u32::from(fits) << slot;
        }
        bits & ((1 << self.len) - 1)
    }

    /// The first entry whose key is not less than `key`; `len` if there is none.
    #[inline]
    pub(super) fn lower_bound(&self, key: u64) -> usize {
        self.keys[..self.len()].iter().filter(|each| **each < key).count()
    }

    pub(super) fn insert(&mut self, slot: usize, key: u64, rest: [u32; 2], child: u32) {
        let len = self.len();
        self.keys.copy_within(slot..len, slot + 1);
        self.child.copy_within(slot..len, slot + 1);
        for (of, value) in self.rest.iter_mut().zip(rest) {
            of.copy_within(slot..len, slot + 1);
            of[slot] = value;
        }
        self.keys[slot] = key;
        self.child[slot] = child;
        self.len += 1;
    }

    pub(super) fn remove(&mut self, slot: usize) {
        let len = self.len();
        self.keys.copy_within(slot + 1..len, slot);
        self.child.copy_within(slot + 1..len, slot);
        for of in &mut self.rest {
            of.copy_within(slot + 1..len, slot);
            of[len - 1] = 0;
        }
        self.len -= 1;
    }

    /// Moves the entries from `slot` on to a page of their own.
    pub(super) fn split_off(&mut self, slot: usize) -> Self {
        let mut right = Self::EMPTY;
        right.extend(self, slot..self.len());
        for of in &mut self.rest {
            of[slot..].fill(0);
        }
        self.len = slot as u32;
        right
    }

    /// Adds entries of `from`, all of which come after those here.
    pub(super) fn extend(&mut self, from: &Self, slots: std::ops::Range<usize>) {
        let (len, more) = (self.len(), slots.len());
        self.keys[len..len + more].copy_from_slice(&from.keys[slots.clone()]);
        self.child[len..len + more].copy_from_slice(&from.child[slots.clone()]);
        for (of, source) in self.rest.iter_mut().zip(&from.rest) {
            of[len..len + more].copy_from_slice(&source[slots.clone()]);
        }
        self.len += more as u32;
    }
}

/// The pages of all trees of a cluster; what one tree gives up another takes.
#[derive(Debug, Default)]
pub(in super::super) struct Pages {
    pages: Vec<Page>,
    free: Vec<u32>,
}

impl Pages {
    pub(super) fn page(&self, id: u32) -> &Page {
        &self.pages[id as usize]
    }

    pub(super) fn page_mut(&mut self, id: u32) -> &mut Page {
        &mut self.pages[id as usize]
    }

    pub(super) fn take(&mut self) -> u32 {
        self.put(Page::EMPTY)
    }

    pub(super) fn put(&mut self, page: Page) -> u32 {
        match self.free.pop() {
            Some(id) => {
                self.pages[id as usize] = page;
                id
            }
            None => {
                self.pages.push(page);
                (self.pages.len() - 1) as u32
            }
        }
    }

    pub(super) fn give(&mut self, id: u32) {
        self.free.push(id);
        if self.free.len() == self.pages.len() {
            // A cluster without nodes keeps no memory for those that it once had.
            *self = Self::default();
        }
    }

    /// Pages in use.
    #[cfg(test)]
    pub(in super::super) fn used(&self) -> usize {
        self.pages.len() - self.free.len()
    }
}
