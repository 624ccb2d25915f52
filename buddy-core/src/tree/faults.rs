//! Tests of the checker: a fault planted anywhere in the metadata must not pass.

extern crate std;

use super::geometry::{Geometry, header, record, rests};
use super::{
    AttachError, Eager, Invalid, Kind, Lazy, Order, Plain, Plain32, Policy, Storage, Tree, Word,
};
use std::vec::Vec;

/// A tree with everything in it: blocks, runs of several pieces, free blocks of many orders,
/// reserved blocks and leaves, room behind the end.
fn furnished<W: Word, P: Policy>(range: core::ops::Range<usize>) -> Vec<W>
where
    for<'a> &'a mut [W]: Storage<Word = W>,
{
    let words = Tree::<&mut [W], P>::metadata_words(range.clone());
    let mut metadata: Vec<W> = (0..words).map(|_| W::default()).collect();
    let tree: Tree<_, P> = Tree::new(metadata.as_mut_slice(), range.clone()).unwrap();
    tree.cut(9).unwrap();
    let blocks: Vec<usize> = (1..24).map(|leaves| tree.allocate_exact(leaves).unwrap()).collect();
    for first in blocks.iter().step_by(3) {
        tree.free(*first).unwrap();
    }
    tree.free_part(blocks[22] + 3, 7).unwrap();
    let hole = tree.walk().filter(|extent| extent.kind == Kind::Free).max_by_key(|e| e.leaves);
    let hole = hole.unwrap();
    tree.reserve(hole.first + 1, hole.leaves / 2).unwrap();
    let (single, _) = (tree.allocate(Order::MIN).unwrap(), tree.allocate(Order::MIN).unwrap());
    tree.free(single).unwrap();
    tree.validate().unwrap();
    metadata
}

fn is_valid<W: Word, P: Policy>(metadata: &mut [W]) -> bool
where
    for<'a> &'a mut [W]: Storage<Word = W>,
{
    Tree::<_, P>::attach(metadata).is_ok()
}

/// Whether a change of this bit leaves a tree that is as good as before.
fn is_harmless<W: Word>(geometry: &Geometry, words: &[W], at: usize, bit: u32) -> bool {
    // Room behind the end may be more or less, where that moves no word.
    if at == header::CAPACITY {
        let changed = words[at].load() ^ (1 << bit);
        let other = Geometry::new::<W>(&(geometry.first..changed));
        return changed >= words[header::END].load()
            && other.is_some_and(|other| other.words::<W>() == words.len());
    }
    // Nobody waits for ever for calls that were begun and not ended.
    if at == header::TRANSIT {
        return true;
    }
    // The peak may be anything from what is used to what there is.
    if at == header::PEAK {
        let changed = words[at].load() ^ (1 << bit);
        let total = geometry.capacity - geometry.first;
        return (words[header::USED].load()..=total).contains(&changed);
    }
    // An order may be remembered that has no free block.
    if at == header::ORDERS {
        let order = header::WORDS + bit as usize * record::WORDS;
        return bit <= geometry.top && words[order + record::FREE].load() == 0;
    }
    (0..=geometry.top).any(|order| {
        let record = header::WORDS + order as usize * record::WORDS;
        if at == record + record::ACTIVE {
            // Which word is active matters only to what is unmerged or not indexed.
            return true;
        }
        let start = geometry.level_start::<W>(order);
        let nodes = geometry.nodes::<W>(order, start);
        let first = geometry.rests(order);
        let places = if order < geometry.resting { first..first + rests::WORDS } else { 0..0 };
        if places.contains(&at) {
            return true;
        }
        let resting = words[places].iter().skip(1).chain([&words[record + record::ACTIVE]]);
        let mut numbers = resting.filter_map(|word| word.load().checked_sub(1));
        let bits = W::BITS as usize;
        !nodes.is_top()
            && numbers.any(|number| {
                at == nodes.summary::<W>().at(number / bits) && bit as usize == number % bits
            })
    })
}

fn every_planted_fault_is_found<W: Word, P: Policy>(range: core::ops::Range<usize>)
where
    for<'a> &'a mut [W]: Storage<Word = W>,
{
    let mut metadata: Vec<W> = furnished::<W, P>(range.clone());
    let geometry = Geometry::new::<W>(&range).unwrap();
    assert!(is_valid::<W, P>(&mut metadata));
    let mut found = 0;
    for at in 0..metadata.len() {
        for bit in 0..W::BITS {
            let value = metadata[at].load();
            metadata[at].store(value ^ (1 << bit));
            let passes = is_valid::<W, P>(&mut metadata);
            metadata[at].store(value);
            assert!(
                !passes || is_harmless::<W>(&geometry, &metadata, at, bit),
                "bit {bit} of word {at} changed unseen"
            );
            found += usize::from(!passes);
        }
    }
    assert!(found > metadata.len() * W::BITS as usize * 3 / 4);
    assert!(is_valid::<W, P>(&mut metadata));
}

#[test]
fn every_planted_fault_is_found_in_words_of_64_bits() {
    every_planted_fault_is_found::<Plain, Lazy>(0..600);
    every_planted_fault_is_found::<Plain, Eager>(37..700);
}

#[test]
fn every_planted_fault_is_found_in_words_of_32_bits() {
    every_planted_fault_is_found::<Plain32, Lazy>(1234..2000);
    every_planted_fault_is_found::<Plain32, Eager>(0..512);
}

#[test]
fn an_active_word_is_one_of_its_order() {
    let range = 1234..2000;
    let mut metadata: Vec<Plain32> = furnished::<Plain32, Lazy>(range.clone());
    let geometry = Geometry::new::<Plain32>(&range).unwrap();
    for order in Order::range(0, geometry.top) {
        let at = header::WORDS + order.get() as usize * record::WORDS + record::ACTIVE;
        let nodes = geometry.nodes::<Plain32>(order.get(), 0);
        let value = metadata[at].load();
        for active in [nodes.low, nodes.low + 1, nodes.high + 1, nodes.high + 2] {
            metadata[at].store(active);
            let attached = Tree::<_, Lazy>::attach(metadata.as_mut_slice()).map(drop);
            let is_one = (nodes.low + 1..=nodes.high + 1).contains(&active) || active == 0;
            let number = active.wrapping_sub(1);
            let error = AttachError::Invalid(Invalid::Active { order, number });
            assert_eq!(attached == Err(error), !is_one, "order {order}: {active}");
        }
        metadata[at].store(value);
    }
    assert!(is_valid::<Plain32, Lazy>(&mut metadata));
}

#[test]
fn summaries_of_summaries_are_checked_whatever_is_active() {
    let range = 0..9000;
    let mut metadata: Vec<Plain32> = furnished::<Plain32, Lazy>(range.clone());
    // Nothing unmerged, which only an active word may have.
    Tree::<_, Lazy>::attach(metadata.as_mut_slice()).unwrap().settle();
    let geometry = Geometry::new::<Plain32>(&range).unwrap();
    let nodes = geometry.nodes::<Plain32>(0, geometry.level_start::<Plain32>(0));
    let above = nodes.summary::<Plain32>().summary::<Plain32>();
    assert!(above.is_top());
    for bit in 0..32 {
        // The word of nodes with the number of the summary's word.
        metadata[header::WORDS + record::ACTIVE].store(bit + 1);
        assert!(is_valid::<Plain32, Lazy>(&mut metadata), "{bit}");
        let value = metadata[above.at(0)].load();
        metadata[above.at(0)].store(value ^ (1 << bit));
        assert!(!is_valid::<Plain32, Lazy>(&mut metadata), "{bit}");
        metadata[above.at(0)].store(value);
    }
}

#[test]
fn a_range_without_leaves_is_no_tree() {
    let mut metadata = furnished::<Plain, Lazy>(37..700);
    for (end, is_one) in [(36, false), (37, false), (700, false), (701, false), (691, true)] {
        metadata[header::END].store(end);
        let attached = Tree::<_, Lazy>::attach(metadata.as_mut_slice()).map(drop);
        let is_corrupt = attached == Err(AttachError::Corrupt);
        assert_eq!((attached.is_ok(), is_corrupt), (is_one, end <= 37 || end > 700), "{end}");
    }
}

#[test]
fn attach_takes_only_trees_of_its_own_kind() {
    let mut metadata = furnished::<Plain, Lazy>(0..600);
    let eager = Tree::<_, Eager>::attach(metadata.as_mut_slice());
    assert_eq!(eager.err(), Some(AttachError::NoTree));
    let short = metadata.len() - 1;
    let cut_off = Tree::<_, Lazy>::attach(&mut metadata[..short]);
    assert!(matches!(cut_off, Err(AttachError::Build(_))));
    assert_eq!(Tree::<&mut [Plain]>::attach(&mut []).err(), Some(AttachError::NoTree));
}

#[test]
fn an_attached_tree_goes_on_where_it_was() {
    let mut metadata = furnished::<Plain, Lazy>(0..600);
    let before: Vec<_> = Tree::<_, Lazy>::attach(metadata.as_mut_slice()).unwrap().walk().collect();
    let tree: Tree<_, Lazy> = Tree::attach(metadata.as_mut_slice()).unwrap();
    for extent in before.iter().filter(|extent| extent.kind == Kind::Used) {
        tree.free_sized(extent.first, extent.leaves).unwrap();
    }
    assert_eq!(tree.used(), 0);
    tree.validate().unwrap();
}

fn reset_frees_all_but_the_reserved<P: Policy>() {
    let mut metadata = furnished::<Plain, P>(0..600);
    let mut tree: Tree<_, P> = Tree::attach(metadata.as_mut_slice()).unwrap();
    let before = tree.statistics();
    assert!(before.reserved() > 0);
    tree.reset();
    tree.validate().unwrap();
    let after = tree.statistics();
    assert_eq!((after.used(), after.blocks(), after.peak()), (0, 0, before.peak()));
    assert_eq!(after.reserved(), before.reserved());
    let reserved: Vec<_> = tree.walk().filter(|extent| extent.kind == Kind::Reserved).collect();
    for extent in reserved {
        tree.release(extent.first, extent.leaves).unwrap();
    }
    tree.allocate_exact(100).unwrap();
    tree.reset();
    tree.validate().unwrap();
    assert_eq!(tree.statistics().largest_free(), 512);
    assert_eq!(tree.range(), 0..591);
    tree.extend(9).unwrap();
    tree.validate().unwrap();
}

#[test]
fn reset_frees_everything_that_is_allocated() {
    reset_frees_all_but_the_reserved::<Lazy>();
    reset_frees_all_but_the_reserved::<Eager>();
}

/// A slab that nobody knows of, where no node is set.
#[test]
fn a_slab_in_a_tree_that_is_to_have_none_is_found() {
    let words: Vec<Plain> = (0..1000).map(|_| Plain::zero()).collect();
    let tree: Tree<_> = Tree::new(words.into_boxed_slice(), 0..4096).unwrap();
    assert_eq!(tree.validate(), Ok(()));
    let order = Order::MIN;
    tree.word_of(order, 3).store(super::node::SLAB << (Plain::BITS - super::node::SLAB_BITS));
    assert_eq!(tree.validate(), Err(Invalid::Stray { order }));
}
