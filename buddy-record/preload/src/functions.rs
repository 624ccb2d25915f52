//! What the program calls instead of the C library. The types and the contracts are C's.

use crate::early;
use crate::next::{Next, next};
use buddy_record::format::Kind;
use buddy_record::writer::{PRELOAD, Writer, set_errno};
use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::ptr::{copy_nonoverlapping, null_mut};

static WRITER: Writer = Writer::new(PRELOAD);

/// Begins before the program does, so that a recorder inside the program finds it begun.
#[used]
#[unsafe(link_section = ".init_array")]
static BEGIN: extern "C" fn() = {
    extern "C" fn begin() {
        WRITER.start();
    }
    begin
};

/// The alignment that C promises for a size, and programs may rely on.
fn promised(size: usize) -> usize {
    1 << size.clamp(1, 16).ilog2()
}

/// Calls the next functions, and `record` with what came of it, unless the call comes from inside
/// another one.
fn outermost<T: Copy>(call: impl FnOnce() -> T, record: impl FnOnce(T)) -> T {
    thread_local! {
        // Has no destructor, so that it is there to a thread's end, and needs no memory.
        static INSIDE: Cell<bool> = const { Cell::new(false) };
    }
    if INSIDE.replace(true) {
        return call();
    }
    let result = call();
    record(result);
    INSIDE.set(false);
    result
}

/// A call that hands out a block, which is recorded.
fn allocate(
    kind: Kind,
    align: usize,
    size: usize,
    call: impl FnOnce(&Next) -> *mut c_void,
) -> *mut c_void {
    let Some(next) = next() else { return early::allocate(align, size) };
    outermost(
        || call(next),
        |block| {
            if !block.is_null() {
                WRITER.record(kind, align, block.addr(), size);
            }
        },
    )
}

/// # Safety
/// As C's.
#[unsafe(no_mangle)]
unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
    // SAFETY: the caller's duties.
    allocate(Kind::Alloc, promised(size), size, |next| unsafe { (next.malloc)(size) })
}

/// # Safety
/// As C's.
#[unsafe(no_mangle)]
unsafe extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    let bytes = count.saturating_mul(size);
    let kind = Kind::AllocZeroed;
    // SAFETY: the caller's duties.
    allocate(kind, promised(bytes), bytes, |next| unsafe { (next.calloc)(count, size) })
}

/// # Safety
/// As C's.
#[unsafe(no_mangle)]
unsafe extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut c_void {
    // SAFETY: the caller's duties.
    allocate(Kind::Alloc, align, size, |next| unsafe { (next.aligned_alloc)(align, size) })
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
unsafe extern "C" fn memalign(align: usize, size: usize) -> *mut c_void {
    // SAFETY: the caller's duties.
    allocate(Kind::Alloc, align, size, |next| unsafe { (next.memalign)(align, size) })
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
unsafe extern "C" fn valloc(size: usize) -> *mut c_void {
    // SAFETY: the caller's duties.
    unsafe { memalign(page_size(), size) }
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
unsafe extern "C" fn pvalloc(size: usize) -> *mut c_void {
    let page = page_size();
    let size = size.max(1).checked_next_multiple_of(page).unwrap_or(usize::MAX);
    // SAFETY: the caller's duties.
    unsafe { memalign(page, size) }
}

/// # Safety
/// As POSIX's.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_memalign(block: *mut *mut c_void, align: usize, size: usize) -> c_int {
    let mut error = None;
    let found = allocate(Kind::Alloc, align, size, |next| {
        let mut found = null_mut();
        // SAFETY: the caller's duties, and a place for the result.
        error = Some(unsafe { (next.posix_memalign)(&raw mut found, align, size) });
        found
    });
    let error = error.unwrap_or(if found.is_null() { libc::ENOMEM } else { 0 });
    if error == 0 {
        // SAFETY: the caller gave a place for the result.
        unsafe { block.write(found) };
    }
    error
}

/// # Safety
/// As C's.
#[unsafe(no_mangle)]
unsafe extern "C" fn free(block: *mut c_void) {
    if block.is_null() || early::contains(block) {
        return;
    }
    // A block of the next allocator: so that is known.
    let Some(next) = next() else { return };
    // The address is another's as soon as it is free: recorded first.
    outermost(|| (), |()| WRITER.record(Kind::Free, 1, block.addr(), 0));
    // SAFETY: the caller's duties.
    outermost(|| unsafe { (next.free)(block) }, |()| ());
}

/// # Safety
/// As C's.
#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
    if block.is_null() {
        // SAFETY: the caller's duties.
        return unsafe { malloc(size) };
    }
    let Some(next) = next().filter(|_| !early::contains(block)) else {
        // SAFETY: a block of the early memory, as no other is known yet.
        return unsafe { leave_early(block, size) };
    };
    let align = promised(size);
    outermost(|| (), |()| WRITER.record(Kind::ReallocBegin, align, block.addr(), size));
    outermost(
        // SAFETY: the caller's duties.
        || unsafe { (next.realloc)(block, size) },
        |moved| WRITER.record(Kind::ReallocEnd, align, moved.addr(), size),
    )
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
unsafe extern "C" fn reallocarray(block: *mut c_void, count: usize, size: usize) -> *mut c_void {
    let Some(bytes) = count.checked_mul(size) else {
        set_errno(libc::ENOMEM);
        return null_mut();
    };
    // SAFETY: the caller's duties.
    unsafe { realloc(block, bytes) }
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
unsafe extern "C" fn malloc_usable_size(block: *mut c_void) -> usize {
    match next() {
        // SAFETY: a block of the early memory.
        _ if early::contains(block) => unsafe { early::size(block) },
        // SAFETY: the caller's duties.
        Some(next) => unsafe { (next.malloc_usable_size)(block) },
        None => 0,
    }
}

/// Moves a block out of the early memory.
///
/// # Safety
/// [`early::allocate`] gave the block, and it is used by the caller only.
unsafe fn leave_early(block: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: no duties.
    let moved = unsafe { malloc(size) };
    if !moved.is_null() {
        // SAFETY: the caller's duties.
        let kept = unsafe { early::size(block) }.min(size);
        // SAFETY: two blocks, which have that many bytes each.
        unsafe { copy_nonoverlapping(block.cast::<u8>(), moved.cast(), kept) };
    }
    moved
}

fn page_size() -> usize {
    // SAFETY: no duties.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}
