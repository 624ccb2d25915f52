//! Magazines: freed blocks kept by size, to be handed out again without a change of the tree.
//!
//! A tree records neighbouring blocks of one order side by side in a word. A *row* of a magazine
//! stands for a *group*, the 16 blocks of half a word of nodes (8 in 32-bit words), and tells in one
//! word of its own which of them rest. Taking a block clears a bit, keeping it sets the bit again, and
//! a bit that is set already is a second free. So a request that is served from a row changes one
//! word. To the tree a resting block is allocated.
//!
//! Each size class has several rows (a power of two, the *ways*); which one a group goes to is told by
//! its number, so there is one place to look for a block, whoever frees it. Rows are stocked with many
//! blocks at once from the tree, and given back to it with all they hold when another group wants the
//! place, or memory runs short.
//!
//! - **M1** A bit of RESTING stands for a block of the row's class that is allocated to the tree and
//!   belongs to nobody: whoever clears it owns the block. It is a member.
//! - **M2** A bit of MEMBERS stands for a block that is allocated to the tree with exactly the size
//!   of the row's class. (So a free of a member is valid unless it rests, without a look at the tree.)
//! - **M3** Whoever has *detached* a block from the tree ([`Backing`]) decides about its membership:
//!   he alone makes it a member, and ends the membership before the block becomes something else. A
//!   block is attached to the tree before a row that lets it rest is to be believed, and detached
//!   again before the row forgets it: of several frees of one block, one succeeds.
//! - **M4** Whoever sets BUSY changes the row step by step. Until he is done nobody takes from it or
//!   lays to it; only memberships are ended (M3).
//! - **M5** A row where a block rests is marked, or a call that is in transit will see to it. Whoever is
//!   short of memory raises PRESSURE and empties what is marked, marks and all; from then on until
//!   PRESSURE is 0 again, whoever lays a block to rest gives it to the tree instead of marking its row.
//!
//! Marks (which ways of a class have resting blocks), hints (from which row a lane takes next)
//! and stocks (how many it should take from the tree at once) may be wrong; only time is lost then.
//! But a hint is always one of the class's own rows.

#[cfg(all(test, loom))]
mod loom_models;
mod row;
mod shape;
mod stock;
#[cfg(all(test, not(loom)))]
mod tests;

use shape::Area;
pub(crate) use shape::Shape;

use crate::class::Class;
use crate::tree::{Row, Word};
use row::{Place, State};

/// What a magazine needs of the tree.
pub(crate) trait Backing {
    /// Detaches those of the allocated blocks that nobody else has detached: their bits.
    fn detach(&self, row: Row) -> usize;
    /// Which blocks of the row's group are allocated with its size, if nobody else can change that.
    fn siblings(&self, row: Row) -> usize;
    /// Undoes [`Self::detach`].
    fn reattach(&self, row: Row);
    /// Frees detached blocks.
    fn free(&self, row: Row);
}

/// What became of a block that was to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It rests.
    Yes,
    /// It rests in a row without a mark: the caller calls [`Magazine::mark`], in transit.
    Unmarked,
    /// It rests already: it was freed before.
    Before,
    /// It does not rest.
    No,
}

/// A magazine in its words.
pub(crate) struct Magazine<'w, W> {
    words: &'w [W],
    shape: &'w Shape,
    /// The policy's: constants wherever this is inlined.
    precision: u32,
    cpus: usize,
}

/// Where blocks may rest.
struct Seat<'w, W> {
    row: &'w W,
    /// Where the row lies.
    at: usize,
    place: Place,
}

impl<'w, W: Word> Magazine<'w, W> {
    /// The magazine of that shape in the words of a heap, under a policy of such `precision` and so
    /// many CPUs.
    #[inline(always)]
    pub(crate) const fn new(words: &'w [W], shape: &'w Shape, precision: u32, cpus: usize) -> Self {
        Self { words, shape, precision, cpus }
    }

    /// Whether blocks of the class can rest.
    #[inline(always)]
    pub(crate) const fn has(&self, class: Class) -> bool {
        (class.index as usize) < self.shape.classes
    }

    /// The lane of a CPU.
    #[inline(always)]
    fn lane(&self, cpu: usize) -> usize {
        if self.cpus <= 1 { 0 } else { cpu.checked_rem(self.shape.lanes).unwrap_or(0) }
    }

    /// Where the record of a class that can rest lies: AREA, hints, stocks.
    #[inline(always)]
    const fn record(&self, class: Class) -> usize {
        self.shape.record(class.index as usize, if self.cpus <= 1 { 1 } else { self.shape.lanes })
    }

    /// Where the rows of a class lie that can rest.
    #[inline(always)]
    fn area(&self, class: Class) -> Option<Area> {
        Some(self.shape.area::<W>(self.words.get(self.record(class))?.load()))
    }

    /// The place of the row from which the lane takes blocks of a class that can rest.
    #[inline(always)]
    fn hint(&self, cpu: usize, class: Class) -> Option<&'w W> {
        self.words.get(self.record(class) + 1 + self.lane(cpu))
    }

    /// The seat of the block of the class at `first`; `None` if it is not aligned by nature, as one
    /// that grew may be, or too far out.
    #[inline(always)]
    fn seat(&self, first: usize, class: Class) -> Option<Seat<'w, W>> {
        // The rotation moves what is no multiple of the class's alignment to the top, where it makes
        // a number that is too large for a tag (`Shape::fitting`).
        let index = first.rotate_right(class.natural);
        if !self.has(class) {
            return None;
        }
        let nodes = State::<W>::NODES as usize;
        self.seats(index / nodes, 1 << (index % nodes), class)
    }

    /// The same for several blocks of a group.
    #[inline(always)]
    fn seats(&self, number: usize, blocks: usize, class: Class) -> Option<Seat<'w, W>> {
        if number >= State::<W>::NUMBERS {
            return None;
        }
        let at = self.area(class)?.row(number);
        let row = self.words.get(at)?;
        Some(Seat { row, at, place: Place { tag: State::<W>::tag(number), blocks } })
    }

    /// Takes the lowest block from the row that the lane used last: its first leaf.
    #[inline(always)]
    pub(crate) fn take(&self, cpu: usize, class: Class) -> Option<usize> {
        if !self.has(class) {
            return None;
        }
        let row = self.words.get(self.hint(cpu, class)?.load())?;
        Some(Self::lowest(row::take(row).ok()?) << class.natural)
    }

    /// The number of the lowest block that rests by a state.
    #[inline(always)]
    fn lowest(state: usize) -> usize {
        let number = State::<W>::number(state);
        number * State::<W>::NODES as usize + state.trailing_zeros() as usize
    }

    /// Takes a block of the class from any row, and makes that the one that the lane uses.
    pub(crate) fn take_marked(&self, cpu: usize, class: Class) -> Option<usize> {
        if !self.has(class) {
            return None;
        }
        let (area, hint) = (self.area(class)?, self.hint(cpu, class)?);
        let words = area.mark_words::<W>();
        // From the marks of the row on that the lane used last: each lane began at its own.
        let last = area.way(hint.load());
        let mut word = last / W::BITS as usize;
        for _ in 0..words {
            if let Some((at, old)) = self.take_marked_in(area, word, last) {
                hint.store(at);
                return Some(Self::lowest(old) << class.natural);
            }
            word = if word + 1 == words { 0 } else { word + 1 };
        }
        None
    }

    /// The same among the rows that one word of marks stands for: where the row lies, and its state
    /// before.
    #[inline]
    fn take_marked_in(&self, area: Area, word: usize, last: usize) -> Option<(usize, usize)> {
        let marks = self.words.get(area.marks::<W>() + word)?;
        let mut left = marks.load();
        while left != 0 {
            let bit = left.trailing_zeros() as usize;
            left &= left - 1;
            let way = word * W::BITS as usize + bit;
            let row = self.words.get(area.row(way))?;
            if let Ok(old) = row::take(row) {
                return Some((area.row(way), old));
            }
            // Where the lane took its last block something will soon rest again.
            if way != last {
                Self::unmark(row, marks, bit);
            }
        }
        None
    }

    /// Takes a row's mark away, if nothing rests there.
    fn unmark(row: &W, marks: &W, bit: usize) {
        // Whoever lays a block here after the second change sees that there is no mark.
        marks.clear(1 << bit);
        if row.clear(State::<W>::MARKED) & State::<W>::RESTING != 0 {
            Self::set_mark(row, marks, bit);
        }
    }

    fn set_mark(row: &W, marks: &W, bit: usize) {
        loop {
            marks.set(1 << bit);
            row.set(State::<W>::MARKED);
            // Whoever took the mark away in between may not have seen that the row counts on it.
            if marks.reread() >> bit & 1 == 1 {
                return;
            }
        }
    }

    /// Keeps a block of the class, which the caller gives up, if it is a member of its row: of others
    /// nothing is known.
    #[inline(always)]
    pub(crate) fn keep(&self, first: usize, class: Class) -> Kept {
        let Some(Seat { row, place, .. }) = self.seat(first, class) else { return Kept::No };
        match row::lay(row, place) {
            Ok(old) => {
                if old & State::<W>::MARKED == 0 {
                    Kept::Unmarked
                } else {
                    Kept::Yes
                }
            }
            Err(old) if place.rests::<W>(old) => Kept::Before,
            Err(_) => Kept::No,
        }
    }

    /// Whether the block of the class at `first`, if it is a member of its row, is somebody's: it does
    /// not rest.
    pub(crate) fn knows(&self, first: usize, class: Class) -> Option<bool> {
        let Seat { row, place, .. } = self.seat(first, class)?;
        let state = row.load();
        place.is_member::<W>(state).then(|| !place.rests::<W>(state))
    }

    /// Whether the block of the class at `first` rests.
    pub(crate) fn holds(&self, first: usize, class: Class) -> bool {
        self.seat(first, class).is_some_and(|Seat { row, place, .. }| place.rests::<W>(row.load()))
    }

    /// The block of the class at `first`, which the caller has detached, is about to become something
    /// else; `false` if it rests, so that it must not.
    pub(crate) fn forget(&self, first: usize, class: Class) -> bool {
        self.seat(first, class).is_none_or(|Seat { row, place, .. }| row::dismiss(row, place))
    }

    /// Notes that the caller is short of memory, until [`Self::relax`].
    pub(crate) fn press(&self) {
        if let Some(pressure) = self.pressure() {
            pressure.add(1);
        }
    }

    /// Ends what [`Self::press`] began.
    pub(crate) fn relax(&self) {
        if let Some(pressure) = self.pressure() {
            pressure.sub(1);
        }
    }

    /// Whether anybody is short of memory.
    pub(crate) fn is_short(&self) -> bool {
        self.pressure().is_some_and(|pressure| pressure.load() != 0)
    }

    fn pressure(&self) -> Option<&'w W> {
        self.words.get(self.shape.pressure).filter(|_| !self.shape.is_none())
    }

    /// Leaves of resting blocks. O(rows).
    pub(crate) fn resting(&self) -> usize {
        let count = |row: &W| (row.load() & State::<W>::RESTING).count_ones() as usize;
        self.rows().map(|(class, row)| count(row) * class.leaves).sum()
    }

    /// Makes it an empty one, whatever the words hold.
    pub(crate) fn clear(&self) {
        let words = self.words.get(self.shape.range()).unwrap_or(&[]);
        for word in words {
            word.store(0);
        }
        self.lay_out();
    }

    /// Makes it an empty one in words that hold zeros.
    pub(crate) fn lay_out(&self) {
        self.shape.lay_out(self.words, self.precision);
    }

    /// The classes that can rest.
    fn classes(&self) -> impl Iterator<Item = Class> + use<W> {
        let precision = self.precision;
        (0..self.shape.classes as u32).map(move |index| Class::at(index, precision))
    }

    fn rows(&self) -> impl Iterator<Item = (Class, &'w W)> + use<'_, 'w, W> {
        self.classes().flat_map(move |class| {
            let area = self.area(class).into_iter();
            let rows = area.flat_map(|area| (0..=area.mask).map(move |way| area.row(way)));
            rows.filter_map(move |at| Some((class, self.words.get(at)?)))
        })
    }
}
