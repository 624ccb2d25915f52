//! Magazines: freed blocks kept by size, to be handed out again without a change of the tree.
//!
//! A tree records 32 neighbouring blocks (16 in 32-bit words) in one word. A *row* of a magazine
//! stands for such a word of nodes, and has a bit for each of its blocks that rests. Taking a block
//! clears a bit, keeping it sets the bit again, and a bit that is set already is a second free. So a
//! request that is served from a row reads and writes one word. To the tree a resting block is
//! allocated.
//!
//! Each size class has several rows (a power of two, the *ways*); which one a word of nodes goes to
//! is told by its number, so there is one place to look for a block, whoever frees it. Rows are
//! stocked with many blocks at once from the tree, and given back to it with all they hold when
//! another word of nodes wants the place, or memory runs short.
//!
//! - **M1** A bit of RESTING stands for a block of the row's class that is allocated to the tree and
//!   belongs to nobody: whoever clears it owns the block. Whoever sets BUSY owns all blocks that had
//!   a bit; until he clears it nobody else changes the row.
//! - **M2** A bit of MEMBERS stands for a block that is allocated to the tree with exactly the size
//!   of the row's class. Only the block's owner sets it, and clears it before the block becomes
//!   something else. (So a free of a member is valid unless it rests, without a look at the tree.)
//! - **M3** While PRESSURE is not 0, rows get no blocks: what is freed goes to the tree.
//!
//! Marks (which ways of a class have resting blocks) and hints (where a lane took its last block, and
//! how many it should stock next) may be wrong; only time is lost then.

#[cfg(all(test, loom))]
mod loom_models;
mod row;
mod shape;
#[cfg(all(test, not(loom)))]
mod tests;

pub(crate) use shape::Shape;

use crate::class::Class;
use crate::tree::{Order, Row, Word};
use row::{Place, RowWords, State};

/// What became of a block that was to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It rests.
    Yes,
    /// It rests already: it was freed before.
    Before,
    /// It does not rest.
    No,
}

/// A magazine in its words.
pub(crate) struct Magazine<'w, W> {
    words: &'w [W],
    shape: Shape,
    /// The policy's: a constant wherever this is inlined.
    precision: u32,
}

/// Where blocks may rest.
struct Seat<'w, W> {
    /// The way times the stride.
    offset: usize,
    row: RowWords<'w, W>,
    place: Place,
}

/// The lower part of a hint is how many blocks to stock; the rest tells the row.
const STOCK_BITS: u32 = 8;

impl<'w, W: Word> Magazine<'w, W> {
    /// The magazine of that shape in the words of a heap, for classes of `precision`.
    #[inline(always)]
    pub(crate) const fn new(words: &'w [W], shape: Shape, precision: u32) -> Self {
        Self { words, shape, precision }
    }

    /// Whether blocks of the class can rest.
    #[inline(always)]
    pub(crate) const fn has(&self, class: Class) -> bool {
        class.index < self.shape.classes
    }

    #[inline(always)]
    fn row(&self, offset: usize, class: Class) -> Option<RowWords<'w, W>> {
        let at = self.shape.row(offset, class.index);
        // One comparison each, where a slice of two takes three.
        let (Some(resting), Some(members)) = (self.words.get(at + 1), self.words.get(at)) else {
            return None;
        };
        Some(RowWords { members, resting })
    }

    /// The lane of a CPU.
    #[inline(always)]
    fn lane(&self, cpu: usize) -> usize {
        match cpu {
            0 => 0,
            _ => cpu.checked_rem(self.shape.lanes).unwrap_or(0),
        }
    }

    #[inline(always)]
    fn hint(&self, cpu: usize, class: Class) -> Option<&'w W> {
        self.words.get(self.shape.hint(self.lane(cpu), class.index))
    }

    /// The row where the block of the class at `first` would rest; `None` if it is not aligned by
    /// nature, as one that grew may be, or too far out.
    #[inline(always)]
    fn seat(&self, first: usize, class: Class) -> Option<Seat<'w, W>> {
        // The rotation moves what is no multiple of the class's alignment to the top, where it makes
        // a number that is too large for a tag (`Shape::fitting`).
        let index = first.rotate_right(class.natural);
        if !self.has(class) {
            return None;
        }
        let block = 1 << (index as u32 & (State::<W>::NODES - 1));
        self.seats(index >> State::<W>::NODES.ilog2(), block, class)
    }

    /// The same for several blocks of a word of nodes.
    #[inline(always)]
    fn seats(&self, number: usize, blocks: usize, class: Class) -> Option<Seat<'w, W>> {
        let offset = (number & self.shape.way_mask) * self.shape.stride();
        let tag = State::<W>::tag(number)?;
        Some(Seat { offset, row: self.row(offset, class)?, place: Place { tag, blocks } })
    }

    /// Takes a block of the class from the row that the lane used last: its first leaf.
    #[inline(always)]
    pub(crate) fn take(&self, cpu: usize, class: Class) -> Option<usize> {
        if !self.has(class) {
            return None;
        }
        let offset = self.hint(cpu, class)?.load() >> STOCK_BITS;
        self.take_from(offset, class)
    }

    /// Takes the lowest block of a row.
    #[inline(always)]
    fn take_from(&self, offset: usize, class: Class) -> Option<usize> {
        let resting = self.words.get(self.shape.row(offset, class.index) + 1)?;
        let state = row::take(resting).ok()?;
        let number = State::<W>::number(state);
        let index = (number << State::<W>::NODES.ilog2()) + state.trailing_zeros() as usize;
        Some(index << class.natural)
    }

    /// Takes a block of the class from any row, and makes it the one that the lane uses.
    pub(crate) fn take_marked(&self, cpu: usize, class: Class) -> Option<usize> {
        if !self.has(class) {
            return None;
        }
        // From the lane's own word of marks on, and in that from the lane's own way on.
        let (bits, words) = (W::BITS as usize, self.shape.mark_words);
        let start = self.lane(cpu) * (self.shape.way_mask + 1) / self.shape.lanes;
        let own = [(start / bits, !0 << (start % bits)), (start / bits, !(!0 << (start % bits)))];
        let others = (1..words).map(|next| ((start / bits + next) % words, !0));
        let searches = core::iter::once(own[0]).chain(others).chain(core::iter::once(own[1]));
        for (word, mask) in searches {
            let taken = self.take_marked_in(cpu, class, word, mask);
            if taken.is_some() {
                return taken;
            }
        }
        None
    }

    /// The same among the ways that one word of marks stands for, as far as the mask has them.
    #[inline]
    fn take_marked_in(&self, cpu: usize, class: Class, word: usize, mask: usize) -> Option<usize> {
        let marks = self.words.get(self.shape.marks(class.index) + word)?;
        let mut left = marks.load() & mask;
        while left != 0 {
            let bit = left.trailing_zeros() as usize;
            left &= left - 1;
            let offset = (word * W::BITS as usize + bit) * self.shape.stride();
            if let Some(first) = self.take_from(offset, class) {
                self.point(cpu, class, offset, None);
                return Some(first);
            }
            // Whoever keeps a block here after this reading of the row sees that the mark is gone.
            marks.clear(1 << bit);
            if self.row(offset, class)?.resting.reread() & State::<W>::BLOCKS != 0 {
                marks.set(1 << bit);
            }
        }
        None
    }

    /// Notes which row the lane uses, and how many blocks it should stock next.
    fn point(&self, cpu: usize, class: Class, offset: usize, stock: Option<usize>) {
        if let Some(hint) = self.hint(cpu, class) {
            let stock = stock.unwrap_or(hint.load() & ((1 << STOCK_BITS) - 1));
            hint.store(offset << STOCK_BITS | stock.min(State::<W>::NODES as usize));
        }
    }

    /// Notes that a block rests in the row of a word of nodes.
    #[inline(always)]
    fn mark(&self, place: Place, class: Class) {
        let way = State::<W>::number(place.tag) & self.shape.way_mask;
        let (word, bit) = (way / W::BITS as usize, way % W::BITS as usize);
        if let Some(marks) = self.words.get(self.shape.marks(class.index) + word) {
            if marks.load() >> bit & 1 == 0 {
                marks.set(1 << bit);
            }
        }
    }

    /// Keeps a block of the class, which the caller gives up, if it is a member of its row: of others
    /// nothing is known.
    #[inline(always)]
    pub(crate) fn keep(&self, first: usize, class: Class) -> Kept {
        match self.seat(first, class) {
            Some(Seat { row, place, .. }) if row.has_members(place) => self.lay(&row, place, class),
            _ => Kept::No,
        }
    }

    /// Lays blocks to rest in a row that stands for their word of nodes.
    #[inline(always)]
    fn lay(&self, row: &RowWords<'w, W>, place: Place, class: Class) -> Kept {
        match row.lay(place) {
            Ok(old) => {
                if old & State::<W>::BLOCKS == 0 {
                    self.mark(place, class);
                }
                Kept::Yes
            }
            Err(old) if RowWords::<W>::rests(old, place) => Kept::Before,
            Err(_) => Kept::No,
        }
    }

    /// Whether the block of the class at `first`, if it is a member of its row, is somebody's: it does
    /// not rest.
    pub(crate) fn knows(&self, first: usize, class: Class) -> Option<bool> {
        let seat = self.seat(first, class).filter(|seat| seat.row.has_members(seat.place))?;
        Some(!seat.row.has_resting(seat.place))
    }

    /// Whether the block of the class at `first` rests.
    pub(crate) fn holds(&self, first: usize, class: Class) -> bool {
        self.seat(first, class).is_some_and(|seat| seat.row.has_resting(seat.place))
    }

    /// Keeps a block of the class that is allocated to the tree, and that the caller gives up,
    /// member or not. `give` gets what the row held for another word of nodes.
    pub(crate) fn adopt(&self, first: usize, class: Class, give: impl FnMut(Row)) -> Kept {
        let seat = self.seat(first, class);
        seat.map_or(Kept::No, |seat| self.stock(&seat, seat.place.blocks, class, give))
    }

    /// How many blocks of the class the lane should take from the tree at once.
    pub(crate) fn appetite(&self, cpu: usize, class: Class) -> usize {
        let hint = self.hint(cpu, class).map_or(0, Word::load);
        (hint & ((1 << STOCK_BITS) - 1)).max(1)
    }

    /// Keeps all blocks of a row from the tree but the lowest, which is the caller's: its first leaf.
    /// All become members. `give` gets what cannot be kept. The lane will want more next time.
    pub(crate) fn load(
        &self,
        cpu: usize,
        class: Class,
        row: Row,
        mut give: impl FnMut(Row),
    ) -> usize {
        let rest = row.blocks & row.blocks.wrapping_sub(1);
        let seat = if self.has(class) { self.seats(row.number, row.blocks, class) } else { None };
        let stocked = |seat: &Seat<'w, W>| self.stock(seat, rest, class, &mut give) == Kept::Yes;
        match seat.filter(stocked) {
            Some(seat) => {
                let next = self.appetite(cpu, class) * 2;
                self.point(cpu, class, seat.offset, Some(next));
            }
            None if rest != 0 => give(Row { blocks: rest, ..row }),
            None => {}
        }
        row.first_leaf::<W>(row.blocks.trailing_zeros())
    }

    /// Makes blocks members of their row, and those of `resting` rest.
    fn stock(
        &self,
        seat: &Seat<'w, W>,
        resting: usize,
        class: Class,
        mut give: impl FnMut(Row),
    ) -> Kept {
        let Seat { row, place, .. } = seat;
        let lying = Place { blocks: resting, ..*place };
        let old = row.resting.load();
        let is_of_others = !State::<W>::is_of(old, place.tag);
        if RowWords::<W>::rests(old, lying) {
            return Kept::Before;
        }
        // Not for nothing is another word of nodes sent away.
        let is_in_the_way = is_of_others && resting == 0 && old & State::<W>::BLOCKS != 0;
        if is_in_the_way || self.is_short() {
            return Kept::No;
        }
        row.enroll(*place);
        let kept = if !is_of_others {
            self.lay(row, lying, class)
        } else if Self::empty(row, class, place.tag | resting, &mut give) {
            self.mark(*place, class);
            Kept::Yes
        } else {
            Kept::No
        };
        if kept != Kept::Yes {
            row.dismiss(*place);
        } else if self.is_short() {
            // Whoever is short of memory may have emptied the row before (M3).
            Self::empty(row, class, 0, give);
        }
        kept
    }

    /// The block of the class at `first`, which the caller owns, is about to become something else.
    pub(crate) fn forget(&self, first: usize, class: Class) {
        if let Some(seat) = self.seat(first, class) {
            seat.row.dismiss(seat.place);
        }
    }

    /// Gives what rests in a row to `give`, and leaves the row in state `next`; says whether it could:
    /// not if another call is at it.
    fn empty(row: &RowWords<'w, W>, class: Class, next: usize, mut give: impl FnMut(Row)) -> bool {
        let Ok(old) = row.seize(next) else { return false };
        let blocks = old & State::<W>::BLOCKS;
        if blocks != 0 {
            row.dismiss(Place { tag: old & !State::<W>::BLOCKS, blocks });
            if let Some(order) = Order::new(class.natural) {
                let number = State::<W>::number(old);
                give(Row { order, leaves: class.leaves, number, blocks });
            }
            // A change, not a store: whoever looked at the busy row and passed on, short of memory, is
            // seen by the look at the pressure that follows.
            row.resting.swap(next);
        }
        true
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

    /// Gives everything that rests to `give`. O(rows).
    pub(crate) fn drain(&self, mut give: impl FnMut(Row)) {
        for (class, row) in self.rows() {
            // Read by a change: whoever keeps a block here after it sees the pressure (M3).
            if row.resting.reread() != 0 {
                Self::empty(&row, class, 0, &mut give);
            }
        }
        // Whoever stocks next begins with little.
        for lane in 0..self.shape.lanes {
            let hints = self.words.iter().skip(self.shape.hint(lane, 0));
            hints.take(self.shape.classes).for_each(|hint| hint.store(0));
        }
    }

    /// Leaves of resting blocks. O(rows).
    pub(crate) fn resting(&self) -> usize {
        let count = |resting: usize| (resting & State::<W>::BLOCKS).count_ones() as usize;
        self.rows().map(|(class, row)| count(row.resting.load()) * class.leaves).sum()
    }

    /// Makes it an empty one, whatever the words hold.
    pub(crate) fn clear(&self) {
        let words = self.words.get(self.shape.range()).unwrap_or(&[]);
        for word in words {
            word.store(0);
        }
    }

    fn rows(&self) -> impl Iterator<Item = (Class, RowWords<'w, W>)> + use<'_, 'w, W> {
        (0..self.shape.classes).flat_map(move |index| {
            let class = Class::at(index, self.precision);
            let offsets = (0..=self.shape.way_mask).map(|way| way * self.shape.stride());
            offsets.filter_map(move |offset| Some((class, self.row(offset, class)?)))
        })
    }
}
