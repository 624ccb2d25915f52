//! Where blocks come from and go to: the magazine, then the tree.

use crate::class::Class;
use crate::magazine::{Backing, Kept, Magazine, Shape};
use crate::tree::{Policy, Row, Storage, Tree, Word};
use core::ops::Range;

/// A block rests, or is stocked, only while this many times its size is free: in a heap that fills
/// up, larger ones are more in the way than they are worth.
const FREE_FOR_A_BLOCK: usize = 1 << 13;
/// A row is stocked with no more than this part of what is free.
const FREE_FOR_A_ROW: usize = 1 << 10;

/// Whether blocks of so many leaves are not in the way when they rest.
fn has_room_for<S: Storage, P: Policy>(tree: &Tree<S, P>, leaves: usize) -> bool {
    leaves <= tree.free_leaves() / FREE_FOR_A_BLOCK
}

impl<S: Storage, P: Policy> Backing for Tree<S, P> {
    fn detach(&self, row: Row) -> usize {
        self.detach_row(row)
    }

    fn siblings(&self, row: Row) -> usize {
        if has_room_for(self, row.leaves) { Tree::siblings(self, row) } else { 0 }
    }

    fn reattach(&self, row: Row) {
        self.reattach_row(row);
    }

    fn free(&self, row: Row) {
        self.free_row(row);
    }
}

/// A tree with a magazine before it: blocks by size class.
pub(crate) struct Supply<'t, S: Storage, P: Policy> {
    tree: &'t Tree<S, P>,
    /// The magazine's, which lies behind the tree's own words.
    shape: &'t Shape,
}

impl<S: Storage, P: Policy> Clone for Supply<'_, S, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: Storage, P: Policy> Copy for Supply<'_, S, P> {}

/// A block that was allocated.
pub(crate) struct Supplied {
    pub(crate) first: usize,
    /// Its leaves and those of others that rest now.
    pub(crate) fresh: Range<usize>,
}

impl<'t, S: Storage, P: Policy> Supply<'t, S, P> {
    /// The supply from a tree with a magazine of that shape.
    #[inline(always)]
    pub(crate) fn new(tree: &'t Tree<S, P>, shape: &'t Shape) -> Self {
        Self { tree, shape }
    }

    #[inline(always)]
    fn magazine(self) -> Magazine<'t, S::Word> {
        Magazine::new(self.tree.words(), self.shape, P::PRECISION, P::CPUS)
    }

    /// The CPU that the policy says the caller is on.
    #[inline(always)]
    fn cpu() -> usize {
        if P::CPUS <= 1 { 0 } else { P::cpu() % P::CPUS }
    }

    /// Whether blocks of the class are so small that they are not in the way when they rest.
    pub(crate) fn is_small(self, class: Class) -> bool {
        has_room_for(self.tree, class.leaves)
    }

    /// Takes a block of the class that rests where the caller took one before: its first leaf.
    #[inline(always)]
    pub(crate) fn take(self, class: Class) -> Option<usize> {
        self.magazine().take(Self::cpu(), class)
    }

    /// Takes a block of the class that rests anywhere: its first leaf.
    #[inline]
    pub(crate) fn take_marked(self, class: Class) -> Option<usize> {
        self.magazine().take_marked(Self::cpu(), class)
    }

    /// Takes a block of the class from the tree, together with others that rest from now on; `None` if
    /// blocks of the class do not rest now, or there is none.
    pub(crate) fn stock(self, class: Class) -> Option<Supplied> {
        if !self.magazine().has(class) || !self.is_small(class) || self.magazine().is_short() {
            return None;
        }
        // The blocks are in this call's hands until they rest.
        let _transit = self.tree.transit();
        let most = self.magazine().appetite(Self::cpu(), class);
        let modest = (self.tree.free_leaves() / FREE_FOR_A_ROW) >> class.natural;
        let row = self.tree.allocate_row(class.leaves, most.min(modest.max(1)))?;
        let start = |node: u32| row.first_leaf::<S::Word>(node as usize);
        let (low, high) = (start(row.blocks.trailing_zeros()), start(row.blocks.ilog2()));
        let first = self.magazine().load(Self::cpu(), class, row, self.tree);
        Some(Supplied { first, fresh: low..high + class.leaves })
    }

    /// Attempts to take something from the tree; if there is not enough, once more while nothing
    /// rests.
    pub(crate) fn insist<T>(self, mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
        attempt().or_else(|| {
            self.magazine().press();
            self.settle();
            let taken = attempt();
            self.magazine().relax();
            taken
        })
    }

    /// Frees the block of the class at `first`, if it is one; says whether it was.
    #[inline(always)]
    pub(crate) fn give(self, first: usize, class: Class) -> bool {
        match self.magazine().keep(first, class) {
            Kept::Yes => true,
            Kept::Unmarked => self.mark(first, class),
            Kept::Before => false,
            Kept::No => self.give_slow(first, class),
        }
    }

    #[inline(never)]
    fn mark(self, first: usize, class: Class) -> bool {
        let _transit = self.tree.transit();
        self.magazine().mark(first, class, self.tree);
        true
    }

    #[inline(never)]
    fn give_slow(self, first: usize, class: Class) -> bool {
        let leaves = class.leaves;
        if !self.magazine().has(class) {
            return self.tree.free_sized(first, leaves).is_ok();
        }
        // What has no row is no member of one, and nobody else makes it one meanwhile.
        if !<S::Word as Word>::SHARED && !self.magazine().has_row(first, class) {
            return self.tree.free_sized(first, leaves).is_ok();
        }
        // The block is in this call's hands, and so is what the magazine gives away for it.
        let _transit = self.tree.transit();
        if !self.tree.detach(first, leaves) {
            return false;
        }
        if self.lay_to_rest(first, class) {
            return true;
        }
        let is_held = self.magazine().forget(first, class);
        if is_held {
            self.tree.free_detached(first, leaves);
        } else {
            self.tree.reattach(first, leaves);
        }
        is_held
    }

    /// Lets a detached block rest, if it is not in the way; says whether it does.
    #[inline(always)]
    fn lay_to_rest(self, first: usize, class: Class) -> bool {
        let may_rest = self.is_small(class) || self.magazine().is_idle(class);
        may_rest && self.magazine().adopt(first, class, self.tree)
    }

    /// Frees a block that [`Self::detach`] detached.
    pub(crate) fn give_detached(self, first: usize, class: Class) {
        let _transit = self.tree.transit();
        if !(self.magazine().has(class) && self.lay_to_rest(first, class)) {
            self.tree.free_detached(first, class.leaves);
        }
    }

    /// As [`Self::give`], of a block that became too small: if it is large, it merges with what is
    /// behind it, into which the next one may grow.
    pub(crate) fn give_outgrown(self, first: usize, class: Class) -> bool {
        if self.is_small(class) {
            return self.give(first, class);
        }
        let is_held = self.detach(first, class);
        if is_held {
            self.tree.free_detached(first, class.leaves);
        }
        is_held
    }

    /// Whether a block of the class is allocated at `first`, and does not rest.
    pub(crate) fn has(self, first: usize, class: Class) -> bool {
        let known = self.magazine().knows(first, class);
        known.unwrap_or_else(|| {
            self.tree.has_block(first, class.leaves) && !self.rests(first, class)
        })
    }

    /// Whether the block of the class at `first` rests.
    pub(crate) fn rests(self, first: usize, class: Class) -> bool {
        self.magazine().holds(first, class)
    }

    /// Detaches the block of the class at `first` from the tree and from the magazine, if one is
    /// allocated there and does not rest; says whether there was one.
    pub(crate) fn detach(self, first: usize, class: Class) -> bool {
        if !self.tree.detach(first, class.leaves) {
            return false;
        }
        let is_held = self.magazine().forget(first, class);
        if !is_held {
            self.tree.reattach(first, class.leaves);
        }
        is_held
    }

    /// Leaves of blocks that rest. O(rows of the magazine).
    pub(crate) fn resting(self) -> usize {
        self.magazine().resting()
    }

    /// Gives what rests to the tree. O(rows of the magazine).
    pub(crate) fn settle(self) {
        let _transit = self.tree.transit();
        self.magazine().drain(self.tree);
    }

    /// Forgets what rests, whatever the tree says.
    pub(crate) fn clear(self) {
        self.magazine().clear();
    }
}
