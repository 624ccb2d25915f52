//! The binary tree that records which leaves are free: orders, blocks, split, merge, search.
//!
//! A [`Tree`] hands out numbers. It never sees the memory (frames, device memory, address space)
//! that the numbers stand for, and keeps its state in words that the caller provides.
//!
//! # Invariants
//!
//! - **T1** Every leaf of the range belongs to exactly one extent: a free block, an allocated run,
//!   or a reserved block (between calls; within a call also to the hands of the caller).
//! - **T2** A `FREE` bit pair is the ownership token of its block: whoever changes it to something
//!   else owns the leaves, and only the owner sets the bits of what the block becomes.
//! - **T3** A run has one form: its leaves fall into the fewest aligned blocks (`Pieces`), the first
//!   marked `HEAD`, the others `CONT`, and behind every piece but the last the node of the same
//!   order is `CONT` too. No other node of its leaves is set. A reserved block of order `k > 0` is
//!   `HEAD`, `CONT` in its two halves, a reserved leaf sets nothing.
//! - **T4** A summary bit is set exactly if the word it stands for has something to offer. The bit of
//!   an order's active word, or of one that was active and rests, may be either.
//! - **T5** Two buddies are both free only if their word is their order's active word, or rests
//!   ([`Lazy`] only).
//! - **T6** The counters agree with the nodes.
//! - **T7** A word of nodes with a slab's tag (`slab.rs`) stands for a block that is nobody's but its
//!   slots' holders': no node of its leaves is set.
//!
//! [`Tree::validate`] proves them.

mod block;
mod build;
mod bulk;
mod detach;
mod divide;
mod error;
mod extent;
#[cfg(test)]
mod faults;
mod geometry;
mod index;
mod marks;
mod merge;
mod node;
mod order;
mod packed;
mod policy;
mod range;
mod resize;
mod run;
mod slab;
mod stats;
mod transit;
mod validate;
mod within;
mod word;

pub use error::{AllocError, AttachError, BuildError, FreeError, GrowError, RangeError};
pub use extent::{Extent, Kind, Walk};
pub use order::Order;
pub use policy::{Eager, Lazy, Policy, Tight};
pub use stats::Statistics;
pub use validate::Invalid;
pub use within::Constraints;
#[cfg(target_has_atomic = "ptr")]
pub use word::Atomic;
#[cfg(all(target_has_atomic = "ptr", target_has_atomic = "32"))]
pub use word::Atomic32;
#[cfg(loom)]
#[doc(hidden)]
pub use word::{Modelled, Modelled16};
pub use word::{Plain, Plain32, Storage, Word};

use block::Block;
use core::fmt;
use core::marker::PhantomData;
use core::ops::Range;
use geometry::{Geometry, header, record};
use node::{FREE, HEAD, NONE};
pub(crate) use slab::{Slab, SlabKind};
use transit::Transit;
pub(crate) use word::max_value;

/// A buddy allocator over a range of leaf numbers.
///
/// A block of order `k` starts at a multiple of `2^k`, so blocks are naturally aligned in leaf
/// numbers. All calls take `&self`; with plain words the tree is for one thread (it is `!Sync`),
/// with atomic words many threads may call at once.
///
/// ```
/// use buddy_core::{Order, Plain, Tree};
///
/// const WORDS: usize = Tree::<[Plain; 0]>::metadata_words(0..1000);
/// let mut metadata: Vec<Plain> = (0..WORDS).map(|_| Plain::default()).collect();
/// let tree: Tree<_> = Tree::new(metadata.as_mut_slice(), 0..1000)?;
///
/// let block = tree.allocate(Order::new(4).unwrap())?; // 16 leaves
/// let run = tree.allocate_exact(5)?;                  // exactly 5
/// assert_eq!(tree.statistics().used(), 21);
/// tree.free(block)?;
/// tree.free_sized(run, 5)?;
/// assert_eq!(tree.statistics().largest_free(), 512);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// `S` is where the metadata lies, `P` when freed blocks are merged.
pub struct Tree<S: Storage, P: Policy = Lazy> {
    storage: S,
    geometry: Geometry,
    policy: PhantomData<fn() -> P>,
}

/// Reading a tree's parts.
impl<S: Storage, P: Policy> Tree<S, P> {
    /// The range that the tree manages now.
    ///
    /// ```
    /// # let words = [const { buddy_core::Plain::zero() }; 100];
    /// # let tree: buddy_core::Tree<_> = buddy_core::Tree::new(words, 0..100)?;
    /// assert_eq!(tree.range(), 0..100);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    #[inline]
    pub fn range(&self) -> Range<usize> {
        self.geometry.first..self.end()
    }

    /// One past the last leaf that the metadata can record: how far [`Self::extend`] can go.
    ///
    /// ```
    /// # let words = [const { buddy_core::Plain::zero() }; 100];
    /// # let tree: buddy_core::Tree<_> = buddy_core::Tree::new(words, 0..100)?;
    /// tree.cut(40)?;
    /// assert_eq!((tree.range().end, tree.capacity_end()), (60, 100));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    #[inline]
    pub fn capacity_end(&self) -> usize {
        self.geometry.capacity
    }

    /// The highest order of which a block fits in the tree's capacity.
    ///
    /// ```
    /// # let words = [const { buddy_core::Plain::zero() }; 100];
    /// # let tree: buddy_core::Tree<_> = buddy_core::Tree::new(words, 0..100)?;
    /// assert_eq!(tree.max_order().leaves(), 64);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    #[inline]
    pub fn max_order(&self) -> Order {
        Order::range(self.geometry.top, self.geometry.top).next().unwrap_or(Order::MIN)
    }

    /// How many words of the storage the tree uses.
    pub(crate) fn own_words(&self) -> usize {
        self.geometry.words::<S::Word>()
    }

    /// All of the storage's words.
    #[inline(always)]
    pub(crate) fn words(&self) -> &[S::Word] {
        self.storage.words()
    }

    #[inline(always)]
    fn word(&self, at: usize) -> &S::Word {
        &self.storage.words()[at]
    }

    #[inline(always)]
    fn header(&self) -> &[S::Word] {
        &self.storage.words()[..header::WORDS]
    }

    #[inline(always)]
    fn record(&self, order: Order) -> &[S::Word] {
        let at = header::WORDS + order.get() as usize * record::WORDS;
        &self.storage.words()[at..at + record::WORDS]
    }

    /// Word number `number` of the nodes of `order`.
    #[inline(always)]
    fn word_of(&self, order: Order, number: usize) -> &S::Word {
        let base = self.record(order)[record::NODES].load();
        self.word(base.wrapping_add(number) & max_value::<S::Word>())
    }

    /// The word that holds the block's node, and where in it.
    #[inline(always)]
    fn node(&self, block: Block) -> (&S::Word, u32) {
        let word = self.word_of(block.order(), block.word_number::<S::Word>());
        (word, block.shift::<S::Word>())
    }

    /// The block's state.
    #[inline]
    fn state(&self, block: Block) -> usize {
        let (word, shift) = self.node(block);
        node::state::<S::Word>(word.load(), shift)
    }

    #[inline(always)]
    fn end(&self) -> usize {
        self.header()[header::END].load()
    }

    /// Whether freed blocks may wait unmerged in active words. Not with several CPUs, which would all
    /// want the same word.
    const RESTS: bool = P::LAZY && P::CPUS <= 1;

    /// Whether orders have active words at all. Where nothing rests there, they only spare changes of
    /// summaries, which is not worth the contention of threads.
    const DEFERS: bool = Self::RESTS || P::CPUS <= 1 && !<S::Word as Word>::SHARED;

    /// Whether the order has an active word. Where nothing rests, none without summaries has.
    #[inline(always)]
    fn defers(&self, order: Order) -> bool {
        Self::RESTS || Self::DEFERS && order.get() < self.geometry.single
    }

    /// The leaf from which the calling CPU searches.
    #[inline(always)]
    fn start(&self) -> usize {
        if P::CPUS <= 1 {
            return self.geometry.first;
        }
        self.geometry.first + (P::cpu() % P::CPUS) * self.share()
    }

    /// How many leaves each CPU has first from where it searches.
    fn share(&self) -> usize {
        (self.end() - self.geometry.first) / P::CPUS.max(1)
    }

    /// Where the calling CPU searches first.
    pub(crate) fn own(&self) -> Range<usize> {
        let start = self.start();
        start..start + self.share()
    }

    fn orders(&self) -> impl DoubleEndedIterator<Item = Order> + use<S, P> {
        Order::range(0, self.geometry.top)
    }

    #[inline(always)]
    fn count_used(&self, leaves: usize, blocks: usize) {
        let header = self.header();
        let mut used = header[header::USED].add(leaves);
        if <S::Word as Word>::SHARED {
            // A block that another thread frees may count twice for a moment.
            used = used.min(self.end() - self.geometry.first);
        }
        header[header::PEAK].raise(used);
        header[header::BLOCKS].add(blocks);
    }

    #[inline(always)]
    fn count_freed(&self, leaves: usize, blocks: usize) {
        self.header()[header::USED].sub(leaves);
        self.header()[header::BLOCKS].sub(blocks);
    }
}

/// Allocating whole blocks and freeing.
impl<S: Storage, P: Policy> Tree<S, P> {
    /// Allocates a block of `order` and returns its first leaf.
    ///
    /// The block comes from the order's deferred frees, else from the lowest free block of the
    /// smallest order that has one, split in halves as often as needed.
    /// O(orders + summary levels); when the tree is exhausted also [`Self::settle`].
    ///
    /// ```
    /// # let words = [const { buddy_core::Plain::zero() }; 100];
    /// # let tree: buddy_core::Tree<_> = buddy_core::Tree::new(words, 0..100)?;
    /// let order = buddy_core::Order::new(3).unwrap();
    /// let block = tree.allocate(order)?; // 8 leaves
    /// assert_eq!(block % 8, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`AllocError::TooLarge`], [`AllocError::OutOfMemory`]; nothing has changed then.
    #[inline]
    pub fn allocate(&self, order: Order) -> Result<usize, AllocError> {
        self.try_order(order).ok_or_else(|| self.refusal(order.leaves()))
    }

    #[inline]
    fn try_order(&self, order: Order) -> Option<usize> {
        let taken = self.obtain(order, HEAD)?;
        self.count_used(order.leaves(), 1);
        Some(taken.block.first())
    }

    /// Frees the block that starts at leaf `first` and returns its size in leaves.
    /// O(orders + summary levels).
    ///
    /// ```
    /// # let words = [const { buddy_core::Plain::zero() }; 100];
    /// # let tree: buddy_core::Tree<_> = buddy_core::Tree::new(words, 0..100)?;
    /// let block = tree.allocate_exact(5)?;
    /// assert_eq!(tree.free(block)?, 5);
    /// assert!(tree.free(block).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If no allocated block starts there; nothing has changed then.
    pub fn free(&self, first: usize) -> Result<usize, FreeError> {
        let leaves = self.leaves_of(first)?;
        self.free_sized(first, leaves)?;
        Ok(leaves)
    }

    /// Frees the block that starts at leaf `first` and has `leaves` leaves.
    /// O(orders + summary levels), without the search for the size that [`Self::free`] makes.
    ///
    /// ```
    /// # let words = [const { buddy_core::Plain::zero() }; 100];
    /// # let tree: buddy_core::Tree<_> = buddy_core::Tree::new(words, 0..100)?;
    /// let block = tree.allocate_exact(5)?;
    /// assert!(tree.free_sized(block, 4).is_err());
    /// tree.free_sized(block, 5)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If no allocated block of exactly that size starts there; nothing has changed then.
    #[inline]
    pub fn free_sized(&self, first: usize, leaves: usize) -> Result<(), FreeError> {
        if leaves.is_power_of_two() && first & (leaves - 1) == 0 && self.holds(first, leaves) {
            let order = Order::of(leaves);
            if order.get() <= self.geometry.top {
                let block = Block::containing(order, first);
                if self.free_block(block) {
                    self.count_freed(leaves, 1);
                    return Ok(());
                }
            }
        }
        self.free_sized_run(first, leaves)
    }

    /// Whether the leaves lie in what the metadata records.
    #[inline(always)]
    pub(crate) fn holds(&self, first: usize, leaves: usize) -> bool {
        first >= self.geometry.first
            && first < self.geometry.capacity
            && leaves <= self.geometry.capacity - first
    }

    /// Takes a free block of `order` and leaves its node in `state`.
    #[inline]
    fn obtain(&self, order: Order, state: usize) -> Option<Taken<'_, S>> {
        if order.get() > self.geometry.top {
            return None;
        }
        self.take_active(order, state).or_else(|| self.obtain_slow(order, state))
    }

    #[inline(never)]
    fn obtain_slow(&self, order: Order, state: usize) -> Option<Taken<'_, S>> {
        // Refuse only once everything that was left unmerged is merged.
        self.take_rest(order, state)
            .or_else(|| self.take_or_split(order, state))
            .or_else(|| self.insist(0, || self.take_or_split(order, state).ok_or(())).ok())
    }

    /// Takes a block of the smallest order from `order` up that has one, split down to `order`.
    fn take_or_split(&self, order: Order, state: usize) -> Option<Taken<'_, S>> {
        if P::CPUS > 1 {
            if let Some(taken) = self.take_own(order, state) {
                return Some(taken);
            }
        }
        let mut candidates = self.header()[header::ORDERS].load() >> order.get() << order.get();
        while candidates != 0 {
            let found = Order::new(candidates.trailing_zeros())?;
            candidates &= candidates - 1;
            if self.record(found)[record::FREE].load() == 0 {
                self.forget_order(found);
                continue;
            }
            let found_state = if found == order { state } else { NONE };
            let taken = self
                .take_resting(found, found_state)
                .or_else(|| self.take_indexed(found, found_state));
            match taken {
                Some(taken) if found == order => {
                    if Self::RESTS {
                        self.activate(order, taken.block.word_number::<S::Word>());
                    }
                    return Some(taken);
                }
                Some(taken) => {
                    return Some(Taken { block: self.split(taken.block, order, state), ..taken });
                }
                None => self.forget_order(found),
            }
        }
        None
    }

    /// As [`Self::take_or_split`], where the calling CPU searches first, so that what it has lies together,
    /// and apart from what others have.
    fn take_own(&self, order: Order, state: usize) -> Option<Taken<'_, S>> {
        let own = self.own();
        let mut candidates = self.header()[header::ORDERS].load() >> order.get() << order.get();
        while candidates != 0 {
            let found = Order::new(candidates.trailing_zeros())?;
            candidates &= candidates - 1;
            let near = self.find(found, own.start >> found.get());
            let Some(block) = near.filter(|block| block.first() < own.end) else { continue };
            let transit = self.transit();
            if self.claim(block, if found == order { state } else { NONE }) {
                let block = self.split(block, order, state);
                return Some(Taken { block, transit: (state == NONE).then_some(transit) });
            }
        }
        None
    }

    /// Splits a block that the caller owns down to `order`: keeps the lowest part, or with several CPUs
    /// that in which the caller searches first, marked `state`, and frees the other halves; under a lazy
    /// policy the last splits are one (see `fill`).
    fn split(&self, block: Block, order: Order, state: usize) -> Block {
        let filled = order.above(self.fill_height(block, order));
        let start = self.start();
        let mut kept = block;
        while kept.order() > filled {
            let lower = kept.lower_half();
            let kept_state = if lower.order() == order { state } else { NONE };
            let upper = lower.buddy();
            if P::CPUS > 1 && (upper.first()..upper.end()).contains(&start) {
                self.set_halves(lower, FREE, kept_state);
                kept = upper;
            } else {
                self.set_halves(lower, kept_state, FREE);
                kept = lower;
            }
        }
        if filled > order { self.fill(kept, order, state) } else { kept }
    }

    /// Marks the two halves of an owned block; `lower` names the pair.
    #[inline]
    fn set_halves(&self, lower: Block, lower_state: usize, upper_state: usize) {
        let (word, shift) = self.node(lower);
        word.set((lower_state | upper_state << 2) << shift);
        if upper_state == FREE || lower_state == FREE {
            self.count_free(lower.order(), 1);
            self.publish(lower.order(), lower.word_number::<S::Word>());
        }
    }

    #[cold]
    fn refusal(&self, leaves: usize) -> AllocError {
        self.settle();
        let total = self.end() - self.geometry.first;
        if leaves > total {
            AllocError::TooLarge { leaves, total }
        } else {
            AllocError::OutOfMemory { leaves, largest_free: self.largest_free() }
        }
    }
}

/// A block that was taken from the tree.
struct Taken<'t, S: Storage> {
    block: Block,
    /// If it is still in the caller's hands, because its node is `NONE`.
    transit: Option<Transit<'t, S::Word>>,
}

impl<S: Storage, P: Policy> fmt::Debug for Tree<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree").field("range", &self.range()).finish_non_exhaustive()
    }
}
