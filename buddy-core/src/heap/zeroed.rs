//! Blocks of zeros, and memory that is known to be zero.

use super::zeros::Zeros;
use super::{AllocError, FreeError, Heap};
use crate::tree::{Policy, Storage, Tree};
use core::alloc::Layout;
use core::ops::Range;
use core::ptr::NonNull;

/// Smaller blocks are cleared without asking whether they are zero, and come from slabs first.
const WORTH_ASKING: usize = 16 << 10;

impl<S: Storage, const MIN_BLOCK: usize, P: Policy, const REGIONS: usize>
    Heap<S, MIN_BLOCK, P, REGIONS>
{
    /// As [`Self::allocate`], with all bytes of the slice zero.
    ///
    /// O(size) besides, except for memory that is known to be zero, in whole chunks of 4096 minimum
    /// blocks: what was given to the heap as such ([`Self::assume_zeroed`],
    /// [`Self::from_raw_zeroed`](Heap::from_raw_zeroed)) and not handed out since.
    ///
    /// ```
    /// # use buddy_core::{Heap, Plain};
    /// # use core::{alloc::Layout, mem::MaybeUninit};
    /// # let mut memory = [const { MaybeUninit::uninit() }; 10_000];
    /// # let heap: Heap<&mut [Plain], 16> = Heap::from_region(&mut memory)?;
    /// let block = heap.allocate_zeroed(Layout::new::<[u32; 100]>())?;
    /// // SAFETY: zeros are numbers, and nobody else uses the block.
    /// assert_eq!(unsafe { block.cast::<[u32; 100]>().read() }, [0; 100]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Self::allocate`].
    #[inline]
    pub fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if layout.size() >= WORTH_ASKING {
            return self.allocate_unknown_cleared(layout);
        }
        let block = self.allocate(layout)?;
        // SAFETY: the slice is a block that nobody else knows yet (H3), in memory that may be
        // written (H1), or empty.
        unsafe { block.cast::<u8>().write_bytes(0, block.len()) };
        Ok(block)
    }

    /// Allocates a block from the tree and clears what of it is not known to be zero.
    #[cold]
    fn allocate_unknown_cleared(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let class = Self::class(layout);
        let Some(tree) = &self.tree else {
            return Err(self.refusal(layout));
        };
        let first = self.take_large(tree, class, layout.align());
        let Some(block) = first.and_then(|first| Some((first, self.regions.pointer_to(first)?)))
        else {
            return Err(self.refusal(layout));
        };
        let (first, start) = block;
        self.zeros(tree).take_all(first..first + class.leaves, |unknown| {
            // SAFETY: inside the block.
            let from = unsafe { start.add((unknown.start - first) * MIN_BLOCK) };
            // SAFETY: as above; nobody else knows the block yet (H3), and it may be written (H1).
            unsafe { from.write_bytes(0, unknown.len() * MIN_BLOCK) };
        });
        Ok(NonNull::slice_from_raw_parts(start, class.leaves * MIN_BLOCK))
    }

    /// As [`Self::deallocate`], of a block whose bytes are all zero, because it was given back to the
    /// system for example: [`Self::allocate_zeroed`] need not clear it.
    ///
    /// ```
    /// # use buddy_core::{Heap, Plain};
    /// # use core::{alloc::Layout, mem::MaybeUninit};
    /// # let mut memory = vec![MaybeUninit::uninit(); 1 << 20];
    /// # let heap: Heap<&mut [Plain], 16> = Heap::from_region(&mut memory)?;
    /// let layout = Layout::new::<[u8; 1 << 18]>();
    /// let block = heap.allocate_zeroed(layout)?;
    /// // SAFETY: nobody wrote to the block, and it is not used.
    /// unsafe { heap.deallocate_zeroed(block.cast(), layout)? };
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Safety
    /// As [`Self::deallocate`], and all bytes up to the block's usable size are 0.
    ///
    /// # Errors
    /// As [`Self::deallocate`].
    pub unsafe fn deallocate_zeroed(
        &self,
        ptr: NonNull<u8>,
        layout: Layout,
    ) -> Result<(), FreeError> {
        if layout.size() == 0 {
            return Ok(());
        }
        if let (Some(first), Some(tree)) = (self.regions.leaf_at(ptr), &self.tree) {
            let class = Self::class(layout);
            if self.supply(tree).detach_from_tree(first, class) {
                self.zeros(tree).note(&(first..first + class.leaves));
                tree.free_detached(first, class.leaves);
                return Ok(());
            }
            // Of a slot of a slab nothing is noted.
            if self.supply(tree).give(first, class) {
                return Ok(());
            }
        }
        Err(self.why_not(ptr, layout))
    }

    /// Tells the heap that memory which it has, and which no block lies in, is zero.
    ///
    /// # Safety
    /// All bytes of the `len` at `start` that are the heap's are 0, and none of them is allocated, nor
    /// was when this call began.
    pub unsafe fn assume_zeroed(&self, start: NonNull<u8>, len: usize) {
        let Some(tree) = &self.tree else { return };
        for region in self.regions.iter() {
            self.zeros(tree).note(&region.leaves_within(start.addr().get(), len, MIN_BLOCK));
        }
    }

    /// What is known to be zero.
    #[inline(always)]
    pub(super) fn zeros<'t>(&self, tree: &'t Tree<S, P>) -> Zeros<'t, S::Word> {
        let words = tree.words().get(self.tree_words..self.tree_words + self.zero_words);
        Zeros::new(words.unwrap_or(&[]), tree.range().start)
    }

    /// Notes that leaves fresh from the tree go to somebody who may write to them.
    #[inline]
    pub(super) fn hand_out(&self, tree: &Tree<S, P>, leaves: &Range<usize>) {
        if self.zero_words != 0 {
            self.zeros(tree).forget(leaves);
        }
    }
}
