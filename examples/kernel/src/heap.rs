//! The kernel's heap: buddy-global, on frames that the kernel's page tables map side by side.

use crate::machine::boot::Boot;
use crate::machine::cpu::Cpu;
use crate::memory::{PerCpu, frames};
use crate::paging::TABLES;
use buddy_core::Order;
use buddy_core::frames::Frame;
use buddy_global::BuddyHeap;
use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;
use core::sync::atomic::Ordering::Relaxed;
use spin::Mutex;

/// Where the heap begins.
const BASE: usize = 0xffff_9000_0000_0000;
/// Bytes of a frame.
const FRAME: usize = 4096;

/// A heap without a lock, which tells when calls of it are interrupted. Two regions: what it begins with,
/// which has the metadata at its end, and all that is added behind that.
pub(crate) struct KernelHeap(BuddyHeap<32, PerCpu, 2>);

/// All that `alloc` makes comes from here.
#[global_allocator]
pub(crate) static HEAP: KernelHeap = KernelHeap(BuddyHeap::empty().out_of_memory(grow));

// SAFETY: `BuddyHeap`'s blocks.
unsafe impl GlobalAlloc for KernelHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's duties.
        Cpu::current().inside(|| unsafe { self.0.alloc(layout) })
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's duties.
        Cpu::current().inside(|| unsafe { self.0.dealloc(ptr, layout) });
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's duties.
        Cpu::current().inside(|| unsafe { self.0.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's duties.
        Cpu::current().inside(|| unsafe { self.0.realloc(ptr, layout, new_size) })
    }
}

impl KernelHeap {
    /// The heap.
    pub(crate) fn heap(&self) -> &BuddyHeap<32, PerCpu, 2> {
        &self.0
    }
}

/// How far the heap is mapped, and may be.
struct Extent {
    mapped: usize,
    room: usize,
}

/// Whoever changes the heap's size has this. Interrupt handlers never do.
static EXTENT: Mutex<Extent> = Mutex::new(Extent { mapped: 0, room: 0 });

/// Sets up the heap: an eighth of its room at first, more when it is needed.
pub(crate) fn start(boot: &Boot) {
    let mut extent = EXTENT.lock();
    extent.room = (boot.end().get() as usize / 4).clamp(4 << 20, 256 << 20).next_multiple_of(FRAME);
    let (room, first) = (extent.room, (extent.room / 8).next_multiple_of(FRAME));
    assert!(map(&mut extent, first), "frames for the heap");
    // SAFETY: these pages were just mapped, for this heap.
    let usable = unsafe { HEAP.0.init_raw_with_room(at(0), first, room) };
    usable.expect("a heap");
}

/// A place in the heap's range.
fn at(offset: usize) -> NonNull<u8> {
    let pointer = core::ptr::with_exposed_provenance_mut(BASE + offset);
    NonNull::new(pointer).expect("an address that is not null")
}

/// Maps frames behind the heap's pages; they need not be neighbours.
fn map(extent: &mut Extent, bytes: usize) -> bool {
    let end = extent.mapped + bytes;
    let mut pages = [Frame::default(); 64];
    while extent.mapped < end {
        let wanted = pages.len().min((end - extent.mapped) / FRAME);
        let had = frames().allocate_many(Order::MIN, &mut pages[..wanted]);
        let mut tables = TABLES.lock();
        let Some(tables) = &mut *tables else { return false };
        for page in &pages[..had] {
            tables.map_data(BASE + extent.mapped, *page);
            extent.mapped += FRAME;
        }
        if had < wanted {
            return false;
        }
    }
    true
}

/// Called by the heap when it has no memory for a request: gives it more. Whether that is worth
/// another try.
fn grow(layout: Layout) -> bool {
    if Cpu::current().in_handler.load(Relaxed) {
        return false;
    }
    let before = HEAP.0.size();
    let mut extent = EXTENT.lock();
    if HEAP.0.size() > before {
        // By another processor, in the meantime.
        return true;
    }
    let wanted = (2 * layout.size()).max(extent.room / 16).next_multiple_of(FRAME);
    // Some are left for page tables.
    let spare = frames().free_frames().saturating_sub(64) * FRAME;
    let bytes = wanted.min(extent.room - extent.mapped).min(spare);
    let old = extent.mapped;
    map(&mut extent, bytes);
    let bytes = extent.mapped - old;
    // SAFETY: pages that were just mapped behind the heap's, for this heap.
    let added = unsafe { HEAP.0.add_raw(at(old), bytes) };
    added.is_ok()
}

/// Takes the heap down, which nobody uses any more: all its frames go back.
pub(crate) fn end() {
    let mut extent = EXTENT.lock();
    let mut tables = TABLES.lock();
    let tables = tables.as_mut().expect("page tables");
    for offset in (0..extent.mapped).step_by(FRAME) {
        let frame = tables.unmap(BASE + offset);
        frames().free_one(frame).expect("a frame of the heap");
    }
    *extent = Extent { mapped: 0, room: 0 };
}
