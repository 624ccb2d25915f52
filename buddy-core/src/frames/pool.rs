//! A zone's frames: a tree, and before it slabs of small blocks, so that each CPU takes and gives most of
//! them by one change of one word.
//!
//! To the tree a slab is in somebody's hands. So whatever looks at free frames, or wants certain ones, has
//! the slabs with free slots made trees again first; and so is a slab before one of its slots is freed in
//! part or divided. What is refused while slots are free is attempted again while none is.

use crate::class::{Class, Classes};
use crate::supply::{Leaves, Names, Shape, Supply};
use crate::tree::{AllocError, Extent, FreeError, Kind, Order, Policy, Tree, Word};
use core::ops::Range;

/// The frames of a zone: the leaves of the tree have the frames' numbers.
pub(super) struct Pool<'m, W: Word, P: Policy> {
    tree: Tree<&'m mut [W], P>,
    /// What is known of slabs lies behind the tree's own words.
    slabs: Shape,
}

impl<'m, W: Word, P: Policy> Pool<'m, W, P> {
    /// The words of a pool's metadata; `usize::MAX` if it cannot span so many frames.
    pub(super) const fn words(span: Range<usize>) -> usize {
        let frames = span.end.saturating_sub(span.start);
        let words = Tree::<&'m mut [W], P>::metadata_words(span);
        if P::LAZY { words.saturating_add(Shape::words_for::<W>(frames, words)) } else { words }
    }

    /// A pool in words that hold zeros, with all frames reserved.
    pub(super) fn new(storage: &'m mut [W], span: Range<usize>) -> Option<Self> {
        let words = storage.len();
        let tree = Tree::reserved_zeroed(storage, span).ok()?;
        let at = tree.own_words();
        let slabs = if P::LAZY {
            Shape::fitting::<_, P, Leaves>(&tree, at, words - at)
        } else {
            Shape::none(words)
        }?;
        let pool = Self { tree, slabs };
        pool.supply().lay_out();
        Some(pool)
    }

    /// The tree. What rests is allocated there.
    pub(super) fn tree(&self) -> &Tree<&'m mut [W], P> {
        &self.tree
    }

    /// The tree, in which everything is merged, and no slab has a free slot, as long as no other call
    /// frees.
    pub(super) fn settled(&self) -> &Tree<&'m mut [W], P> {
        self.supply().settle();
        self.tree.settle();
        &self.tree
    }

    /// The tree, without slabs, and in which everything is merged, as long as no other call is made.
    pub(super) fn dissolved(&self) -> &Tree<&'m mut [W], P> {
        self.supply().dissolve();
        self.settled()
    }

    #[inline(always)]
    fn supply(&self) -> Supply<'_, &'m mut [W], P> {
        Supply::new(&self.tree, &self.slabs, Leaves)
    }

    /// The class of blocks of exactly so many frames.
    #[inline(always)]
    fn class(frames: usize) -> Option<Class> {
        let class = Classes::<P>::holding(frames.checked_sub(1)?);
        (class.leaves == frames).then_some(class)
    }

    /// Frames of free slots, and of blocks on stacks. O(slabs with a free slot).
    pub(super) fn resting(&self) -> usize {
        self.supply().resting()
    }

    /// What a frame belongs to.
    pub(super) fn extent_at(&self, frame: usize) -> Option<Extent> {
        self.supply().extent_at(frame)
    }

    /// The class of blocks of an order: powers of two are always sizes.
    #[inline(always)]
    fn class_of(order: Order) -> Class {
        Classes::<P>::holding(order.leaves() - 1)
    }

    /// Takes a block of an order that is at hand.
    #[inline(always)]
    pub(super) fn take_at_hand(&self, order: Order) -> Option<usize> {
        self.supply().take(Self::class_of(order))
    }

    /// As [`Self::take_at_hand`], of any slab.
    #[inline]
    pub(super) fn take_marked(&self, order: Order) -> Option<usize> {
        self.supply().take_marked(Self::class_of(order))
    }

    /// Frees the block of so many frames at a frame of the pool, if that needs no look at the tree; says whether
    /// it did.
    #[inline(always)]
    pub(super) fn give_plain(&self, first: usize, frames: usize) -> bool {
        let class = Self::class(frames);
        class.is_some_and(|class| {
            self.supply().give_plain(class, || Some(first), || Some(first << Leaves::FINE))
        })
    }

    /// Takes a slot of a slab.
    fn take_supplied(&self, frames: usize) -> Option<usize> {
        let (supply, class) = (self.supply(), Self::class(frames)?);
        let taken = supply.take(class).or_else(|| supply.take_marked(class));
        let taken = taken.or_else(|| Some(supply.raise(class)?.first));
        taken.or_else(|| supply.take_others(class))
    }

    /// Allocates a block of an order.
    #[inline]
    pub(super) fn take_block(&self, order: Order) -> Result<usize, AllocError> {
        match self.take_supplied(order.leaves()) {
            Some(first) => Ok(first),
            None => self.insist(|tree| tree.allocate(order)),
        }
    }

    /// Allocates contiguous frames, anywhere.
    pub(super) fn take(&self, frames: usize) -> Result<usize, AllocError> {
        match self.take_supplied(frames) {
            Some(first) => Ok(first),
            None => self.insist(|tree| tree.allocate_anywhere(frames)),
        }
    }

    /// Allocates blocks of an order, and returns how many.
    pub(super) fn take_many(&self, order: Order, out: &mut [usize]) -> usize {
        let mut had = 0;
        while had < out.len() {
            let Some(first) = self.take_supplied(order.leaves()) else { break };
            out[had] = first;
            had += 1;
        }
        if had < out.len() {
            self.supply().insist(|| {
                had += self.tree.allocate_many(order, &mut out[had..]);
                (had == out.len()).then_some(())
            });
        }
        had
    }

    /// Attempts something in the tree; if it is refused, once more while nothing rests.
    pub(super) fn insist<T, E>(
        &self,
        attempt: impl Fn(&Tree<&'m mut [W], P>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut last = None;
        self.supply().insist(|| {
            let result = attempt(&self.tree);
            let is_done = result.is_ok();
            last = Some(result);
            is_done.then_some(())
        });
        last.unwrap_or_else(|| attempt(&self.tree))
    }

    /// Frees the block of so many frames at a frame.
    #[inline]
    pub(super) fn give(&self, first: usize, frames: usize) -> Result<(), FreeError> {
        let is_freed = match Self::class(frames) {
            Some(class) => self.supply().give(first, class),
            None => self.tree.free_sized(first, frames).is_ok(),
        };
        if is_freed { Ok(()) } else { Err(self.why_not(first, frames)) }
    }

    /// Frees the block at a frame, and returns how many frames it had.
    pub(super) fn give_all(&self, first: usize) -> Result<usize, FreeError> {
        let frames = self.supply().leaves_of(first)?;
        self.give(first, frames)?;
        Ok(frames)
    }

    /// Frees a part of a block.
    pub(super) fn give_part(&self, first: usize, frames: usize) -> Result<(), FreeError> {
        if frames == 0 {
            return Err(FreeError::ZeroSize);
        }
        let block = self.extent_at(first).ok_or(FreeError::OutOfRange { leaf: first })?;
        match block.kind {
            Kind::Used => {}
            Kind::Reserved => return Err(FreeError::Reserved { leaf: first }),
            Kind::Free => return Err(FreeError::AlreadyFree { leaf: first }),
        }
        let actual = block.end() - first;
        if frames > actual {
            return Err(FreeError::WrongSize { leaf: first, given: frames, actual });
        }
        if frames == block.leaves {
            return self.give(first, frames);
        }
        self.detach(block.first, block.leaves)?;
        self.tree.free_part_detached(&block, first, frames);
        Ok(())
    }

    /// Divides a block into blocks of `each` frames, and returns how many they are.
    pub(super) fn divide(
        &self,
        first: usize,
        frames: usize,
        each: usize,
    ) -> Result<usize, FreeError> {
        if each == 0 {
            return Err(FreeError::ZeroSize);
        }
        self.detach(first, frames)?;
        Ok(self.tree.divide_detached(first, frames, each))
    }

    /// Takes an allocated block out of the tree.
    fn detach(&self, first: usize, frames: usize) -> Result<(), FreeError> {
        let is_detached = match Self::class(frames) {
            Some(class) => self.supply().detach(first, class),
            None => self.tree.detach(first, frames),
        };
        if is_detached { Ok(()) } else { Err(self.why_not(first, frames)) }
    }

    /// Why no block of so many frames is held at a frame.
    #[cold]
    fn why_not(&self, leaf: usize, given: usize) -> FreeError {
        match self.supply().leaves_of(leaf) {
            // It was freed in between, and allocated again.
            Ok(actual) if actual == given => FreeError::AlreadyFree { leaf },
            Ok(actual) => FreeError::WrongSize { leaf, given, actual },
            Err(error) => error,
        }
    }
}
