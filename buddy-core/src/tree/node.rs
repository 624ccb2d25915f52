//! The two bits of a node, and how nodes lie in a word.

use super::word::Word;

/// What a node's two bits say.
///
/// ```text
/// NONE  00  inside a larger block, or split, or reserved
/// FREE  01  a free block: whoever takes the bit away owns it
/// HEAD  10  an allocated block, or the first piece of an allocated run
/// CONT  11  a later piece of a run; or, right behind a piece, the mark that the run goes on there
/// ```
///
/// HEAD in a lower half with CONT in the upper half and nothing below would be a run that is not
/// in its only form (one block of the next order), so it says something else: a reserved block.
pub(super) const NONE: usize = 0b00;
pub(super) const FREE: usize = 0b01;
pub(super) const HEAD: usize = 0b10;
pub(super) const CONT: usize = 0b11;

/// The bits of one node.
pub(super) const NODE: usize = 0b11;
/// The lower bit of every node in a word.
const LOW_BITS: usize = usize::MAX / 3;

/// The highest bits of a word that is a slab's (`slab.rs`). In a word of nodes they would say that the
/// node before a piece of a run, or before the mark behind one, is free; but that is the run's, too.
pub(super) const SLAB: usize = CONT << 2 | FREE;
/// How many bits that is.
pub(super) const SLAB_BITS: u32 = 4;

/// Whether a word is a slab's.
#[inline(always)]
pub(super) const fn is_slab<W: Word>(word: usize) -> bool {
    word >> (W::BITS - SLAB_BITS) == SLAB
}

/// What a word says of nodes: a slab's says nothing.
#[inline(always)]
pub(super) const fn visible<W: Word>(word: usize) -> usize {
    if is_slab::<W>(word) { 0 } else { word }
}

/// The state of the node at `shift`.
#[inline(always)]
pub(super) const fn state<W: Word>(word: usize, shift: u32) -> usize {
    (visible::<W>(word) >> shift) & NODE
}

/// Whether the node at `shift` is an allocated block of one piece, as far as the word tells: of the
/// last node it does not tell whether the run goes on.
#[inline(always)]
pub(super) const fn is_whole<W: Word>(word: usize, shift: u32) -> bool {
    let here = visible::<W>(word) >> shift;
    here & NODE == HEAD && here >> 2 & NODE != CONT
}

/// The word with the node at `shift` changed.
#[inline(always)]
pub(super) const fn with_state(word: usize, shift: u32, state: usize) -> usize {
    (word & !(NODE << shift)) | (state << shift)
}

/// Whether the buddy of the node at `shift` is free; of a node whose leaves are the caller's, so that the
/// word is no slab's.
#[inline(always)]
pub(super) const fn has_free_buddy(word: usize, shift: u32) -> bool {
    word >> (shift ^ 2) & NODE == FREE
}

/// The word without the node at `shift` and its buddy.
#[inline(always)]
pub(super) const fn without_pair(word: usize, shift: u32) -> usize {
    word & !((NODE << 2 | NODE) << (shift & !2))
}

/// The word once the block at `shift`, whose node says `NONE`, is given up: it is free, or, if its
/// buddy is, both are the halves of a block that is the caller's.
#[inline(always)]
pub(super) const fn with_given(word: usize, shift: u32) -> usize {
    if has_free_buddy(word, shift) { without_pair(word, shift) } else { word | FREE << shift }
}

/// The lower bit of every free node of the word.
#[inline(always)]
pub(super) const fn free_nodes<W: Word>(word: usize) -> usize {
    let word = visible::<W>(word);
    word & !(word >> 1) & LOW_BITS
}

/// The lower bit of the lower node of every pair of buddies that are both free.
#[inline(always)]
pub(super) const fn free_pairs<W: Word>(word: usize) -> usize {
    let free = free_nodes::<W>(word);
    free & (free >> 2) & (usize::MAX / 15)
}

/// The lower bits of the parents' nodes, in the lower half of a word, of the lower nodes in `pairs`:
/// bits four apart are packed to two apart.
#[inline]
pub(super) const fn parents(pairs: usize) -> usize {
    let bits = (pairs | pairs >> 2) & (usize::MAX / 0xff * 0xf);
    let bits = (bits | bits >> 4) & (usize::MAX / 0xffff * 0xff);
    let bits = (bits | bits >> 8) & (usize::MAX / 0xffff_ffff * 0xffff);
    if usize::BITS > 32 { (bits | bits >> 16) & 0xffff_ffff } else { bits }
}

/// Bit `i` moved to the lower bit of node `i`, of half as many bits as a word has.
#[inline]
pub(super) const fn unpacked(bits: usize) -> usize {
    let bits = if usize::BITS > 32 {
        (bits | bits << 16) & (usize::MAX / 0xffff_ffff * 0xffff)
    } else {
        bits
    };
    let bits = (bits | bits << 8) & (usize::MAX / 0xffff * 0xff);
    let bits = (bits | bits << 4) & (usize::MAX / 0xff * 0xf);
    let bits = (bits | bits << 2) & (usize::MAX / 0xf * 3);
    (bits | bits << 1) & LOW_BITS
}

/// `state` in `count` neighbouring nodes from `shift` on. `count` nodes must fit in a word.
#[inline(always)]
pub(super) const fn repeat(state: usize, count: usize, shift: u32) -> usize {
    let nodes = if count * 2 >= usize::BITS as usize { usize::MAX } else { (1 << (count * 2)) - 1 };
    ((LOW_BITS * state) & nodes) << shift
}

/// The numbers of the bits that are set, the lowest first.
pub(super) fn bits(mut left: usize) -> impl Iterator<Item = usize> {
    core::iter::from_fn(move || {
        let bit = (left != 0).then(|| left.trailing_zeros() as usize);
        left &= left.wrapping_sub(1);
        bit
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Plain, Plain32};

    #[test]
    fn free_nodes_and_heads_are_told_from_others() {
        let word = NONE | FREE << 2 | HEAD << 4 | CONT << 6 | FREE << 8;
        assert_eq!(free_nodes::<Plain>(word), 1 << 2 | 1 << 8);
        assert!(is_whole::<Plain>(HEAD | FREE << 2, 0) && !is_whole::<Plain>(HEAD | CONT << 2, 0));
    }

    #[test]
    fn a_slab_says_nothing_of_nodes() {
        let word = SLAB << (Plain::BITS - SLAB_BITS) | FREE | FREE << 2 | HEAD << 4;
        assert!(is_slab::<Plain>(word) && !is_slab::<Plain>(word >> 1));
        assert_eq!((free_nodes::<Plain>(word), free_pairs::<Plain>(word)), (0, 0));
        assert!(!is_whole::<Plain>(word, 4));
        assert_eq!(state::<Plain>(word, 4), NONE);
        // The same bits in a word of another width are nodes.
        assert!(!is_slab::<Plain32>(word >> 5 & 0xffff_ffff));
    }

    #[test]
    fn parents_of_free_pairs_are_packed() {
        for pairs in 0..1 << (usize::BITS / 4).min(16) {
            let word = (0..usize::BITS / 4).filter(|pair| pairs >> pair & 1 == 1);
            let word = word.fold(HEAD | HEAD << 2, |word, pair| {
                (word & !(0b1111 << (4 * pair))) | (FREE | FREE << 2) << (4 * pair)
            });
            let expected = (0..usize::BITS / 4).filter(|pair| pairs >> pair & 1 == 1);
            let expected = expected.fold(0, |bits, pair| bits | 1 << (2 * pair));
            assert_eq!(parents(free_pairs::<Plain>(word)), expected);
        }
    }

    #[test]
    fn bits_spread_to_nodes() {
        let half = usize::BITS / 2;
        for node in 0..half {
            assert_eq!(unpacked(1 << node), 1 << (2 * node));
        }
        assert_eq!(unpacked(usize::MAX >> half), LOW_BITS);
    }

    #[test]
    fn repeated_states_fill_up_to_a_word() {
        assert_eq!(repeat(HEAD, 3, 4), 0b10_1010_0000);
        assert_eq!(repeat(HEAD, usize::BITS as usize / 2, 0), usize::MAX / 3 * 2);
        assert_eq!(repeat(FREE, 0, 8), 0);
    }
}
