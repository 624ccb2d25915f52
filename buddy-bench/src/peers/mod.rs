//! The allocators under test: one file each, behind the traits [`Allocator`] and [`Peer`].

mod buddy;
mod buddy_alloc;
mod buddy_system_allocator;
mod bump;
mod global;
mod good_memory_allocator;
#[cfg(feature = "jemalloc")]
mod jemalloc;
mod linked_list_allocator;
#[cfg(feature = "mimalloc")]
mod mimalloc;
mod rlsf;
mod roster;
#[cfg(feature = "snmalloc")]
mod snmalloc;
mod system;
mod talc;

pub use buddy::Buddy;
pub use buddy_alloc::{BuddyAlloc, WithFastPath};
pub use buddy_system_allocator::BuddySystem;
pub use bump::Bump;
pub use global::{Global, Named};
pub use good_memory_allocator::GoodMemory;
pub use linked_list_allocator::LinkedList;
pub use rlsf::Rlsf;
pub use roster::{Contestant, Entrant, ON_REQUEST, ROSTER, UnknownName, contestants, select};
pub use talc::Talc;

use crate::arena::Region;
use std::alloc::Layout;
use std::ptr::NonNull;

/// Something that gives blocks and takes them back.
///
/// Nothing is believed of the blocks until a pass has checked them, so an implementation cannot
/// break the program by being wrong inside its region.
pub trait Allocator {
    /// A block for `layout`, whose size is not zero.
    fn alloc(&mut self, layout: Layout) -> Option<NonNull<u8>>;

    /// A block of zeros.
    #[inline(always)]
    fn alloc_zeroed(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let block = self.alloc(layout)?;
        // SAFETY: the allocator gave the block, with this many bytes.
        unsafe { block.write_bytes(0, layout.size()) };
        Some(block)
    }

    /// Takes a block back.
    ///
    /// # Safety
    /// The block is of this allocator, live, with that layout, and not used any more.
    unsafe fn dealloc(&mut self, block: NonNull<u8>, layout: Layout);

    /// A block of the new size with the old one's contents. If there is none, the old block stays.
    ///
    /// Unless an allocator can do better: a new block, a copy, a free.
    ///
    /// # Safety
    /// As [`Self::dealloc`], if the call succeeds. `new` has the alignment of `old`.
    #[inline(always)]
    unsafe fn realloc(
        &mut self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Option<NonNull<u8>> {
        let moved = self.alloc(new)?;
        let kept = old.size().min(new.size());
        // SAFETY: two live blocks, which have that many bytes each; those of the floor may overlap.
        unsafe { moved.copy_from(block, kept) };
        // SAFETY: the caller does not use the old block any more.
        unsafe { self.dealloc(block, old) };
        Some(moved)
    }

    /// Writes the first byte of a new block, as any program would.
    ///
    /// # Safety
    /// The block is of this allocator and live.
    #[inline(always)]
    unsafe fn touch(&mut self, block: NonNull<u8>) {
        // SAFETY: a block has at least one byte.
        unsafe { block.write_volatile(0xa5) };
    }
}

/// An allocator that can be measured.
pub trait Peer: Allocator + Sized {
    /// What `--alloc` and the tables call it.
    const NAME: &'static str;
    /// The package and version it comes from.
    const PACKAGE: &'static str;
    /// Where its blocks come from.
    const MEMORY: Memory = Memory::Fixed;
    /// Bytes of the allocator's value, which lie outside the region.
    const CONTROL_BYTES: usize = size_of::<Self>();

    /// An allocator for `region`, or `None` if that is too small for it.
    ///
    /// # Safety
    /// Until the allocator is dropped, the region is valid, and used by nobody but the allocator and
    /// the holders of its blocks.
    unsafe fn create(region: Region) -> Option<Self>;
}

/// Where an allocator's blocks come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// The given region and nothing else.
    Fixed,
    /// Wherever it likes; what it has got stays from pass to pass.
    Own,
    /// The given region, whether it is in use or not: no allocator, but the floor of all times.
    Floor,
}
