//! A heap that owns its memory.

use super::span::{PAGE, Span};
use super::{AllocError, BuildError, FreeError, Heap};
use crate::tree::{Invalid, Lazy, Plain, Statistics, Tree};
use alloc::alloc::{alloc, alloc_zeroed, dealloc, handle_alloc_error};
use alloc::boxed::Box;
use core::alloc::Layout;
use core::fmt;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;

/// What allocators give without more ado.
const ANY_ALIGN: usize = 16;

/// A heap of `HEAP` bytes in blocks of at least `MIN_BLOCK` bytes, which owns its memory.
///
/// The memory comes from the global allocator, so moving the value never moves a block. It goes
/// back when the value is dropped: from then on its pointers are dangling, whatever was not freed.
/// Freeing only marks: a freed block is not written over.
///
/// `HEAP` must be a multiple of `MIN_BLOCK` above 0, `MIN_BLOCK` a power of two and at least 8; both
/// are checked at compile time. A block whose size is a power of two up to 4096 is aligned to its
/// size, and a request for all of a heap whose size is a power of two succeeds while nothing is
/// allocated. For one thread at a time: it can be sent, not shared.
///
/// ```
/// use buddy_core::BuddyAllocator;
///
/// let mut heap = BuddyAllocator::<4096, 16>::new(true); // 4 KiB, zeroed; 16-byte minimum blocks
/// let bytes = heap.alloc_bytes(100)?; // NonNull<u8>
/// heap.free_nonnull(bytes)?;
/// let slot = heap.alloc::<[u64; 4]>()?.as_ptr(); // NonNull<T> cast to a raw pointer
/// // SAFETY: the slot is aligned, has room for the array and belongs to nobody else.
/// unsafe { slot.write([1, 2, 3, 4]) };
/// heap.free(slot)?; // *mut T
/// // SAFETY: no block is in use.
/// unsafe { heap.free_all() };
/// assert_eq!((heap.total_free(), heap.total_allocated()), (4096, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// What cannot work does not compile: a minimum block that is no power of two, or too small,
///
/// ```compile_fail,E0080
/// let heap = buddy_core::BuddyAllocator::<4096, 24>::new(false);
/// ```
/// ```compile_fail,E0080
/// let heap = buddy_core::BuddyAllocator::<4096, 4>::new(false);
/// ```
///
/// a heap that is no whole number of blocks, that has none, or is larger than memory can be.
///
/// ```compile_fail,E0080
/// let heap = buddy_core::BuddyAllocator::<4100, 16>::new(false);
/// ```
/// ```compile_fail,E0080
/// let heap = buddy_core::BuddyAllocator::<0, 16>::new(false);
/// ```
/// ```compile_fail,E0080
/// let heap = buddy_core::BuddyAllocator::<{ 1 << (usize::BITS - 1) }, 16>::new(false);
/// ```
pub struct BuddyAllocator<const HEAP: usize, const MIN_BLOCK: usize> {
    heap: Heap<Box<[Plain]>, MIN_BLOCK, Lazy, 1>,
    /// The heap's memory, freed after it.
    _memory: Memory,
}

impl<const HEAP: usize, const MIN_BLOCK: usize> BuddyAllocator<HEAP, MIN_BLOCK> {
    const LEAVES: usize = {
        assert!(MIN_BLOCK.is_power_of_two(), "MIN_BLOCK must be a power of two");
        assert!(MIN_BLOCK >= 8, "MIN_BLOCK must be at least 8");
        assert!(HEAP > 0, "HEAP must not be 0");
        assert!(HEAP % MIN_BLOCK == 0, "HEAP must be a multiple of MIN_BLOCK");
        assert!(HEAP <= isize::MAX as usize / 2, "HEAP must be at most half of isize::MAX");
        HEAP / MIN_BLOCK
    };

    /// The alignment of the heap's first block.
    const ALIGN: usize = {
        let size = 1 << HEAP.ilog2();
        let page = if size < PAGE { size } else { PAGE };
        if page > MIN_BLOCK { page } else { MIN_BLOCK }
    };

    /// What is asked of the global allocator: little alignment and room to align inside, because
    /// zeroed memory of larger alignment may be written over in full, page by page.
    const LAYOUT: Layout = {
        let align = if Self::ALIGN < ANY_ALIGN { Self::ALIGN } else { ANY_ALIGN };
        match Layout::from_size_align(HEAP + (Self::ALIGN - align), align) {
            Ok(layout) => layout,
            Err(_) => panic!("HEAP is too large"),
        }
    };

    const METADATA_WORDS: usize = {
        let tree = Tree::<Box<[Plain]>, Lazy>::metadata_words(0..Self::LEAVES);
        Heap::<Box<[Plain]>, MIN_BLOCK, Lazy, 1>::with_extras(Self::LEAVES, tree)
    };

    /// A heap whose memory starts zeroed, or uninitialised. Its pages are not touched: where the
    /// global allocator takes them from the system, they cost nothing before they are used.
    ///
    /// If the global allocator has no memory left, this is [`handle_alloc_error`]'s case.
    #[must_use]
    pub fn new(zeroed: bool) -> Self {
        Self::try_new(zeroed).unwrap_or_else(|_| handle_alloc_error(Self::LAYOUT))
    }

    /// As [`Self::new`], with an error where the global allocator has no memory left.
    ///
    /// # Errors
    /// [`BuildError::NoMemory`].
    pub fn try_new(zeroed: bool) -> Result<Self, BuildError> {
        let bytes = Self::LAYOUT.size() + Self::METADATA_WORDS * size_of::<Plain>();
        let memory = Memory::new(Self::LAYOUT, zeroed).ok_or(BuildError::NoMemory { bytes })?;
        let metadata = zeroed_words(Self::METADATA_WORDS).ok_or(BuildError::NoMemory { bytes })?;
        let skipped = memory.start.addr().get().wrapping_neg() & (Self::ALIGN - 1);
        // SAFETY: the layout has room for the bytes skipped and `HEAP` more.
        let base = unsafe { memory.start.add(skipped) };
        let span = Span { base, bytes: HEAP };
        // SAFETY: memory that lives as long as the heap and that nobody else knows.
        let heap: Heap<_, MIN_BLOCK, _, 1> = unsafe { Heap::over(metadata, span, 0, true) }?;
        if zeroed {
            // SAFETY: all of it is, and no block is allocated.
            unsafe { heap.assume_zeroed(base, HEAP) };
        }
        Ok(Self { heap, _memory: memory })
    }

    /// Allocates a block of at least `bytes` bytes, aligned to the largest power of two that is
    /// neither above its size (rounded up to `MIN_BLOCK`) nor above 4096.
    ///
    /// # Errors
    /// [`AllocError::ZeroSize`], [`AllocError::TooLarge`], [`AllocError::OutOfMemory`].
    #[inline]
    pub fn alloc_bytes(&self, bytes: usize) -> Result<NonNull<u8>, AllocError> {
        if bytes == 0 {
            return Err(AllocError::ZeroSize);
        }
        let align = 1 << bytes.max(MIN_BLOCK).ilog2().min(PAGE.ilog2());
        let layout = Layout::from_size_align(bytes, align)
            .map_err(|_| AllocError::TooLarge { requested: bytes, heap: HEAP })?;
        Ok(self.heap.allocate(layout)?.cast())
    }

    /// Allocates room for a `T`, aligned for it and not initialised. For a type of size 0 the
    /// pointer is dangling.
    ///
    /// # Errors
    /// [`AllocError::TooLarge`], [`AllocError::OutOfMemory`], [`AllocError::Alignment`].
    #[inline]
    pub fn alloc<T>(&self) -> Result<NonNull<T>, AllocError> {
        Ok(self.heap.allocate(Layout::new::<T>())?.cast())
    }

    /// Frees the block at `ptr`, whatever its size; nothing is dropped.
    ///
    /// The memory goes to whoever allocates next: the pointer, and copies of it, must not be
    /// dereferenced any more (which takes `unsafe`, so this call does not). A pointer to a type of
    /// size 0 that does not lie in the heap is fine.
    ///
    /// # Errors
    /// If no block starts at `ptr`.
    #[inline]
    pub fn free_nonnull<T>(&self, ptr: NonNull<T>) -> Result<(), FreeError> {
        if size_of::<T>() == 0 && !self.heap.contains(ptr.cast()) {
            return Ok(());
        }
        // SAFETY: whoever uses a pointer to a block does so in unsafe code, and has to know there
        // that the block was not freed before.
        unsafe { self.heap.free(ptr.cast()) }.map(drop)
    }

    /// As [`Self::free_nonnull`].
    ///
    /// # Errors
    /// If no block starts at `ptr`; [`FreeError::Null`] if it is null.
    #[inline]
    pub fn free<T>(&self, ptr: *mut T) -> Result<(), FreeError> {
        self.free_nonnull(NonNull::new(ptr).ok_or(FreeError::Null)?)
    }

    /// Frees all blocks. O(metadata).
    ///
    /// # Safety
    /// No block of this heap is used any more.
    pub unsafe fn free_all(&mut self) {
        // SAFETY: the caller says so.
        unsafe { self.heap.free_all() }
    }

    /// The heap's size in bytes: `HEAP`.
    #[must_use]
    pub const fn heap_size(&self) -> usize {
        HEAP
    }

    /// The bytes of all free blocks. O(1).
    #[must_use]
    pub fn total_free(&self) -> usize {
        self.heap.total_free()
    }

    /// The bytes of all allocated blocks, as large as they are (not as was asked for). O(1).
    #[must_use]
    pub fn total_allocated(&self) -> usize {
        self.heap.total_allocated()
    }

    /// See [`Heap::statistics`].
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.heap.statistics()
    }

    /// See [`Heap::validate`].
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn validate(&self) -> Result<(), Invalid> {
        self.heap.validate()
    }

    /// The heap inside, for calls by `Layout`: [`Heap::allocate`], [`Heap::grow`], [`Heap::walk`].
    #[must_use]
    #[inline]
    pub const fn as_heap(&self) -> &Heap<Box<[Plain]>, MIN_BLOCK, Lazy, 1> {
        &self.heap
    }
}

impl<const HEAP: usize, const MIN_BLOCK: usize> fmt::Debug for BuddyAllocator<HEAP, MIN_BLOCK> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BuddyAllocator").field(&self.heap).finish()
    }
}

/// Memory of the global allocator.
struct Memory {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: nothing but the owner of the memory.
unsafe impl Send for Memory {}

impl Memory {
    /// `layout` must not be of size 0.
    fn new(layout: Layout, zeroed: bool) -> Option<Self> {
        if layout.size() == 0 {
            return None;
        }
        let start = if zeroed {
            // SAFETY: the size is not 0.
            unsafe { alloc_zeroed(layout) }
        } else {
            // SAFETY: the size is not 0.
            unsafe { alloc(layout) }
        };
        NonNull::new(start).map(|start| Self { start, layout })
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and freed only here.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}

/// Metadata that holds zeros, without touching its pages.
fn zeroed_words(count: usize) -> Option<Box<[Plain]>> {
    let memory = Memory::new(Layout::array::<Plain>(count).ok()?, true)?;
    let words = ManuallyDrop::new(memory).start.cast::<Plain>();
    let words = NonNull::slice_from_raw_parts(words, count);
    // SAFETY: allocated by the global allocator with the slice's layout, and given up by `memory`;
    // zeros are valid words (`ZeroedWord`).
    Some(unsafe { Box::from_raw(words.as_ptr()) })
}
