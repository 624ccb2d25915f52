//! Which metadata a heap may trust.

#[cfg(target_has_atomic = "ptr")]
use crate::tree::Atomic;
#[cfg(all(target_has_atomic = "ptr", target_has_atomic = "32"))]
use crate::tree::Atomic32;
use crate::tree::{Plain, Plain32, Storage, Word};

/// Storage that nobody else can write: what [`Heap`](super::Heap) builds on.
///
/// A tree over shared words may be changed behind its back by another tree over the same words, and
/// then hands out a number twice. For plain numbers that is a mistake, for memory it would be
/// unsound, so a heap takes only storage of this kind.
///
/// # Safety
/// [`Storage::words`] returns the same words at every call, and for as long as the storage lives
/// nobody changes them in another way than through it.
pub unsafe trait ExclusiveStorage: Storage {}

// SAFETY: a unique borrow, held by the storage for its whole life.
unsafe impl<W: Word> ExclusiveStorage for &mut [W] {}

// SAFETY: the storage is the words.
unsafe impl<W: Word, const N: usize> ExclusiveStorage for [W; N] {}

// SAFETY: a box owns its words.
#[cfg(feature = "alloc")]
unsafe impl<W: Word> ExclusiveStorage for alloc::boxed::Box<[W]> {}

/// Words that may be made from zeroed bytes, as metadata in raw memory is.
///
/// # Safety
/// All bytes zero is a valid value of the type, it means the number 0, and it needs no drop.
pub unsafe trait ZeroedWord: Word {}

// SAFETY: a transparent wrapper round a cell of an integer.
unsafe impl ZeroedWord for Plain {}

// SAFETY: a transparent wrapper round a cell of an integer.
unsafe impl ZeroedWord for Plain32 {}

// SAFETY: a transparent wrapper round an atomic integer.
#[cfg(target_has_atomic = "ptr")]
unsafe impl ZeroedWord for Atomic {}

// SAFETY: a transparent wrapper round an atomic integer.
#[cfg(all(target_has_atomic = "ptr", target_has_atomic = "32"))]
unsafe impl ZeroedWord for Atomic32 {}
