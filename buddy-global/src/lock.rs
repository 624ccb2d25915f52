//! Locks for [`LockedHeap`](crate::LockedHeap).

use core::fmt;

/// A lock without contents, for [`LockedHeap`](crate::LockedHeap).
///
/// Implement it for the lock that your system has. What [`Self::lock`] returns is handed to
/// [`Self::unlock`]: a lock that disables interrupts returns whether they were enabled before.
///
/// ```
/// use buddy_global::{LockedHeap, RawLock};
/// # mod arch {
/// #     pub fn disable_interrupts() -> bool { true }
/// #     pub fn restore_interrupts(_: bool) {}
/// # }
///
/// /// Enough where there is one core.
/// struct NoInterrupts;
///
/// // SAFETY: nothing else runs on the only core between `lock` and `unlock`.
/// unsafe impl RawLock for NoInterrupts {
///     type State = bool;
///
///     fn lock(&self) -> bool {
///         arch::disable_interrupts()
///     }
///
///     unsafe fn unlock(&self, were_enabled: bool) {
///         arch::restore_interrupts(were_enabled);
///     }
/// }
///
/// static HEAP: LockedHeap<NoInterrupts> = LockedHeap::empty(NoInterrupts);
/// ```
///
/// # Safety
/// Between a return of [`Self::lock`] and the call of [`Self::unlock`] that follows it no other call
/// of `lock` returns, and what was done before an `unlock` is seen by whoever `lock`s next. Neither
/// unwinds, nor allocates from the heap behind this lock.
pub unsafe trait RawLock {
    /// What [`Self::unlock`] has to know.
    type State;

    /// Waits for the lock, and takes it.
    fn lock(&self) -> Self::State;

    /// Gives the lock back.
    ///
    /// # Safety
    /// The lock is held by the caller; `state` is what the call of [`Self::lock`] returned.
    unsafe fn unlock(&self, state: Self::State);
}

/// A lock that spins, by the crate `spin`: for several cores or threads.
///
/// An interrupt or signal handler that comes while its own core holds the lock waits for ever.
#[cfg(target_has_atomic = "ptr")]
pub struct Spin(spin::mutex::SpinMutex<()>);

#[cfg(target_has_atomic = "ptr")]
impl Spin {
    /// A lock that nobody holds.
    #[must_use]
    pub const fn new() -> Self {
        Self(spin::mutex::SpinMutex::new(()))
    }
}

#[cfg(target_has_atomic = "ptr")]
impl Default for Spin {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(target_has_atomic = "ptr")]
impl fmt::Debug for Spin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spin").field("is_locked", &self.0.is_locked()).finish()
    }
}

// SAFETY: the mutex lets one holder in, and its guard is forgotten, so that it stays locked.
#[cfg(target_has_atomic = "ptr")]
unsafe impl RawLock for Spin {
    type State = ();

    #[inline]
    fn lock(&self) {
        core::mem::forget(self.0.lock());
    }

    #[inline]
    unsafe fn unlock(&self, (): ()) {
        // SAFETY: locked by the caller, who has no guard.
        unsafe { self.0.force_unlock() };
    }
}

/// No lock at all: for one core that allocates in no interrupt handler. Needs no atomics.
pub struct NoLock(());

impl NoLock {
    /// What a heap is given that is to have no lock.
    ///
    /// ```
    /// use buddy_global::{LockedHeap, NoLock, StaticMemory};
    ///
    /// static MEMORY: StaticMemory<4096> = StaticMemory::new();
    ///
    /// // SAFETY: one core, no threads, and no interrupt handler allocates or frees.
    /// static HEAP: LockedHeap<NoLock> = LockedHeap::over(unsafe { NoLock::new() }, &MEMORY);
    /// ```
    ///
    /// # Safety
    /// No two calls of the heap that has this run at the same time, not even one inside the other:
    /// there is one thread on one core, and no interrupt or signal handler that allocates, frees or
    /// asks for figures may interrupt one that does. Nothing checks that.
    #[must_use]
    pub const unsafe fn new() -> Self {
        Self(())
    }
}

impl fmt::Debug for NoLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NoLock")
    }
}

// SAFETY: whoever made it promised that there is one call at a time.
unsafe impl RawLock for NoLock {
    type State = ();

    #[inline(always)]
    fn lock(&self) {}

    #[inline(always)]
    unsafe fn unlock(&self, (): ()) {}
}

/// A lock that is held until this is dropped.
pub(crate) struct Held<'l, L: RawLock> {
    lock: &'l L,
    state: Option<L::State>,
}

impl<'l, L: RawLock> Held<'l, L> {
    #[inline]
    pub(crate) fn new(lock: &'l L) -> Self {
        Self { lock, state: Some(lock.lock()) }
    }
}

impl<L: RawLock> Drop for Held<'_, L> {
    #[inline]
    fn drop(&mut self) {
        if let Some(state) = self.state.take() {
            // SAFETY: locked by `new`, whose state this is.
            unsafe { self.lock.unlock(state) };
        }
    }
}
