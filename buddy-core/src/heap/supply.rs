//! Where blocks come from and go to: the magazine, then the tree.

use super::Heap;
use crate::class::Class;
use crate::magazine::{Kept, Magazine};
use crate::tree::{Policy, Row, Storage, Tree};
use core::sync::atomic::Ordering::Relaxed;

/// A block rests, or is stocked, only while this many times its size is free: in a heap that fills
/// up, larger ones are more in the way than they are worth.
const FREE_FOR_A_BLOCK: usize = 1 << 13;
/// A row is stocked with no more than this part of what is free.
const FREE_FOR_A_ROW: usize = 1 << 10;

impl<S: Storage, const MIN_BLOCK: usize, P: Policy, const REGIONS: usize>
    Heap<S, MIN_BLOCK, P, REGIONS>
{
    #[inline(always)]
    pub(super) fn magazine<'t>(&self, tree: &'t Tree<S, P>) -> Magazine<'t, S::Word> {
        Magazine::new(tree.words(), self.magazine, P::PRECISION)
    }

    /// Allocates a block of the class at a multiple of `align`: its first leaf.
    #[inline(always)]
    pub(super) fn take(&self, tree: &Tree<S, P>, class: Class, align: usize) -> Option<usize> {
        if self.is_natural(class, align) {
            if let Some(first) = self.magazine(tree).take(Self::cpu(), class) {
                return Some(first);
            }
        }
        self.take_slow(tree, class.leaves, align)
    }

    /// Whether blocks of the class that are aligned in leaf numbers have that alignment by address.
    #[inline(always)]
    fn is_natural(&self, class: Class, align: usize) -> bool {
        align <= MIN_BLOCK
            || (align <= self.natural.load(Relaxed) && align / MIN_BLOCK <= 1 << class.natural)
    }

    /// Whether blocks of the class are so small that they are not in the way when they rest.
    fn is_small(tree: &Tree<S, P>, class: Class) -> bool {
        class.leaves <= tree.free_leaves() / FREE_FOR_A_BLOCK
    }

    /// The CPU that the policy says the caller is on.
    #[inline(always)]
    fn cpu() -> usize {
        if P::CPUS <= 1 { 0 } else { P::cpu() % P::CPUS }
    }

    #[inline(never)]
    fn take_slow(&self, tree: &Tree<S, P>, leaves: usize, align: usize) -> Option<usize> {
        let class = Class::holding(leaves - 1, P::PRECISION);
        let magazine = self.magazine(tree);
        let is_natural = self.is_natural(class, align);
        if is_natural && magazine.has(class) && Self::is_small(tree, class) {
            let taken = magazine.take_marked(Self::cpu(), class);
            let taken = taken.or_else(|| self.take_row(tree, class));
            if taken.is_some() {
                return taken;
            }
        }
        let first = self.take_large(tree, class, align)?;
        self.hand_out(tree, &(first..first + class.leaves));
        Some(first)
    }

    /// Allocates a block of the class from the tree, and does not note that it may be written to.
    pub(super) fn take_large(
        &self,
        tree: &Tree<S, P>,
        class: Class,
        align: usize,
    ) -> Option<usize> {
        let is_natural = self.is_natural(class, align);
        let take = || self.take_from_tree(tree, class.leaves, align, is_natural);
        take().or_else(|| {
            // What rests may be in the way.
            let magazine = self.magazine(tree);
            magazine.press();
            self.settle_magazine(tree);
            let taken = take();
            magazine.relax();
            taken
        })
    }

    /// Gives back a block that turned out not to be aligned, because a region was added whose numbers
    /// follow addresses less far, and allocates another.
    #[cold]
    pub(super) fn realign(
        &self,
        tree: &Tree<S, P>,
        misaligned: usize,
        class: Class,
        align: usize,
    ) -> Option<usize> {
        let first = self.allocate_aligned(tree, class.leaves, align);
        self.give(tree, misaligned, class);
        self.hand_out(tree, &(first?..first? + class.leaves));
        first
    }

    /// Allocates several blocks of the class, of which all but one go to the magazine.
    fn take_row(&self, tree: &Tree<S, P>, class: Class) -> Option<usize> {
        let magazine = self.magazine(tree);
        if magazine.is_short() {
            return None;
        }
        // The blocks are in this call's hands until they rest.
        let _transit = tree.transit();
        let most = magazine.appetite(Self::cpu(), class);
        let modest = (tree.free_leaves() / FREE_FOR_A_ROW) >> class.natural;
        let row = tree.allocate_row(class.leaves, most.min(modest.max(1)))?;
        let (low, high) = (row.blocks.trailing_zeros(), row.blocks.ilog2());
        let start = |node: u32| row.first_leaf::<S::Word>(node);
        self.hand_out(tree, &(start(low)..start(high) + class.leaves));
        Some(magazine.load(Self::cpu(), class, row, |row| tree.free_row(row)))
    }

    fn take_from_tree(
        &self,
        tree: &Tree<S, P>,
        leaves: usize,
        align: usize,
        is_natural: bool,
    ) -> Option<usize> {
        let taken = if is_natural { tree.allocate_exact(leaves).ok() } else { None };
        if taken.is_some() {
            return taken;
        }
        if align > MIN_BLOCK {
            return self.allocate_aligned(tree, leaves, align);
        }
        // The last resort is not aligned by nature.
        tree.allocate_anywhere(leaves).ok()
    }

    /// Frees the block of the class at `first`, if it is one.
    #[inline(always)]
    pub(super) fn give(&self, tree: &Tree<S, P>, first: usize, class: Class) -> bool {
        match self.magazine(tree).keep(first, class) {
            Kept::Yes => true,
            Kept::Before => false,
            Kept::No => self.give_slow(tree, first, class.leaves),
        }
    }

    #[inline(never)]
    fn give_slow(&self, tree: &Tree<S, P>, first: usize, leaves: usize) -> bool {
        let class = Class::holding(leaves - 1, P::PRECISION);
        let magazine = self.magazine(tree);
        if magazine.has(class) {
            if !tree.has_block(first, class.leaves) {
                return false;
            }
            let kept = if Self::is_small(tree, class) {
                magazine.adopt(first, class, |row| tree.free_row(row))
            } else if magazine.holds(first, class) {
                Kept::Before
            } else {
                Kept::No
            };
            match kept {
                Kept::Yes => return true,
                Kept::Before => return false,
                Kept::No => magazine.forget(first, class),
            }
        }
        tree.free_sized(first, class.leaves).is_ok()
    }

    /// Whether a block of the class is allocated at `first`, and does not rest.
    pub(super) fn is_held(&self, tree: &Tree<S, P>, first: usize, class: Class) -> bool {
        let magazine = self.magazine(tree);
        magazine
            .knows(first, class)
            .unwrap_or_else(|| tree.has_block(first, class.leaves) && !magazine.holds(first, class))
    }

    /// Gives what rests to the tree.
    pub(super) fn settle_magazine(&self, tree: &Tree<S, P>) {
        self.magazine(tree).drain(|row: Row| tree.free_row(row));
    }
}
