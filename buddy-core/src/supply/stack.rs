//! The slots that were freed last, which are taken first: a few of each class, for one thread.
//!
//! To its slab a slot that rests here is held. So neither the call that puts it here nor the one that takes
//! it again changes a word of the tree. That it is free is told by the first of the stack's words, which
//! has a bit for every number of a slot in its slab, and above these bits how many slots there are:
//!
//! ```text
//! | how many: 4 bits | a bit a number |   a slot's first leaf, and its number in its slab | .. | ..
//! ```
//!
//! Two slots with one number, of two slabs, are never here together. So a bit that is not set says that a
//! slot is not here, and a second free is told without a look at the others.

use crate::tree::{SlabKind, Word};

/// The most slots.
const SLOTS: usize = 6;
pub(super) const WORDS: usize = SLOTS + 1;

/// The words of a stack: [`WORDS`].
#[derive(Clone, Copy)]
pub(super) struct Stack<'t, W>(pub(super) &'t [W]);

/// A slot that is in a slab.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Slot {
    /// Its first leaf.
    pub(super) first: usize,
    /// Its number.
    pub(super) number: u32,
}

impl<W: Word> Stack<'_, W> {
    /// The bits of a slot's number.
    pub(super) const NUMBER_BITS: u32 = W::BITS.ilog2();

    /// Where the number of slots lies.
    const COUNT_SHIFT: u32 = {
        let shift = W::BITS - 4;
        assert!(SlabKind::most_slots::<W>() <= shift as usize && SLOTS < 16);
        shift
    };

    #[inline(always)]
    fn entry(Slot { first, number }: Slot) -> usize {
        first << Self::NUMBER_BITS | number as usize
    }

    #[inline(always)]
    fn slot(entry: usize) -> Slot {
        let number = entry & ((1 << Self::NUMBER_BITS) - 1);
        Slot { first: entry >> Self::NUMBER_BITS, number: number as u32 }
    }

    /// Puts a held slot on top; `false` if there is no room, or another with its number. `None`: it may be
    /// here already.
    #[inline(always)]
    pub(super) fn push(&self, slot: Slot) -> Option<bool> {
        let (head, bit, entry) = (self.0[0].load(), 1 << slot.number, Self::entry(slot));
        let count = head >> Self::COUNT_SHIFT;
        if head & bit != 0 {
            // Words above the top may hold it, too.
            let may_have = self.0[1..].iter().fold(false, |has, word| has | (word.load() == entry));
            return if may_have { None } else { Some(false) };
        }
        let Some(next) = self.0.get(count + 1) else {
            return Some(false);
        };
        next.store(entry);
        self.0[0].store(head + (1 << Self::COUNT_SHIFT) + bit);
        Some(true)
    }

    /// Takes the slot on top.
    #[inline(always)]
    pub(super) fn pop(&self) -> Option<Slot> {
        let head = self.0[0].load();
        let count = head >> Self::COUNT_SHIFT;
        // The word of number 0 is not a slot's; what is too large a number is none.
        let top = self.0.get(count).filter(|_| count != 0)?;
        let slot = Self::slot(top.load());
        self.0[0].store(head.wrapping_sub(1 << Self::COUNT_SHIFT) & !(1 << slot.number));
        Some(slot)
    }

    /// How many slots are here.
    pub(super) fn len(&self) -> usize {
        (self.0[0].load() >> Self::COUNT_SHIFT).min(SLOTS)
    }

    /// Whether a slot is here.
    pub(super) fn has(&self, slot: Slot) -> bool {
        let head = self.0[0].load();
        let count = (head >> Self::COUNT_SHIFT).min(SLOTS);
        let entry = Self::entry(slot);
        head >> slot.number & 1 == 1 && self.0[1..=count].iter().any(|word| word.load() == entry)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::tree::{Plain, Plain32};

    fn check<W: Word>() {
        let words: [W; WORDS] = core::array::from_fn(|_| W::default());
        let stack = Stack(&words);
        let most = SlabKind::most_slots::<W>() as u32;
        let slot = |number: u32| Slot { first: 1000 + 7 * number as usize, number };
        assert_eq!((stack.pop(), stack.has(slot(0))), (None, false));
        for numbers in [[0, 1, 2, 3, 4, 5], [most - 1, 0, 9, 7, most - 2, 3]] {
            for number in numbers {
                assert!(!stack.has(slot(number)));
                assert_eq!(stack.push(slot(number)), Some(true));
                assert!(stack.has(slot(number)));
                // The same once more, and another with its number.
                let other = Slot { first: 5, number };
                assert_eq!((stack.push(slot(number)), stack.push(other)), (None, Some(false)));
                assert!(!stack.has(other));
            }
            assert_eq!(stack.push(slot(most / 2)), Some(false));
            for number in numbers.into_iter().rev() {
                assert_eq!(stack.pop(), Some(slot(number)));
            }
            assert_eq!((stack.pop(), words[0].load()), (None, 0));
        }
    }

    #[test]
    fn what_was_freed_last_is_taken_first_and_known_meanwhile() {
        check::<Plain>();
        check::<Plain32>();
    }
}
