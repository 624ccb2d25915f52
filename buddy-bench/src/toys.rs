//! Allocators for tests: a bump allocator, and ones that do each thing wrong.

use crate::arena::Region;
use crate::peers::{Allocator, Peer};
use crate::trace::{Event, Op, Trace, peak_bytes};
use std::alloc::Layout;
use std::ptr::NonNull;

/// A trace of (operation, slot, size), with blocks aligned to 16.
pub(crate) fn trace(events: &[(Op, u32, u32)]) -> Trace {
    let event = |&(op, slot, size)| Event { slot, size, op, align_log2: 4, thread: 0 };
    let events: Vec<Event> = events.iter().map(event).collect();
    let slots = events.iter().map(|event| event.slot as usize + 1).max().unwrap_or(0);
    let peak_bytes = peak_bytes(&events, slots);
    Trace { name: "test".to_owned(), events, slots, threads: 1, peak_bytes }
}

/// Hands out the region from its start, and takes nothing back.
#[derive(Debug)]
pub(crate) struct Bump {
    region: Region,
    used: usize,
}

impl Bump {
    /// The next `layout.size()` bytes, `skew` bytes behind the right place, of which `step` are
    /// counted as used.
    fn take(&mut self, layout: Layout, skew: usize, step: usize) -> Option<NonNull<u8>> {
        let offset = self.used.next_multiple_of(layout.align()) + skew;
        let end = offset.checked_add(layout.size()).filter(|&end| end <= self.region.len)?;
        self.used = end - layout.size() + step;
        NonNull::new(self.region.start.as_ptr().wrapping_add(offset))
    }
}

impl Peer for Bump {
    const NAME: &'static str = "bump";
    const PACKAGE: &'static str = "test 0";

    unsafe fn create(region: Region) -> Option<Self> {
        Some(Self { region, used: 0 })
    }
}

impl Allocator for Bump {
    fn alloc(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        self.take(layout, 0, layout.size())
    }

    unsafe fn dealloc(&mut self, _block: NonNull<u8>, _layout: Layout) {}
}

/// A bump allocator that does something else in some calls.
macro_rules! wrong {
    ($(#[$doc:meta])* $name:ident, $($item:item)*) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name(Bump);

        impl Peer for $name {
            const NAME: &'static str = stringify!($name);
            const PACKAGE: &'static str = "test 0";

            unsafe fn create(region: Region) -> Option<Self> {
                Some(Self(Bump { region, used: 0 }))
            }
        }

        impl Allocator for $name {
            unsafe fn dealloc(&mut self, _block: NonNull<u8>, _layout: Layout) {}

            $($item)*
        }
    };
}

wrong! {
    /// The second half of each block is the next one's, too.
    Overlapping,
    fn alloc(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        self.0.take(layout, 0, layout.size() / 2)
    }
}

wrong! {
    /// Blocks begin 8 bytes behind the right place.
    Misaligned,
    fn alloc(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        self.0.take(layout, 8, layout.size())
    }
}

wrong! {
    /// The first block is written to when others are allocated.
    Scribbling,
    fn alloc(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let block = self.0.take(layout, 0, layout.size())?;
        if block != self.0.region.start {
            // SAFETY: inside the region.
            let place = unsafe { self.0.region.start.add(40) };
            // SAFETY: as above.
            unsafe { place.write(0x77) };
        }
        Some(block)
    }
}

wrong! {
    /// A realloc leaves the contents behind.
    Forgetful,
    fn alloc(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        self.0.alloc(layout)
    }

    unsafe fn realloc(
        &mut self,
        _block: NonNull<u8>,
        _old: Layout,
        new: Layout,
    ) -> Option<NonNull<u8>> {
        self.0.alloc(new)
    }
}

wrong! {
    /// Zeroed blocks are as they are found.
    Dirty,
    fn alloc(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        self.0.alloc(layout)
    }

    fn alloc_zeroed(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        self.0.alloc(layout)
    }
}

wrong! {
    /// What comes after 2000 bytes ends behind the region.
    OutOfBounds,
    fn alloc(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let block = self.0.alloc(layout)?;
        let end = self.0.region.start.as_ptr().wrapping_add(self.0.region.len - 1);
        if self.0.used > 2000 { NonNull::new(end) } else { Some(block) }
    }
}

wrong! {
    /// Gives up.
    Panicking,
    fn alloc(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        panic!("a panic that a test expects: {layout:?}, {:?}", self.0)
    }
}
