//! A heap that is built by the first call, whoever makes it.

use core::cell::UnsafeCell;
use core::hint;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Nothing is there, and nobody is at it.
const EMPTY: usize = 0;
/// Somebody is building.
const BUILDING: usize = 1;
/// The value is there, and stays as it is.
const READY: usize = 2;

/// How often a call looks whether another has built the heap, before it does without.
const PATIENCE: usize = 1 << 20;

/// A value that is built once, and an empty one that stands for it until then.
///
/// `stage` goes from EMPTY to BUILDING by compare-and-swap, so one call builds; from there to READY,
/// or back to EMPTY if that failed.
pub(crate) struct Late<T> {
    stage: AtomicUsize,
    value: UnsafeCell<T>,
    nothing: T,
}

// SAFETY: the value is written in BUILDING by the one thread that brought about that stage (`Send`),
// and shared in READY, when it is not written any more (`Sync`). `nothing` is shared (`Sync`).
unsafe impl<T: Send + Sync> Sync for Late<T> {}

impl<T> Late<T> {
    /// Nothing yet: two empty values.
    pub(crate) const fn new(nothing: T, value: T) -> Self {
        Self { stage: AtomicUsize::new(EMPTY), value: UnsafeCell::new(value), nothing }
    }

    /// The value, or what stands for it.
    ///
    /// Without `build` it is not waited for. With it, this builds the value, or waits for the call
    /// that does: not for ever, since that may be what this thread was interrupted in.
    #[inline(always)]
    pub(crate) fn get(&self, build: Option<impl FnOnce() -> T>) -> &T {
        // Acquire: with READY, what was written before it is seen.
        if self.stage.load(Ordering::Acquire) == READY {
            // SAFETY: READY is the last stage: the value is not written any more.
            return unsafe { &*self.value.get() };
        }
        match build {
            Some(build) => self.get_slowly(build),
            None => &self.nothing,
        }
    }

    #[cold]
    fn get_slowly(&self, build: impl FnOnce() -> T) -> &T {
        if let Some(Ok(value)) = self.set(|| Ok::<T, ()>(build())) {
            return value;
        }
        for _ in 0..PATIENCE {
            if self.stage.load(Ordering::Acquire) == READY {
                // SAFETY: as in `get`.
                return unsafe { &*self.value.get() };
            }
            hint::spin_loop();
        }
        &self.nothing
    }

    /// Builds the value, unless it is there or being built already: `None`.
    pub(crate) fn set<E>(&self, build: impl FnOnce() -> Result<T, E>) -> Option<Result<&T, E>> {
        // Acquire: a build that failed is over.
        self.stage.compare_exchange(EMPTY, BUILDING, Ordering::Acquire, Ordering::Relaxed).ok()?;
        match build() {
            Ok(value) => {
                // SAFETY: BUILDING, by this call: nobody else touches the value.
                unsafe { *self.value.get() = value };
                // Release: who sees READY sees the value.
                self.stage.store(READY, Ordering::Release);
                // SAFETY: as in `get`.
                Some(Ok(unsafe { &*self.value.get() }))
            }
            Err(error) => {
                self.stage.store(EMPTY, Ordering::Release);
                Some(Err(error))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::sync::Barrier;
    use std::thread;

    type Build = fn() -> usize;

    #[test]
    fn nothing_stands_for_a_value_that_nobody_builds() {
        let late = Late::new(0, 0);
        assert_eq!(*late.get(None::<Build>), 0);
        assert_eq!(*late.get(Some(|| 7)), 7);
        assert_eq!(*late.get(None::<Build>), 7);
    }

    #[test]
    fn a_value_is_built_once() {
        let late = Late::new(0, 0);
        assert_eq!(*late.get(Some(|| 7)), 7);
        assert_eq!(*late.get(Some(|| 8)), 7);
        assert!(late.set(|| Ok::<_, ()>(9)).is_none());
    }

    #[test]
    fn after_a_build_that_failed_there_may_be_another() {
        let late = Late::new(0, 0);
        assert_eq!(late.set(|| Err("no memory")), Some(Err("no memory")));
        assert_eq!(*late.get(None::<Build>), 0);
        assert_eq!(late.set(|| Ok::<_, ()>(7)), Some(Ok(&7)));
    }

    #[test]
    fn a_call_inside_the_build_does_not_wait_for_ever() {
        let late = Late::new(0, 0);
        let value = *late.get(Some(|| 7 + *late.get(Some(|| 1000))));
        assert_eq!((value, *late.get(None::<Build>)), (7, 7));
    }

    #[test]
    fn calls_that_meet_the_build_wait_for_it() {
        let (late, start) = (Late::new(0, 0), Barrier::new(2));
        thread::scope(|scope| {
            scope.spawn(|| {
                late.get(Some(|| {
                    start.wait();
                    thread::yield_now();
                    7
                }));
            });
            start.wait();
            assert_eq!(*late.get(Some(|| 8)), 7);
        });
    }
}
