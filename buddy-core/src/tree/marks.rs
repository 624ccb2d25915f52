//! Marks: for one thread, which slabs of a kind a search finds.
//!
//! They lie where the summaries over the slabs' words would (`index.rs`), and are looked for as these; but they
//! are changed by whoever knows better than the words whether a slab is to be found, and always exact. Kinds have
//! some of which the range has room for more than two slabs; others must not be marked.

use super::Tree;
use super::geometry::Span;
use super::order::Order;
use super::policy::Policy;
use super::word::{Storage, Word, max_value};

/// The word of a mark, its bit, and the word's number.
pub(super) struct Mark<'t, W> {
    pub(super) word: &'t W,
    pub(super) bit: usize,
    number: usize,
}

impl<S: Storage, P: Policy> Tree<S, P> {
    /// Marks a slab. As in all these, `marks` is [`Tree::slab_marks`].
    #[inline(always)]
    pub(crate) fn set_mark(&self, natural: Order, marks: usize, slab: usize) {
        if let Some(Mark { word, bit, number }) = self.mark_of(marks, slab) {
            if word.set(bit) == 0 {
                self.note_above(natural, marks, number, true);
            }
        }
    }

    /// Takes the mark from a slab, if it has one.
    pub(crate) fn clear_mark(&self, natural: Order, marks: usize, slab: usize) {
        if let Some(Mark { word, bit, number }) = self.mark_of(marks, slab) {
            if word.clear(bit) == bit {
                self.note_above(natural, marks, number, false);
            }
        }
    }

    /// The first slab, from number `from` on, that has a mark.
    pub(crate) fn first_marked(&self, natural: Order, marks: usize, from: usize) -> Option<usize> {
        self.first_bit(self.lowest_marks(natural, marks), from)
    }

    #[inline(always)]
    pub(super) fn mark_of(&self, marks: usize, slab: usize) -> Option<Mark<'_, S::Word>> {
        let (number, bit) = (slab >> S::Word::BITS.ilog2(), slab % S::Word::BITS as usize);
        let at = marks.wrapping_add(number) & max_value::<S::Word>();
        Some(Mark { word: self.words().get(at)?, bit: 1 << bit, number })
    }

    /// The words of marks.
    fn lowest_marks(&self, natural: Order, marks: usize) -> Span {
        Self::marks_above(self.nodes(natural), marks)
    }

    /// The words of marks of slabs with these words.
    pub(super) fn marks_above(slabs: Span, marks: usize) -> Span {
        let words = slabs.summary::<S::Word>();
        Span { start: marks.wrapping_add(words.low) & max_value::<S::Word>(), ..words }
    }

    /// A word of marks has some, or none, from now on: so it is noted in the words above.
    #[inline(never)]
    fn note_above(&self, natural: Order, marks: usize, mut number: usize, has_some: bool) {
        let mut words = self.lowest_marks(natural, marks);
        let bits = S::Word::BITS as usize;
        while !words.is_top() {
            words = words.summary::<S::Word>();
            let (bit, word) = (1 << (number % bits), self.word(words.at(number / bits)));
            let others = if has_some { word.set(bit) } else { word.clear(bit) & !bit };
            if others != 0 {
                break;
            }
            number /= bits;
        }
    }

    /// The number of the first bit that is set, from number `from` on, in marks or words above them.
    fn first_bit(&self, words: Span, from: usize) -> Option<usize> {
        let bits = S::Word::BITS as usize;
        let number = from / bits;
        if (words.low..=words.high).contains(&number) {
            let ahead = self.word(words.at(number)).load() >> (from % bits);
            if ahead != 0 {
                return Some(from + ahead.trailing_zeros() as usize);
            }
        }
        let number = self.first_set(words, number.saturating_add(1))?;
        Some(number * bits + self.word(words.at(number)).load().trailing_zeros() as usize)
    }

    /// The number of the first word that is not 0, from number `from` on, of marks or words above them.
    fn first_set(&self, words: Span, from: usize) -> Option<usize> {
        let from = from.max(words.low);
        if words.is_top() {
            return (from..=words.high).find(|number| self.word(words.at(*number)).load() != 0);
        }
        self.first_bit(words.summary::<S::Word>(), from)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    extern crate std;
    use super::*;
    use crate::tree::{Lazy, Plain, Plain32};
    use std::boxed::Box;
    use std::collections::BTreeSet;
    use std::vec::Vec;

    /// A tree of that range, the marks of its slabs of single leaves, and where these are from.
    fn with_marks<W: Word>(
        range: core::ops::Range<usize>,
        call: impl Fn(&Tree<Box<[W]>, Lazy>, usize),
    ) {
        let own = Tree::<Box<[W]>, Lazy>::metadata_words(range.clone());
        let words: Vec<W> = (0..own + own / 8 + 8).map(|_| W::default()).collect();
        let tree = Tree::new(words.into_boxed_slice(), range).unwrap();
        let marks = tree.slab_marks(Order::MIN, own);
        call(&tree, marks);
        let behind = own + tree.slab_summary_words(Order::MIN);
        assert!(tree.words()[own..behind].iter().all(|word| word.load() == 0), "marks are left");
        assert!(tree.words()[behind..].iter().all(|word| word.load() == 0), "not marks");
    }

    fn check<W: Word>(range: core::ops::Range<usize>) {
        with_marks::<W>(range.clone(), |tree, marks| {
            let (low, high) = (range.start >> 5, (range.end - 1) >> 5);
            let (low, high) = if W::BITS < 64 { (low * 2, high * 2) } else { (low, high) };
            let mut marked = BTreeSet::new();
            let mut random = 0x9E37_79B9_7F4A_7C15_u64;
            let mut next = || {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random as usize
            };
            for round in 0..20_000 {
                let slab = low + next() % (high - low + 1);
                // Few at times, and many.
                match next() % if round / 2000 % 2 == 0 { 3 } else { 6 } {
                    0 => {
                        tree.clear_mark(Order::MIN, marks, slab);
                        marked.remove(&slab);
                    }
                    1 => {
                        let from = [0, slab][next() % 2];
                        let first = marked.range(from..).next().copied();
                        assert_eq!(tree.first_marked(Order::MIN, marks, from), first);
                        if let Some(first) = first {
                            tree.clear_mark(Order::MIN, marks, first);
                            marked.remove(&first);
                        }
                    }
                    _ => {
                        tree.set_mark(Order::MIN, marks, slab);
                        marked.insert(slab);
                    }
                }
                assert_eq!(tree.is_slab_marked(marks, slab), marked.contains(&slab));
            }
            for behind in [high + 1, high + 1000, usize::MAX] {
                assert_eq!(tree.first_marked(Order::MIN, marks, behind), None);
            }
            while let Some(slab) = marked.pop_first() {
                assert_eq!(tree.first_marked(Order::MIN, marks, 0), Some(slab));
                tree.clear_mark(Order::MIN, marks, slab);
            }
            assert_eq!(tree.first_marked(Order::MIN, marks, 0), None);
        });
    }

    #[test]
    fn the_first_slab_with_a_mark_is_found() {
        for range in [0..1 << 12, 7..1 << 16, 1000..1 << 22, (1 << 20) - 40..(1 << 20) + 4000] {
            check::<Plain>(range.clone());
            check::<Plain32>(range);
        }
    }

    /// The index of the word with the mark of slab number 0, which is not there, may be any.
    #[test]
    fn marks_are_found_wherever_the_first_would_be() {
        let own = |start| Tree::<Box<[Plain]>, Lazy>::metadata_words(start..start + 5000);
        let start = (0..1 << 20).step_by(32).find(|start| start >> 11 == own(*start) + 1);
        let start = start.unwrap();
        with_marks::<Plain>(start..start + 5000, |_, marks| {
            assert_eq!(marks, max_value::<Plain>());
        });
        check::<Plain>(start..start + 5000);
    }
}
