//! Links only if no crate that it uses brings in `std` (a second panic handler) or `alloc` (there is
//! no global allocator here).

#![no_std]

use buddy_alloc_api::Buddy;
use buddy_core::{Heap, Plain};
use buddy_global::LockedHeap;
use core::alloc::{GlobalAlloc, Layout};
use core::mem::MaybeUninit;
use core::ptr::NonNull;

static HEAP: LockedHeap<64> = LockedHeap::empty();

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// # Safety
/// `len` bytes at `start` that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn init(start: NonNull<u8>, len: usize) -> bool {
    unsafe { HEAP.init_raw(start, len) }.is_ok()
}

#[unsafe(no_mangle)]
pub extern "C" fn allocate(len: usize) -> *mut u8 {
    match Layout::from_size_align(len, 64) {
        Ok(layout) => unsafe { HEAP.alloc(layout) },
        Err(_) => core::ptr::null_mut(),
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn borrowed() -> usize {
    let mut memory = [const { MaybeUninit::uninit() }; 4096];
    Heap::<&mut [Plain], 16>::from_region(&mut memory)
        .map_or(0, |heap| Buddy::new(heap).heap().size())
}
