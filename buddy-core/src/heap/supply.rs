//! Blocks at addresses: the supply's, or the tree's where alignment or shortage asks for more.

use super::{AllocError, Heap};
use crate::class::Class;
use crate::supply::{Names, Shape, Supply};
use crate::tree::{Policy, Storage, Tree, Word, max_value};
use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::Ordering::Relaxed;

impl<S: Storage, const MIN_BLOCK: usize, P: Policy, const REGIONS: usize>
    Heap<S, MIN_BLOCK, P, REGIONS>
{
    #[inline(always)]
    pub(super) fn supply<'t>(&'t self, tree: &'t Tree<S, P>) -> Supply<'t, S, P, &'t Self> {
        Supply::new(tree, &self.slabs, self)
    }

    /// Whether small blocks come from slabs, and blocks rest on stacks: not where all that is freed is
    /// merged at once.
    pub(super) const HAS_SLABS: bool = P::LAZY;

    /// The tree, if there may be a block in front of it that has the alignment wherever it is.
    #[inline(always)]
    pub(super) fn slabs_for(&self, align: usize) -> Option<&Tree<S, P>> {
        self.tree.as_ref().filter(|_| Self::HAS_SLABS && align <= MIN_BLOCK)
    }

    /// Takes a block of the class at a multiple of `align` that rests, or a slot of the slab that others were
    /// taken from.
    #[inline(always)]
    pub(super) fn take_at_hand(
        &self,
        tree: &Tree<S, P>,
        class: Class,
        align: usize,
    ) -> Option<NonNull<u8>> {
        if !Self::HAS_SLABS || !self.is_aligned_in_slabs(class, align) {
            return None;
        }
        let name = self.supply(tree).take(class)?;
        // SAFETY: the supply handed it out (H6).
        unsafe { self.start_named(name) }
    }

    /// Whether all slots of the class have that alignment by address: they lie side by side.
    #[inline(always)]
    fn is_aligned_in_slabs(&self, class: Class, align: usize) -> bool {
        align <= MIN_BLOCK
            || (class.leaves & (align / MIN_BLOCK - 1) == 0 && align <= self.natural.load(Relaxed))
    }

    /// Whether blocks of the class that are aligned in leaf numbers have that alignment by address.
    fn is_natural(&self, class: Class, align: usize) -> bool {
        align <= MIN_BLOCK
            || (align <= self.natural.load(Relaxed) && align / MIN_BLOCK <= 1 << class.natural)
    }

    /// Allocates a block of the class at a multiple of `align` if nothing is at hand: its first leaf.
    #[inline(never)]
    pub(super) fn take_slow(&self, tree: &Tree<S, P>, class: Class, align: usize) -> Option<usize> {
        let is_aligned = Self::HAS_SLABS && self.is_aligned_in_slabs(class, align);
        let marked = if is_aligned { self.supply(tree).take_marked(class) } else { None };
        marked.or_else(|| self.take_new(tree, class, align))
    }

    /// As [`Self::take_slow`], where there is no slab with a free slot.
    pub(super) fn take_new(&self, tree: &Tree<S, P>, class: Class, align: usize) -> Option<usize> {
        if Self::HAS_SLABS && self.is_aligned_in_slabs(class, align) {
            if let Some(supplied) = self.supply(tree).raise(class) {
                self.hand_out(tree, &supplied.fresh);
                return Some(supplied.first);
            }
            if let Some(first) = self.supply(tree).take_others(class) {
                return Some(first);
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
        // What rests may be in the way.
        self.supply(tree).insist(|| self.take_from_tree(tree, class.leaves, align, is_natural))
    }

    fn take_from_tree(
        &self,
        tree: &Tree<S, P>,
        leaves: usize,
        align: usize,
        is_natural: bool,
    ) -> Option<usize> {
        if P::PACKED && align <= self.natural.load(Relaxed).max(MIN_BLOCK) {
            if let Some(first) = tree.try_packed(leaves, (align / MIN_BLOCK).max(1)) {
                return Some(first);
            }
        }
        if align <= MIN_BLOCK {
            return tree.try_anywhere(leaves);
        }
        let taken = if is_natural { tree.try_exact(leaves) } else { None };
        taken.or_else(|| self.allocate_aligned(tree, leaves, align))
    }

    /// Gives back a block that turned out not to be aligned, because a region was added whose numbers
    /// follow addresses less far, and allocates another.
    #[cold]
    pub(super) fn realign(
        &self,
        tree: &Tree<S, P>,
        misaligned: NonNull<u8>,
        class: Class,
        align: usize,
    ) -> Option<NonNull<u8>> {
        let first = self.allocate_aligned(tree, class.leaves, align);
        self.supply(tree).give(self.regions.leaf_at(misaligned)?, class);
        self.hand_out(tree, &(first?..first? + class.leaves));
        self.regions.pointer_to(first?)
    }

    /// Whether blocks are called by their address. Where no block rests, or a word has no room for
    /// addresses, they are called by their first leaf.
    const BY_ADDRESS: bool =
        Shape::has_one_thread::<S::Word, P>() && <S::Word as Word>::BITS >= usize::BITS;

    /// The name of the block at `ptr`; perhaps `None` if that is not in the first region.
    #[inline(always)]
    pub(super) fn name_at(&self, ptr: NonNull<u8>) -> Option<usize> {
        if Self::BY_ADDRESS { Some(ptr.addr().get()) } else { self.regions.leaf_in_first(ptr) }
    }

    /// The position of `ptr`: that of its leaf, and how many bytes behind that it is. `None` if it is not in the first
    /// region.
    #[inline(always)]
    pub(super) fn position_of(&self, ptr: NonNull<u8>) -> Option<usize> {
        if Self::BY_ADDRESS {
            // SAFETY: blocks are called so by the only thread that has the heap (H6).
            unsafe { self.regions.position_in_first_alone(ptr) }
        } else {
            self.regions.position_in_first(ptr)
        }
    }

    /// Where the block with that name starts; `None` never.
    ///
    /// # Safety
    /// It is the name of a block of this heap.
    #[inline(always)]
    pub(super) unsafe fn start_named(&self, name: usize) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise.
        unsafe { self.with_start(name, Some, || self.start_in_others(name)) }
    }

    /// What is said of the start of the block with that name, if it is in the first region, or of one elsewhere.
    ///
    /// # Safety
    /// It is the name of a block of this heap.
    #[inline(always)]
    pub(super) unsafe fn with_start<T>(
        &self,
        name: usize,
        say: impl FnOnce(NonNull<u8>) -> T,
        elsewhere: impl FnOnce() -> T,
    ) -> T {
        if Self::BY_ADDRESS {
            // SAFETY: the block's name is its address, as no other thread has the heap (H6).
            unsafe { self.regions.with_block_at(name, say, elsewhere) }
        } else {
            self.regions.with_pointer_to(name, say, elsewhere)
        }
    }

    /// As [`Self::start_named`], in all regions but the first.
    fn start_in_others(&self, name: usize) -> Option<NonNull<u8>> {
        if Self::BY_ADDRESS {
            self.regions.pointer_at_in_others(name)
        } else {
            self.regions.pointer_in_others(name)
        }
    }

    /// The block with that name, not in the first region, for a layout.
    #[cold]
    #[inline(never)]
    pub(super) fn block_in_others(
        &self,
        name: usize,
        layout: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let start = self.start_in_others(name).ok_or_else(|| self.refusal(layout))?;
        Ok(NonNull::slice_from_raw_parts(start, Self::class(layout).leaves * MIN_BLOCK))
    }
}

impl<S: Storage, const MIN_BLOCK: usize, P: Policy, const REGIONS: usize> Names
    for &Heap<S, MIN_BLOCK, P, REGIONS>
{
    /// Positions are bytes.
    const FINE: u32 = MIN_BLOCK.trailing_zeros();

    fn none<W: Word>() -> usize {
        // Pointers of callers have all addresses but this.
        if Heap::<S, MIN_BLOCK, P, REGIONS>::BY_ADDRESS { 0 } else { max_value::<W>() }
    }

    #[inline(always)]
    fn name(self, first: usize) -> Option<usize> {
        if !Heap::<S, MIN_BLOCK, P, REGIONS>::BY_ADDRESS {
            return Some(first);
        }
        Some(self.regions.pointer_to(first)?.addr().get())
    }

    #[inline(always)]
    fn first(self, name: usize) -> Option<usize> {
        if !Heap::<S, MIN_BLOCK, P, REGIONS>::BY_ADDRESS {
            return Some(name);
        }
        self.regions.leaf_at_address(name)
    }

    #[inline(always)]
    fn step(leaves: usize) -> usize {
        if Heap::<S, MIN_BLOCK, P, REGIONS>::BY_ADDRESS { leaves * MIN_BLOCK } else { leaves }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::tree::Plain;
    use core::mem::MaybeUninit;

    #[derive(Clone, Copy)]
    #[repr(align(4096))]
    struct Page(#[expect(dead_code, reason = "only its size counts")] [MaybeUninit<u8>; 4096]);

    /// As it happens when a region is added by another thread in the middle of a call: the block that
    /// was found has not the alignment that its number promises.
    #[test]
    fn a_block_that_turns_out_not_to_be_aligned_is_given_back() {
        let mut memory = std::vec![Page([MaybeUninit::uninit(); 4096]); 16];
        let start = NonNull::from(memory.as_mut_slice()).cast();
        // SAFETY: the test's memory, all of it, for as long as the heap lives.
        let heap: Heap<&mut [Plain], 16> = unsafe { Heap::from_raw(start, 1 << 16) }.unwrap();
        let tree = heap.tree.as_ref().unwrap();
        let (class, align) = (crate::class::Class::of(4, 3).unwrap(), 64);
        let free = heap.total_free();
        let start = heap.take_at(tree, class, align).unwrap();
        assert_eq!(start.addr().get() % align, 0);
        // Leaves that are no multiple of 4.
        let lowest =
            heap.walk().next().and_then(|block| heap.regions.leaf_at(block.start)).unwrap();
        let mut misaligned = (lowest.next_multiple_of(4) + 1..).step_by(4);
        let misaligned = misaligned.find(|at| tree.allocate_at(*at, 4).is_ok()).unwrap();
        let at = heap.regions.pointer_to(misaligned).unwrap();
        let other = heap.aligned(tree, at, class, align).unwrap();
        assert!(other.addr().get() % align == 0 && other != start);
        assert!(!tree.has_block(misaligned, 4));
        assert_eq!(free - heap.total_free(), 2 * 64);
        // Where no alignment is asked for, the block is as good as another.
        tree.allocate_at(misaligned, 4).unwrap();
        assert_eq!(heap.aligned(tree, at, class, 16), Some(at));
    }
}
