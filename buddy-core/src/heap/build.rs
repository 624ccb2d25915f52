//! Making heaps, and giving them memory.

use super::region::{Regions, Span};
use super::{BuildError, ExclusiveStorage, Heap, RegionError, ZeroedWord};
use crate::magazine::{Magazine, Shape};
use crate::tree::{Policy, Storage, Tree, Word};
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use core::slice;

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
            magazine: Shape::NONE,
            tree_words: 0,
            regions: Regions::new(),
            natural: ANY_ALIGNMENT,
        }
    }

    /// How many words of metadata a heap over one region of `bytes` bytes takes at most, wherever
    /// the region lies; `usize::MAX` if no heap can be that large, or has no block.
    #[must_use]
    pub const fn metadata_words(bytes: usize) -> usize {
        match bytes / MIN_BLOCK {
            0 => usize::MAX,
            leaves => Self::with_magazine(leaves, Tree::<S, P>::metadata_words_for(leaves)),
        }
    }

    /// The words of a tree of `tree_words` words over `leaves` leaves, and of its magazine.
    pub(super) const fn with_magazine(leaves: usize, tree_words: usize) -> usize {
        if P::LAZY {
            tree_words.saturating_add(Shape::words_for::<S::Word>(leaves, tree_words))
        } else {
            tree_words
        }
    }

    /// A heap without regions over a tree. `zeroed`: the storage behind the tree's words holds
    /// zeros.
    fn with_tree(tree: Tree<S, P>, zeroed: bool) -> Self {
        let tree_words = tree.own_words();
        let spare = tree.words_from(tree_words);
        let magazine = if P::LAZY {
            Shape::fitting::<S::Word>(spare.len(), tree.max_order(), P::PRECISION, P::CPUS)
        } else {
            Shape::NONE
        };
        if !zeroed {
            Magazine::new(spare, magazine, P::PRECISION).clear();
        }
        Self { tree: Some(tree), magazine, tree_words, ..Self::empty() }
    }

    /// The limit of what the words can number.
    fn most_leaves() -> usize {
        let bits = <S::Word as Word>::BITS.min(usize::BITS);
        usize::MAX >> (usize::BITS - bits) >> 2
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
        let mut heap = Self::with_tree(tree, zeroed);
        heap.enter(span, first, false);
        Ok(heap)
    }

    fn enter(&mut self, span: Span, first: usize, extendable: bool) {
        self.regions.enter(span, first, extendable);
        if let Some(region) = self.regions.as_slice().last() {
            self.natural = self.natural.min(region.natural_alignment(MIN_BLOCK));
        }
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
            |leaves| Self::with_magazine(leaves, Tree::<S, P>::metadata_words(0..leaves)) <= words;
        let leaves = largest(limit.min(Self::most_leaves()), fits).max(1);
        let tree = Tree::reserved(storage, 0..leaves)?;
        Ok(Self::with_tree(tree, false))
    }

    /// Adds memory; returns how many bytes became usable. O(orders).
    ///
    /// ```
    /// use buddy_core::{Heap, Plain};
    /// use core::mem::MaybeUninit;
    ///
    /// type TwoRegions = Heap<[Plain; 100], 64>;
    /// let mut heap = TwoRegions::new([const { Plain::zero() }; 100])?;
    /// for bytes in [3000, 5000] {
    ///     let memory = vec![MaybeUninit::uninit(); bytes].leak();
    ///     assert!(heap.add(memory)? > bytes - 128);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the region is too small for a block, or the heap has no room for it in its metadata or
    /// its table of regions; nothing has changed then.
    pub fn add(&mut self, region: &'static mut [MaybeUninit<u8>]) -> Result<usize, RegionError> {
        let len = region.len();
        // SAFETY: borrowed for ever and from now on used by the heap only.
        unsafe { self.add_memory(NonNull::from(region).cast(), len, false) }
    }

    /// Adds the `len` bytes at `start`; returns how many bytes became usable. O(orders).
    ///
    /// Memory that directly follows the one added last by this function merges with it: blocks may
    /// lie in both.
    ///
    /// ```
    /// use buddy_core::{Heap, Plain};
    /// use core::ptr::NonNull;
    ///
    /// let mut heap: Heap<_, 64> = Heap::new([const { Plain::zero() }; 100])?;
    /// let memory = NonNull::from(vec![0_u8; 8192].leak()).cast();
    /// // SAFETY: the first half of leaked memory.
    /// let low = unsafe { heap.add_raw(memory, 4096)? };
    /// // SAFETY: the second half, of the same allocation.
    /// let high = unsafe { heap.add_raw(memory.add(4096), 4096)? };
    /// assert_eq!(heap.size(), low + high);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Safety
    /// - The memory is of one allocation (in the sense of [`core::ptr`]); `start` may be used to
    ///   read and write all of it for as long as the heap or a block of it is used.
    /// - Nobody else uses it in that time.
    /// - If it directly follows what was added last by this function, both are of one allocation,
    ///   and the pointer given then may be used for this memory, too.
    ///
    /// # Errors
    /// As [`Self::add`], and if the memory overlaps a region that the heap has.
    pub unsafe fn add_raw(&mut self, start: NonNull<u8>, len: usize) -> Result<usize, RegionError> {
        // SAFETY: the caller's duties say so.
        unsafe { self.add_memory(start, len, true) }
    }

    /// # Safety
    /// As [`Self::add_raw`], the last point only if `extendable`.
    unsafe fn add_memory(
        &mut self,
        start: NonNull<u8>,
        len: usize,
        extendable: bool,
    ) -> Result<usize, RegionError> {
        let tree = self.tree.as_ref().ok_or(RegionError::NoMetadata)?;
        let regions = self.regions.as_slice();
        if let Some(region) = regions.iter().find(|region| region.overlaps(start, len)) {
            return Err(RegionError::Overlap { region: region.address() });
        }
        if extendable && regions.last().is_some_and(|last| last.is_followed_by(start)) {
            return self.lengthen_last(len);
        }
        if regions.len() == REGIONS {
            return Err(RegionError::TooMany { limit: REGIONS });
        }
        // SAFETY: memory of one allocation.
        let span = unsafe { Span::new(start, len, MIN_BLOCK) };
        let span = span.ok_or(RegionError::TooSmall { bytes: len })?;
        let from = regions.last().map_or(0, |last| last.end() + 1);
        let capacity = tree.capacity_end();
        let room = RegionError::Capacity {
            needed: span.leaves(MIN_BLOCK) * MIN_BLOCK,
            available: capacity.saturating_sub(from) * MIN_BLOCK,
        };
        let first = span.first_leaf(MIN_BLOCK, from, capacity).ok_or(room)?;
        tree.release(first, span.leaves(MIN_BLOCK)).map_err(|_| room)?;
        self.enter(span, first, extendable);
        Ok(span.leaves(MIN_BLOCK) * MIN_BLOCK)
    }

    /// Makes `bytes` bytes directly behind the last region part of it.
    fn lengthen_last(&mut self, bytes: usize) -> Result<usize, RegionError> {
        let (Some(tree), Some(last)) = (&self.tree, self.regions.as_slice().last()) else {
            return Err(RegionError::NoMetadata);
        };
        let leaves = last.leaves_gained(bytes, MIN_BLOCK);
        let available = tree.capacity_end() - last.end();
        let room = RegionError::Capacity { needed: bytes, available: available * MIN_BLOCK };
        if leaves > 0 {
            tree.release(last.end(), leaves).map_err(|_| room)?;
        }
        self.regions.lengthen_last(bytes);
        Ok(leaves * MIN_BLOCK)
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
        // SAFETY: memory of one allocation.
        let span = unsafe { Span::new(start, len, MIN_BLOCK) };
        let mut span = span.ok_or(BuildError::TooSmall { bytes: len })?;
        span.bytes = span.bytes.min(Self::most_leaves().saturating_mul(MIN_BLOCK));
        let first = Self::number_alone(&span);
        let (leaves, offset) =
            Self::carve(&span, first).ok_or(BuildError::TooSmall { bytes: len })?;
        let words = (span.bytes - offset) / size_of::<W>();
        // SAFETY: the offset lies inside the span.
        let metadata = unsafe { span.base.add(offset) }.cast::<W>();
        // SAFETY: `words` words lie inside the span, which is the heap's to write (H1).
        unsafe { metadata.write_bytes(0, words) };
        // SAFETY: aligned by `carve`, zeroed and so valid (`ZeroedWord`), used by nobody else for
        // `'a`, and cut off from the span of the blocks.
        let storage = unsafe { slice::from_raw_parts_mut(metadata.as_ptr(), words) };
        span.bytes = leaves * MIN_BLOCK;
        // SAFETY: the caller's duties say so, and the metadata lies behind the span.
        unsafe { Self::over(storage, span, first, true) }
    }

    /// How many leaves, numbered from `first` on, the span has room for if their metadata is to lie
    /// at its end, and at which offset that is.
    fn carve(span: &Span, first: usize) -> Option<(usize, usize)> {
        let unaligned = (span.base.addr().get() + span.bytes) % align_of::<W>();
        let bytes = span.bytes.checked_sub(unaligned)?;
        let metadata = |leaves: usize| {
            let words = Tree::<&'a mut [W], P>::metadata_words(first..first + leaves);
            Self::with_magazine(leaves, words).saturating_mul(size_of::<W>())
        };
        let fits = |leaves| metadata(leaves).saturating_add(leaves * MIN_BLOCK) <= bytes;
        let leaves = largest(bytes / MIN_BLOCK, fits);
        (leaves > 0).then(|| (leaves, bytes - metadata(leaves)))
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
