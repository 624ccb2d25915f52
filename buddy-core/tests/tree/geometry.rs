//! How much metadata a tree takes: sizes that could never be built here are computed all the same,
//! and one large tree is.

use buddy_core::tree::{AllocError, BuildError};
use buddy_core::{Atomic, Atomic32, Eager, Lazy, Order, Plain, Plain32, Policy, Tree, Word};
use std::ops::Range;

/// 1 TiB of 4 KiB frames.
const FRAMES: usize = 1 << 28;
const FRAMES_WORDS: usize = Tree::<&[Atomic]>::metadata_words(0..FRAMES);
const FRAMES_WORDS_32: usize = Tree::<&[Atomic32]>::metadata_words(0..FRAMES);
#[cfg(target_pointer_width = "64")]
const HUGE: usize = 1 << 32;
#[cfg(target_pointer_width = "64")]
const HUGE_WORDS: usize = Tree::<&[Plain], Eager>::metadata_words(0..HUGE);

// In a constant, as static storage needs it.
const _: () = assert!(FRAMES_WORDS > FRAMES / 16 && FRAMES_WORDS_32 > FRAMES / 8);

fn words<W: Word>(range: Range<usize>) -> usize {
    Tree::<&[W]>::metadata_words(range)
}

fn words_for<W: Word>(leaves: usize) -> usize {
    Tree::<&[W]>::metadata_words_for(leaves)
}

/// Hundredths of a bit for a leaf, rounded up.
fn centibits<W: Word>(words: usize, leaves: usize) -> u128 {
    (words as u128 * u128::from(W::BITS) * 100).div_ceil(leaves as u128)
}

/// Counts the words as the documentation lists them: two bits a block, a bit a word of those, and
/// so on up to a single word; ten words for the tree, four for every order, and eight for each of
/// which that many words are 1/64 of the range.
fn counted_words<W: Word>(range: &Range<usize>) -> usize {
    let (first, last) = (range.start, range.end - 1);
    let (nodes, bits) = (W::BITS as usize / 2, W::BITS as usize);
    let has_block = |order: &u32| {
        let leaves = 1_usize << order;
        first.div_ceil(leaves) < range.end / leaves
    };
    let rests = |order: u32| (range.len() / 64) >> order >= 8 * nodes;
    let mut words = 10;
    for order in (0..usize::BITS - 2).take_while(has_block) {
        let (mut low, mut high) = ((first >> order) / nodes, (last >> order) / nodes);
        words += 4 + high - low + 1 + if rests(order) { 8 } else { 0 };
        // No summary above two words.
        while low + 1 < high {
            (low, high) = (low / bits, high / bits);
            words += high - low + 1;
        }
    }
    words
}

/// Sizes up to 4096, and round powers of two up to 2^40.
fn sizes() -> impl Iterator<Item = usize> {
    let powers = (12..40.min(usize::BITS - 2)).map(|power| 1_usize << power);
    (1..=4096).chain(powers.flat_map(|size| [size - 1, size, size + 1]))
}

/// Starts of ranges: low ones, and those across or beside powers of two, near and far.
fn starts(leaves: usize) -> impl Iterator<Item = usize> {
    let powers = (5..40.min(usize::BITS - 3)).map(|power| 1_usize << power);
    let beside = powers.flat_map(move |at| {
        [at - 1, at, at + 1, at.saturating_sub(leaves / 2), at.saturating_sub(leaves - 1)]
    });
    (0..70).chain(beside)
}

fn metadata_is_what_the_documentation_lists<W: Word, P: Policy>() {
    for leaves in sizes() {
        let far = (1 << 30) - leaves.min(1 << 30) / 2;
        for start in [0, 1, 37, 4095, far] {
            let range = start..start + leaves;
            let words = Tree::<&[W], P>::metadata_words(range.clone());
            if words == usize::MAX {
                // Only beyond a quarter of what a word counts.
                assert!(W::BITS == 32 && range.end >= 1 << 30, "{range:?}");
            } else {
                assert_eq!(words, counted_words::<W>(&range), "{range:?}");
            }
        }
    }
}

fn metadata_for_a_number_of_leaves_is_enough_anywhere<W: Word, P: Policy>() {
    for leaves in (1..=130).chain(sizes().filter(|leaves| leaves % 61 == 0 || *leaves > 4096)) {
        let enough = Tree::<&[W], P>::metadata_words_for(leaves);
        for start in starts(leaves) {
            let words = Tree::<&[W], P>::metadata_words(start..start + leaves);
            let is_possible = words < usize::MAX;
            assert!(!is_possible || words <= enough, "{leaves} from {start}: {words} > {enough}");
        }
    }
}

fn exactly_the_metadata_told_is_needed<W: Word, P: Policy>() {
    for range in [0..1, 5..6, 0..64, 31..33, 3..4000, 4090..4100, 65_536 - 700..65_536 + 900] {
        let needed = Tree::<&[W], P>::metadata_words(range.clone());
        let storage: Vec<W> = (0..needed).map(|_| W::default()).collect();
        let tree = Tree::<_, P>::new(storage.as_slice(), range.clone()).unwrap();
        for leaf in range.clone() {
            tree.allocate_at(leaf, 1).unwrap();
        }
        tree.validate().unwrap();
        let given = needed - 1;
        let short = Tree::<_, P>::new(&storage[..given], range);
        assert_eq!(short.err(), Some(BuildError::Storage { needed, given }));
    }
}

fn ranges_that_no_tree_can_have_are_refused<W: Word, P: Policy>() {
    let limit = if W::BITS < usize::BITS { 1 << 30 } else { 1 << (usize::BITS - 2) };
    #[allow(clippy::reversed_empty_ranges, reason = "what must be refused")]
    let impossible = [
        0..0,
        7..7,
        7..3,
        0..limit,
        limit - 1..limit,
        limit..limit + 1,
        0..usize::MAX,
        1..usize::MAX,
        usize::MAX - 1..usize::MAX,
        usize::MAX..usize::MAX,
        usize::MAX..0,
    ];
    let storage: [W; 40] = std::array::from_fn(|_| W::default());
    for range in impossible {
        assert_eq!(Tree::<&[W], P>::metadata_words(range.clone()), usize::MAX, "{range:?}");
        let refusal = BuildError::Range { first: range.start, end: range.end };
        let built = Tree::<_, P>::new(storage.as_slice(), range.clone());
        assert_eq!(built.err(), Some(refusal));
        let built = Tree::<_, P>::reserved(storage.as_slice(), range.clone());
        assert_eq!(built.err(), Some(refusal));
        let built = Tree::<_, P>::new_zeroed(storage.as_slice(), range.clone());
        assert_eq!(built.err(), Some(refusal));
        let built = Tree::<_, P>::reserved_zeroed(storage.as_slice(), range);
        assert_eq!(built.err(), Some(refusal));
    }
    for leaves in [0, limit, usize::MAX / 2, usize::MAX - 1, usize::MAX] {
        assert_eq!(Tree::<&[W], P>::metadata_words_for(leaves), usize::MAX, "{leaves}");
    }
    // The largest there is, and the last leaf there is.
    assert_eq!(words::<W>(0..limit - 1), counted_words::<W>(&(0..limit - 1)));
    assert!(words_for::<W>(limit - 1) >= words::<W>(0..limit - 1));
    let last = Tree::<_, P>::new(storage.as_slice(), limit - 2..limit - 1).unwrap();
    assert_eq!(last.allocate(Order::MIN), Ok(limit - 2));
    last.validate().unwrap();
}

for_every_tree!(
    metadata_is_what_the_documentation_lists as metadata_is_two_bits_a_node_and_summaries,
    metadata_for_a_number_of_leaves_is_enough_anywhere as metadata_for_is_enough_anywhere,
    exactly_the_metadata_told_is_needed as exactly_the_metadata_told_is_enough,
    ranges_that_no_tree_can_have_are_refused as impossible_ranges_are_refused,
);

/// Sizes from 64 Ki leaves on, with the starts that cost the most: the last leaf before a power of
/// two below 2^`highest`, and just enough before it for a block behind it.
fn large_ranges(highest: u32) -> impl Iterator<Item = Range<usize>> {
    let sizes = (16..21).map(|power| 1_usize << power);
    let sizes = sizes.flat_map(|size| [size, size + 1, size + size / 3, size * 2 - 1]);
    sizes.flat_map(move |leaves| {
        let across = (21..highest).map(|power| 1_usize << power);
        let starts = across.flat_map(move |at| [at - 1, at - leaves / 2, at - leaves + 1]);
        [0, 1, 12_345].into_iter().chain(starts).map(move |start| start..start + leaves)
    })
}

/// Exact at 64 Ki leaves from 0: 4.1729 bits in words of 64, 4.1865 in words of 32. A range across
/// a power of two has two words where one would do, in every level; below 2^30 that is 4.29 at most.
fn bits_a_leaf<W: Word, P: Policy>() {
    let (from_zero, exact) = if W::BITS == 64 { (421, 418) } else { (421, 419) };
    assert_eq!(centibits::<W>(Tree::<&[W], P>::metadata_words(0..1 << 16), 1 << 16), exact);
    for range in large_ranges(30) {
        let words = Tree::<&[W], P>::metadata_words(range.clone());
        let bits = centibits::<W>(words, range.len());
        assert!(bits <= if range.start == 0 { from_zero } else { 429 }, "{bits}: {range:?}");
    }
}

fn bits_a_leaf_far_out<W: Word, P: Policy>() {
    for range in large_ranges(W::BITS - 2) {
        let words = Tree::<&[W], P>::metadata_words(range.clone());
        let bits = centibits::<W>(words, range.len());
        assert!(bits <= 430, "{bits}: {range:?}");
    }
}

for_every_tree!(
    bits_a_leaf as bits_a_leaf_are_bounded_from_64_ki_leaves_on,
    bits_a_leaf_far_out as bits_a_leaf_are_bounded_wherever_the_range_lies,
);

#[test]
fn a_tebibyte_of_frames_takes_less_than_a_seven_thousandth() {
    let in_machine_words = if usize::BITS == 64 { 407 } else { 413 };
    assert_eq!(centibits::<Atomic>(FRAMES_WORDS, FRAMES), in_machine_words);
    assert_eq!(centibits::<Atomic32>(FRAMES_WORDS_32, FRAMES), 413);
    const { assert!(FRAMES_WORDS * size_of::<usize>() < (FRAMES / 7000) << 12) };
}

#[test]
#[cfg(target_pointer_width = "64")]
fn two_to_the_32_leaves_take_4_07_bits_each() {
    assert_eq!(centibits::<Plain>(HUGE_WORDS, HUGE), 407);
    assert_eq!(HUGE_WORDS, counted_words::<Plain>(&(0..HUGE)));
    assert_eq!(words::<Plain32>(0..HUGE), usize::MAX);
}

fn a_large_tree_serves_both_ends<W: Word, P: Policy>() {
    let range = 0..1_usize << 24;
    let storage: Vec<W> = (0..words::<W>(range.clone())).map(|_| W::default()).collect();
    let tree = Tree::<_, P>::new(storage.as_slice(), range.clone()).unwrap();
    assert_eq!(tree.statistics().largest_free(), range.len());
    assert_eq!(tree.allocate(Order::MIN), Ok(0));
    tree.allocate_at(range.end - 1, 1).unwrap();
    tree.allocate_at(range.end / 2 - 1, 2).unwrap();
    assert_eq!(tree.allocate(Order::new(21).unwrap()), Ok(range.end / 8));
    let refusal = AllocError::OutOfMemory { leaves: 1 << 22, largest_free: 1 << 21 };
    assert_eq!(tree.allocate(Order::new(22).unwrap()), Err(refusal));
    assert_eq!(tree.free(range.end - 1), Ok(1));
    assert_eq!(tree.free(range.end / 2 - 1), Ok(2));
    assert_eq!(tree.allocate(Order::new(23).unwrap()), Ok(range.end / 2));
    tree.validate().unwrap();
    for first in [range.end / 2, range.end / 8, 0] {
        tree.free(first).unwrap();
    }
    assert_eq!(tree.statistics().largest_free(), range.len());
    assert_eq!(tree.allocate_exact(range.len()), Ok(0));
}

for_every_tree!(a_large_tree_serves_both_ends as a_tree_of_2_to_the_24_leaves_serves_both_ends);

#[test]
fn policies_take_the_same_metadata() {
    for leaves in [1, 100, 12_345] {
        let eager = Tree::<&[Plain], Eager>::metadata_words(7..7 + leaves);
        assert_eq!(eager, Tree::<&[Plain], Lazy>::metadata_words(7..7 + leaves));
    }
}
