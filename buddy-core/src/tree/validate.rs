//! Proving the invariants of a tree at rest.

use super::Tree;
use super::block::{Block, Pieces};
use super::extent::{Extent, Kind};
use super::geometry::{header, record};
use super::index::Level;
use super::node::{self, CONT, FREE, HEAD};
use super::order::Order;
use super::policy::Policy;
use super::word::{Storage, Word, node_shift};
use thiserror::Error;

/// Which invariant a tree breaks, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum Invalid {
    /// T1: an extent reaches beyond the range.
    #[error("the extent at leaf {leaf} reaches beyond the range")]
    Overrun {
        /// Where it starts.
        leaf: usize,
    },
    /// T3: a run is not marked as its leaves demand.
    #[error("the run at leaf {leaf} is marked wrongly")]
    Run {
        /// Where it starts.
        leaf: usize,
    },
    /// T1, T3: nodes are set that belong to no extent, or to two.
    #[error("order {order} has nodes that belong to no extent")]
    Stray {
        /// The order of the nodes.
        order: Order,
    },
    /// T6: a counter of an order disagrees with its nodes.
    #[error("order {order} counts {counted} free blocks but has {actual}")]
    FreeBlocks {
        /// The order.
        order: Order,
        /// What the counter says.
        counted: usize,
        /// What the nodes say.
        actual: usize,
    },
    /// T6: one of the range's counters disagrees with the nodes.
    #[error("the {counter} counter says {counted}, the nodes {actual}")]
    Counter {
        /// Which counter.
        counter: &'static str,
        /// What it says.
        counted: usize,
        /// What the nodes say.
        actual: usize,
    },
    /// T4: a summary of an order disagrees with the words below it.
    #[error("a summary of order {order} is wrong")]
    Summary {
        /// The order.
        order: Order,
    },
    /// T4: a free block can be found neither by the index nor by the slots.
    #[error("the free block of order {order} at leaf {leaf} cannot be found")]
    Unreachable {
        /// The block's order.
        order: Order,
        /// The block's first leaf.
        leaf: usize,
    },
    /// T5: two free buddies are left unmerged for good.
    #[error("the free block of order {order} at leaf {leaf} should have merged with its buddy")]
    Unmerged {
        /// The block's order.
        order: Order,
        /// The block's first leaf.
        leaf: usize,
    },
}

/// How many nodes of an order are in each state.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Tally {
    free: usize,
    head: usize,
    cont: usize,
}

struct Totals {
    nodes: [Tally; usize::BITS as usize],
    used: usize,
    blocks: usize,
    reserved: usize,
}

impl<S: Storage, P: Policy> Tree<S, P> {
    /// Checks every invariant of the tree. O(leaves). No other thread may use the tree meanwhile.
    ///
    /// # Errors
    /// The first breach found.
    pub fn validate(&self) -> Result<(), Invalid> {
        let totals = self.check_extents()?;
        for order in self.orders() {
            self.check_nodes(order, totals.nodes[order.get() as usize])?;
            self.check_free_nodes(order)?;
            self.check_summaries(order)?;
        }
        let counters = [
            ("used", header::USED, totals.used),
            ("block", header::BLOCKS, totals.blocks),
            ("reserved", header::RESERVED, totals.reserved),
        ];
        for (counter, at, actual) in counters {
            let counted = self.word(at).load();
            if counted != actual {
                return Err(Invalid::Counter { counter, counted, actual });
            }
        }
        let peak = self.word(header::PEAK).load();
        if peak < totals.used {
            return Err(Invalid::Counter { counter: "peak", counted: peak, actual: totals.used });
        }
        Ok(())
    }

    /// Walks the capacity: what is set by the extents must be all that is set.
    fn check_extents(&self) -> Result<Totals, Invalid> {
        let mut totals = Totals {
            nodes: [Tally::default(); usize::BITS as usize],
            used: 0,
            blocks: 0,
            reserved: 0,
        };
        let end = self.end();
        let mut at = self.geometry.first;
        while at < self.geometry.capacity {
            let extent = self.extent_from(at);
            let limit = if extent.kind == Kind::Reserved { self.geometry.capacity } else { end };
            if extent.end() > limit {
                return Err(Invalid::Overrun { leaf: at });
            }
            self.tally(&extent, &mut totals)?;
            if extent.kind == Kind::Reserved {
                totals.reserved += extent.end().min(end).saturating_sub(at);
            }
            at = extent.end();
        }
        Ok(totals)
    }

    fn tally(&self, extent: &Extent, totals: &mut Totals) -> Result<(), Invalid> {
        let tally = &mut totals.nodes;
        match extent.kind {
            Kind::Free => tally[extent.leaves.ilog2() as usize].free += 1,
            Kind::Reserved if extent.leaves == 1 => {}
            Kind::Reserved => {
                let halves = &mut tally[extent.leaves.ilog2() as usize - 1];
                halves.head += 1;
                halves.cont += 1;
            }
            Kind::Used => {
                totals.used += extent.leaves;
                totals.blocks += 1;
                for piece in Pieces::of(extent.first, extent.end()) {
                    let is_head = piece.first() == extent.first;
                    let goes_on = piece.end() < extent.end();
                    let expected = if is_head { HEAD } else { CONT };
                    if self.state(piece) != expected || self.continues(piece) != goes_on {
                        return Err(Invalid::Run { leaf: extent.first });
                    }
                    let order = &mut tally[piece.order().get() as usize];
                    *if is_head { &mut order.head } else { &mut order.cont } += 1;
                    // The mark that the run goes on may be the next piece itself.
                    let following = Pieces::of(piece.end(), extent.end()).next();
                    let is_marked_apart = following.is_some_and(|next| next != piece.next());
                    order.cont += usize::from(is_marked_apart);
                }
            }
        }
        Ok(())
    }

    fn check_nodes(&self, order: Order, expected: Tally) -> Result<(), Invalid> {
        let level = self.level(order);
        let mut found = Tally::default();
        for position in 0..level.span.words {
            let word = self.word(level.start + position).load();
            for shift in (0..<S::Word as Word>::BITS).step_by(2) {
                match node::state(word, shift) {
                    FREE => found.free += 1,
                    HEAD => found.head += 1,
                    CONT => found.cont += 1,
                    _ => {}
                }
            }
        }
        let counted = self.record(order, record::FREE).load();
        if found != expected {
            return Err(Invalid::Stray { order });
        }
        if counted != found.free {
            return Err(Invalid::FreeBlocks { order, counted, actual: found.free });
        }
        let is_remembered = self.word(header::ORDERS).load() >> order.get() & 1 == 1;
        if counted > 0 && !is_remembered {
            return Err(Invalid::Summary { order });
        }
        Ok(())
    }

    /// Every free block is merged or deferred, and can be found.
    fn check_free_nodes(&self, order: Order) -> Result<(), Invalid> {
        let level = self.level(order);
        for position in 0..level.span.words {
            let word = self.word(level.start + position).load();
            let is_indexed = self.is_indexed(&level, position);
            for shift in (0..<S::Word as Word>::BITS).step_by(2) {
                if node::state(word, shift) != FREE {
                    continue;
                }
                let words = level.span.low + position;
                let index = (words << node_shift::<S::Word>()) + shift as usize / 2;
                let block = Block::new(order, index);
                if !is_indexed && !self.is_deferred(block) {
                    return Err(Invalid::Unreachable { order, leaf: block.first() });
                }
                let buddy_is_free = node::state(word, node::buddy_shift(shift)) == FREE;
                if buddy_is_free && !self.is_deferred(block) && !self.is_deferred(block.buddy()) {
                    return Err(Invalid::Unmerged { order, leaf: block.first() });
                }
            }
        }
        Ok(())
    }

    fn is_indexed(&self, level: &Level, position: usize) -> bool {
        let bits = <S::Word as Word>::BITS as usize;
        let summary = level.start + level.span.words + position / bits;
        level.span.words == 1 || self.word(summary).load() >> (position % bits) & 1 == 1
    }

    fn is_deferred(&self, block: Block) -> bool {
        (0..P::DEFER).any(|slot| {
            self.record(block.order(), record::SLOTS + slot).load() == block.index() + 1
        })
    }

    /// Every summary bit stands for a word that is not empty; above the lowest, and no other does.
    fn check_summaries(&self, order: Order) -> Result<(), Invalid> {
        let bits = <S::Word as Word>::BITS as usize;
        let level = self.level(order);
        let (mut base, mut length, mut is_lowest) = (level.start, level.span.words, true);
        while length > 1 {
            let above = base + length;
            for position in 0..length.next_multiple_of(bits) {
                let is_set =
                    self.word(above + position / bits).load() >> (position % bits) & 1 == 1;
                let below = if position < length { self.word(base + position).load() } else { 0 };
                let has_some = if is_lowest { node::free_nodes(below) != 0 } else { below != 0 };
                if is_set && !has_some || !is_lowest && has_some && !is_set {
                    return Err(Invalid::Summary { order });
                }
            }
            (base, length, is_lowest) = (above, length.div_ceil(bits), false);
        }
        Ok(())
    }
}
