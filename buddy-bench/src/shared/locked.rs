//! An allocator for one thread behind a lock, as programs have to share it.

use super::SharedPeer;
use crate::arena::Region;
use crate::peers::{Allocator, Memory, Peer};
use std::alloc::Layout;
use std::fmt;
use std::ptr::NonNull;

/// A lock around an allocator.
pub trait Lock: Sync {
    /// What is locked.
    type Inner: Peer;

    /// A lock that is open.
    fn new(inner: Self::Inner) -> Self;

    /// Calls `call` while the lock is held.
    fn with<R>(&self, call: impl FnOnce(&mut Self::Inner) -> R) -> R;
}

/// A spin lock.
#[derive(Debug)]
pub struct Spin<P>(spin::mutex::SpinMutex<P>);

impl<P: Peer + Send> Lock for Spin<P> {
    type Inner = P;

    fn new(inner: P) -> Self {
        Self(spin::mutex::SpinMutex::new(inner))
    }

    #[inline]
    fn with<R>(&self, call: impl FnOnce(&mut P) -> R) -> R {
        call(&mut self.0.lock())
    }
}

/// `parking_lot`'s mutex, which spins for a moment and sleeps then.
#[derive(Debug)]
pub struct Mutex<P>(parking_lot::Mutex<P>);

impl<P: Peer + Send> Lock for Mutex<P> {
    type Inner = P;

    fn new(inner: P) -> Self {
        Self(parking_lot::Mutex::new(inner))
    }

    #[inline]
    fn with<R>(&self, call: impl FnOnce(&mut P) -> R) -> R {
        call(&mut self.0.lock())
    }
}

/// An allocator behind a lock.
pub struct Locked<L>(L);

impl<L: Lock> SharedPeer for Locked<L> {
    const PACKAGE: &'static str = L::Inner::PACKAGE;
    const MEMORY: Memory = L::Inner::MEMORY;

    unsafe fn create(region: Region) -> Option<Self> {
        // SAFETY: the caller's duties.
        let inner = unsafe { L::Inner::create(region) };
        inner.map(|inner| Self(L::new(inner)))
    }

    #[inline]
    fn alloc(&self, layout: Layout) -> Option<NonNull<u8>> {
        self.0.with(|inner| inner.alloc(layout))
    }

    #[inline]
    unsafe fn dealloc(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's duties.
        self.0.with(|inner| unsafe { inner.dealloc(block, layout) });
    }
}

impl<L> fmt::Debug for Locked<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locked").finish_non_exhaustive()
    }
}
