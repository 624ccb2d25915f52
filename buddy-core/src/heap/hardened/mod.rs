//! A heap that makes attacks on its user's mistakes harder: options, each at a cost.
//!
//! ```text
//!   Hardened --- options.rs  what is asked for
//!      |-------- guard.rs    bytes round a block that must not change
//!      |-------- quarantine.rs  blocks that wait
//!      |-------- random.rs   numbers that follow from a secret one
//!      '-------- claim.rs ---> Heap: detach, then look and write, then attach or free
//! ```
//!
//! # Invariants
//!
//! - **G1** Before a byte of a block is written, or looked at, on behalf of a caller who frees or
//!   resizes it, the block is *claimed*: detached from the tree, so that it is this call's alone. A
//!   free of what is no block, and all but one of several frees of one, end before that.
//! - **G2** A block that was allocated between guards has the bytes of its frame (H5), and its holder
//!   has those between the guards.
//! - **G3** A claimed block is attached, freed, or put into the quarantine by the call that claimed
//!   it; a block in the quarantine (Q1) is claimed by whoever takes it out (Q2).

mod claim;
mod guard;
mod inner;
mod options;
mod quarantine;
mod random;

pub use options::{Damage, Hardening};

use super::layout::dangling;
use super::{AllocError, ExclusiveStorage, FreeError, Heap};
use crate::supply::Shape;
use crate::tree::{Lazy, Policy, Word};
use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;
use quarantine::Quarantine;

/// A [`Heap`] with hardening against its user's mistakes, and attacks on these: [`Hardening`] says
/// which. Its calls are those of the heap, with the same meaning.
///
/// `SLOTS`, 0 or a power of two, is how many freed blocks may wait (if that is asked for): two words
/// each.
///
/// ```
/// use buddy_core::heap::{Hardened, Hardening};
/// use buddy_core::{FreeError, Heap, Plain};
/// use core::alloc::Layout;
/// use core::mem::MaybeUninit;
///
/// let mut memory = [const { MaybeUninit::uninit() }; 10_000];
/// let heap: Heap<&mut [Plain], 16> = Heap::from_region(&mut memory)?;
/// let heap: Hardened<_, 16> = Hardened::new(heap, Hardening::new(0x5eed).guards().zero_on_free());
///
/// let layout = Layout::new::<[u8; 100]>();
/// let block = heap.allocate(layout)?.cast::<u8>();
/// // SAFETY: one byte too far, but still memory of the heap: the mistake that is to be found.
/// unsafe { block.add(100).write(0) };
/// // SAFETY: the block is not used.
/// let freed = unsafe { heap.deallocate(block, layout) };
/// assert!(matches!(freed, Err(FreeError::Overwritten { at, .. }) if at == block.addr().get() + 100));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Hardened<
    S: ExclusiveStorage,
    const MIN_BLOCK: usize,
    P: Policy = Lazy,
    const REGIONS: usize = 4,
    const SLOTS: usize = 64,
> {
    heap: Heap<S, MIN_BLOCK, P, REGIONS>,
    /// The heap's, for when it is to have them again.
    slabs: Shape,
    hardening: Hardening,
    quarantine: Quarantine<S::Word, SLOTS>,
    /// How many random numbers there were.
    drawn: S::Word,
    damaged: S::Word,
}

/// A heap and its hardening.
impl<
    S: ExclusiveStorage,
    const MIN_BLOCK: usize,
    P: Policy,
    const REGIONS: usize,
    const SLOTS: usize,
> Hardened<S, MIN_BLOCK, P, REGIONS, SLOTS>
{
    /// The heap with that hardening. Blocks that are allocated already cannot be freed through it if
    /// it is to have guards.
    #[must_use]
    pub fn new(mut heap: Heap<S, MIN_BLOCK, P, REGIONS>, hardening: Hardening) -> Self {
        let (drawn, damaged) = Default::default();
        let slabs = heap.take_slabs();
        Self { heap, slabs, hardening, quarantine: Quarantine::new(), drawn, damaged }
    }

    /// The heap inside: sizes, figures, adding memory.
    ///
    /// A block that waits is allocated in its figures, and neither free nor allocated to
    /// [`Heap::walk`] and [`Heap::validate`]: [`Self::release_waiting`] before these.
    #[must_use]
    pub const fn heap(&self) -> &Heap<S, MIN_BLOCK, P, REGIONS> {
        &self.heap
    }

    /// The heap without its hardening, after the wait of all blocks. What was allocated between
    /// guards cannot be freed through it.
    #[must_use]
    pub fn into_heap(mut self) -> Heap<S, MIN_BLOCK, P, REGIONS> {
        self.release_waiting();
        self.heap.restore_slabs(self.slabs);
        self.heap
    }

    /// How many freed blocks wait. O(`SLOTS`).
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.quarantine.len()
    }

    /// Ends the wait of all blocks: how many there were. O(`SLOTS`) besides what it takes to free
    /// them.
    pub fn release_waiting(&self) -> usize {
        let waiting = (0..SLOTS).filter_map(|at| self.quarantine.remove(at));
        waiting.map(|block| self.end_wait(block)).count()
    }

    /// How many blocks were written to while they waited, as far as their wait is over. They stay
    /// allocated, so that nobody else gets them.
    #[must_use]
    pub fn damaged(&self) -> usize {
        self.damaged.load()
    }

    /// Frees all blocks: [`Heap::free_all`]. Nothing is cleared.
    ///
    /// # Safety
    /// No block of this heap is used any more.
    pub unsafe fn free_all(&mut self) {
        self.quarantine = Quarantine::new();
        // SAFETY: the caller's duty; and no block waits any more.
        unsafe { self.heap.free_all() }
    }
}

/// Allocating and freeing.
impl<
    S: ExclusiveStorage,
    const MIN_BLOCK: usize,
    P: Policy,
    const REGIONS: usize,
    const SLOTS: usize,
> Hardened<S, MIN_BLOCK, P, REGIONS, SLOTS>
{
    /// See [`Heap::allocate`]. With guards, the slice is as long as the layout says.
    ///
    /// # Errors
    /// As there. The sizes in errors are those of the block with its guards.
    #[inline]
    pub fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if !self.hardening.guards && self.hardening.choices == 1 {
            return self.insist(|| self.heap.allocate(layout));
        }
        if layout.size() == 0 {
            return Ok(dangling(layout));
        }
        let frame = self.frame(layout)?;
        let block = self.insist(|| self.choose(frame.outer))?;
        // SAFETY: a block for the frame, which nobody else knows.
        Ok(unsafe { self.present(block, &frame) })
    }

    /// See [`Heap::allocate_zeroed`].
    ///
    /// # Errors
    /// As [`Self::allocate`].
    pub fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if layout.size() == 0 {
            return Ok(dangling(layout));
        }
        let frame = self.frame(layout)?;
        if self.chooses(frame.outer) {
            let block = self.allocate(layout)?;
            // SAFETY: a block that nobody else knows (H3), in memory that may be written (H1).
            unsafe { block.cast::<u8>().write_bytes(0, block.len()) };
            return Ok(block);
        }
        let block = self.insist(|| self.heap.allocate_zeroed(frame.outer))?;
        // SAFETY: a block for the frame, which nobody else knows.
        Ok(unsafe { self.present(block, &frame) })
    }

    /// See [`Heap::deallocate`]. With guards, `layout` is the one that was asked for.
    ///
    /// # Safety
    /// As there.
    ///
    /// # Errors
    /// As there, and [`FreeError::Overwritten`]: the block stays allocated then. (With guards, a size
    /// that is not the one asked for may look like that, too.)
    #[inline]
    pub unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) -> Result<(), FreeError> {
        if !self.hardening.claims() {
            // SAFETY: the caller's duty.
            return unsafe { self.heap.deallocate(ptr, layout) };
        }
        if layout.size() != 0 {
            let (claim, frame) = self.claim(ptr, layout)?;
            self.retire(&claim, &frame);
        }
        Ok(())
    }

    /// See [`Heap::grow`].
    ///
    /// # Safety
    /// As there.
    ///
    /// # Errors
    /// As there, and [`FreeError::Overwritten`].
    pub unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's duty.
        unsafe { self.resize(ptr, old, new) }
    }

    /// See [`Heap::grow_zeroed`].
    ///
    /// # Safety
    /// As there.
    ///
    /// # Errors
    /// As [`Self::grow`].
    pub unsafe fn grow_zeroed(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's duty.
        let block = unsafe { self.resize(ptr, old, new) }?;
        let kept = old.size().min(block.len());
        // SAFETY: inside the block.
        let behind = unsafe { block.cast::<u8>().add(kept) };
        // SAFETY: the block is the caller's, who does not know it yet (H1, H3).
        unsafe { behind.write_bytes(0, block.len() - kept) };
        Ok(block)
    }

    /// See [`Heap::shrink`]. What the block gives up does not wait.
    ///
    /// # Safety
    /// As there.
    ///
    /// # Errors
    /// As [`Self::grow`].
    pub unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's duty.
        unsafe { self.resize(ptr, old, new) }
    }
}

impl<
    S: ExclusiveStorage,
    const MIN_BLOCK: usize,
    P: Policy,
    const REGIONS: usize,
    const SLOTS: usize,
> fmt::Debug for Hardened<S, MIN_BLOCK, P, REGIONS, SLOTS>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hardened")
            .field("heap", &self.heap)
            .field("hardening", &self.hardening)
            .field("waiting", &self.waiting())
            .field("damaged", &self.damaged())
            .finish_non_exhaustive()
    }
}
