//! The machine words in which a tree keeps its state: plain cells for one thread, atomics for many.
//!
//! The tree's algorithms are written once over [`Word`]. Every change of shared state is one call of
//! one word; on a plain word it is an ordinary load and store, on an atomic word one
//! read-modify-write.

use core::cell::Cell;

/// A word of a tree's metadata.
///
/// Implemented by [`Plain`] and [`Plain32`] for one thread and, where the target has
/// compare-and-swap, by `Atomic` and `Atomic32` for many. A 64-bit word records 32 nodes, a 32-bit
/// word 16.
pub trait Word: Default + sealed::Sealed {
    /// How many bits the word has.
    const BITS: u32;

    /// Whether threads share it.
    #[doc(hidden)]
    const SHARED: bool;

    /// Reads the word.
    #[doc(hidden)]
    fn load(&self) -> usize;
    /// Writes the word.
    #[doc(hidden)]
    fn store(&self, value: usize);
    /// Writes the word and returns what it held.
    #[doc(hidden)]
    fn swap(&self, value: usize) -> usize;
    /// Sets the bits and returns what the word held before.
    #[doc(hidden)]
    fn set(&self, bits: usize) -> usize;
    /// Clears the bits and returns what the word held before.
    #[doc(hidden)]
    fn clear(&self, bits: usize) -> usize;
    /// Changes the word unless `change` says `None`; returns what it held before, `Err` if unchanged.
    #[doc(hidden)]
    fn update(&self, change: impl FnMut(usize) -> Option<usize>) -> Result<usize, usize>;
    /// Changes the word; returns what it held before.
    #[doc(hidden)]
    #[inline(always)]
    fn change(&self, change: impl Fn(usize) -> usize) -> usize {
        self.update(|old| Some(change(old))).unwrap_or_else(|old| old)
    }
    /// Adds to a counter and returns the new value.
    #[doc(hidden)]
    fn add(&self, count: usize) -> usize;
    /// Subtracts from a counter. Counters order nothing.
    #[doc(hidden)]
    fn sub(&self, count: usize);
    /// Raises a counter to at least `value`.
    #[doc(hidden)]
    fn raise(&self, value: usize);
    /// Reads the newest value by a read-modify-write, so that the read cannot be served before
    /// this thread's earlier changes of other words are visible.
    #[doc(hidden)]
    fn reread(&self) -> usize;
}

mod sealed {
    pub trait Sealed {}
}

/// `log2` of the nodes that a word of `W` records.
pub(super) const fn node_shift<W: Word>() -> u32 {
    W::BITS.ilog2() - 1
}

/// The largest value a word of `W` holds.
pub(crate) const fn max_value<W: Word>() -> usize {
    if W::BITS >= usize::BITS { usize::MAX } else { (1 << W::BITS) - 1 }
}

macro_rules! plain {
    ($(#[$doc:meta])* $name:ident, $int:ty) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        #[repr(transparent)]
        pub struct $name(Cell<$int>);

        impl $name {
            /// A word that holds zero, for `const` storage.
            #[must_use]
            pub const fn zero() -> Self {
                Self(Cell::new(0))
            }
        }

        impl sealed::Sealed for $name {}

        impl Word for $name {
            const BITS: u32 = <$int>::BITS;
            const SHARED: bool = false;

            #[inline(always)]
            fn load(&self) -> usize {
                self.0.get() as usize
            }
            #[inline(always)]
            fn store(&self, value: usize) {
                self.0.set(value as $int);
            }
            #[inline(always)]
            fn swap(&self, value: usize) -> usize {
                self.0.replace(value as $int) as usize
            }
            #[inline(always)]
            fn set(&self, bits: usize) -> usize {
                let old = self.load();
                self.store(old | bits);
                old
            }
            #[inline(always)]
            fn clear(&self, bits: usize) -> usize {
                let old = self.load();
                self.store(old & !bits);
                old
            }
            #[inline(always)]
            fn update(
                &self,
                mut change: impl FnMut(usize) -> Option<usize>,
            ) -> Result<usize, usize> {
                let old = self.load();
                match change(old) {
                    Some(new) => {
                        self.store(new);
                        Ok(old)
                    }
                    None => Err(old),
                }
            }
            #[inline(always)]
            fn add(&self, count: usize) -> usize {
                let new = self.load().wrapping_add(count);
                self.store(new);
                new
            }
            #[inline(always)]
            fn sub(&self, count: usize) {
                self.store(self.load().wrapping_sub(count));
            }
            #[inline(always)]
            fn raise(&self, value: usize) {
                if self.load() < value {
                    self.store(value);
                }
            }
            #[inline(always)]
            fn reread(&self) -> usize {
                self.load()
            }
        }
    };
}

plain! {
    /// A word for one thread.
    Plain, usize
}
plain! {
    /// A 32-bit word for one thread, whatever the width of `usize`.
    Plain32, u32
}

#[cfg(target_has_atomic = "ptr")]
macro_rules! atomic {
    ($(#[$doc:meta])* $name:ident, $atomic:path, $int:ty $(, $constness:ident)?) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        #[repr(transparent)]
        pub struct $name($atomic);

        impl $name {
            /// A word that holds zero, for `const` storage.
            #[must_use]
            pub $($constness)? fn zero() -> Self {
                Self(<$atomic>::new(0))
            }
        }

        impl sealed::Sealed for $name {}

        // Acquire: whoever takes a block sees what its former owner did to it before giving it up.
        // Release: whoever takes it next sees what this thread did. A counter that is raised is AcqRel, too: whoever raises
        // it looks at other words next, which whoever reads it may have changed.
        impl Word for $name {
            const BITS: u32 = <$int>::BITS;
            const SHARED: bool = true;

            #[inline(always)]
            fn load(&self) -> usize {
                self.0.load(Acquire) as usize
            }
            #[inline(always)]
            fn store(&self, value: usize) {
                self.0.store(value as $int, Release);
            }
            #[inline(always)]
            fn swap(&self, value: usize) -> usize {
                self.0.swap(value as $int, AcqRel) as usize
            }
            #[inline(always)]
            fn set(&self, bits: usize) -> usize {
                self.0.fetch_or(bits as $int, AcqRel) as usize
            }
            #[inline(always)]
            fn clear(&self, bits: usize) -> usize {
                self.0.fetch_and(!(bits as $int), AcqRel) as usize
            }
            #[inline(always)]
            fn update(
                &self,
                mut change: impl FnMut(usize) -> Option<usize>,
            ) -> Result<usize, usize> {
                self.0
                    .fetch_update(AcqRel, Acquire, |old| {
                        change(old as usize).map(|new| new as $int)
                    })
                    .map(|old| old as usize)
                    .map_err(|old| old as usize)
            }
            #[inline(always)]
            fn add(&self, count: usize) -> usize {
                self.0.fetch_add(count as $int, AcqRel).wrapping_add(count as $int) as usize
            }
            #[inline(always)]
            fn sub(&self, count: usize) {
                self.0.fetch_sub(count as $int, Relaxed);
            }
            #[inline(always)]
            fn raise(&self, value: usize) {
                if (self.0.load(Relaxed) as usize) < value {
                    self.0.fetch_max(value as $int, Relaxed);
                }
            }
            #[inline(always)]
            fn reread(&self) -> usize {
                self.0.fetch_or(0, AcqRel) as usize
            }
        }
    };
}

#[cfg(target_has_atomic = "ptr")]
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

#[cfg(target_has_atomic = "ptr")]
atomic! {
    /// A word that many threads share.
    Atomic, core::sync::atomic::AtomicUsize, usize, const
}
#[cfg(all(target_has_atomic = "ptr", target_has_atomic = "32"))]
atomic! {
    /// A 32-bit word that many threads share, whatever the width of `usize`.
    Atomic32, core::sync::atomic::AtomicU32, u32, const
}
#[cfg(loom)]
atomic! {
    /// A word of four nodes for models of many threads, checked by loom: small trees have summaries.
    Modelled, loom::sync::atomic::AtomicU8, u8
}
#[cfg(loom)]
atomic! {
    /// The same of eight nodes, for trees whose summaries have summaries.
    Modelled16, loom::sync::atomic::AtomicU16, u16
}

/// Where a tree keeps its words: borrowed, an array, or (feature `alloc`) boxed.
pub trait Storage {
    /// The kind of word.
    type Word: Word;

    /// The words.
    fn words(&self) -> &[Self::Word];
}

impl<W: Word> Storage for &mut [W] {
    type Word = W;

    #[inline(always)]
    fn words(&self) -> &[W] {
        self
    }
}

impl<W: Word> Storage for &[W] {
    type Word = W;

    #[inline(always)]
    fn words(&self) -> &[W] {
        self
    }
}

impl<W: Word, const N: usize> Storage for [W; N] {
    type Word = W;

    #[inline(always)]
    fn words(&self) -> &[W] {
        self
    }
}

#[cfg(feature = "alloc")]
impl<W: Word> Storage for alloc::boxed::Box<[W]> {
    type Word = W;

    #[inline(always)]
    fn words(&self) -> &[W] {
        self
    }
}
