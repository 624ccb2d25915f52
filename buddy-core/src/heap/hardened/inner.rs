//! What lies between a hardened heap's calls and the heap: frames, claims, choices, waits.

use super::claim::Claim;
use super::guard::{Frame, Guards};
use super::options::{Damage, MOST_CHOICES};
use super::quarantine::Waiting;
use super::{Hardened, random};
use crate::heap::layout::dangling;
use crate::heap::{AllocError, ExclusiveStorage, FreeError, Heap};
use crate::tree::{Policy, Word};
use core::alloc::Layout;
use core::hint::black_box;
use core::ptr::NonNull;

/// Frames and choices.
impl<
    S: ExclusiveStorage,
    const MIN_BLOCK: usize,
    P: Policy,
    const REGIONS: usize,
    const SLOTS: usize,
> Hardened<S, MIN_BLOCK, P, REGIONS, SLOTS>
{
    pub(super) fn frame(&self, layout: Layout) -> Result<Frame, AllocError> {
        if !self.hardening.guards {
            return Ok(Frame::bare(layout));
        }
        let frame = Frame::guarded(layout, MIN_BLOCK);
        frame.ok_or(AllocError::TooLarge { requested: layout.size(), heap: self.heap.size() })
    }

    /// What the holder of a block gets to see of it.
    ///
    /// # Safety
    /// The block is one for the frame, and the caller's alone.
    pub(super) unsafe fn present(&self, block: NonNull<[u8]>, frame: &Frame) -> NonNull<[u8]> {
        if !self.hardening.guards {
            return block;
        }
        // SAFETY: the block has the frame's bytes (G2).
        let guards = unsafe { Guards::new(block.cast(), frame, self.hardening.seed) };
        // SAFETY: the block is the caller's alone, in memory that may be written (H1).
        unsafe { guards.write() };
        // SAFETY: inside the block.
        let start = unsafe { block.cast::<u8>().add(frame.front) };
        NonNull::slice_from_raw_parts(start, frame.size)
    }

    /// Attempts to allocate; if there is not enough, once more when no block waits.
    #[inline]
    pub(super) fn insist<T>(
        &self,
        attempt: impl Fn() -> Result<T, AllocError>,
    ) -> Result<T, AllocError> {
        attempt().or_else(|refused| self.insist_again(refused, attempt))
    }

    #[cold]
    fn insist_again<T>(
        &self,
        refused: AllocError,
        attempt: impl Fn() -> Result<T, AllocError>,
    ) -> Result<T, AllocError> {
        match refused {
            AllocError::OutOfMemory { .. } if self.release_waiting() != 0 => attempt(),
            _ => Err(refused),
        }
    }

    /// Whether such blocks are chosen.
    pub(super) fn chooses(&self, layout: Layout) -> bool {
        let choices = self.hardening.choices;
        choices > 1 && self.heap.has_plenty(layout, choices)
    }

    /// Allocates a block, and maybe a few more, which are freed: one of them by chance.
    pub(super) fn choose(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let mut chosen = self.heap.allocate(layout)?;
        if self.chooses(layout) {
            let passed_over = random::below(self.hardening.choices, self.random());
            let mut others = [None; MOST_CHOICES];
            for other in others.iter_mut().take(passed_over) {
                let Ok(block) = self.heap.allocate(layout) else { break };
                *other = Some(core::mem::replace(&mut chosen, block));
            }
            for other in others.into_iter().flatten() {
                // SAFETY: nobody knows the block.
                let freed = unsafe { self.heap.deallocate(other.cast(), layout) };
                debug_assert!(freed.is_ok(), "a block that was just allocated");
            }
        }
        Ok(chosen)
    }

    fn random(&self) -> u64 {
        random::mix(self.hardening.seed, self.drawn.add(1) as u64)
    }
}

/// Resizing.
impl<
    S: ExclusiveStorage,
    const MIN_BLOCK: usize,
    P: Policy,
    const REGIONS: usize,
    const SLOTS: usize,
> Hardened<S, MIN_BLOCK, P, REGIONS, SLOTS>
{
    /// # Safety
    /// As [`Self::grow`].
    pub(super) unsafe fn resize(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        if old.size() == 0 {
            return self.allocate(new);
        }
        let (claim, was) = self.claim(ptr, old)?;
        if new.size() == 0 {
            self.retire(&claim, &was);
            return Ok(dangling(new));
        }
        let resized =
            self.frame(new).and_then(|frame| match self.resize_in_place(&claim, &was, &frame) {
                Some(block) => Ok(block),
                None => self.move_claimed(&claim, &was, new),
            });
        if resized.is_err() {
            Heap::<S, MIN_BLOCK, P, REGIONS>::unclaim(&claim);
        }
        resized
    }

    /// Makes a claimed block one of another frame where it is; `None`, if that is not to be had.
    fn resize_in_place(
        &self,
        claim: &Claim<'_, S, P>,
        was: &Frame,
        frame: &Frame,
    ) -> Option<NonNull<[u8]>> {
        let is_aligned = claim.start.addr().get() & (frame.outer.align() - 1) == 0;
        if !is_aligned || was.front != frame.front {
            return None;
        }
        let (bytes, left) =
            (claim.leaves() * MIN_BLOCK, Heap::<S, MIN_BLOCK, P, REGIONS>::block_size(frame.outer));
        if self.hardening.clears && left < bytes {
            // SAFETY: inside the block.
            let end = unsafe { claim.start.add(left) };
            // SAFETY: the rest of the block, which is claimed (G1), and will end before it.
            unsafe { Self::clear(end, bytes - left) };
        }
        let block = self.heap.resize_claimed(claim, frame.outer)?;
        // SAFETY: a block for the frame (G2), whose holder waits for this call.
        Some(unsafe { self.present(block, frame) })
    }

    /// Makes a block for `new` with the bytes of a claimed one, which is freed.
    fn move_claimed(
        &self,
        claim: &Claim<'_, S, P>,
        was: &Frame,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let block = self.allocate(new)?;
        // SAFETY: inside the claimed block (G2).
        let old = unsafe { claim.start.add(was.front) };
        // SAFETY: two different blocks (H2, H3), of which one is claimed (G1) and the other known to
        // nobody else; both have so many bytes (G2).
        unsafe { block.cast::<u8>().copy_from_nonoverlapping(old, was.size.min(new.size())) };
        self.retire(claim, was);
        Ok(block)
    }
}

/// Claims and waits.
impl<
    S: ExclusiveStorage,
    const MIN_BLOCK: usize,
    P: Policy,
    const REGIONS: usize,
    const SLOTS: usize,
> Hardened<S, MIN_BLOCK, P, REGIONS, SLOTS>
{
    /// Claims the holder's block at `ptr`, and finds its guards whole.
    pub(super) fn claim(
        &self,
        ptr: NonNull<u8>,
        layout: Layout,
    ) -> Result<(Claim<'_, S, P>, Frame), FreeError> {
        // No block is so large that its frame is no layout's.
        let frame = self.frame(layout).map_err(|_| self.heap.why_not(ptr, layout))?;
        let start = NonNull::new(ptr.as_ptr().wrapping_sub(frame.front));
        let start = start.ok_or(FreeError::OutOfBounds { address: ptr.addr().get() })?;
        let claim = self.heap.claim(start, frame.outer);
        let claim = claim.ok_or_else(|| self.why_no_claim(ptr, start, &frame))?;
        if self.hardening.guards {
            // SAFETY: the block has the frame's bytes (G2).
            let guards = unsafe { Guards::new(start, &frame, self.hardening.seed) };
            // SAFETY: claimed (G1), in memory that may be read (H1).
            if let Some(at) = unsafe { guards.damage() } {
                Heap::<S, MIN_BLOCK, P, REGIONS>::unclaim(&claim);
                return Err(FreeError::Overwritten { address: ptr.addr().get(), at });
            }
        }
        Ok((claim, frame))
    }

    /// Why there is no block, in its holder's terms.
    #[cold]
    fn why_no_claim(&self, ptr: NonNull<u8>, start: NonNull<u8>, frame: &Frame) -> FreeError {
        let address = ptr.addr().get();
        match self.heap.why_not(start, frame.outer) {
            FreeError::OutOfBounds { .. } => FreeError::OutOfBounds { address },
            FreeError::AlreadyFree { .. } => FreeError::AlreadyFree { address },
            FreeError::NotStart { block, .. } => {
                FreeError::NotStart { address, block: block + frame.front }
            }
            FreeError::WrongSize { actual, .. } => {
                let actual = actual.saturating_sub(frame.overhead());
                FreeError::WrongSize { address, given: frame.size, actual }
            }
            other => other,
        }
    }

    /// Frees a claimed block, at once or after a wait.
    pub(super) fn retire(&self, claim: &Claim<'_, S, P>, frame: &Frame) {
        let bytes = claim.leaves() * MIN_BLOCK;
        if self.hardening.clears {
            // SAFETY: the whole block, which is claimed (G1).
            unsafe { Self::clear(claim.start, bytes) };
        } else if self.hardening.guards {
            // A stale pointer shall not find them whole, when the memory is another block's.
            // SAFETY: the block has the frame's bytes (G2).
            let guards = unsafe { Guards::new(claim.start, frame, self.hardening.seed) };
            // SAFETY: claimed (G1), in memory that may be written (H1).
            unsafe { guards.wipe() };
        }
        if bytes <= self.hardening.waits_up_to {
            let block = Waiting { first: claim.first, leaves: claim.leaves() };
            match self.quarantine.exchange(block) {
                None => return,
                Some(other) if other != block => return self.end_wait(other),
                Some(_) => {}
            }
        }
        // SAFETY: it was just cleared, if that is asked for.
        unsafe { self.heap.release(claim, self.hardening.clears) };
    }

    /// Frees a block that was in the quarantine, unless it was written to meanwhile.
    pub(super) fn end_wait(&self, block: Waiting) {
        let Some(claim) = self.heap.reclaim(block.first, block.leaves) else { return };
        if self.hardening.clears {
            let bytes = block.leaves * MIN_BLOCK;
            // SAFETY: the whole block, which is this call's (G3), in memory that may be read (H1) and
            // that was cleared.
            let memory = unsafe { core::slice::from_raw_parts(claim.start.as_ptr(), bytes) };
            if let Some(at) = memory.iter().position(|byte| *byte != 0) {
                return self.keep_damaged(&claim, bytes, at);
            }
        }
        // SAFETY: it is still as it was cleared, if that is asked for.
        unsafe { self.heap.release(&claim, self.hardening.clears) };
    }

    #[cold]
    fn keep_damaged(&self, claim: &Claim<'_, S, P>, bytes: usize, at: usize) {
        let block = claim.start.addr().get();
        Heap::<S, MIN_BLOCK, P, REGIONS>::unclaim(claim);
        self.damaged.add(1);
        if let Some(report) = self.hardening.report {
            report(&Damage { block, bytes, at: block + at });
        }
    }

    /// Writes zeros that are really written, even if the memory is given up next.
    ///
    /// # Safety
    /// The bytes are the caller's alone, and may be written.
    unsafe fn clear(start: NonNull<u8>, bytes: usize) {
        // SAFETY: the caller says so.
        unsafe { start.write_bytes(0, bytes) };
        black_box(start);
    }
}
