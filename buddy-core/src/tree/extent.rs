//! Extents: walking the range in address order, and finding what a leaf belongs to.

use super::Tree;
use super::block::Block;
use super::node::{CONT, FREE, HEAD, NONE};
use super::order::Order;
use super::policy::Policy;
use super::word::Storage;
use core::fmt;
use core::iter::FusedIterator;

/// What the leaves of an [`Extent`] are.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// A free block. Free blocks side by side are separate extents.
    Free,
    /// One allocated block.
    Used,
    /// Not available: held out of the range by [`Tree::reserve`], or not released yet.
    Reserved,
}

/// Leaves that belong together: a free block, an allocated block, or reserved leaves.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Extent {
    /// The first leaf.
    pub first: usize,
    /// How many leaves.
    pub leaves: usize,
    /// What they are.
    pub kind: Kind,
}

impl Extent {
    /// One past the last leaf.
    #[must_use]
    pub const fn end(&self) -> usize {
        self.first + self.leaves
    }

    /// Whether the leaf belongs to the extent.
    #[must_use]
    pub const fn contains(&self, leaf: usize) -> bool {
        self.first <= leaf && leaf < self.end()
    }
}

impl<S: Storage, P: Policy> Tree<S, P> {
    /// The extents of the range in address order; O(orders) a step.
    ///
    /// Neighbouring reserved leaves come as one extent. If other threads change the tree meanwhile,
    /// what they change may be seen before, after, or in pieces.
    ///
    /// ```
    /// # let words = [const { buddy_core::Plain::zero() }; 100];
    /// # let tree: buddy_core::Tree<_> = buddy_core::Tree::new(words, 0..100)?;
    /// tree.allocate_at(10, 5)?;
    /// let used = tree.walk().find(|extent| extent.kind == buddy_core::Kind::Used).unwrap();
    /// assert_eq!((used.first, used.leaves), (10, 5));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn walk(&self) -> Walk<'_, S, P> {
        Walk { tree: self, at: self.geometry.first, end: self.end() }
    }

    /// The extent that `leaf` belongs to, or `None` outside the range. O(orders); for a leaf inside
    /// a run of many pieces O(orders) for each piece before it.
    ///
    /// Of reserved leaves only those are told that were reserved together.
    ///
    /// ```
    /// # let words = [const { buddy_core::Plain::zero() }; 100];
    /// # let tree: buddy_core::Tree<_> = buddy_core::Tree::new(words, 0..100)?;
    /// tree.allocate_at(10, 5)?;
    /// assert_eq!(tree.extent_at(12).unwrap().first, 10);
    /// assert_eq!(tree.extent_at(100), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn extent_at(&self, leaf: usize) -> Option<Extent> {
        self.range().contains(&leaf).then(|| self.extent_containing(leaf))
    }

    pub(super) fn extent_containing(&self, leaf: usize) -> Extent {
        for order in self.orders() {
            let block = Block::containing(order, leaf);
            let start = match self.state(block) {
                NONE => continue,
                CONT => self.start_of_run(block.first()),
                _ => Some(block.first()),
            };
            // A mark that the run goes on stands above leaves of others, too.
            let extent = start.map(|start| self.extent_from(start));
            return match extent {
                Some(extent) if extent.contains(leaf) => extent,
                _ => break,
            };
        }
        Extent { first: leaf, leaves: 1, kind: Kind::Reserved }
    }

    /// The extent that starts at leaf `first`.
    pub(super) fn extent_from(&self, first: usize) -> Extent {
        let highest = first.trailing_zeros().min(self.geometry.top);
        for order in Order::range(0, highest) {
            let block = Block::containing(order, first);
            let (leaves, kind) = match self.state(block) {
                FREE => (order.leaves(), Kind::Free),
                HEAD => match self.run_leaves(block) {
                    Some(leaves) => (leaves, Kind::Used),
                    None => (2 * order.leaves(), Kind::Reserved),
                },
                _ => continue,
            };
            return Extent { first, leaves, kind };
        }
        Extent { first, leaves: 1, kind: Kind::Reserved }
    }

    /// Where the run begins that goes on at leaf `at`.
    fn start_of_run(&self, mut at: usize) -> Option<usize> {
        while at > self.geometry.first {
            let highest = at.trailing_zeros().min(self.geometry.top);
            // The lowest mark with a piece before it: a higher one may belong to another run.
            let before = Order::range(0, highest).find_map(|order| {
                let before = Block::containing(order, at - 1);
                let goes_on = self.state(before.next()) == CONT;
                let state = if goes_on { self.state(before) } else { NONE };
                matches!(state, HEAD | CONT).then_some((before, state))
            });
            match before? {
                (piece, HEAD) => return Some(piece.first()),
                (piece, _) => at = piece.first(),
            }
        }
        None
    }
}

/// The extents of a tree in address order, by [`Tree::walk`].
pub struct Walk<'t, S: Storage, P: Policy> {
    tree: &'t Tree<S, P>,
    at: usize,
    end: usize,
}

impl<S: Storage, P: Policy> Iterator for Walk<'_, S, P> {
    type Item = Extent;

    fn next(&mut self) -> Option<Extent> {
        if self.at >= self.end {
            return None;
        }
        let mut extent = self.tree.extent_from(self.at);
        while extent.kind == Kind::Reserved && extent.end() < self.end {
            let next = self.tree.extent_from(extent.end());
            if next.kind != Kind::Reserved {
                break;
            }
            extent.leaves += next.leaves;
        }
        // What was cut off behind the end may be reserved in one block with leaves before it.
        extent.leaves = extent.leaves.min(self.end - extent.first);
        self.at = extent.end();
        Some(extent)
    }
}

impl<S: Storage, P: Policy> FusedIterator for Walk<'_, S, P> {}

impl<S: Storage, P: Policy> fmt::Debug for Walk<'_, S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Walk").field("at", &self.at).field("end", &self.end).finish_non_exhaustive()
    }
}
