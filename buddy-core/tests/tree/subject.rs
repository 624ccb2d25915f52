//! A tree and its model side by side, compared in every way that the tree can be looked at.

use crate::action::Action;
use crate::model::{Leaf, Model};
use buddy_core::{Extent, Kind, Order, Policy, Statistics, Tree, Word};
use std::ops::Range;

/// What the storage holds before a tree is built in it, and behind the tree's words.
const GARBAGE: usize = 0xA5C3_96F1;
/// Where the tree counts calls: in the lower half of the word those at it, above those that were.
const TRANSIT: usize = 9;
/// Words that the storage has too many.
const SPARE: usize = 3;

/// Storage for a tree over `range`, full of garbage, a little longer than needed.
pub(crate) fn storage<W: Word>(range: &Range<usize>) -> Vec<W> {
    let words = Tree::<&[W]>::metadata_words(range.clone()) + SPARE;
    let storage: Vec<W> = (0..words).map(|_| W::default()).collect();
    for word in &storage {
        word.store(GARBAGE);
    }
    storage
}

pub(crate) struct Subject<'w, W: Word, P: Policy> {
    pub(crate) tree: Tree<&'w [W], P>,
    pub(crate) model: Model,
    storage: &'w [W],
}

impl<'w, W: Word, P: Policy> Subject<'w, W, P> {
    /// A tree with every leaf free.
    pub(crate) fn new(storage: &'w [W], range: Range<usize>) -> Self {
        let tree = Tree::new(storage, range.clone()).unwrap();
        Self { tree, model: Model::new(range, Leaf::Free), storage }
    }

    /// A tree with every leaf reserved.
    pub(crate) fn reserved(storage: &'w [W], range: Range<usize>) -> Self {
        let tree = Tree::reserved(storage, range.clone()).unwrap();
        Self { tree, model: Model::new(range, Leaf::Reserved), storage }
    }

    /// Makes the call and checks its answer.
    pub(crate) fn apply(&mut self, action: &Action) {
        let outcome = action.perform(&mut self.tree);
        self.model.follow(action, &outcome, !P::LAZY);
    }

    /// The tree's words, without the count of calls that are over.
    pub(crate) fn words(&self) -> impl Iterator<Item = usize> {
        let at_it = (1 << (W::BITS / 2)) - 1;
        let words = self.storage[..self.storage.len() - SPARE].iter().map(Word::load);
        words.enumerate().map(move |(at, value)| if at == TRANSIT { value & at_it } else { value })
    }

    /// Puts the tree back to where its words were these.
    pub(crate) fn restore(&self, words: &[usize]) {
        for (word, value) in self.storage.iter().zip(words) {
            word.store(*value);
        }
    }

    /// Lowers the peak to what is used now; `peak_word` is where the tree keeps it.
    pub(crate) fn forget_peak(&mut self, peak_word: usize) {
        assert_eq!(self.storage[peak_word].load(), self.model.peak, "the peak");
        self.model.peak = self.model.count(Kind::Used);
        self.storage[peak_word].store(self.model.peak);
    }

    /// Checks all that the tree says of itself, and that asking changes nothing.
    pub(crate) fn verify(&self) {
        let before: Vec<usize> = self.words().collect();
        self.tree.validate().unwrap();
        assert_eq!(self.tree.range(), self.model.range());
        assert_eq!(self.tree.capacity_end(), self.model.capacity_end);
        assert_eq!(self.tree.max_order(), self.model.max_order());
        assert_eq!(self.tree.used(), self.model.count(Kind::Used));
        assert_eq!(self.tree.free_leaves(), self.model.count(Kind::Free));
        self.check_walk();
        self.check_leaves();
        assert!(self.words().eq(before), "asking changed the tree");
        self.check_settled();
        let spare = &self.storage[self.storage.len() - SPARE..];
        assert!(spare.iter().all(|word| word.load() == GARBAGE), "wrote behind the metadata");
    }

    fn check_walk(&self) {
        let mut at = self.model.range().start;
        let mut before = None;
        for extent in self.tree.walk() {
            assert_eq!(extent.first, at, "a gap or an overlap in the walk");
            self.check_extent(extent);
            let is_reserved = extent.kind == Kind::Reserved;
            assert!(!is_reserved || before != Some(Kind::Reserved), "reserved leaves not joined");
            (at, before) = (extent.end(), Some(extent.kind));
        }
        assert_eq!(at, self.model.range().end);
    }

    /// An extent tells the truth about its leaves.
    fn check_extent(&self, extent: Extent) {
        let Extent { first, leaves, kind } = extent;
        assert!(leaves > 0 && self.model.contains(first, leaves), "{extent:?}");
        assert_eq!(self.model.first_other(first, leaves, kind), None, "{extent:?}");
        if kind == Kind::Used {
            assert_eq!(self.model.block(first), Some(leaves), "{extent:?}");
        }
        if kind == Kind::Free {
            let is_aligned = leaves.is_power_of_two() && first % leaves == 0;
            assert!(is_aligned, "{extent:?} is no block");
        }
    }

    /// Every leaf, of large trees those where something begins or ends.
    fn check_leaves(&self) {
        let range = self.model.range();
        assert_eq!(self.tree.extent_at(range.end), None);
        assert_eq!(self.tree.extent_at(range.start.wrapping_sub(1)), None);
        if range.len() <= 100 {
            (range.start.saturating_sub(1)..=range.end).for_each(|leaf| self.check_leaf(leaf));
            return;
        }
        for extent in self.tree.walk() {
            let middle = extent.first + extent.leaves / 2;
            for leaf in [extent.first, middle, extent.end() - 1] {
                self.check_leaf(leaf);
            }
        }
    }

    fn check_leaf(&self, leaf: usize) {
        assert_eq!(self.tree.leaves_of(leaf), self.model.block_or_why(leaf));
        let extent = self.tree.extent_at(leaf);
        assert_eq!(extent.map(|extent| extent.kind), self.model.leaf(leaf).map(Leaf::kind));
        if let Some(extent) = extent {
            assert!(extent.contains(leaf), "{extent:?} for {leaf}");
            self.check_extent(extent);
        }
    }

    /// What is only told once all is merged, asked of a copy: asking settles.
    fn check_settled(&self) {
        let copy: Vec<W> = self.storage.iter().map(|_| W::default()).collect();
        copy.iter().zip(self.words()).for_each(|(word, value)| word.store(value));
        let tree: Tree<_, P> = Tree::attach(copy.as_slice()).unwrap();
        self.check_statistics(&tree.statistics());
        tree.validate().unwrap();
        let free = tree.walk().filter(|extent| extent.kind == Kind::Free);
        let merged = self.model.free_blocks();
        let merged = merged.iter().map(|(first, order)| (*first, order.leaves()));
        assert!(free.map(|extent| (extent.first, extent.leaves)).eq(merged), "not merged");
    }

    fn check_statistics(&self, statistics: &Statistics) {
        let model = &self.model;
        let (free, largest) = (model.count(Kind::Free), model.largest_free());
        assert_eq!(statistics.total(), model.total());
        assert_eq!(statistics.used(), model.count(Kind::Used));
        assert_eq!(statistics.free(), free);
        assert_eq!(statistics.reserved(), model.count(Kind::Reserved));
        assert_eq!(statistics.blocks(), model.blocks().len());
        assert_eq!(statistics.peak(), model.peak);
        assert_eq!(statistics.largest_free(), largest);
        let outside = if free == 0 { 0 } else { (100 * (free - largest)).div_ceil(free) };
        assert_eq!(statistics.fragmentation_percent() as usize, outside);
        let merged = model.free_blocks();
        for order in (0..=Order::MAX.get()).filter_map(Order::new) {
            let count = merged.iter().filter(|(_, size)| *size == order).count();
            assert_eq!(statistics.free_blocks(order), count, "order {order}");
        }
    }
}
