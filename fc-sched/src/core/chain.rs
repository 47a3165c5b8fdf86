//! Doubly linked lists over the indices of an arena: removal from the middle in constant time.

/// No node.
pub(super) const NONE: u32 = u32::MAX;

/// A node's neighbours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    prev: u32,
    next: u32,
}

impl Link {
    pub(super) const ALONE: Self = Self { prev: NONE, next: NONE };
}

/// One list: its first and last node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Chain {
    pub(super) first: u32,
    pub(super) last: u32,
}

impl Chain {
    pub(super) const EMPTY: Self = Self { first: NONE, last: NONE };

    pub(super) fn is_empty(self) -> bool {
        self.first == NONE
    }
}

/// Who holds the links.
pub(super) trait Links {
    fn link(&mut self, node: u32) -> &mut Link;

    fn push_front(&mut self, chain: &mut Chain, node: u32) {
        *self.link(node) = Link { prev: NONE, next: chain.first };
        if chain.is_empty() {
            chain.last = node;
        } else {
            self.link(chain.first).prev = node;
        }
        chain.first = node;
    }

    fn push_back(&mut self, chain: &mut Chain, node: u32) {
        *self.link(node) = Link { prev: chain.last, next: NONE };
        if chain.is_empty() {
            chain.first = node;
        } else {
            self.link(chain.last).next = node;
        }
        chain.last = node;
    }

    fn unlink(&mut self, chain: &mut Chain, node: u32) {
        let Link { prev, next } = std::mem::replace(self.link(node), Link::ALONE);
        if prev == NONE {
            chain.first = next;
        } else {
            self.link(prev).next = next;
        }
        if next == NONE {
            chain.last = prev;
        } else {
            self.link(next).prev = prev;
        }
    }
}
