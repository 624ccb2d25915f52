//! Collections on a buddy allocator: [`buddy_core`]'s heaps as an `Allocator`.
//!
//! ```text
//!   Vec<T, &Buddy<H>>, Box, HashMap, ..
//!             |  Allocator, one implementation for each version of the trait   lib.rs
//!          Buddy<H>
//!             |  BlockSource: Layouts in, blocks out                           source.rs
//!   H: Heap over plain words     one thread
//!      BuddyAllocator            one thread, owns its memory
//!      Heap over atomic words    many threads, no lock
//!      GlobalSource              a heap of buddy-global, behind a lock or without  global.rs
//!      yours                     whatever implements BlockSource
//! ```
//!
//! Nothing is computed here: each call is one of the heap's.
//!
//! ```
//! use buddy_alloc_api::Buddy;
//! use buddy_alloc_api::allocator_api2::vec::Vec;
//! use buddy_core::BuddyAllocator;
//!
//! let buddy = Buddy::new(BuddyAllocator::<65536, 16>::new(false));
//! let mut squares = Vec::new_in(&buddy);
//! squares.extend((0..1000_u64).map(|n| n * n));
//! assert!(buddy.heap().total_allocated() >= 8000);
//! drop(squares);
//! assert_eq!(buddy.heap().total_allocated(), 0);
//! ```
//!
//! # Lifetimes and threads
//!
//! The trait is implemented for `&Buddy` alone: a collection borrows its heap, so it cannot outlive
//! it, and the heap cannot move meanwhile.
//!
//! ```compile_fail,E0505
//! # use buddy_alloc_api::{Buddy, allocator_api2::vec::Vec};
//! # use buddy_core::BuddyAllocator;
//! let buddy = Buddy::new(BuddyAllocator::<4096, 16>::new(false));
//! let numbers = Vec::<u8, _>::with_capacity_in(10, &buddy);
//! drop(buddy);
//! drop(numbers);
//! ```
//!
//! It may go to another thread if the heap may be shared, which one over plain words may not.
//!
//! ```compile_fail,E0277
//! # use buddy_alloc_api::{Buddy, allocator_api2::vec::Vec};
//! # use buddy_core::BuddyAllocator;
//! let buddy = Buddy::new(BuddyAllocator::<4096, 16>::new(false));
//! let numbers = Vec::<u8, _>::with_capacity_in(10, &buddy);
//! std::thread::scope(|scope| scope.spawn(move || drop(numbers)).join());
//! ```
//!
//! # Failure
//!
//! A request that the heap refuses is the collection's to report: `try_reserve` and its kin return
//! an error and leave the collection whole, `push` and its kin end in `handle_alloc_error`.
//!
//! The trait has no way to report a free that the heap refuses, which takes a mistake in unsafe code
//! elsewhere: with debug assertions it panics, otherwise it is ignored. The heap is whole in both
//! cases; a block in question stays allocated.
//!
//! # Features
//!
//! Each is additive; one `Buddy` may serve collections of all versions at once.
//!
//! - `allocator-api2-02` (default): `Allocator` of allocator-api2 0.2, which hashbrown and most others
//!   use, re-exported as `allocator_api2`.
//! - `allocator-api2-03`, `allocator-api2-04`: the same of 0.3 and 0.4.
//! - `nightly`: core's own `Allocator`, for the standard library's collections; needs a nightly
//!   compiler. allocator-api2 0.2 then stands for it, here and in every other crate, which has to know
//!   that (hashbrown's feature is `nightly`, too).
//! - `alloc` (default): `BuddyAllocator` of buddy-core, which owns its memory.

#![no_std]
#![cfg_attr(feature = "nightly", feature(allocator_api))]
#![allow(stable_features, reason = "newer nightly compilers may not need to be asked")]

mod global;
mod source;

pub use global::GlobalSource;
pub use source::BlockSource;

#[cfg(feature = "allocator-api2-02")]
pub use allocator_api2_02 as allocator_api2;

#[cfg(feature = "alloc")]
use alloc::boxed::Box;
use buddy_core::heap::ExclusiveStorage;
#[cfg(feature = "alloc")]
use buddy_core::{BuddyAllocator, Lazy, Plain};
use buddy_core::{Heap, Policy};
use core::alloc::GlobalAlloc;

/// A heap for collections: `&Buddy` is an `Allocator`.
///
/// It hands out no call that frees a block without `unsafe`, whatever the heap inside has: the
/// blocks belong to collections.
#[derive(Debug)]
pub struct Buddy<H: BlockSource>(H);

impl<H: BlockSource> Buddy<H> {
    /// Makes a heap one for collections.
    ///
    /// ```
    /// use buddy_alloc_api::{Buddy, allocator_api2::boxed::Box};
    /// use buddy_core::{Heap, Plain};
    /// use core::mem::MaybeUninit;
    ///
    /// let mut memory = [const { MaybeUninit::uninit() }; 1 << 12];
    /// let buddy = Buddy::new(Heap::<&mut [Plain], 16>::from_region(&mut memory)?);
    /// let boxed = Box::new_in([1, 2, 3], &buddy);
    /// assert_eq!(boxed.iter().sum::<i32>(), 6);
    /// # Ok::<(), buddy_core::heap::BuildError>(())
    /// ```
    #[must_use]
    pub const fn new(heap: H) -> Self {
        Self(heap)
    }

    /// The heap, once no collection borrows it.
    #[must_use]
    pub fn into_inner(self) -> H {
        self.0
    }
}

impl<S: ExclusiveStorage, const MIN_BLOCK: usize, P: Policy, const REGIONS: usize>
    Buddy<Heap<S, MIN_BLOCK, P, REGIONS>>
{
    /// The heap, for its figures.
    #[must_use]
    pub const fn heap(&self) -> &Heap<S, MIN_BLOCK, P, REGIONS> {
        &self.0
    }
}

#[cfg(feature = "alloc")]
impl<const HEAP: usize, const MIN_BLOCK: usize> Buddy<BuddyAllocator<HEAP, MIN_BLOCK>> {
    /// The heap, for its figures. (Not the `BuddyAllocator`, which frees without `unsafe`.)
    #[must_use]
    pub const fn heap(&self) -> &Heap<Box<[Plain]>, MIN_BLOCK, Lazy, 1> {
        self.0.as_heap()
    }
}

impl<'g, G: GlobalAlloc> Buddy<GlobalSource<'g, G>> {
    /// The heap, for its figures.
    #[must_use]
    pub const fn heap(&self) -> &'g G {
        self.0.heap()
    }
}

/// `Allocator`, of one version of the trait: all versions have the same methods and contract.
#[allow(unused_macros, reason = "without a feature there is no trait")]
macro_rules! implement_allocator {
    ($version:path) => {
        const _: () = {
            use core::alloc::Layout;
            use core::ptr::NonNull;
            use version::{AllocError, Allocator};
            use $version as version;

            // SAFETY: blocks stay where they are until they are freed or the heap, which this
            // borrows, is gone (`BlockSource`); copies of a reference are the same heap. A pointer that
            // the trait calls currently allocated was not freed before, and a layout that fits its
            // block is one that `BlockSource` takes.
            unsafe impl<H: BlockSource> Allocator for &Buddy<H> {
                #[inline]
                fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
                    self.0.allocate(layout).map_err(|_| AllocError)
                }

                #[inline]
                fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
                    self.0.allocate_zeroed(layout).map_err(|_| AllocError)
                }

                #[inline]
                unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) {
                    // SAFETY: the caller's duty.
                    let freed = unsafe { self.0.deallocate(ptr, layout) };
                    debug_assert!(freed.is_ok(), "deallocate: {freed:?}");
                }

                #[inline]
                unsafe fn grow(
                    &self,
                    ptr: NonNull<u8>,
                    old: Layout,
                    new: Layout,
                ) -> Result<NonNull<[u8]>, AllocError> {
                    // SAFETY: the caller's duty.
                    unsafe { self.0.grow(ptr, old, new) }.map_err(|_| AllocError)
                }

                #[inline]
                unsafe fn grow_zeroed(
                    &self,
                    ptr: NonNull<u8>,
                    old: Layout,
                    new: Layout,
                ) -> Result<NonNull<[u8]>, AllocError> {
                    // SAFETY: the caller's duty.
                    unsafe { self.0.grow_zeroed(ptr, old, new) }.map_err(|_| AllocError)
                }

                #[inline]
                unsafe fn shrink(
                    &self,
                    ptr: NonNull<u8>,
                    old: Layout,
                    new: Layout,
                ) -> Result<NonNull<[u8]>, AllocError> {
                    // SAFETY: the caller's duty.
                    unsafe { self.0.shrink(ptr, old, new) }.map_err(|_| AllocError)
                }
            }
        };
    };
}

// With `nightly` that is the core trait.
#[cfg(all(feature = "allocator-api2-02", not(feature = "nightly")))]
implement_allocator!(allocator_api2_02::alloc);
#[cfg(feature = "allocator-api2-03")]
implement_allocator!(allocator_api2_03::alloc);
#[cfg(feature = "allocator-api2-04")]
implement_allocator!(allocator_api2_04::alloc);
#[cfg(feature = "nightly")]
implement_allocator!(core::alloc);

#[cfg(feature = "alloc")]
extern crate alloc;

/// The README's examples.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
