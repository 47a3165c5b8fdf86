//! An ordered set that also knows the most of two further quantities below each page.

use super::page::{FAN, LEAST, NONE, Page, Pages};

/// Levels of a tree: 4^16 entries at the least fill, more than an index of 32 bits names.
const LEVELS_MAX: usize = 16;

/// An entry: its key, and its other two quantities.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Hit {
    pub(super) key: u64,
    pub(super) rest: [u32; 2],
}

/// A B+ tree. Adding and removing visit one page a level.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tree {
    root: u32,
    /// Levels of inner pages above the leaves.
    height: u32,
    /// No key is greater.
    top: u64,
    /// The most of the other two quantities.
    most: [u32; 2],
}

impl Tree {
    pub(super) const EMPTY: Self = Self { root: NONE, height: 0, top: 0, most: [0; 2] };

    pub(super) fn is_empty(&self) -> bool {
        self.root == NONE
    }

    /// The most of the other two quantities, maybe of two entries.
    pub(super) fn most(&self) -> [u32; 2] {
        self.most
    }

    /// The first entry from `lo` on, and before `below`, with enough of the rest.
    ///
    /// Subtrees without enough of one quantity are passed over. If one of the two is enough
    /// everywhere this visits at most two pages a level; if not, it may also look into subtrees
    /// where the two are found in different entries.
    pub(super) fn first(&self, pages: &Pages, lo: u64, need: [u32; 2], below: u64) -> Option<Hit> {
        if self.top < lo || self.most[0] < need[0] || self.most[1] < need[1] || self.is_empty() {
            return None;
        }
        let height = self.height as usize;
        let mut path: [(u32, u32); LEVELS_MAX] = [(NONE, 0); LEVELS_MAX];
        path[0] = (self.root, pages.page(self.root).candidates(lo, need));
        let mut level = 0;
        loop {
            let (id, bits) = &mut path[level];
            if *bits == 0 {
                level = level.checked_sub(1)?;
                continue;
            }
            let slot = bits.trailing_zeros() as usize;
            *bits &= *bits - 1;
            let page = pages.page(*id);
            if level == height {
                let hit = page.hit(slot);
                return (hit.key < below).then_some(hit);
            }
            if slot > 0 && page.keys[slot - 1] >= below {
                return None;
            }
            let child = page.child[slot];
            level += 1;
            path[level] = (child, pages.page(child).candidates(lo, need));
        }
    }

    /// The entry with the greatest key.
    pub(super) fn last(&self, pages: &Pages) -> Option<Hit> {
        if self.is_empty() {
            return None;
        }
        let mut page = pages.page(self.root);
        for _ in 0..self.height {
            page = pages.page(page.child[page.len() - 1]);
        }
        Some(page.hit(page.len() - 1))
    }

    /// Adds an entry, whose key is not there yet.
    pub(super) fn insert(&mut self, pages: &mut Pages, key: u64, rest: [u32; 2]) {
        if self.is_empty() {
            *self = Self { root: pages.take(), ..Self::EMPTY };
        }
        self.top = self.top.max(key);
        self.most = max(self.most, rest);
        if pages.page(self.root).len() == FAN {
            let root = pages.take();
            let most = pages.page(self.root).most();
            pages.page_mut(root).insert(0, u64::MAX, most, self.root);
            split(pages, root, 0);
            self.root = root;
            self.height += 1;
        }
        let mut id = self.root;
        for _ in 0..self.height {
            let slot = pages.page(id).child_slot(key);
            let slot = match pages.page(pages.page(id).child[slot]).len() {
                FAN => {
                    split(pages, id, slot);
                    slot + usize::from(key > pages.page(id).keys[slot])
                }
                _ => slot,
            };
            let page = pages.page_mut(id);
            page.keys[slot] = page.keys[slot].max(key);
            for (of, value) in page.rest.iter_mut().zip(rest) {
                of[slot] = of[slot].max(value);
            }
            id = page.child[slot];
        }
        let leaf = pages.page_mut(id);
        leaf.insert(leaf.lower_bound(key), key, rest, NONE);
    }

    /// Removes an entry; false if it is not there.
    pub(super) fn remove(&mut self, pages: &mut Pages, key: u64) -> bool {
        if self.is_empty() {
            return false;
        }
        let mut path: [(u32, usize); LEVELS_MAX] = [(NONE, 0); LEVELS_MAX];
        let mut id = self.root;
        for step in &mut path[..self.height as usize] {
            let page = pages.page(id);
            let slot = page.child_slot(key);
            *step = (id, slot);
            id = page.child[slot];
        }
        let leaf = pages.page_mut(id);
        let slot = leaf.lower_bound(key);
        if slot == leaf.len() || leaf.keys[slot] != key {
            return false;
        }
        leaf.remove(slot);
        let mut changed = true;
        for (id, slot) in path[..self.height as usize].iter().rev() {
            changed = refresh(pages, *id, *slot);
            if !changed {
                break;
            }
        }
        self.shrink(pages);
        if changed && !self.is_empty() {
            self.most = pages.page(self.root).most();
        }
        if key == self.top {
            self.top = self.last(pages).map_or(0, |hit| hit.key);
        }
        true
    }

    fn shrink(&mut self, pages: &mut Pages) {
        while self.height > 0 && pages.page(self.root).len() == 1 {
            let only = pages.page(self.root).child[0];
            pages.give(self.root);
            self.root = only;
            self.height -= 1;
        }
        if pages.page(self.root).len() == 0 {
            pages.give(self.root);
            *self = Self::EMPTY;
        }
    }
}

impl Page {
    fn hit(&self, slot: usize) -> Hit {
        Hit { key: self.keys[slot], rest: [self.rest[0][slot], self.rest[1][slot]] }
    }

    /// The child where `key` is or belongs.
    fn child_slot(&self, key: u64) -> usize {
        self.lower_bound(key).min(self.len() - 1)
    }

    fn set_most(&mut self, slot: usize, most: [u32; 2]) {
        self.rest[0][slot] = most[0];
        self.rest[1][slot] = most[1];
    }
}

fn max(a: [u32; 2], b: [u32; 2]) -> [u32; 2] {
    [a[0].max(b[0]), a[1].max(b[1])]
}

/// Splits the full child at `slot` of a page that has room.
fn split(pages: &mut Pages, id: u32, slot: usize) {
    let child = pages.page(id).child[slot];
    let left = pages.page_mut(child);
    let right = left.split_off(FAN / 2);
    let (left_top, left_most) = (left.keys[FAN / 2 - 1], left.most());
    let right_most = right.most();
    let right = pages.put(right);
    let page = pages.page_mut(id);
    page.insert(slot + 1, page.keys[slot], right_most, right);
    page.keys[slot] = left_top;
    page.set_most(slot, left_most);
}

/// What a page says of its child at `slot`, from which something was removed; whether that changed.
fn refresh(pages: &mut Pages, id: u32, slot: usize) -> bool {
    let page = pages.page(id);
    let child = pages.page(page.child[slot]);
    if child.len() < LEAST && page.len() > 1 {
        join(pages, id, slot.min(page.len() - 2));
        return true;
    }
    let most = child.most();
    let page = pages.page_mut(id);
    let changed = most != [page.rest[0][slot], page.rest[1][slot]];
    page.set_most(slot, most);
    changed
}

/// Makes one page of the children at `slot` and after it, or shares their entries evenly.
fn join(pages: &mut Pages, id: u32, slot: usize) {
    let [left_id, right_id] = [0, 1].map(|next| pages.page(id).child[slot + next]);
    let right = *pages.page(right_id);
    let left = pages.page_mut(left_id);
    let together = left.len() + right.len();
    if together <= FAN {
        left.extend(&right, 0..right.len());
        let most = left.most();
        pages.give(right_id);
        let page = pages.page_mut(id);
        page.keys[slot] = page.keys[slot + 1];
        page.set_most(slot, most);
        page.remove(slot + 1);
        return;
    }
    let half = together / 2;
    let right = if left.len() < half {
        let moved = half - left.len();
        left.extend(&right, 0..moved);
        let mut right = right;
        right.split_off(moved)
    } else {
        let mut moved = left.split_off(half);
        moved.extend(&right, 0..right.len());
        moved
    };
    let (left_top, left_most) = (left.keys[half - 1], left.most());
    let right_most = right.most();
    *pages.page_mut(right_id) = right;
    let page = pages.page_mut(id);
    page.keys[slot] = left_top;
    page.set_most(slot, left_most);
    page.set_most(slot + 1, right_most);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// What each page says of those below it is so; gives the keys in order.
    fn check(tree: &Tree, pages: &Pages) -> Vec<u64> {
        fn walk(pages: &Pages, id: u32, height: u32, root: bool, keys: &mut Vec<u64>) -> [u32; 2] {
            let page = pages.page(id);
            assert!(root || page.len() >= LEAST, "{} entries", page.len());
            assert!(page.rest.iter().all(|of| of[page.len()..].iter().all(|value| *value == 0)));
            for slot in 0..page.len() {
                if height == 0 {
                    keys.push(page.keys[slot]);
                    continue;
                }
                let before = keys.len();
                let most = walk(pages, page.child[slot], height - 1, false, keys);
                assert_eq!(most, page.hit(slot).rest);
                assert!(keys[before..].iter().all(|key| *key <= page.keys[slot]));
                assert!(slot == 0 || keys[before..].iter().all(|key| *key > page.keys[slot - 1]));
            }
            page.most()
        }
        let mut keys = Vec::new();
        if !tree.is_empty() {
            assert_eq!(walk(pages, tree.root, tree.height, true, &mut keys), tree.most);
            assert_eq!(keys.last(), Some(&tree.top));
        }
        assert!(keys.is_sorted());
        keys
    }

    #[derive(Clone, Debug)]
    enum Step {
        Add(u64, [u32; 2]),
        Remove(usize),
        RemoveSpan(usize, usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let rest = || prop::array::uniform2(0u32..20);
        let step = prop_oneof![
            6 => (0u64..400, rest()).prop_map(|(key, rest)| Step::Add(key, rest)),
            3 => any::<usize>().prop_map(Step::Remove),
            1 => (any::<usize>(), 0usize..60).prop_map(|(at, len)| Step::RemoveSpan(at, len)),
        ];
        prop::collection::vec(step, 0..500)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn holds_and_finds_what_a_list_does(
            steps in steps(),
            asked in prop::collection::vec((0u64..420, prop::array::uniform2(0u32..22), 0u64..500), 20),
        ) {
            let (mut pages, mut tree) = (Pages::default(), Tree::EMPTY);
            let mut model: BTreeMap<u64, [u32; 2]> = BTreeMap::new();
            for step in steps {
                let keys: Vec<u64> = model.keys().copied().collect();
                match step {
                    Step::Add(key, rest) => {
                        prop_assert_eq!(tree.remove(&mut pages, key), model.contains_key(&key));
                        tree.insert(&mut pages, key, rest);
                        model.insert(key, rest);
                    }
                    Step::Remove(pick) if !keys.is_empty() => {
                        let key = keys[pick % keys.len()];
                        prop_assert!(tree.remove(&mut pages, key));
                        model.remove(&key);
                    }
                    Step::RemoveSpan(at, len) if !keys.is_empty() => {
                        for key in keys.iter().skip(at % keys.len()).take(len) {
                            prop_assert!(tree.remove(&mut pages, *key));
                            model.remove(key);
                        }
                    }
                    Step::Remove(_) | Step::RemoveSpan(..) => {}
                }
                prop_assert_eq!(check(&tree, &pages), model.keys().copied().collect::<Vec<_>>());
            }
            for (lo, need, below) in asked {
                let expected = model
                    .iter()
                    .find(|(key, rest)| **key >= lo && rest[0] >= need[0] && rest[1] >= need[1])
                    .filter(|(key, _)| **key < below)
                    .map(|(key, rest)| Hit { key: *key, rest: *rest });
                prop_assert_eq!(tree.first(&pages, lo, need, below), expected);
            }
            let last = model.last_key_value().map(|(key, rest)| Hit { key: *key, rest: *rest });
            prop_assert_eq!(tree.last(&pages), last);
            for key in model.keys() {
                prop_assert!(tree.remove(&mut pages, *key));
            }
            prop_assert!(tree.is_empty());
            prop_assert_eq!(pages.used(), 0, "an empty tree holds no page");
        }
    }
}
