//! Resizing a block: in place where the memory behind it allows, else by moving it.

use super::layout::dangling;
use super::{AllocError, FreeError, Heap};
use crate::class::Class;
use crate::supply::Place;
use crate::tree::{Policy, Storage, Tree};
use core::alloc::Layout;
use core::ptr::NonNull;

impl<S: Storage, const MIN_BLOCK: usize, P: Policy, const REGIONS: usize>
    Heap<S, MIN_BLOCK, P, REGIONS>
{
    /// Makes the block at `ptr`, of layout `old`, one of layout `new`: in place, if the memory
    /// behind it is free and the address has the new alignment, else by moving it, O(old size).
    ///
    /// The first bytes, as many as both layouts have, are kept. From size 0 this allocates.
    ///
    /// ```
    /// # use buddy_core::{Heap, Plain};
    /// # use core::{alloc::Layout, mem::MaybeUninit};
    /// # let mut memory = [const { MaybeUninit::uninit() }; 10_000];
    /// # let heap: Heap<&mut [Plain], 16> = Heap::from_region(&mut memory)?;
    /// let (old, new) = (Layout::new::<[u8; 16]>(), Layout::new::<[u8; 1000]>());
    /// let block = heap.allocate(old)?.cast();
    /// // SAFETY: the old pointer is not used any more.
    /// let grown = unsafe { heap.grow(block, old, new)? };
    /// assert!(grown.len() >= 1000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Safety
    /// If the call succeeds, the old pointer is not used any more, not even if the new one has the
    /// same address.
    ///
    /// # Errors
    /// As [`Self::allocate`], and [`AllocError::Block`] if no block of the old layout's size starts
    /// at `ptr`; the old block is whole then.
    #[inline]
    pub unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's duties are those of `resize`.
        unsafe { self.resize(ptr, old, new) }
    }

    /// As [`Self::grow`], with all bytes behind the old layout's size zero.
    ///
    /// # Safety
    /// As [`Self::grow`].
    ///
    /// # Errors
    /// As [`Self::grow`].
    #[inline]
    pub unsafe fn grow_zeroed(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's duties are those of `resize`.
        let block = unsafe { self.resize(ptr, old, new) }?;
        let kept = old.size().min(block.len());
        // SAFETY: `kept` bytes lie inside the block.
        let behind = unsafe { block.cast::<u8>().add(kept) };
        // SAFETY: the block, of which this is the rest, is the caller's alone, who gave up the old
        // pointer and does not know the new one yet (H3); its memory may be written (H1).
        unsafe { behind.write_bytes(0, block.len() - kept) };
        Ok(block)
    }

    /// As [`Self::grow`], to a smaller size: what is behind it becomes free. To size 0 this frees.
    ///
    /// ```
    /// # use buddy_core::{Heap, Plain};
    /// # use core::{alloc::Layout, mem::MaybeUninit};
    /// # let mut memory = [const { MaybeUninit::uninit() }; 10_000];
    /// # let heap: Heap<&mut [Plain], 16> = Heap::from_region(&mut memory)?;
    /// let (old, new) = (Layout::new::<[u8; 1000]>(), Layout::new::<[u8; 16]>());
    /// let block = heap.allocate(old)?.cast();
    /// // SAFETY: the old pointer is not used any more.
    /// let shrunk = unsafe { heap.shrink(block, old, new)? };
    /// assert!(shrunk.len() == 16 && shrunk.cast() == block);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Safety
    /// As [`Self::grow`].
    ///
    /// # Errors
    /// As [`Self::grow`]; without a larger alignment only [`AllocError::Block`].
    #[inline]
    pub unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's duties are those of `resize`.
        unsafe { self.resize(ptr, old, new) }
    }

    /// Grows or shrinks the block at `ptr` where it is: `None`, with nothing changed, if there is no
    /// room behind it or the address has not the new alignment, or a size is 0. O(orders).
    ///
    /// ```
    /// # use buddy_core::{Heap, Plain};
    /// # use core::{alloc::Layout, mem::MaybeUninit};
    /// # let mut memory = [const { MaybeUninit::uninit() }; 10_000];
    /// # let heap: Heap<&mut [Plain], 16> = Heap::from_region(&mut memory)?;
    /// let (old, new) = (Layout::new::<[u8; 1000]>(), Layout::new::<[u8; 16]>());
    /// let block = heap.allocate(old)?.cast();
    /// // SAFETY: the block is used as the new one from now on.
    /// let shrunk = unsafe { heap.resize_in_place(block, old, new)? };
    /// assert_eq!(shrunk.map(|shrunk| shrunk.cast()), Some(block));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Safety
    /// If the block shrinks, what is behind its new size is not used any more.
    ///
    /// # Errors
    /// If no block of the old layout's size starts at `ptr`.
    pub unsafe fn resize_in_place(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<Option<NonNull<[u8]>>, FreeError> {
        if old.size() == 0 || new.size() == 0 {
            return Ok(None);
        }
        if let Some(first) = self.regions.leaf_at(ptr) {
            let (from, to) = (Self::class(old), Self::class(new));
            if let Some(resized) = self.resize_in_room(ptr, first, from, to, new.align()) {
                return Ok(Some(resized));
            }
        }
        let found = self.look_up(ptr, old)?;
        self.resize_found(&found, ptr, old, new)
    }

    /// Grows or shrinks, as the sizes say.
    ///
    /// # Safety
    /// As [`Self::grow`].
    unsafe fn resize(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        if old.size() == 0 {
            return self.allocate(new);
        }
        if new.size() == 0 {
            // SAFETY: the caller does not use the block any more.
            unsafe { self.deallocate(ptr, old) }?;
            return Ok(dangling(new));
        }
        // SAFETY: the caller does not use the block any more.
        if let Some(resized) = unsafe { self.resize_at_hand(ptr, old, new) } {
            return Ok(resized);
        }
        let found = self.look_up(ptr, old)?;
        if let Some(resized) = self.extend_room(&found, ptr, old, new) {
            return Ok(resized);
        }
        // A slot of a slab is better moved: behind it is another, and to shrink there would cost its slab.
        let is_better_moved = match found.place {
            Place::Tree => false,
            Place::Slab => Self::class(new).leaves != Self::class(old).leaves,
            Place::Room => self.supply(found.tree).is_better_moved(found.first, Self::class(new)),
        };
        if !is_better_moved {
            if let Some(resized) = self.resize_found(&found, ptr, old, new)? {
                self.supply(found.tree).note_grown(found.first, found.first);
                return Ok(resized);
            }
        }
        // SAFETY: a block for `old` starts at `ptr`, and the caller does not use it any more.
        match unsafe { self.relocate(&found, ptr, old, new) } {
            Err(refusal) if is_better_moved => {
                self.resize_found(&found, ptr, old, new)?.ok_or(refusal)
            }
            moved => moved,
        }
    }

    /// Grows or shrinks the block at `ptr` in its room, or moves a small one to what is at hand.
    ///
    /// # Safety
    /// As [`Self::grow`].
    #[inline(always)]
    unsafe fn resize_at_hand(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Option<NonNull<[u8]>> {
        let (tree, first) = (self.tree.as_ref()?, self.regions.leaf_at(ptr)?);
        let (supply, from, to) = (self.supply(tree), Self::class(old), Self::class(new));
        if new.align() <= MIN_BLOCK && supply.is_moved_at_once(first, from, to) {
            let name = self.name_at(ptr)?;
            let taken = supply.take(to)?;
            // SAFETY: the supply handed it out (H6).
            let start = unsafe { self.start_named(taken)? };
            let moved = self.regions.leaf_at(start)?;
            if !supply.give_plain(from, || Some(name), || Some(first * MIN_BLOCK)) {
                supply.give(moved, to);
                return None;
            }
            let kept = old.size().min(new.size());
            // SAFETY: two different blocks of this heap, which do not overlap (H2, H3) and have at least `kept`
            // bytes each (H5) of memory that may be read and written (H1). The old one is free, but this is
            // the only thread, and has not allocated since.
            unsafe { start.copy_from_nonoverlapping(ptr, kept) };
            if to.leaves > from.leaves {
                supply.note_grown(first, moved);
            }
            return Some(NonNull::slice_from_raw_parts(start, to.leaves * MIN_BLOCK));
        }
        self.resize_in_room(ptr, first, from, to, new.align())
    }

    /// The block for `layout` at `ptr`.
    #[inline]
    fn look_up(&self, ptr: NonNull<u8>, layout: Layout) -> Result<Found<'_, S, P>, FreeError> {
        let (Some(first), Some(tree)) = (self.regions.leaf_at(ptr), &self.tree) else {
            return Err(self.why_not(ptr, layout));
        };
        let place = self.supply(tree).find(first, Self::class(layout));
        let place = place.ok_or_else(|| self.why_not(ptr, layout))?;
        Ok(Found { tree, first, place })
    }

    /// Resizes the block at `ptr`, its first leaf being `first`, if it has a room that is large enough, and is
    /// aligned.
    #[inline]
    fn resize_in_room(
        &self,
        ptr: NonNull<u8>,
        first: usize,
        from: Class,
        to: Class,
        align: usize,
    ) -> Option<NonNull<[u8]>> {
        let tree = self.tree.as_ref()?;
        let is_resized = ptr.addr().get() & (align - 1) == 0
            && self.supply(tree).resize_in_room(first, from.leaves, to.leaves);
        is_resized.then(|| NonNull::slice_from_raw_parts(ptr, to.leaves * MIN_BLOCK))
    }

    /// Grows the block at `ptr`, which grew before, into a room where it is.
    fn extend_room(
        &self,
        &Found { tree, first, place }: &Found<'_, S, P>,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Option<NonNull<[u8]>> {
        let (old, class) = (Self::class(old), Self::class(new));
        let is_aligned = ptr.addr().get() & (new.align() - 1) == 0;
        if place == Place::Slab || class.leaves <= old.leaves || !is_aligned {
            return None;
        }
        let fresh = self.supply(tree).extend_room(first, old, class)?;
        self.hand_out(tree, &fresh);
        Some(NonNull::slice_from_raw_parts(ptr, class.leaves * MIN_BLOCK))
    }

    /// Resizes the block at `ptr` without moving it; `None` if there is no room or it is not aligned.
    fn resize_found(
        &self,
        &Found { tree, first, place }: &Found<'_, S, P>,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<Option<NonNull<[u8]>>, FreeError> {
        let (old_class, new_class) = (Self::class(old), Self::class(new));
        if ptr.addr().get() & (new.align() - 1) != 0 {
            return Ok(None);
        }
        match self.resize_leaves(tree, first, old_class, new_class, place) {
            Ok(true) => Ok(Some(NonNull::slice_from_raw_parts(ptr, new_class.leaves * MIN_BLOCK))),
            Ok(false) => Ok(None),
            Err(NoBlock) => Err(self.why_not(ptr, old)),
        }
    }

    /// Resizes a block without moving it; whether there was room.
    #[inline]
    fn resize_leaves(
        &self,
        tree: &Tree<S, P>,
        first: usize,
        old: Class,
        new: Class,
        place: Place,
    ) -> Result<bool, NoBlock> {
        if new.leaves == old.leaves {
            return Ok(true);
        }
        // It has outgrown that.
        if place == Place::Room {
            self.supply(tree).close_room(first);
        }
        // Behind a slot is another.
        if new.leaves > old.leaves
            && (place == Place::Slab || !tree.is_free_behind(first + old.leaves))
        {
            return Ok(false);
        }
        // Another thread may free it at the same time; one of both has it. Or another is at its slab.
        if !self.supply(tree).detach_found(first, old, place) {
            return self.supply(tree).find(first, old).map(|_| false).ok_or(NoBlock);
        }
        let is_resized = self.resize_detached(tree, first, old, new);
        if !is_resized {
            tree.reattach(first, old.leaves);
        }
        Ok(is_resized)
    }

    /// Makes a detached block an allocated one of another size without moving it; if there is no room,
    /// it stays detached.
    pub(super) fn resize_detached(
        &self,
        tree: &Tree<S, P>,
        first: usize,
        old: Class,
        new: Class,
    ) -> bool {
        if new.leaves < old.leaves {
            tree.shrink_detached(first, old.leaves, new.leaves);
            return true;
        }
        let has_grown = tree.grow_detached(first, old.leaves, new.leaves).is_ok();
        if has_grown {
            self.hand_out(tree, &(first + old.leaves..first + new.leaves));
        }
        has_grown
    }

    /// Moves a block that was found.
    ///
    /// # Safety
    /// A block for `old` starts at `ptr`; if the call succeeds, it is not used any more.
    unsafe fn relocate(
        &self,
        found: &Found<'_, S, P>,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let is_growing = new.size() > old.size();
        let block =
            if is_growing { self.allocate_to_grow(found, new) } else { self.allocate(new) }?;
        let kept = old.size().min(new.size());
        // SAFETY: two different blocks of this heap, which do not overlap (H2, H3) and have at
        // least `kept` bytes each (H5) of memory that may be read and written (H1).
        unsafe { block.cast::<u8>().copy_from_nonoverlapping(ptr, kept) };
        if self.supply(found.tree).give(found.first, Self::class(old)) {
            if let (true, Some(first)) = (is_growing, self.regions.leaf_in_first(block.cast())) {
                self.supply(found.tree).note_grown(found.first, first);
            }
            return Ok(block);
        }
        Err(self.undo(block, new, self.why_not(ptr, old)))
    }

    /// As [`Self::allocate`], in place of a block that has outgrown its place, and is likely to grow again: one
    /// that did so before gets a room; a large one comes from the tree, cut from a block of which the rest
    /// is free.
    fn allocate_to_grow(
        &self,
        &Found { tree, first, .. }: &Found<'_, S, P>,
        layout: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let class = Self::class(layout);
        if layout.align() <= MIN_BLOCK {
            if let Some((first, all)) = self.supply(tree).open_room(first, class) {
                self.hand_out(tree, &(first..first + all));
                let start = self.regions.pointer_to(first).ok_or_else(|| self.refusal(layout))?;
                return Ok(NonNull::slice_from_raw_parts(start, class.leaves * MIN_BLOCK));
            }
        }
        if self.supply(tree).is_small(class) {
            return self.allocate(layout);
        }
        let first = self.take_large(tree, class, layout.align());
        let first = first.ok_or_else(|| self.refusal(layout))?;
        self.hand_out(tree, &(first..first + class.leaves));
        let start = self.regions.pointer_to(first);
        let start = start.and_then(|start| self.aligned(tree, start, class, layout.align()));
        let start = start.ok_or_else(|| self.refusal(layout))?;
        Ok(NonNull::slice_from_raw_parts(start, class.leaves * MIN_BLOCK))
    }

    /// Another thread freed the block that was being moved.
    #[cold]
    fn undo(&self, block: NonNull<[u8]>, layout: Layout, error: FreeError) -> AllocError {
        // SAFETY: nobody knows the new block yet.
        let _ = unsafe { self.deallocate(block.cast(), layout) };
        error.into()
    }
}

/// A block that is to be resized: its first leaf, and where it is known.
struct Found<'t, S: Storage, P: Policy> {
    tree: &'t Tree<S, P>,
    first: usize,
    place: Place,
}

/// No block of the old size starts there.
struct NoBlock;
