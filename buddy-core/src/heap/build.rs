//! Making heaps, and giving them memory.

use super::region::Region;
use super::regions::{Change, Regions};
use super::span::{PAGE, Span};
use super::{BuildError, ExclusiveStorage, Heap, ZeroedWord, zeros};
use crate::supply::Shape;
use crate::tree::{self, Policy, Storage, Tree, Word};
use core::mem::MaybeUninit;
use core::ops::Range;
use core::ptr::NonNull;
use core::slice;
use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::{Relaxed, Release};

/// The alignment that any memory has.
const ANY_ALIGNMENT: usize = 1 << (usize::BITS - 1);

impl<S: Storage, const MIN_BLOCK: usize, P: Policy, const REGIONS: usize>
    Heap<S, MIN_BLOCK, P, REGIONS>
{
    /// A heap without metadata and memory, for a `static` that gets its heap later: every request
    /// is [`AllocError::OutOfMemory`](super::AllocError::OutOfMemory).
    ///
    /// ```
    /// use buddy_core::{Heap, Plain};
    /// use core::mem::MaybeUninit;
    /// use std::sync::Mutex;
    ///
    /// static HEAP: Mutex<Heap<&'static mut [Plain], 16>> = Mutex::new(Heap::empty());
    ///
    /// let memory = vec![MaybeUninit::uninit(); 1 << 16].leak();
    /// *HEAP.lock()? = Heap::from_region(memory)?;
    /// assert!(HEAP.lock()?.size() > 60_000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            tree: None,
            slabs: Shape::NONE,
            tree_words: 0,
            zero_words: 0,
            regions: Regions::new(),
            natural: AtomicUsize::new(ANY_ALIGNMENT),
        }
    }

    /// How many words of metadata a heap over one region of `bytes` bytes takes at most, wherever
    /// the region lies; `usize::MAX` if no heap can be that large, or has no block.
    #[must_use]
    pub const fn metadata_words(bytes: usize) -> usize {
        match bytes / MIN_BLOCK {
            0 => usize::MAX,
            leaves => Self::with_extras(leaves, Tree::<S, P>::metadata_words_for(leaves)),
        }
    }

    /// The words of a tree of `tree_words` words over `leaves` leaves, and of what is kept behind it.
    pub(super) const fn with_extras(leaves: usize, tree_words: usize) -> usize {
        let words = tree_words.saturating_add(zeros::words_for::<S::Word>(leaves));
        if Self::HAS_SLABS {
            words.saturating_add(Shape::words_for::<S::Word>(leaves, words))
        } else {
            words
        }
    }

    /// A heap without regions over a tree. `zeroed`: the storage behind the tree's words holds
    /// zeros.
    fn with_tree(tree: Tree<S, P>, zeroed: bool) -> Result<Self, BuildError> {
        let tree_words = tree.own_words();
        let spare = tree.words().get(tree_words..).unwrap_or(&[]);
        let leaves = tree.capacity_end() - tree.range().start;
        let zero_words = zeros::words_for::<S::Word>(leaves).min(spare.len());
        let (zero_bits, spare) = spare.split_at(zero_words);
        let slabs = if Self::HAS_SLABS {
            Shape::fitting::<S, P, &Self>(&tree, tree_words + zero_words, spare.len())
        } else {
            Shape::none(tree.words().len())
        };
        let Range { start: first, end } = tree.range();
        let slabs = slabs.ok_or(tree::BuildError::Range { first, end })?;
        if zeroed {
            slabs.lay_out::<S, P, &Self>(&tree);
        } else {
            for word in zero_bits {
                word.store(0);
            }
            slabs.clear::<S, P, &Self>(&tree);
        }
        Ok(Self { tree: Some(tree), slabs, tree_words, zero_words, ..Self::empty() })
    }

    /// The limit of what the words can number, and of what there are addresses for.
    fn most_leaves() -> usize {
        let bits = <S::Word as Word>::BITS.min(usize::BITS);
        (usize::MAX >> (usize::BITS - bits) >> 2).min(usize::MAX / MIN_BLOCK)
    }

    /// Where the numbers end that leaves may have.
    pub(super) fn numbers_end(tree: &Tree<S, P>) -> usize {
        tree.capacity_end().min(Self::most_leaves())
    }

    /// The number of the first leaf of a heap's only region.
    pub(super) fn number_alone(span: &Span) -> usize {
        span.first_leaf(MIN_BLOCK, 0, Self::most_leaves()).unwrap_or(0)
    }

    /// A heap over one region, numbered from `first` on. `zeroed`: the storage holds zeros only.
    ///
    /// # Safety
    /// H1 holds for the span.
    pub(super) unsafe fn over(
        storage: S,
        span: Span,
        first: usize,
        zeroed: bool,
    ) -> Result<Self, BuildError>
    where
        S: ExclusiveStorage,
    {
        let range = first..first.saturating_add(span.leaves(MIN_BLOCK));
        let tree =
            if zeroed { Tree::new_zeroed(storage, range) } else { Tree::new(storage, range) }?;
        let heap = Self::with_tree(tree, zeroed)?;
        let Span { base, bytes } = span;
        let leaves = span.leaves(MIN_BLOCK);
        if let Some(change) = heap.regions.change() {
            heap.enter(&change, Region { base, first, leaves, bytes, extendable: false });
        }
        Ok(heap)
    }

    /// Adds a region whose numbers are its own; whether the table has room.
    pub(super) fn enter(&self, change: &Change<'_, MIN_BLOCK, REGIONS>, region: Region) -> bool {
        // Blocks of the region come after this, so whoever has one knows how far it is aligned.
        let natural = self.natural.load(Relaxed).min(region.natural_alignment(MIN_BLOCK));
        self.natural.store(natural, Release);
        change.enter(region)
    }
}

/// Heaps that are given their memory piece by piece.
impl<S: ExclusiveStorage, const MIN_BLOCK: usize, P: Policy, const REGIONS: usize>
    Heap<S, MIN_BLOCK, P, REGIONS>
{
    /// A heap whose metadata is `storage`, all of it, and whose memory is to be added. O(words).
    ///
    /// Between regions that are not adjacent some numbers stay unused: one at least, and as many as
    /// the metadata has to spare, so that blocks are aligned by address and large ones fit. Words
    /// for twice the memory ([`Self::metadata_words`]) are plenty.
    ///
    /// # Errors
    /// If the storage is too short to record a single block.
    pub fn new(storage: S) -> Result<Self, BuildError> {
        let words = storage.words().len();
        // A leaf takes more than 4 bits.
        let limit = words.saturating_mul(<S::Word as Word>::BITS as usize / 4);
        let fits =
            |leaves| Self::with_extras(leaves, Tree::<S, P>::metadata_words(0..leaves)) <= words;
        let leaves = largest(limit.min(Self::most_leaves()), fits).max(1);
        let tree = Tree::reserved(storage, 0..leaves)?;
        Self::with_tree(tree, false)
    }
}

/// Heaps over one region.
impl<'a, W: ZeroedWord, const MIN_BLOCK: usize, P: Policy, const REGIONS: usize>
    Heap<&'a mut [W], MIN_BLOCK, P, REGIONS>
{
    /// A heap over `region`, with its metadata at the region's end. O(metadata).
    ///
    /// ```
    /// use buddy_core::{Heap, Plain32};
    /// use core::mem::MaybeUninit;
    ///
    /// let mut memory = [MaybeUninit::uninit(); 4000];
    /// let heap: Heap<&mut [Plain32], 8> = Heap::from_region(&mut memory)?;
    /// assert!(heap.size() > 3400);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`BuildError::TooSmall`] if there is no room for one block and its metadata.
    pub fn from_region(region: &'a mut [MaybeUninit<u8>]) -> Result<Self, BuildError> {
        let len = region.len();
        // SAFETY: borrowed, and used by the heap only, for `'a`.
        unsafe { Self::from_raw(NonNull::from(region).cast(), len) }
    }

    /// A heap over the `len` bytes at `start`, with its metadata at their end. O(metadata).
    ///
    /// ```
    /// use buddy_core::{Heap, Plain};
    /// use core::ptr::NonNull;
    ///
    /// let memory = NonNull::from(vec![0_u8; 8192].leak()).cast();
    /// // SAFETY: leaked memory, which nobody else uses.
    /// let heap: Heap<&mut [Plain], 16> = unsafe { Heap::from_raw(memory, 8192)? };
    /// assert!(heap.contains(memory));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Safety
    /// - The memory is of one allocation (in the sense of [`core::ptr`]); `start` may be used to
    ///   read and write all of it for `'a`, and for as long as a block of the heap is used.
    /// - Nobody else uses it in that time.
    ///
    /// # Errors
    /// [`BuildError::TooSmall`] if there is no room for one block and its metadata.
    pub unsafe fn from_raw(start: NonNull<u8>, len: usize) -> Result<Self, BuildError> {
        // SAFETY: the caller's duties say so.
        unsafe { Self::inside(start, len, false) }
    }

    /// As [`Self::from_raw`], of memory that is zero, as the system gives it: its pages are not touched
    /// before they are used, and [`Self::allocate_zeroed`] need not clear them. O(orders).
    ///
    /// # Safety
    /// As [`Self::from_raw`], and all bytes are 0.
    ///
    /// # Errors
    /// As [`Self::from_raw`].
    pub unsafe fn from_raw_zeroed(start: NonNull<u8>, len: usize) -> Result<Self, BuildError> {
        // SAFETY: the caller's duties say so.
        let heap = unsafe { Self::inside(start, len, true) }?;
        // SAFETY: all bytes are zero, and no block is allocated.
        unsafe { heap.assume_zeroed(start, len) };
        Ok(heap)
    }

    /// # Safety
    /// As [`Self::from_raw`]; if `zeroed`, all bytes are 0.
    unsafe fn inside(start: NonNull<u8>, len: usize, zeroed: bool) -> Result<Self, BuildError> {
        // SAFETY: memory of one allocation.
        let span = unsafe { Span::new(start, len, MIN_BLOCK) };
        let mut span = span.ok_or(BuildError::TooSmall { bytes: len })?;
        span.bytes = span.bytes.min(Self::most_leaves().saturating_mul(MIN_BLOCK));
        let first = Self::number_alone(&span);
        let leaves = Self::fitting(&span, first).ok_or(BuildError::TooSmall { bytes: len })?;
        let words = Tree::<&'a mut [W], P>::metadata_words(first..first + leaves);
        let words = Self::with_extras(leaves, words);
        // SAFETY: the caller's duties say so.
        let storage = unsafe { Self::cut_words(&mut span, words, zeroed) };
        let storage = storage.ok_or(BuildError::TooSmall { bytes: len })?;
        span.bytes = leaves * MIN_BLOCK;
        // SAFETY: the caller's duties say so, and the metadata lies behind the span.
        unsafe { Self::over(storage, span, first, true) }
    }

    /// A heap over the `len` bytes at `start`, with metadata at their end for `room` bytes in all,
    /// so that more can be added later ([`Self::add_raw`]). O(metadata).
    ///
    /// ```
    /// use buddy_core::{Heap, Plain};
    /// use core::ptr::NonNull;
    ///
    /// let memory = NonNull::from(vec![0_u8; 1 << 20].leak()).cast();
    /// // SAFETY: the first half of leaked memory, which nobody else uses.
    /// let heap: Heap<&mut [Plain], 16> =
    ///     unsafe { Heap::from_raw_with_room(memory, 1 << 19, 1 << 20)? };
    /// // SAFETY: the other half.
    /// unsafe { heap.add_raw(memory.add(1 << 19), 1 << 19)? };
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Safety
    /// As [`Self::from_raw`], and as [`Self::add_raw`].
    ///
    /// # Errors
    /// [`BuildError::TooSmall`] if there is no room for one block and the metadata.
    pub unsafe fn from_raw_with_room(
        start: NonNull<u8>,
        len: usize,
        room: usize,
    ) -> Result<Self, BuildError> {
        let too_small = BuildError::TooSmall { bytes: len };
        // SAFETY: memory of one allocation.
        let mut span = unsafe { Span::new(start, len, MIN_BLOCK) }.ok_or(too_small)?;
        // Numbers that are lost between regions (`number_for`).
        let leaves = room.max(len) / MIN_BLOCK;
        let spare = (REGIONS + 1) * (PAGE / MIN_BLOCK + 2) + leaves / 4;
        let leaves = leaves.saturating_add(spare).min(Self::most_leaves());
        let words = Tree::<&'a mut [W], P>::metadata_words(0..leaves);
        // SAFETY: the caller's duties say so.
        let storage =
            unsafe { Self::cut_words(&mut span, Self::with_extras(leaves, words), false) };
        let tree = Tree::reserved_zeroed(storage.ok_or(too_small)?, 0..leaves)?;
        let heap = Self::with_tree(tree, true)?;
        // SAFETY: the caller's duties, and the metadata was cut off from the span.
        unsafe { heap.add_raw(span.base, span.bytes) }.map_err(|_| too_small)?;
        Ok(heap)
    }

    /// Cuts zeroed words off the span's end; `None` if they do not fit.
    ///
    /// # Safety
    /// The span's memory may be read and written for `'a`, and is nobody's; if `zeroed`, it is zero.
    unsafe fn cut_words(span: &mut Span, words: usize, zeroed: bool) -> Option<&'a mut [W]> {
        let unaligned = (span.base.addr().get() + span.bytes) % align_of::<W>();
        let bytes = words.checked_mul(size_of::<W>())?.checked_add(unaligned)?;
        let offset = span.bytes.checked_sub(bytes)?;
        // SAFETY: the offset lies inside the span.
        let metadata = unsafe { span.base.add(offset) }.cast::<W>();
        if !zeroed {
            // SAFETY: `words` words lie inside the span, which is the heap's to write (H1).
            unsafe { metadata.write_bytes(0, words) };
        }
        span.bytes = offset;
        // SAFETY: aligned, zeroed and so valid (`ZeroedWord`), used by nobody else for `'a`, and cut
        // off from the span of the blocks.
        Some(unsafe { slice::from_raw_parts_mut(metadata.as_ptr(), words) })
    }

    /// How many leaves, numbered from `first` on, the span has room for if their metadata is to lie
    /// at its end.
    fn fitting(span: &Span, first: usize) -> Option<usize> {
        let unaligned = (span.base.addr().get() + span.bytes) % align_of::<W>();
        let bytes = span.bytes.checked_sub(unaligned)?;
        let metadata = |leaves: usize| {
            let words = Tree::<&'a mut [W], P>::metadata_words(first..first + leaves);
            Self::with_extras(leaves, words).saturating_mul(size_of::<W>())
        };
        let fits = |leaves| metadata(leaves).saturating_add(leaves * MIN_BLOCK) <= bytes;
        let leaves = largest(bytes / MIN_BLOCK, fits);
        (leaves > 0).then_some(leaves)
    }

    /// A heap over `region` with its metadata apart: see [`Self::metadata_words`]. O(metadata).
    ///
    /// ```
    /// use buddy_core::{Heap, Plain};
    /// use core::mem::MaybeUninit;
    ///
    /// const WORDS: usize = Heap::<&mut [Plain], 64>::metadata_words(1 << 14);
    /// let mut metadata = [const { Plain::zero() }; WORDS];
    /// let mut memory = [MaybeUninit::uninit(); 1 << 14];
    /// let heap: Heap<&mut [Plain], 64> = Heap::with_metadata(&mut metadata, &mut memory)?;
    /// assert!(heap.size() >= (1 << 14) - 64);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`BuildError::TooSmall`], or [`BuildError::Metadata`] if the metadata is too short for the
    /// region.
    pub fn with_metadata(
        metadata: &'a mut [W],
        region: &'a mut [MaybeUninit<u8>],
    ) -> Result<Self, BuildError> {
        let len = region.len();
        // SAFETY: a slice is of one allocation.
        let span = unsafe { Span::new(NonNull::from(region).cast(), len, MIN_BLOCK) };
        let span = span.ok_or(BuildError::TooSmall { bytes: len })?;
        // SAFETY: borrowed, and used by the heap only, for `'a`.
        unsafe { Self::over(metadata, span, Self::number_alone(&span), false) }
    }
}

/// The largest number up to `limit` that `fits`, where all smaller ones fit, too.
fn largest(limit: usize, fits: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, limit);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if fits(middle) { low = middle } else { high = middle - 1 }
    }
    low
}
