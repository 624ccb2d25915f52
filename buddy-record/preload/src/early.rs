//! Memory for requests that come before the next functions are known. It is never used again, so that
//! it is zero when it is handed out.

use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

const BYTES: usize = 1 << 16;

/// Before each block lies its size.
const HEAD: usize = 16;

#[repr(align(4096))]
struct Memory(UnsafeCell<[u8; BYTES]>);

// SAFETY: each byte is handed out once, to one thread.
unsafe impl Sync for Memory {}

static MEMORY: Memory = Memory(UnsafeCell::new([0; BYTES]));

/// How many bytes are taken.
static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// A zeroed block, or null if there is none.
pub(crate) fn allocate(align: usize, size: usize) -> *mut c_void {
    let take = |taken: usize| {
        let start = (taken + HEAD).checked_next_multiple_of(align.max(HEAD))?;
        start.checked_add(size).filter(|&end| end <= BYTES)
    };
    let Ok(taken) = TAKEN.fetch_update(Relaxed, Relaxed, take) else { return null_mut() };
    let start = (taken + HEAD).next_multiple_of(align.max(HEAD));
    let block = MEMORY.0.get().cast::<u8>().wrapping_add(start);
    #[expect(clippy::cast_ptr_alignment, reason = "blocks are aligned to `HEAD` at least")]
    let head = block.wrapping_sub(HEAD).cast::<usize>();
    // SAFETY: inside the memory, aligned, and this thread's alone.
    unsafe { head.write(size) };
    block.cast()
}

/// Whether the block is one of these.
#[inline]
pub(crate) fn contains(block: *const c_void) -> bool {
    block.addr().wrapping_sub(MEMORY.0.get().addr()) < BYTES
}

/// The bytes asked for.
///
/// # Safety
/// [`allocate`] gave the block.
pub(crate) unsafe fn size(block: *const c_void) -> usize {
    // SAFETY: before each block lies its size.
    unsafe { block.wrapping_byte_sub(HEAD).cast::<usize>().read() }
}
