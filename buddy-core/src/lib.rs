//! A buddy allocator over an implicit binary tree: memory, or numbers of anything else.
//!
//! A *block* of *order* `k` is `2^k` *leaves*, the smallest blocks there are. A request *splits* a
//! larger block in halves, which are *buddies*; a free *merges* a block with its buddy while that is
//! free, too. This crate keeps that tree apart from the memory, as two bits a node in words of its
//! own, and checks every free against it.
//!
//! ```text
//!   BuddyAllocator   owns its memory            | heap/   pointers, Layouts, regions: the unsafe
//!   Heap             memory that you give it    |         code (and frames/place.rs)
//!   Frames           a kernel's physical memory | frames/ memory maps, zones
//!   ----------------------------------------------------------------------------------
//!   Tree             leaf numbers: heap bytes,  | tree/   orders, blocks, split, merge,
//!                    page frames, device memory |         search, runs: forbid(unsafe_code)
//!   ----------------------------------------------------------------------------------
//!   Word, Storage    plain cells or atomics, where you say
//! ```
//!
//! # What it is
//!
//! - [`BuddyAllocator`]: a heap of its own in one line (feature `alloc`, on by default).
//! - [`Heap`]: `Layout`s over one or several regions, from a `static`, a slice or raw memory.
//! - [`Frames`](frames::Frames): page frames, from the firmware's memory map on.
//! - [`Tree`]: the allocator itself, over any range of numbers. It never touches what they stand for.
//!
//! ```
//! use buddy_core::BuddyAllocator;
//!
//! let heap = BuddyAllocator::<4096, 16>::new(true); // 4 KiB, zeroed; 16-byte minimum blocks
//! let bytes = heap.alloc_bytes(100)?; // NonNull<u8>
//! heap.free_nonnull(bytes)?;
//! assert!(heap.free_nonnull(bytes).is_err()); // a second free is an error, and changes nothing
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Sizes are exact: a request of 5 leaves takes a block of 8 and gives back 3 at once. Blocks grow and
//! shrink in place, can be freed in parts, allocated at a place or within limits, many at a time.
//! No header lies in a block, so writing over a block's end damages data of the program, never the
//! allocator.
//!
//! # What it is not
//!
//! - It cannot know a stale pointer to a block that was freed and handed out again: such a free looks
//!   like the new owner's.
//! - It is no defence against a program that writes to its metadata.
//! - A tree or heap over plain words is for one thread (`!Sync`).
//!
//! # Many threads
//!
//! Over atomic words any number of threads, interrupt and signal handlers may call, and no call waits
//! for another: some call always completes, and one that is stopped or killed in the middle keeps at
//! worst the blocks in its hands (one, or a word of siblings that it was about to stock). A request is
//! refused only if at some moment during the call there was no memory; it looks again while others
//! have blocks in their hands, up to [`Policy::PATIENCE`] times.
//!
//! What a call costs when threads meet is bounded by what the others do meanwhile: a step is repeated
//! only because another call's step succeeded.
//!
//! # Cost
//!
//! Every call that does not say otherwise takes O(orders + summary levels) steps: no list is walked,
//! no block scanned, nothing recurses. Metadata takes 4 bits a leaf and about 1/15 bit more (see
//! [`Tree::metadata_words`]), wherever the range begins and whatever its length. No call panics on
//! account of its arguments.
//!
//! Algorithm: K. C. Knowlton, *A fast storage allocator*, 1965; D. E. Knuth, *The Art of Computer
//! Programming* 1, 2.5. What differs from both is told in `docs/DESIGN.md`.
//!
//! # Features
//!
//! - `alloc` (default): [`BuddyAllocator`], and boxed words as [`Storage`].

#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;

#[forbid(unsafe_code)]
mod class;
mod direct;
pub mod frames;
pub mod heap;
#[forbid(unsafe_code)]
mod supply;
#[forbid(unsafe_code)]
pub mod tree;

#[cfg(feature = "alloc")]
pub use heap::BuddyAllocator;
pub use heap::{AllocError, FreeError, Heap};
#[cfg(target_has_atomic = "ptr")]
pub use tree::Atomic;
#[cfg(all(target_has_atomic = "ptr", target_has_atomic = "32"))]
pub use tree::Atomic32;
pub use tree::{
    Constraints, Eager, Extent, Kind, Lazy, Order, Plain, Plain32, Policy, Statistics, Storage,
    Tight, Tree, Word,
};
