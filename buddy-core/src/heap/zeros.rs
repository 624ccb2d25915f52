//! Which memory is known to be zero: a bit for every 4096 leaves of the tree's range.
//!
//! The bit of a chunk is set only while all of its bytes are zero that are not in a block of
//! somebody's. Whoever allocates from the tree clears the bits that his block touches, before the
//! block is used; whoever frees a block of zeros may set those of the chunks that lie inside it.

use crate::tree::Word;
use core::ops::Range;

/// `log2` of the leaves of a chunk.
const CHUNK: u32 = 12;

/// A block of so many leaves may have a whole chunk inside.
pub(super) const CHUNK_LEAVES: usize = 1 << CHUNK;

/// The bits, in their words.
pub(super) struct Zeros<'w, W> {
    words: &'w [W],
    /// The chunk that the first bit stands for.
    first: usize,
}

/// How many words the bits of a range of so many leaves take, wherever it begins: none for ranges
/// that may not have a whole chunk.
pub(super) const fn words_for<W: Word>(leaves: usize) -> usize {
    let chunks = leaves >> CHUNK;
    if chunks == 0 { 0 } else { (chunks + 2).div_ceil(W::BITS as usize) }
}

impl<'w, W: Word> Zeros<'w, W> {
    /// The bits of a range that begins at leaf `first`.
    pub(super) const fn new(words: &'w [W], first: usize) -> Self {
        Self { words, first: first >> CHUNK }
    }

    fn bit(&self, chunk: usize) -> Option<(&'w W, usize)> {
        let index = chunk.checked_sub(self.first)?;
        Some((self.words.get(index / W::BITS as usize)?, 1 << (index % W::BITS as usize)))
    }

    /// Notes that the leaves are not known to be zero any more.
    #[inline]
    pub(super) fn forget(&self, leaves: &Range<usize>) {
        if self.words.is_empty() || leaves.is_empty() {
            return;
        }
        for chunk in leaves.start >> CHUNK..=(leaves.end - 1) >> CHUNK {
            self.take(chunk);
        }
    }

    /// Notes that the leaves are not known to be zero any more; `clear` gets those that were not.
    pub(super) fn take_all(&self, leaves: Range<usize>, mut clear: impl FnMut(Range<usize>)) {
        let mut at = leaves.start;
        while at < leaves.end {
            let chunk = at >> CHUNK;
            let end = leaves.end.min((chunk + 1) << CHUNK);
            if !self.take(chunk) {
                clear(at..end);
            }
            at = end;
        }
    }

    /// Forgets a chunk; whether it was known to be zero.
    fn take(&self, chunk: usize) -> bool {
        self.bit(chunk)
            .is_some_and(|(word, bit)| word.load() & bit != 0 && word.clear(bit) & bit != 0)
    }

    /// Notes that the leaves are zero: of the chunks that lie inside.
    pub(super) fn note(&self, leaves: &Range<usize>) {
        for chunk in (leaves.start + (1 << CHUNK) - 1) >> CHUNK..leaves.end >> CHUNK {
            if let Some((word, bit)) = self.bit(chunk) {
                word.set(bit);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::tree::{Plain, Plain32};
    use std::vec::Vec;

    const LEAVES: usize = CHUNK_LEAVES;

    fn unknown<W: Word>(zeros: &Zeros<'_, W>, leaves: Range<usize>) -> Vec<(usize, usize)> {
        let mut unknown = Vec::new();
        zeros.take_all(leaves, |range| unknown.push((range.start, range.end)));
        unknown
    }

    fn check<W: Word>() {
        // A range that begins inside a chunk.
        let first = 5 * LEAVES + 100;
        let words: Vec<W> = (0..words_for::<W>(70 * LEAVES)).map(|_| W::default()).collect();
        let zeros = Zeros::new(&words, first);
        zeros.note(&(first..75 * LEAVES));
        // The first chunk is not all known.
        assert_eq!(unknown(&zeros, first..7 * LEAVES), [(first, 6 * LEAVES)]);
        // What was told once is not known any more.
        assert_eq!(unknown(&zeros, 6 * LEAVES..7 * LEAVES), [(6 * LEAVES, 7 * LEAVES)]);
        zeros.forget(&(40 * LEAVES - 1..40 * LEAVES + 1));
        let (low, high) = (38 * LEAVES + 7, 42 * LEAVES + 7);
        let expected = [39, 40].map(|chunk| (chunk * LEAVES, (chunk + 1) * LEAVES));
        assert_eq!(unknown(&zeros, low..high), expected);
        zeros.note(&(39 * LEAVES + 1..41 * LEAVES));
        assert_eq!(unknown(&zeros, 39 * LEAVES..41 * LEAVES), [(39 * LEAVES, 40 * LEAVES)]);
        // As much as was said, and no more.
        zeros.forget(&(49 * LEAVES..53 * LEAVES));
        zeros.note(&(50 * LEAVES..52 * LEAVES));
        let around = [49, 52].map(|chunk| (chunk * LEAVES, (chunk + 1) * LEAVES));
        assert_eq!(unknown(&zeros, 49 * LEAVES..53 * LEAVES), around);
        zeros.forget(&(60 * LEAVES + 5..60 * LEAVES + 5));
        zeros.forget(&(61 * LEAVES..62 * LEAVES));
        assert_eq!(unknown(&zeros, 60 * LEAVES..63 * LEAVES), [(61 * LEAVES, 62 * LEAVES)]);
        // The last chunk of the words, and behind it.
        assert_eq!(unknown(&zeros, 74 * LEAVES..75 * LEAVES), []);
        zeros.note(&(1000 * LEAVES..1001 * LEAVES));
        assert_eq!(unknown(&zeros, 1000 * LEAVES..1000 * LEAVES + 1).len(), 1);
    }

    #[test]
    fn a_chunk_is_known_until_it_is_allocated() {
        check::<Plain>();
        check::<Plain32>();
    }

    #[test]
    fn small_ranges_know_nothing() {
        assert_eq!(words_for::<Plain>(LEAVES - 1), 0);
        let zeros: Zeros<'_, Plain> = Zeros::new(&[], 0);
        zeros.note(&(0..10 * LEAVES));
        zeros.forget(&(0..10 * LEAVES));
        assert_eq!(unknown(&zeros, 0..10).len(), 1);
    }
}
