//! Building a tree in its storage, attaching to one that is there, and starting again.

use super::error::{AttachError, BuildError};
use super::geometry::{Geometry, Span, header, record};
use super::order::Order;
use super::policy::Policy;
use super::word::{Storage, Word, max_value, node_shift};
use super::{Kind, Tree};
use core::marker::PhantomData;
use core::ops::Range;

/// Building a tree, and starting it again.
impl<S: Storage, P: Policy> Tree<S, P> {
    /// How many words of metadata a tree over `range` takes: the length of the storage to provide.
    /// `usize::MAX` for a range that no tree can have (empty, or beyond a quarter of what a word
    /// counts).
    ///
    /// ```
    /// const WORDS: usize = buddy_core::Tree::<[buddy_core::Plain; 0]>::metadata_words(0..1 << 16);
    /// assert_eq!(WORDS * 64 / (1 << 16), 4); // bits a leaf
    /// ```
    #[must_use]
    pub const fn metadata_words(range: Range<usize>) -> usize {
        match Geometry::new::<S::Word>(&range) {
            Some(geometry) => geometry.words::<S::Word>(),
            None => usize::MAX,
        }
    }

    /// As [`Self::metadata_words`], enough for any range of `leaves` leaves, wherever it starts.
    ///
    /// ```
    /// type Tree = buddy_core::Tree<[buddy_core::Plain; 0]>;
    /// assert!(Tree::metadata_words_for(1000) >= Tree::metadata_words(12_345..13_345));
    /// ```
    #[must_use]
    pub const fn metadata_words_for(leaves: usize) -> usize {
        let words = Self::metadata_words(0..leaves);
        if words == usize::MAX {
            return words;
        }
        // A range that starts inside a word touches one word more in every level, and the
        // summaries above it grow by at most one word a level of theirs.
        let levels = leaves.ilog2() as usize + 1;
        let nodes_per_word = 1 << node_shift::<S::Word>();
        let mut summaries = 0;
        let mut length = leaves.div_ceil(nodes_per_word) + 1;
        while length > 2 {
            length = length.div_ceil(<S::Word as Word>::BITS as usize) + 1;
            summaries += 1;
        }
        words.saturating_add(levels * (1 + summaries))
    }

    /// A tree over `range` with every leaf free. Writes over the storage: O(words).
    ///
    /// ```
    /// let mut words = [const { buddy_core::Plain::zero() }; 100];
    /// let tree: buddy_core::Tree<_> = buddy_core::Tree::new(words.as_mut_slice(), 5..105)?;
    /// assert_eq!(tree.free_leaves(), 100);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the range is empty or too large, or the storage too short.
    pub fn new(storage: S, range: Range<usize>) -> Result<Self, BuildError> {
        Self::clear(&storage, &range)?;
        Self::new_zeroed(storage, range)
    }

    /// A tree over `range` with every leaf reserved: [`Self::release`] makes leaves available.
    ///
    /// ```
    /// let mut words = [const { buddy_core::Plain::zero() }; 100];
    /// let tree: buddy_core::Tree<_> = buddy_core::Tree::reserved(words.as_mut_slice(), 0..100)?;
    /// assert!(tree.allocate_exact(1).is_err());
    /// tree.release(20, 30)?;
    /// assert_eq!(tree.allocate_exact(4)?, 20);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the range is empty or too large, or the storage too short.
    pub fn reserved(storage: S, range: Range<usize>) -> Result<Self, BuildError> {
        Self::clear(&storage, &range)?;
        Self::reserved_zeroed(storage, range)
    }

    /// As [`Self::new`], for storage that is known to hold zeros only, in time O(orders).
    ///
    /// On other storage the tree is meaningless (calls may answer anything, and panic).
    ///
    /// ```
    /// let words = [const { buddy_core::Plain::zero() }; 100];
    /// let tree: buddy_core::Tree<_> = buddy_core::Tree::new_zeroed(words, 0..100)?;
    /// assert_eq!(tree.free_leaves(), 100);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the range is empty or too large, or the storage too short.
    pub fn new_zeroed(storage: S, range: Range<usize>) -> Result<Self, BuildError> {
        let tree = Self::build(storage, &range)?;
        tree.give_back(range.start, range.end);
        Ok(tree)
    }

    /// As [`Self::reserved`], for storage that is known to hold zeros only, in time O(orders).
    ///
    /// ```
    /// let words = [const { buddy_core::Plain::zero() }; 100];
    /// let tree: buddy_core::Tree<_> = buddy_core::Tree::reserved_zeroed(words, 0..100)?;
    /// assert_eq!(tree.free_leaves(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the range is empty or too large, or the storage too short.
    pub fn reserved_zeroed(storage: S, range: Range<usize>) -> Result<Self, BuildError> {
        let tree = Self::build(storage, &range)?;
        tree.mark_reserved(range.start, range.end);
        tree.header()[header::RESERVED].add(range.end - range.start);
        Ok(tree)
    }

    /// The tree that the storage already holds: after a restart, or in memory that another process
    /// shares, while nobody is in the middle of a call. O(leaves): the storage is not trusted,
    /// [`Self::validate`] must pass. A process that was killed in the middle of a call may leave a tree
    /// that does not.
    ///
    /// ```
    /// let mut words = [const { buddy_core::Plain::zero() }; 100];
    /// let tree: buddy_core::Tree<_> = buddy_core::Tree::new(words.as_mut_slice(), 0..100)?;
    /// let block = tree.allocate_exact(7)?;
    /// // Later:
    /// let tree: buddy_core::Tree<_> = buddy_core::Tree::attach(words.as_mut_slice())?;
    /// assert_eq!(tree.free(block)?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the storage holds no valid tree of this word width and policy.
    pub fn attach(storage: S) -> Result<Self, AttachError> {
        let words = storage.words();
        let at = |index: usize| words.get(index).map_or(0, Word::load);
        if at(header::MAGIC) != Self::MAGIC {
            return Err(AttachError::NoTree);
        }
        let range = at(header::FIRST)..at(header::CAPACITY);
        let geometry = Self::fit(&storage, &range).map_err(AttachError::Build)?;
        let tree = Self { storage, geometry, policy: PhantomData };
        let end_is_valid = (geometry.first + 1..=geometry.capacity).contains(&tree.end());
        let records_are_valid = tree.orders().all(|order| {
            tree.bases(order).iter().all(|(at, base)| tree.record(order)[*at].load() == *base)
        });
        if !end_is_valid || !records_are_valid {
            return Err(AttachError::Corrupt);
        }
        tree.validate().map_err(AttachError::Invalid)?;
        // Whoever was in a call when he was killed is not any more.
        tree.header()[header::TRANSIT].store(0);
        Ok(tree)
    }

    /// Tells trees apart by word width and policy, so that [`Self::attach`] takes only its own.
    const MAGIC: usize = (0x0b0d_d700
        ^ ((Self::RESTS as usize) << 16 | (Self::DEFERS as usize) << 17)
        ^ <S::Word as Word>::BITS as usize)
        & max_value::<S::Word>();

    fn fit(storage: &S, range: &Range<usize>) -> Result<Geometry, BuildError> {
        let geometry = Geometry::new::<S::Word>(range)
            .ok_or(BuildError::Range { first: range.start, end: range.end })?;
        let (needed, given) = (geometry.words::<S::Word>(), storage.words().len());
        if given < needed {
            return Err(BuildError::Storage { needed, given });
        }
        Ok(geometry)
    }

    fn clear(storage: &S, range: &Range<usize>) -> Result<(), BuildError> {
        let words = Self::fit(storage, range)?.words::<S::Word>();
        storage.words()[..words].iter().for_each(|word| word.store(0));
        Ok(())
    }

    fn build(storage: S, range: &Range<usize>) -> Result<Self, BuildError> {
        let geometry = Self::fit(&storage, range)?;
        let tree = Self { storage, geometry, policy: PhantomData };
        tree.header()[header::END].store(range.end);
        tree.write_constants();
        Ok(tree)
    }

    /// Writes the words that never change.
    fn write_constants(&self) {
        let header = self.header();
        header[header::MAGIC].store(Self::MAGIC);
        header[header::FIRST].store(self.geometry.first);
        header[header::CAPACITY].store(self.geometry.capacity);
        for order in self.orders() {
            for (field, base) in self.bases(order) {
                self.record(order)[field].store(base);
            }
        }
    }

    /// Frees every allocated block. Reserved leaves stay reserved, and the peak is kept.
    ///
    /// O(words of metadata); with reserved leaves in the range O(orders) for each block.
    ///
    /// ```
    /// let words = [const { buddy_core::Plain::zero() }; 100];
    /// let mut tree: buddy_core::Tree<_> = buddy_core::Tree::new(words, 0..100)?;
    /// tree.allocate_exact(7)?;
    /// tree.reset();
    /// assert_eq!(tree.used(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reset(&mut self) {
        let (first, end) = (self.geometry.first, self.end());
        if self.header()[header::RESERVED].load() == 0 {
            let peak = self.header()[header::PEAK].load();
            let words = self.geometry.words::<S::Word>();
            self.storage.words()[..words].iter().for_each(|word| word.store(0));
            self.header()[header::END].store(end);
            self.header()[header::PEAK].store(peak);
            self.write_constants();
            self.mark_reserved(end, self.geometry.capacity);
            self.give_back(first, end);
            return;
        }
        let mut at = first;
        while at < end {
            let extent = self.extent_containing(at);
            if extent.kind == Kind::Used {
                // A block that was just seen: this cannot fail.
                let _ = self.free_sized(extent.first, extent.leaves);
            }
            at = extent.end();
        }
    }

    /// What the fields of an order's record hold that never change.
    fn bases(&self, order: Order) -> [(usize, usize); 2] {
        let start = self.geometry.level_start::<S::Word>(order.get());
        let nodes = self.geometry.nodes::<S::Word>(order.get(), start);
        let base = |span: Span| span.base() & max_value::<S::Word>();
        let summary = nodes.summary::<S::Word>();
        [(record::NODES, base(nodes)), (record::SUMMARY, base(summary))]
    }
}
