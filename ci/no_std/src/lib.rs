//! Links only if no crate that it uses brings in `std` (a second panic handler) or `alloc` (there is
//! no global allocator here).

#![no_std]

use buddy_alloc_api::Buddy;
use buddy_core::{Heap, Plain};
#[cfg(target_has_atomic = "ptr")]
use buddy_global::BuddyHeap;
use buddy_global::{LockedHeap, NoLock};
use core::alloc::{GlobalAlloc, Layout};
use core::mem::MaybeUninit;
use core::ptr::NonNull;

#[cfg(target_has_atomic = "ptr")]
static SHARED: BuddyHeap<64> = BuddyHeap::empty();
// SAFETY: nothing here runs at the same time.
static SINGLE: LockedHeap<NoLock, 64> = LockedHeap::empty(unsafe { NoLock::new() });

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// # Safety
/// `len` bytes at `start`, and as many behind them, that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn init(start: NonNull<u8>, len: usize) -> bool {
    #[cfg(target_has_atomic = "ptr")]
    if unsafe { SHARED.init_raw(start.add(len), len) }.is_err() {
        return false;
    }
    unsafe { SINGLE.init_raw(start, len) }.is_ok()
}

#[unsafe(no_mangle)]
pub extern "C" fn allocate(len: usize) -> *mut u8 {
    let Ok(layout) = Layout::from_size_align(len, 64) else {
        return core::ptr::null_mut();
    };
    #[cfg(target_has_atomic = "ptr")]
    if len % 2 == 0 {
        return unsafe { SHARED.alloc(layout) };
    }
    unsafe { SINGLE.alloc(layout) }
}

#[unsafe(no_mangle)]
pub extern "C" fn borrowed() -> usize {
    let mut memory = [const { MaybeUninit::uninit() }; 4096];
    Heap::<&mut [Plain], 16>::from_region(&mut memory)
        .map_or(0, |heap| Buddy::new(heap).heap().size())
}
