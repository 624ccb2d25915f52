//! A heap for one thread over one piece of memory: what a small device would link.

#![no_std]

use buddy_core::{Heap, Plain};
use core::alloc::Layout;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

#[cfg(feature = "eager")]
type Merging = buddy_core::Eager;
#[cfg(not(feature = "eager"))]
type Merging = buddy_core::Lazy;

/// The heap.
pub type Small = Heap<&'static mut [Plain], 16, Merging, 1>;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// # Safety
/// `heap` may be written, and `len` bytes at `start` are nobody else's for ever.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn init(
    heap: &mut MaybeUninit<Small>,
    start: *mut MaybeUninit<u8>,
    len: usize,
) -> bool {
    // SAFETY: the caller's promise.
    let memory = unsafe { core::slice::from_raw_parts_mut(start, len) };
    match Small::from_region(memory) {
        Ok(built) => {
            heap.write(built);
            true
        }
        Err(_) => false,
    }
}

/// Null if there is no room.
#[unsafe(no_mangle)]
pub extern "C" fn allocate(heap: &Small, size: usize, align: usize) -> *mut u8 {
    let layout = Layout::from_size_align(size, align);
    let block = layout.ok().and_then(|layout| heap.allocate(layout).ok());
    block.map_or(core::ptr::null_mut(), |block| block.cast().as_ptr())
}

/// Whether it was a block.
///
/// # Safety
/// The block is not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free(heap: &Small, block: NonNull<u8>, size: usize) -> bool {
    let Ok(layout) = Layout::from_size_align(size, 1) else { return false };
    // SAFETY: the caller's promise.
    unsafe { heap.deallocate(block, layout) }.is_ok()
}

/// Null if there is no room, or `block` is none.
///
/// # Safety
/// If it succeeds, the old block is not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn resize(
    heap: &Small,
    block: NonNull<u8>,
    old: usize,
    new: usize,
) -> *mut u8 {
    let (Ok(old), Ok(new)) = (Layout::from_size_align(old, 1), Layout::from_size_align(new, 1))
    else {
        return core::ptr::null_mut();
    };
    // SAFETY: the caller's promise.
    let resized = unsafe { heap.grow(block, old, new) };
    resized.map_or(core::ptr::null_mut(), |block| block.cast().as_ptr())
}
