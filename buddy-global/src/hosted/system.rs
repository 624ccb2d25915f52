//! What is asked of the operating system.

use core::ptr::{self, NonNull};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};

/// No page of ordinary memory is larger, on any machine that Linux runs on.
pub(super) const LARGEST_PAGE: usize = 64 << 10;

/// Reserved memory starts at a multiple of this, a huge page of most machines.
const START: usize = 2 << 20;

/// Address space of `bytes` bytes, which may be read and written: zeros. The system gives a page
/// memory when it is written for the first time.
pub(super) fn reserve(bytes: usize) -> Option<NonNull<u8>> {
    let len = bytes.checked_add(START)?;
    let access = ProtFlags::READ | ProtFlags::WRITE;
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
    // SAFETY: a new mapping at a place that the system chooses.
    let start = unsafe { mmap_anonymous(ptr::null_mut(), len, access, flags) }.ok()?;
    let skipped = start.addr().wrapping_neg() % START;
    // SAFETY: `skipped` is less than `START`, and the mapping that much longer than `bytes`.
    NonNull::new(unsafe { start.cast::<u8>().add(skipped) })
}

/// Makes the `bytes` bytes at `start` zeros, and gives whole pages back to the system; whether it
/// did. If not (the memory is locked, say), the bytes are what they were.
///
/// # Safety
/// The memory lies in what [`reserve`] returned, and is the caller's to write.
pub(super) unsafe fn give_back(start: NonNull<u8>, bytes: usize) -> bool {
    let head = (start.addr().get().wrapping_neg() % LARGEST_PAGE).min(bytes);
    let pages = (bytes - head) / LARGEST_PAGE * LARGEST_PAGE;
    let tail = bytes - head - pages;
    if pages == 0 {
        return false;
    }
    // SAFETY: `head` bytes lie in the memory.
    let first_page = unsafe { start.add(head) };
    // SAFETY: whole pages of a private mapping without a file, the caller's: they are zeros next.
    let result = unsafe { madvise(first_page.as_ptr().cast(), pages, Advice::LinuxDontNeed) };
    if result.is_err() {
        return false;
    }
    // SAFETY: the bytes before the pages are the caller's to write.
    unsafe { start.write_bytes(0, head) };
    // SAFETY: `head + pages` bytes lie in the memory.
    let behind = unsafe { first_page.add(pages) };
    // SAFETY: the bytes behind the pages are the caller's to write.
    unsafe { behind.write_bytes(0, tail) };
    true
}
