//! Proving the invariants of a tree at rest.

use super::Tree;
use super::block::{Block, Pieces};
use super::extent::{Extent, Kind};
use super::geometry::{header, record, rests};
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
    /// The active word of an order, or one at rest, is none of its words.
    #[error("the active word of order {order}, {number}, is none of its words")]
    Active {
        /// The order.
        order: Order,
        /// The word's number.
        number: usize,
    },
    /// T4: a free block can be found by the index.
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
    /// ```
    /// # let words = [const { buddy_core::Plain::zero() }; 100];
    /// # let tree: buddy_core::Tree<_> = buddy_core::Tree::new(words, 0..100)?;
    /// tree.allocate_exact(5)?;
    /// tree.validate()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The first breach found.
    pub fn validate(&self) -> Result<(), Invalid> {
        if self.header()[header::ORDERS].load() >> self.geometry.top > 1 {
            return Err(Invalid::Summary { order: self.max_order() });
        }
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
        let peak = self.header()[header::PEAK].load();
        if peak < totals.used || peak > self.geometry.capacity - self.geometry.first {
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
        let nodes = self.nodes(order);
        let mut found = Tally::default();
        for number in nodes.low..=nodes.high {
            let word = self.word(nodes.at(number)).load();
            // Slabs are made trees again before anybody proves anything.
            if node::is_slab::<S::Word>(word) {
                return Err(Invalid::Stray { order });
            }
            for shift in (0..<S::Word as Word>::BITS).step_by(2) {
                match node::state::<S::Word>(word, shift) {
                    FREE => found.free += 1,
                    HEAD => found.head += 1,
                    CONT => found.cont += 1,
                    _ => {}
                }
            }
        }
        let counted = self.record(order)[record::FREE].load();
        if found != expected {
            return Err(Invalid::Stray { order });
        }
        if counted != found.free {
            return Err(Invalid::FreeBlocks { order, counted, actual: found.free });
        }
        let is_remembered = self.header()[header::ORDERS].load() >> order.get() & 1 == 1;
        if counted > 0 && !is_remembered {
            return Err(Invalid::Summary { order });
        }
        Ok(())
    }

    /// Every free block is merged and can be found, or lies in the active word or one at rest.
    fn check_free_nodes(&self, order: Order) -> Result<(), Invalid> {
        let bits = <S::Word as Word>::BITS as usize;
        let nodes = self.nodes(order);
        let summary = nodes.summary::<S::Word>();
        let deferred = self.deferred(order)?;
        for number in nodes.low..=nodes.high {
            let word = self.word(nodes.at(number)).load();
            let leaf = |free: usize| {
                let index =
                    (number << node_shift::<S::Word>()) + free.trailing_zeros() as usize / 2;
                Block::new(order, index).first()
            };
            let is_deferred = deferred.contains(&(number + 1));
            if is_deferred && Self::RESTS {
                continue;
            }
            let is_indexed = nodes.is_top()
                || self.word(summary.at(number / bits)).load() >> (number % bits) & 1 == 1;
            let free = node::free_nodes::<S::Word>(word);
            if free != 0 && !is_indexed && !is_deferred {
                return Err(Invalid::Unreachable { order, leaf: leaf(free) });
            }
            if node::free_pairs::<S::Word>(word) != 0 {
                return Err(Invalid::Unmerged {
                    order,
                    leaf: leaf(node::free_pairs::<S::Word>(word)),
                });
            }
        }
        Ok(())
    }

    /// The number + 1 of each word of which what is free need not be merged or found: the active one, and
    /// those at rest. 0 stands for none.
    fn deferred(&self, order: Order) -> Result<[usize; rests::WORDS], Invalid> {
        let nodes = self.nodes(order);
        let mut words = [0; rests::WORDS];
        words[rests::LAST] = self.record(order)[record::ACTIVE].load();
        if let Some(rests) = self.rests(order) {
            let last = rests[rests::LAST].load();
            if last > rests::PLACES {
                return Err(Invalid::Active { order, number: last });
            }
            for (word, place) in words[1..].iter_mut().zip(&rests[1..]) {
                *word = place.load();
            }
        }
        let may_be =
            |word: usize| self.defers(order) && (nodes.low..=nodes.high).contains(&(word - 1));
        match words.iter().find(|&&word| word != 0 && !may_be(word)) {
            Some(word) => Err(Invalid::Active { order, number: word - 1 }),
            None => Ok(words),
        }
    }

    /// A summary bit is set exactly if the word that it stands for is not empty; the bit of an active
    /// word, or one at rest, may be either.
    fn check_summaries(&self, order: Order) -> Result<(), Invalid> {
        let bits = <S::Word as Word>::BITS as usize;
        let deferred = self.deferred(order)?;
        let (mut words, mut are_nodes) = (self.nodes(order), true);
        while !words.is_top() {
            let above = words.summary::<S::Word>();
            for number in above.low * bits..(above.high + 1) * bits {
                let bit = self.word(above.at(number / bits)).load() >> (number % bits) & 1;
                let is_stored = (words.low..=words.high).contains(&number);
                let word = if is_stored { self.word(words.at(number)).load() } else { 0 };
                let has_some =
                    if are_nodes { node::free_nodes::<S::Word>(word) != 0 } else { word != 0 };
                let is_deferred = are_nodes && deferred.contains(&(number + 1));
                if (bit == 1) != has_some && !is_deferred {
                    return Err(Invalid::Summary { order });
                }
            }
            (words, are_nodes) = (above, false);
        }
        Ok(())
    }
}
