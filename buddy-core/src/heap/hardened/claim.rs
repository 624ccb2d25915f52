//! What a hardened heap needs of the heap: blocks that are one call's alone before it writes to them.

use super::super::Heap;
use super::super::zeros::CHUNK_LEAVES;
use crate::class::Class;
use crate::supply::Shape;
use crate::tree::{Policy, Storage, Tree};
use core::alloc::Layout;
use core::ptr::NonNull;

/// A block that one call has detached from the tree: to everybody else there is no block,
/// until the call attaches it or frees it.
#[must_use]
pub(super) struct Claim<'t, S: Storage, P: Policy> {
    tree: &'t Tree<S, P>,
    pub(super) start: NonNull<u8>,
    pub(super) first: usize,
    class: Class,
}

impl<S: Storage, P: Policy> Claim<'_, S, P> {
    pub(super) const fn leaves(&self) -> usize {
        self.class.leaves
    }
}

impl<S: Storage, const MIN_BLOCK: usize, P: Policy, const REGIONS: usize>
    Heap<S, MIN_BLOCK, P, REGIONS>
{
    /// Serves all requests from the tree, until [`Self::restore_slabs`]: a slot of a slab cannot be
    /// detached.
    pub(super) fn take_slabs(&mut self) -> Shape {
        self.dissolve();
        core::mem::replace(&mut self.slabs, Shape::NONE)
    }

    /// Undoes [`Self::take_slabs`].
    pub(super) const fn restore_slabs(&mut self, slabs: Shape) {
        self.slabs = slabs;
    }

    /// Detaches the block for `layout` at `start`, if there is one: of several calls one has it.
    pub(super) fn claim(&self, start: NonNull<u8>, layout: Layout) -> Option<Claim<'_, S, P>> {
        let (tree, class) = (self.tree.as_ref()?, Self::class(layout));
        let first = self.regions.leaf_at(start)?;
        let is_held = tree.detach(first, class.leaves);
        is_held.then_some(Claim { tree, start, first, class })
    }

    /// The claim on a block that was detached, and forgotten, before.
    pub(super) fn reclaim(&self, first: usize, leaves: usize) -> Option<Claim<'_, S, P>> {
        let (tree, class) = (self.tree.as_ref()?, Class::of(leaves, P::PRECISION)?);
        let start = self.regions.pointer_to(first)?;
        Some(Claim { tree, start, first, class })
    }

    /// Makes it an allocated block again.
    pub(super) fn unclaim(claim: &Claim<'_, S, P>) {
        claim.tree.reattach(claim.first, claim.leaves());
    }

    /// Frees it; `zeroed` says that all its bytes are 0.
    ///
    /// # Safety
    /// If `zeroed`, they are.
    pub(super) unsafe fn release(&self, claim: &Claim<'_, S, P>, zeroed: bool) {
        let Claim { tree, first, class, .. } = *claim;
        if zeroed && class.leaves >= CHUNK_LEAVES {
            self.zeros(tree).note(&(first..first + class.leaves));
        }
        tree.free_detached(first, class.leaves);
    }

    /// Makes it an allocated block for `new`, with the same start, if there is room.
    pub(super) fn resize_claimed(
        &self,
        claim: &Claim<'_, S, P>,
        new: Layout,
    ) -> Option<NonNull<[u8]>> {
        let Claim { tree, first, class: old, .. } = *claim;
        let new = Self::class(new);
        if new.leaves == old.leaves {
            Self::unclaim(claim);
        } else if !self.resize_detached(tree, first, old, new) {
            return None;
        }
        Some(NonNull::slice_from_raw_parts(claim.start, new.leaves * MIN_BLOCK))
    }

    /// The bytes of a block for `layout`.
    pub(super) fn block_size(layout: Layout) -> usize {
        Self::class(layout).leaves * MIN_BLOCK
    }

    /// Whether there is room for `count` blocks for `layout` many times over.
    pub(super) fn has_plenty(&self, layout: Layout, count: usize) -> bool {
        let free = self.tree.as_ref().map_or(0, Tree::free_leaves);
        Self::class(layout).leaves <= free / (PLENTY * count)
    }
}

/// So many times what blocks are chosen from has to be free.
const PLENTY: usize = 64;
