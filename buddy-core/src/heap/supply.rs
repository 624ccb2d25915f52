//! Blocks at addresses: the supply's, or the tree's where alignment or shortage asks for more.

use super::Heap;
use crate::class::Class;
use crate::supply::Supply;
use crate::tree::{Policy, Storage, Tree};
use core::sync::atomic::Ordering::Relaxed;

impl<S: Storage, const MIN_BLOCK: usize, P: Policy, const REGIONS: usize>
    Heap<S, MIN_BLOCK, P, REGIONS>
{
    #[inline(always)]
    pub(super) fn supply<'t>(&'t self, tree: &'t Tree<S, P>) -> Supply<'t, S, P> {
        Supply::new(tree, &self.slabs)
    }

    /// Allocates a block of the class at a multiple of `align`: its first leaf.
    #[inline(always)]
    pub(super) fn take(&self, tree: &Tree<S, P>, class: Class, align: usize) -> Option<usize> {
        if self.is_aligned_in_slabs(class, align) {
            if let Some(first) = self.supply(tree).take(class) {
                return Some(first);
            }
        }
        self.take_slow(tree, class, align)
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

    #[inline(never)]
    fn take_slow(&self, tree: &Tree<S, P>, class: Class, align: usize) -> Option<usize> {
        if self.is_aligned_in_slabs(class, align) {
            if let Some(first) = self.supply(tree).take_marked(class) {
                return Some(first);
            }
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
        misaligned: usize,
        class: Class,
        align: usize,
    ) -> Option<usize> {
        let first = self.allocate_aligned(tree, class.leaves, align);
        self.supply(tree).give(misaligned, class);
        self.hand_out(tree, &(first?..first? + class.leaves));
        first
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::tree::Plain;
    use core::mem::MaybeUninit;
    use core::ptr::NonNull;

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
        let aligned = heap.take(tree, class, align).unwrap();
        let start = heap.start_of(tree, aligned, class, align).unwrap();
        assert_eq!(Some(start), heap.regions.pointer_to(aligned));
        // Leaves that are no multiple of 4.
        let lowest =
            heap.walk().next().and_then(|block| heap.regions.leaf_at(block.start)).unwrap();
        let mut misaligned = (lowest.next_multiple_of(4) + 1..).step_by(4);
        let misaligned = misaligned.find(|at| tree.allocate_at(*at, 4).is_ok()).unwrap();
        let other = heap.start_of(tree, misaligned, class, align).unwrap();
        assert!(other.addr().get() % align == 0 && other != start);
        assert!(!tree.has_block(misaligned, 4));
        assert_eq!(free - heap.total_free(), 2 * 64);
        // Where no alignment is asked for, the block is as good as another.
        tree.allocate_at(misaligned, 4).unwrap();
        let same = heap.start_of(tree, misaligned, class, 16);
        assert_eq!(same, heap.regions.pointer_to(misaligned));
    }
}
