//! The naive model: a vector with one state per leaf. It knows nothing of trees.

use buddy_core::{Extent, Kind, Order};
use std::ops::Range;

/// What a leaf is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Leaf {
    Free,
    /// Part of the block that starts at leaf `block`.
    Used {
        block: usize,
    },
    Reserved,
}

impl Leaf {
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Free => Kind::Free,
            Self::Used { .. } => Kind::Used,
            Self::Reserved => Kind::Reserved,
        }
    }
}

/// A range of leaves, and what each of them is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Model {
    first: usize,
    /// How far the range can be extended.
    pub(crate) capacity_end: usize,
    leaves: Vec<Leaf>,
    /// The most leaves that were used at one time.
    pub(crate) peak: usize,
}

impl Model {
    pub(crate) fn new(range: Range<usize>, state: Leaf) -> Self {
        let (first, capacity_end) = (range.start, range.end);
        Self { first, capacity_end, leaves: range.map(|_| state).collect(), peak: 0 }
    }

    pub(crate) fn range(&self) -> Range<usize> {
        self.first..self.first + self.leaves.len()
    }

    pub(crate) fn total(&self) -> usize {
        self.leaves.len()
    }

    pub(crate) fn leaf(&self, leaf: usize) -> Option<Leaf> {
        self.leaves.get(leaf.checked_sub(self.first)?).copied()
    }

    pub(crate) fn count(&self, kind: Kind) -> usize {
        self.leaves.iter().filter(|leaf| leaf.kind() == kind).count()
    }

    /// Whether all these leaves are in the range.
    pub(crate) fn contains(&self, first: usize, leaves: usize) -> bool {
        let range = self.range();
        first >= range.start && first.checked_add(leaves).is_some_and(|end| end <= range.end)
    }

    /// The first of these leaves, all in the range, that is not of this kind.
    pub(crate) fn first_other(&self, first: usize, leaves: usize, kind: Kind) -> Option<usize> {
        (first..first + leaves).find(|leaf| self.leaf(*leaf).map(Leaf::kind) != Some(kind))
    }

    /// Whether all these leaves are in the range and free.
    pub(crate) fn are_free(&self, first: usize, leaves: usize) -> bool {
        self.contains(first, leaves) && self.first_other(first, leaves, Kind::Free).is_none()
    }

    /// Whether so many leaves side by side are free.
    pub(crate) fn has_gap(&self, leaves: usize) -> bool {
        let mut gaps = self.leaves.split(|leaf| *leaf != Leaf::Free);
        gaps.any(|gap| gap.len() >= leaves)
    }

    /// How many leaves the block that starts at `first` has, if one does.
    pub(crate) fn block(&self, first: usize) -> Option<usize> {
        let from = self.leaves.get(first.checked_sub(self.first)?..)?;
        let leaves = from.iter().take_while(|leaf| **leaf == Leaf::Used { block: first }).count();
        (leaves > 0).then_some(leaves)
    }

    /// The allocated blocks in address order.
    pub(crate) fn blocks(&self) -> Vec<Extent> {
        let used =
            self.range().filter(|leaf| self.leaf(*leaf) == Some(Leaf::Used { block: *leaf }));
        used.filter_map(|first| {
            self.block(first).map(|leaves| Extent { first, leaves, kind: Kind::Used })
        })
        .collect()
    }

    /// The free blocks when everything is merged that can be: the aligned powers of two of free
    /// leaves that lie in no larger one, in address order.
    pub(crate) fn free_blocks(&self) -> Vec<(usize, Order)> {
        let mut blocks = Vec::new();
        let mut at = self.first;
        while at < self.range().end {
            let mut leaves = 1;
            if self.leaf(at) == Some(Leaf::Free) {
                while at % (2 * leaves) == 0 && self.are_free(at, 2 * leaves) {
                    leaves *= 2;
                }
                blocks.push((at, Order::new(leaves.ilog2()).unwrap()));
            }
            at += leaves;
        }
        blocks
    }

    pub(crate) fn largest_free(&self) -> usize {
        self.free_blocks().iter().map(|(_, order)| order.leaves()).max().unwrap_or(0)
    }

    /// The highest order of which an aligned block fits in the capacity.
    pub(crate) fn max_order(&self) -> Order {
        let fits = |order: &u32| {
            let leaves = 1 << order;
            self.first.next_multiple_of(leaves) + leaves <= self.capacity_end
        };
        Order::new((0..40.min(usize::BITS - 2)).rev().find(fits).unwrap()).unwrap()
    }

    pub(crate) fn set(&mut self, first: usize, leaves: usize, state: Leaf) {
        let at = first - self.first;
        self.leaves[at..at + leaves].fill(state);
    }

    pub(crate) fn allocate(&mut self, first: usize, leaves: usize) {
        assert!(self.are_free(first, leaves), "{first} + {leaves} was not free");
        self.set(first, leaves, Leaf::Used { block: first });
        self.raise_peak();
    }

    /// Frees leaves of a block: what is left before and behind them become blocks.
    pub(crate) fn free(&mut self, first: usize, leaves: usize) {
        let Some(Leaf::Used { block }) = self.leaf(first) else { panic!("{first} was not used") };
        let end = block + self.block(block).unwrap();
        self.set(first, leaves, Leaf::Free);
        let behind = first + leaves;
        self.set(behind, end - behind, Leaf::Used { block: behind });
    }

    /// Grows a block into the free leaves behind it.
    pub(crate) fn grow(&mut self, first: usize, new: usize) {
        self.set(first, new, Leaf::Used { block: first });
        self.raise_peak();
    }

    pub(crate) fn raise_peak(&mut self) {
        self.peak = self.peak.max(self.count(Kind::Used));
    }

    pub(crate) fn move_end(&mut self, end: usize) {
        self.leaves.resize(end - self.first, Leaf::Free);
    }

    /// Frees everything that is allocated.
    pub(crate) fn reset(&mut self) {
        for leaf in &mut self.leaves {
            if matches!(leaf, Leaf::Used { .. }) {
                *leaf = Leaf::Free;
            }
        }
    }
}
