//! An allocator whose every call is timed for itself.

use crate::clock;
use crate::peers::Allocator;
use std::alloc::Layout;
use std::ptr::NonNull;

/// What was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An allocation.
    Allocate,
    /// A free.
    Free,
    /// A realloc to a larger size.
    Grow,
    /// A realloc to a smaller or the same size.
    Shrink,
}

impl Kind {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Allocate, Self::Free, Self::Grow, Self::Shrink];

    /// Its name in the tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Allocate => "allocate",
            Self::Free => "free",
            Self::Grow => "grow",
            Self::Shrink => "shrink",
        }
    }
}

/// One call and how long it took.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// What it was.
    pub kind: Kind,
    /// In units of the [`clock`], those of reading it taken off.
    pub ticks: u32,
}

/// Passes all calls on, and notes how long each took.
#[derive(Debug)]
pub struct Timed<'a, A> {
    allocator: &'a mut A,
    calls: &'a mut Vec<Call>,
    /// What reading the clock takes.
    overhead: u64,
}

impl<'a, A: Allocator> Timed<'a, A> {
    /// Notes in `calls`, of which there are no more than it has room for: what comes then is passed
    /// on and not noted.
    pub fn new(allocator: &'a mut A, calls: &'a mut Vec<Call>) -> Self {
        Self { allocator, calls, overhead: clock::overhead() }
    }

    #[inline(always)]
    fn note<R>(&mut self, kind: Kind, call: impl FnOnce(&mut A) -> R) -> R {
        let start = clock::now();
        let result = call(self.allocator);
        let ticks = clock::now().wrapping_sub(start).saturating_sub(self.overhead);
        if self.calls.len() < self.calls.capacity() {
            self.calls.push(Call { kind, ticks: u32::try_from(ticks).unwrap_or(u32::MAX) });
        }
        result
    }
}

impl<A: Allocator> Allocator for Timed<'_, A> {
    #[inline]
    fn alloc(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        self.note(Kind::Allocate, |allocator| allocator.alloc(layout))
    }

    /// Most of its time clears the block: it is not noted.
    #[inline]
    fn alloc_zeroed(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        self.allocator.alloc_zeroed(layout)
    }

    #[inline]
    unsafe fn dealloc(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's duties.
        self.note(Kind::Free, |allocator| unsafe { allocator.dealloc(block, layout) });
    }

    #[inline]
    unsafe fn realloc(
        &mut self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Option<NonNull<u8>> {
        let kind = if new.size() > old.size() { Kind::Grow } else { Kind::Shrink };
        // SAFETY: the caller's duties.
        self.note(kind, |allocator| unsafe { allocator.realloc(block, old, new) })
    }
}
