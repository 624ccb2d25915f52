//! Stocking rows from the tree and emptying them into it: the slow side of a magazine.

use super::row::State;
use super::{Area, Backing, Magazine, Seat};
use crate::class::Class;
use crate::tree::{Order, Row, Word};

impl<'w, W: Word> Magazine<'w, W> {
    /// Keeps a block of the class that the caller has detached and gives up, member or not; whether it
    /// could.
    pub(crate) fn adopt(&self, first: usize, class: Class, tree: &impl Backing) -> bool {
        let seat = self.seat(first, class);
        seat.is_some_and(|seat| self.stock(&seat, seat.place.blocks, class, tree))
    }

    /// Whether the row of the block of the class at `first` stands for its group, or is to be had for it.
    pub(crate) fn has_row(&self, first: usize, class: Class) -> bool {
        self.seat(first, class).is_some_and(|Seat { row, place, .. }| {
            let state = row.load();
            let is_free = state & State::<W>::RESTING == 0 || Self::is_worth_emptying(state);
            State::<W>::is_of(state, place.tag) || is_free
        })
    }

    /// Whether so many blocks rest in a row that they go to the tree together when another group wants
    /// the place. Few would cost more than the newcomer saves.
    fn is_worth_emptying(state: usize) -> bool {
        (state & State::<W>::RESTING).count_ones() >= State::<W>::NODES / 4
    }

    /// Whether no block of the class rests, as far as the marks tell. O(ways).
    pub(crate) fn is_idle(&self, class: Class) -> bool {
        let Some(area) = self.area(class) else { return false };
        let rests = |way: usize| {
            let row = self.words.get(area.row(way));
            row.is_some_and(|row| row.load() & State::<W>::RESTING != 0)
        };
        (0..area.mark_words::<W>()).all(|word| {
            let mut left = self.words.get(area.marks::<W>() + word).map_or(0, Word::load);
            while left != 0 && !rests(word * W::BITS as usize + left.trailing_zeros() as usize) {
                left &= left - 1;
            }
            left == 0
        })
    }

    /// How many blocks of the class the lane should take from the tree at once.
    pub(crate) fn appetite(&self, cpu: usize, class: Class) -> usize {
        self.stock_of(cpu, class).map_or(0, Word::load).max(1)
    }

    fn stock_of(&self, cpu: usize, class: Class) -> Option<&'w W> {
        self.words.get(self.record(class) + 1 + self.shape.lanes + self.lane(cpu))
    }

    /// Keeps all blocks of a row, detached from the tree, but the lowest, which is the caller's: its
    /// first leaf. What cannot be kept is freed. The lane will want more next time.
    pub(crate) fn load(&self, cpu: usize, class: Class, row: Row, tree: &impl Backing) -> usize {
        let rest = row.blocks & row.blocks.wrapping_sub(1);
        let seat = if self.has(class) { self.seats(row.number, row.blocks, class) } else { None };
        let at = seat.filter(|seat| self.stock(seat, rest, class, tree)).map(|seat| seat.at);
        if let Some(at) = at {
            if let (Some(hint), Some(stock)) = (self.hint(cpu, class), self.stock_of(cpu, class)) {
                hint.store(at);
                stock.store((stock.load().max(1) * 2).min(State::<W>::NODES as usize));
            }
        } else {
            if rest != 0 {
                tree.free(Row { blocks: rest, ..row });
            }
            tree.reattach(Row { blocks: row.blocks & !rest, ..row });
        }
        row.first_leaf::<W>(row.blocks.trailing_zeros() as usize)
    }

    /// Makes detached blocks members of their row, those of `resting` rest, and attaches them all; or
    /// nothing, if a few blocks of another group rest there.
    fn stock(&self, seat: &Seat<'w, W>, resting: usize, class: Class, tree: &impl Backing) -> bool {
        let Seat { row, place, .. } = *seat;
        let Some(order) = Order::new(class.natural).filter(|_| !self.is_short()) else {
            return false;
        };
        let old = row.load();
        if !State::<W>::is_of(old, place.tag) && resting != 0 && Self::is_worth_emptying(old) {
            Self::empty(row, class, tree);
        }
        let number = State::<W>::number(place.tag);
        let group = Row { order, leaves: class.leaves, number, blocks: place.blocks };
        // A group that is new here is likely to be freed block by block.
        let siblings = if State::<W>::is_of(row.load(), place.tag) {
            0
        } else {
            tree.siblings(Row { blocks: State::<W>::RESTING, ..group })
        };
        let stocked = place.stocked::<W>(resting) | siblings << State::<W>::NODES;
        let begun = row.update(|old| {
            let is_own = State::<W>::is_of(old, place.tag);
            let in_the_way = if is_own { place.blocks } else { State::<W>::RESTING };
            let kept = if is_own { old } else { old & State::<W>::MARKED };
            (old & (State::<W>::BUSY | in_the_way) == 0).then_some(kept | stocked)
        });
        if begun.is_err() {
            return false;
        }
        tree.reattach(group);
        let ended = row.clear(State::<W>::BUSY);
        // Whoever is short of memory may have passed by while the row was busy (M5).
        if resting != 0 && (ended & State::<W>::MARKED == 0 || self.is_short()) {
            self.mark_row(row, number, class, tree);
        }
        true
    }

    /// Sees to it that a block that was kept in a row without a mark is found (M5). The caller is in
    /// transit.
    pub(crate) fn mark(&self, first: usize, class: Class, tree: &impl Backing) {
        if let Some(Seat { row, place, .. }) = self.seat(first, class) {
            self.mark_row(row, State::<W>::number(place.tag), class, tree);
        }
    }

    fn mark_row(&self, row: &W, number: usize, class: Class, tree: &impl Backing) {
        let Some(area) = self.area(class) else { return };
        let way = number & area.mask;
        let (word, bit) = (way / W::BITS as usize, way % W::BITS as usize);
        if let Some(marks) = self.words.get(area.marks::<W>() + word) {
            Self::set_mark(row, marks, bit);
            if self.is_short() {
                // Whoever is short of memory may have looked at the marks before.
                marks.clear(1 << bit);
                row.clear(State::<W>::MARKED);
                Self::empty(row, class, tree);
            }
        }
    }

    /// Gives what rests in a row to the tree; says whether it could: not if another call is at it, or
    /// has detached a block.
    fn empty(row: &W, class: Class, tree: &impl Backing) -> bool {
        let Some(order) = Order::new(class.natural) else { return false };
        let busy = State::<W>::BUSY;
        let seized = row.update(|old| (old & State::<W>::RESTING != 0).then_some(old | busy));
        let old = match seized {
            Ok(old) if old & busy == 0 => old,
            old => return old.is_err(),
        };
        // The bits stay until the blocks are detached: so whoever frees one a second time meets
        // either the bit, or that it is detached (M3).
        let (number, resting) = (State::<W>::number(old), old & State::<W>::RESTING);
        let held = Row { order, leaves: class.leaves, number, blocks: resting };
        let blocks = tree.detach(held);
        row.clear(busy | blocks | blocks << State::<W>::NODES);
        if blocks != 0 {
            tree.free(Row { blocks, ..held });
        }
        blocks == resting
    }

    /// Gives everything that rests to the tree. O(rows / word + rows where something rests).
    pub(crate) fn drain(&self, tree: &impl Backing) {
        for class in self.classes() {
            if let Some(area) = self.area(class) {
                for word in 0..area.mark_words::<W>() {
                    self.drain_marked(class, area, word, tree);
                }
            }
            // Whoever stocks next begins with little.
            for stock in (0..self.shape.lanes).filter_map(|lane| self.stock_of(lane, class)) {
                stock.store(0);
            }
        }
    }

    /// Empties the rows that one word of marks stands for, and takes their marks away.
    fn drain_marked(&self, class: Class, area: Area, word: usize, tree: &impl Backing) {
        let Some(marks) = self.words.get(area.marks::<W>() + word) else { return };
        // Read by a change: whoever sets a mark after it sees the pressure (M5).
        let mut left = marks.reread();
        while left != 0 {
            let bit = left.trailing_zeros() as usize;
            left &= left - 1;
            if let Some(row) = self.words.get(area.row(word * W::BITS as usize + bit)) {
                marks.clear(1 << bit);
                row.clear(State::<W>::MARKED);
                if !Self::empty(row, class, tree) {
                    // Another call is at it.
                    Self::set_mark(row, marks, bit);
                }
            }
        }
    }
}
