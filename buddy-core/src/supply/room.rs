//! Rooms: what blocks that grow again and again have behind them, kept for that; for one thread.
//!
//! To the tree a room is one allocated block. Its holder knows of the leaves in front, and how many these
//! are is a word here: so the block grows into its room, and shrinks in it, by a change of that word.
//!
//! ```text
//! | how many | the block that grew last | the one before | first leaf, leaves, all leaves of a room | ..
//! ```
//!
//! There are few rooms. One more closes the one that was opened longest ago: what is behind its block is
//! free again.

use super::take::SMALL_BLOCK;
use super::{Names, Supply};
use crate::class::Class;
use crate::tree::{Extent, Kind, Policy, Storage, Word, max_value};
use core::ops::Range;

/// How many there are at most.
pub(super) const ROOMS: usize = 4;
/// Where the blocks are that grew last.
const GROWN: Range<usize> = 1..3;
/// The words of a room: the first leaf of its block, or of none, the block's leaves, all its leaves.
const FIRST: usize = 0;
const LEAVES: usize = 1;
const RESERVED: usize = 2;
const ROOM_WORDS: usize = 3;
/// The words of all.
pub(super) const WORDS: usize = GROWN.end + ROOMS * ROOM_WORDS;

/// Blocks of fewer leaves have none: to move them costs less than to get and give back a room.
const SMALLEST: usize = 16;
/// A room has so many times the leaves of its block, rounded up to a power of two, or half of that at least,
const TIMES: usize = 4;
/// if so many times its size is free.
const FREE_FOR_A_ROOM: usize = 1 << 5;

/// The words of all rooms.
pub(super) struct Rooms<'t, W>(pub(super) &'t [W; WORDS]);

impl<'t, W: Word> Rooms<'t, W> {
    /// No leaf.
    const NONE: usize = max_value::<W>();

    /// Writes that there are none.
    pub(super) fn clear(self) {
        self.0.iter().for_each(|word| word.store(Self::NONE));
        self.0[0].store(0);
    }

    fn count(self) -> usize {
        self.0[0].load()
    }

    fn has_grown(self, first: usize) -> bool {
        self.0[GROWN].iter().any(|grown| grown.load() == first)
    }

    /// The room of the block at `first`.
    #[inline]
    fn of(self, first: usize) -> Option<Room<'t, W>> {
        if self.count() == 0 {
            return None;
        }
        self.all().find(|room| room.first() == first)
    }

    /// The rooms, those in use or not, the one that was opened last first.
    fn all(self) -> impl Iterator<Item = Room<'t, W>> {
        let rooms = self.0[GROWN.end..].chunks_exact(ROOM_WORDS);
        rooms.filter_map(|words| words.first_chunk().map(Room))
    }

    /// Those in use.
    fn open(self) -> impl Iterator<Item = Room<'t, W>> {
        self.all().filter(|room| room.first() != Self::NONE)
    }

    /// Puts one more in front; in the way are those up to the first that is not in use.
    fn push(self, mut now: [usize; ROOM_WORDS]) {
        self.0[0].store(self.count() + 1);
        for room in self.all() {
            let was = room.0.each_ref().map(Word::load);
            room.0.iter().zip(now).for_each(|(word, value)| word.store(value));
            if was[FIRST] == Self::NONE {
                break;
            }
            now = was;
        }
    }

    /// The one that is in the way of another.
    fn oldest(self) -> Option<Room<'t, W>> {
        self.all().last().filter(|_| self.count() == ROOMS)
    }

    /// From now on it is none.
    fn vacate(self, room: &Room<'_, W>) {
        room.0[FIRST].store(Self::NONE);
        self.0[0].store(self.count().saturating_sub(1));
    }
}

impl<W> Clone for Rooms<'_, W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<W> Copy for Rooms<'_, W> {}

/// The words of a room.
struct Room<'t, W>(&'t [W; ROOM_WORDS]);

impl<W: Word> Room<'_, W> {
    fn first(&self) -> usize {
        self.0[FIRST].load()
    }

    fn leaves(&self) -> usize {
        self.0[LEAVES].load()
    }

    fn reserved(&self) -> usize {
        self.0[RESERVED].load()
    }
}

impl<'t, S: Storage, P: Policy, N: Names> Supply<'t, S, P, N> {
    /// The rooms, if there are such.
    #[inline]
    fn rooms(self) -> Option<Rooms<'t, S::Word>> {
        self.shape.rooms_in::<S::Word, P>(self.words())
    }

    fn room_of(self, first: usize) -> Option<Room<'t, S::Word>> {
        self.rooms()?.of(first)
    }

    /// The leaves of the block at `first`, if that has a room.
    pub(super) fn leaves_in_room(self, first: usize) -> Option<usize> {
        Some(self.room_of(first)?.leaves())
    }

    /// What of a block of the tree is the holder's, and what is behind it.
    pub(super) fn part_of_room(self, extent: Extent, leaf: usize) -> Extent {
        let Some(leaves) = self.leaves_in_room(extent.first) else { return extent };
        if leaf < extent.first + leaves {
            return Extent { leaves, ..extent };
        }
        Extent { first: extent.first + leaves, leaves: extent.leaves - leaves, kind: Kind::Free }
    }

    /// Notes that the block at `first` has just grown; `from` is where it was before.
    pub(crate) fn note_grown(self, from: usize, first: usize) {
        if let Some([last, before]) = self.rooms().map(|rooms| &rooms.0[GROWN]) {
            if last.load() != from {
                before.store(last.load());
            }
            last.store(first);
        }
    }

    /// Whether the block at `first`, if it is a slot, is moved for one of the class `to` from wherever one is at
    /// hand: it has not grown before, and both are small; for one thread.
    #[inline(always)]
    pub(crate) fn is_moved_at_once(self, first: usize, from: Class, to: Class) -> bool {
        Self::ONE_THREAD
            && from.leaves != to.leaves
            && to.leaves <= SMALL_BLOCK
            && self.has_slabs(from)
            && self.has_slabs(to)
            && (to.leaves < SMALLEST || self.rooms().is_none_or(|rooms| !rooms.has_grown(first)))
    }

    /// Allocates a block of the class with room to grow, in place of the one at `from`, if that has grown
    /// before: its first leaf, and the leaves of the room.
    pub(crate) fn open_room(self, from: usize, class: Class) -> Option<(usize, usize)> {
        let rooms = self.rooms()?;
        if !rooms.has_grown(from) && rooms.of(from).is_none() {
            return None;
        }
        let all = self.room_for(class)?;
        let first = self.tree.try_exact(all)?;
        self.enter(rooms, [first, class.leaves, all]);
        Some((first, all))
    }

    /// Grows the block of the tree at `first`, which has outgrown its room, or has none and grew before, to
    /// one of the class, and makes it a room, or a larger one: the leaves that were free.
    pub(crate) fn extend_room(
        self,
        first: usize,
        old: Class,
        class: Class,
    ) -> Option<Range<usize>> {
        let rooms = self.rooms()?;
        let room = rooms.of(first);
        let had = room.as_ref().map_or(old.leaves, Room::reserved);
        if room.is_none() && !rooms.has_grown(first) || !self.tree.is_free_behind(first + had) {
            return None;
        }
        let all = self.room_for(class)?;
        if !self.forget_name(first, old) || self.tree.grow(first, had, all).is_err() {
            return None;
        }
        if let Some(room) = room {
            rooms.vacate(&room);
        }
        self.enter(rooms, [first, class.leaves, all]);
        Some(first + had..first + all)
    }

    /// The leaves of a room for a block of the class, if there is enough free.
    fn room_for(self, class: Class) -> Option<usize> {
        let most = 1 << (self.tree.free_leaves() / FREE_FOR_A_ROOM).checked_ilog2()?;
        let all = class.leaves.checked_mul(TIMES)?.checked_next_power_of_two()?.min(most);
        (class.leaves >= SMALLEST && class.leaves <= all / 2).then_some(all)
    }

    fn enter(self, rooms: Rooms<'_, S::Word>, room: [usize; ROOM_WORDS]) {
        if let Some(oldest) = rooms.oldest() {
            self.close(rooms, &oldest);
        }
        rooms.push(room);
    }

    /// Makes the block of `old` leaves at `first` one of `new`, if its room is that large; says whether it
    /// did.
    pub(crate) fn resize_in_room(self, first: usize, old: usize, new: usize) -> bool {
        let room = self.room_of(first).filter(|room| room.leaves() == old);
        let Some(room) = room.filter(|room| new <= room.reserved()) else { return false };
        room.0[LEAVES].store(new);
        true
    }

    /// Frees the block of the class at `first`, if it has a room, with that: whether it was of that class.
    pub(super) fn give_room(self, first: usize, class: Class) -> Option<bool> {
        let rooms = self.rooms()?;
        let room = rooms.of(first)?;
        let is_right = room.leaves() == class.leaves;
        if is_right {
            rooms.vacate(&room);
            let _ = self.tree.free_sized(first, room.reserved());
        }
        Some(is_right)
    }

    /// Whether the block at `first`, which has outgrown its room, goes to another, or must go elsewhere.
    pub(crate) fn is_better_moved(self, first: usize, class: Class) -> bool {
        let is_free_behind =
            |room: Room<'_, S::Word>| self.tree.is_free_behind(first + room.reserved());
        self.room_for(class).is_some() || !self.room_of(first).is_some_and(is_free_behind)
    }

    /// Frees what is behind the block at `first`, if it has a room.
    pub(crate) fn close_room(self, first: usize) {
        let Some(rooms) = self.rooms() else { return };
        if let Some(room) = rooms.of(first) {
            self.close(rooms, &room);
        }
    }

    /// Frees what is behind all blocks that have rooms.
    pub(super) fn close_rooms(self) {
        let Some(rooms) = self.rooms() else { return };
        for room in rooms.open() {
            self.close(rooms, &room);
        }
    }

    fn close(self, rooms: Rooms<'_, S::Word>, room: &Room<'_, S::Word>) {
        let first = room.first();
        rooms.vacate(room);
        let _ = self.tree.shrink(first, room.reserved(), room.leaves());
    }

    /// How many leaves are behind the blocks that have rooms.
    pub(super) fn spare(self) -> usize {
        let rooms = self.rooms().into_iter().flat_map(Rooms::open);
        rooms.map(|room| room.reserved() - room.leaves()).sum()
    }
}
