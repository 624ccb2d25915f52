//! Slabs before a tree of their own.

extern crate std;
mod rooms;

use super::give::{FREE_FOR_KEPT, LARGE_BLOCKS};
use super::take::{DEMAND, FREE_FOR_A_SLAB, FREE_ON_DEMAND};
use super::*;
use crate::tree::{Atomic, FreeError, Kind, Lazy, Plain, Plain32};
use std::boxed::Box;
use std::vec::Vec;

const LEAVES: usize = 1 << 16;
const FIRST: usize = 7;

struct Exact4;

impl Policy for Exact4 {
    const PRECISION: u32 = 4;
}

struct TwoCpus;

impl Policy for TwoCpus {
    const CPUS: usize = 2;

    fn cpu() -> usize {
        usize::from(std::thread::current().name() == Some("other"))
    }
}

/// Runs something on a supply from a tree of [`LEAVES`] leaves, and looks at both afterwards.
fn with_supply<W: Word, P: Policy>(call: impl FnOnce(Supply<'_, Box<[W]>, P>)) {
    with_supply_from(FIRST, call);
}

/// The same with leaves from a number on.
fn with_supply_from<W: Word, P: Policy>(start: usize, call: impl FnOnce(Supply<'_, Box<[W]>, P>)) {
    let own = Tree::<Box<[W]>, P>::metadata_words(start..LEAVES + start);
    let words: Box<[W]> = (0..own + 3000).map(|_| W::default()).collect();
    let tree = Tree::new(words, start..LEAVES + start).unwrap();
    let shape = Shape::fitting::<_, P, Leaves>(&tree, own, 3000).unwrap();
    assert!(!shape.is_none());
    let supply = Supply::new(&tree, &shape, Leaves);
    supply.clear();
    call(supply);
    supply.dissolve();
    tree.settle();
    assert_eq!((tree.free_leaves(), tree.validate()), (LEAVES, Ok(())));
}

fn class<P: Policy>(leaves: usize) -> Class {
    Class::of(leaves, P::PRECISION).unwrap()
}

/// A slot, of a slab that is raised whatever the demand.
fn take<W: Word, P: Policy>(supply: Supply<'_, Box<[W]>, P>, class: Class) -> usize {
    let taken = supply.take(class).or_else(|| supply.take_marked(class));
    let record = supply.record(class).unwrap();
    taken.or_else(|| Some(supply.raise_for(class, record)?.first)).unwrap()
}

/// Fills slabs of every class, frees all slots in another order, some twice and from inside.
fn every_class<W: Word, P: Policy>() {
    with_supply::<W, P>(|supply| {
        for index in 0..supply.shape.classes {
            let class = Class::at(index, P::PRECISION);
            let kind = supply.record(class).unwrap().kind(class);
            assert!(kind.count() >= 1 << Tree::<Box<[W]>, P>::SLAB_HEIGHT);
            let tail = (class.leaves.next_power_of_two() << Tree::<Box<[W]>, P>::SLAB_HEIGHT)
                - kind.count() * class.leaves;
            assert!(tail < class.leaves.next_power_of_two(), "{class:?}");
            let mut slots: Vec<_> = (0..kind.count() + 2).map(|_| take(supply, class)).collect();
            for pair in slots.windows(2).take(kind.count() - 1) {
                assert_eq!(pair[1], pair[0] + class.leaves, "{class:?}");
            }
            assert_eq!(supply.resting(), (kind.count() - 2) * class.leaves);
            slots.sort_by_key(|slot| slot.wrapping_mul(0x9E37_79B9) % 1009);
            for slot in &slots {
                assert_eq!(supply.find(*slot, class), Some(Place::Slab));
                assert_eq!(supply.leaves_of(*slot), Ok(class.leaves));
                for inside in (1..class.leaves).step_by(1 + class.leaves / 8) {
                    assert!(!supply.give(slot + inside, class), "{class:?}");
                }
                assert!(supply.give(*slot, class) && !supply.give(*slot, class), "{class:?}");
                assert_eq!(supply.find(*slot, class), None);
            }
            supply.settle();
            assert_eq!(supply.resting(), 0);
        }
    });
}

#[test]
fn slots_of_every_class_lie_side_by_side_and_are_freed_once() {
    every_class::<Plain, Lazy>();
    every_class::<Plain32, Lazy>();
    // Where a word can tell so many classes apart.
    if Plain::BITS == 64 {
        every_class::<Plain, Exact4>();
    }
}

#[test]
fn words_that_cannot_tell_the_classes_apart_have_no_slabs() {
    let words: Box<[Plain32]> = (0..20_000).map(|_| Plain32::default()).collect();
    let tree: Tree<_, Exact4> = Tree::new(words, 0..LEAVES).unwrap();
    let shape = Shape::fitting::<_, Exact4, Leaves>(&tree, tree.own_words(), 3000).unwrap();
    assert_eq!(shape.classes, 0);
}

/// With any number of words: marks and records lie apart, and other classes have no record.
fn every_number_of_words<W: Word, P: Policy>() {
    let own = Tree::<Box<[W]>, P>::metadata_words(FIRST..FIRST + LEAVES);
    let mut most = 0;
    for spare in 0..1500 {
        let words: Box<[W]> = (0..own + spare).map(|_| W::default()).collect();
        let tree: Tree<_, P> = Tree::new(words, FIRST..FIRST + LEAVES).unwrap();
        let shape = Shape::fitting::<_, P, Leaves>(&tree, own, spare).unwrap();
        let supply = Supply::new(&tree, &shape, Leaves);
        supply.clear();
        for number in 0..shape.records + 100 {
            let has_record = supply.record(Class::at(number, P::PRECISION)).is_some();
            assert_eq!(has_record, number < shape.records, "{spare}");
        }
        let natural = |(class, _): (Class, _)| Order::new(class.natural).unwrap();
        let marks = supply.classes().map(|of| tree.slab_summary_words(natural(of))).sum::<usize>();
        let behind = shape.marks::<Box<[W]>, P>() + marks + shape.classes;
        assert!(shape.is_none() || behind <= shape.record::<P>(Class::at(0, 3)), "{spare}");
        assert!(shape.classes >= most, "{spare}");
        most = shape.classes;
    }
    assert!(most > 0);
}

#[test]
fn marks_and_records_lie_apart() {
    every_number_of_words::<Plain, Lazy>();
    every_number_of_words::<Plain32, Lazy>();
    every_number_of_words::<Atomic, TwoCpus>();
}

/// Each slab with a free slot is marked, or the hint, and no other is marked.
fn check_marks<W: Word>(supply: Supply<'_, Box<[W]>, Lazy>) {
    type Of<'t, W> = Supply<'t, Box<[W]>, Lazy>;
    for (class, record) in supply.classes() {
        let (hint, marks) = (record.at(record::HINT), record.at(record::MARKS));
        let word = |number| supply.words()[Of::<W>::place(record, number)].load();
        let is_own = |number| Of::<W>::is_own(word(number), record.tag());
        assert!(hint == max_value::<W>() || is_own(Of::<W>::number(record, hint)), "{class:?}");
        let all = supply.tree.range();
        let shift = class.natural + Tree::<Box<[W]>, Lazy>::SLAB_HEIGHT;
        for number in all.start >> shift..=(all.end - 1) >> shift {
            let has_free = is_own(number) && word(number) & Of::<W>::ALL_SLOTS != 0;
            let is_to_be = has_free && Of::<W>::place(record, number) != hint;
            assert_eq!(supply.tree.is_slab_marked(marks, number), is_to_be, "{class:?} {number}");
        }
    }
}

fn marks_are_exact<W: Word>() {
    with_supply::<W, Lazy>(|supply| {
        let mut held: Vec<(usize, Class)> = Vec::new();
        let mut random = 88_172_645_463_325_252_u64;
        let mut next = move || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random as usize
        };
        for step in 0..90_000 {
            // More and fewer blocks by turns.
            let grows = step / 15_000 % 2 == 0;
            if held.is_empty() || next() % 8 < if grows { 5 } else { 3 } {
                let class = Class::at(next() % 7, Lazy::PRECISION);
                let mut taken = supply.take(class).or_else(|| supply.take_marked(class));
                if taken.is_none() || next() % 500 == 0 {
                    held.extend(taken.map(|first| (first, class)));
                    let record = supply.record(class).unwrap();
                    taken = supply.raise_for(class, record).map(|supplied| supplied.first);
                }
                held.extend(taken.map(|first| (first, class)));
            } else {
                let (first, class) = held.swap_remove(next() % held.len());
                match next() % 5000 {
                    0..50 => {
                        assert!(supply.detach(first, class));
                        supply.tree.free_detached(first, class.leaves);
                    }
                    50 => {
                        assert!(supply.give(first, class));
                        supply.settle();
                        assert_eq!(supply.resting(), 0);
                    }
                    _ => assert!(supply.give(first, class)),
                }
                assert!(!supply.give(first, class));
            }
            if step % 100 == 0 {
                check_marks(supply);
                let held: usize = held.iter().map(|(_, class)| class.leaves).sum();
                assert_eq!(supply.tree.used() - supply.resting(), held);
            }
        }
        held.drain(..).for_each(|(first, class)| assert!(supply.give(first, class)));
        check_marks(supply);
    });
}

#[test]
fn for_one_thread_marks_are_exact() {
    marks_are_exact::<Plain>();
    marks_are_exact::<Plain32>();
}

fn stacks_are_bypassed<W: Word>() {
    with_supply::<W, Lazy>(|supply| {
        let class = class::<Lazy>(4);
        let record = supply.record(class).unwrap();
        let count = record.kind(class).count();
        let slots: Vec<_> = (0..20 * count).map(|_| take(supply, class)).collect();
        for (freed, slot) in slots.iter().enumerate() {
            assert!(supply.give(*slot, class) && !supply.give(*slot, class));
            let held = (slots.len() - freed - 1) * class.leaves;
            assert_eq!(supply.tree.used() - supply.resting(), held);
            // The first slab has slots that rest, which keep it from being whole.
            assert_eq!(record.stack().is_bypassed(), freed + 1 >= 2 * count);
            assert_eq!(supply.find(slots[freed / 2], class), None);
            check_marks(supply);
        }
        assert!(slots.iter().all(|slot| !supply.give(*slot, class)));
        // Where one is taken, others rest again.
        let again = [take(supply, class), take(supply, class)];
        assert!(!record.stack().is_bypassed());
        for slot in again {
            assert!(supply.give(slot, class) && record.stack().has(slot));
        }
        assert_eq!(take(supply, class), again[1]);
        assert!(supply.give(again[1], class));
    });
}

#[test]
fn stacks_are_bypassed_while_slabs_become_whole() {
    stacks_are_bypassed::<Plain>();
    stacks_are_bypassed::<Plain32>();
}

fn a_few_whole_slabs_are_kept<W: Word>() {
    with_supply::<W, Lazy>(|supply| {
        let class = class::<Lazy>(4);
        let most = LEAVES / FREE_FOR_KEPT / (4 * 32);
        let slots: Vec<_> = (0..32 * (most + 4)).map(|_| take(supply, class)).collect();
        for slot in &slots {
            assert!(supply.give(*slot, class));
        }
        // Those, and the one that slots were taken from last.
        assert!(supply.resting() <= (most + 1) * 4 * 32 && supply.resting() >= 4 * 32);
        // Taken from again, they are kept no more.
        let again: Vec<_> = (0..32 * (most + 1)).map(|_| take(supply, class)).collect();
        let record = supply.record(class).unwrap();
        assert!(supply.counts(record).unwrap().load() < record::KEPT);
        for slot in again {
            assert!(supply.give(slot, class));
        }
    });
}

#[test]
fn a_slab_that_nobody_takes_from_goes_back_unless_a_few_are_kept() {
    a_few_whole_slabs_are_kept::<Plain>();
    a_few_whole_slabs_are_kept::<Atomic>();
}

/// From the next slab behind, if it is well used, else from the lowest.
fn slabs_are_taken_from_in_turn<W: Word>() {
    with_supply::<W, Lazy>(|supply| {
        let class = class::<Lazy>(1);
        let record = supply.record(class).unwrap();
        let count = record.kind(class).count();
        let slots: Vec<_> = (0..count * 10).map(|_| take(supply, class)).collect();
        let free = |range: core::ops::Range<usize>| {
            range.for_each(|slot| assert!(supply.give(slots[slot], class)));
            supply.unstack(class, record);
        };
        let next = || (take(supply, class) - slots[0]) / count;
        // Slab 9 is taken from, and full.
        free(2 * count..2 * count + 1);
        free(5 * count..5 * count + 1);
        free(6 * count..6 * count + count / 2 + 1);
        free(8 * count..8 * count + 1);
        assert_eq!([next(), next()], [2, 5]);
        // More than half of slab 6 is free.
        free(count..count + 1);
        assert_eq!([next(), next()], [1, 6]);
        assert!((0..count / 2).all(|_| next() == 6));
        assert_eq!(next(), 8);
        // Half of one is not too much.
        free(0..1);
        free(9 * count..9 * count + count / 2);
        assert!((0..count / 2).all(|_| next() == 9));
        assert_eq!(next(), 0);
        assert!(slots.iter().all(|slot| supply.give(*slot, class)));
    });
}

#[test]
fn slabs_are_taken_from_in_the_order_of_addresses_unless_they_may_become_whole() {
    slabs_are_taken_from_in_turn::<Plain>();
    slabs_are_taken_from_in_turn::<Atomic>();
}

#[test]
fn what_was_freed_last_is_taken_first_and_is_free_meanwhile() {
    with_supply::<Plain, Lazy>(|supply| {
        let class = class::<Lazy>(5);
        let slots: Vec<_> = (0..51 * 3).map(|_| take(supply, class)).collect();
        let freed = [slots[7], slots[60], slots[8], slots[52], slots[9 + 51]].map(|slot| {
            let was_held = supply.give(slot, class);
            assert!(!supply.give(slot, class));
            assert_eq!(supply.find(slot, class), None);
            assert_eq!(supply.leaves_of(slot), Err(FreeError::AlreadyFree { leaf: slot }));
            assert_eq!(supply.extent_at(slot + 2).unwrap().kind, Kind::Free);
            (slot, was_held)
        });
        assert_eq!(freed.map(|(_, was_held)| was_held), [true, true, true, true, false]);
        assert_eq!(supply.resting(), 4 * 5);
        assert!(supply.give(slots[9], class));
        for slot in [slots[7], slots[8], slots[52], slots[60], slots[9]] {
            assert!(!supply.give(slot, class));
        }
        let again: Vec<_> = (0..5).map(|_| take(supply, class)).collect();
        assert!(again.iter().all(|slot| slots.contains(slot)));
        for slot in slots {
            assert!(supply.give(slot, class) && !supply.give(slot, class));
        }
        // Who is short of memory has what rests, too.
        assert_eq!(supply.insist(|| (supply.tree.used() == 0).then_some(())), Some(()));
    });
}

#[test]
fn what_was_never_allocated_is_not_freed() {
    // In words that hold zeros, leaf 0 must not be taken for one that was.
    with_supply_from::<Plain, Lazy>(0, |supply| {
        for index in 0..supply.shape.records + 4 {
            assert!(!supply.give(0, Class::at(index, Lazy::PRECISION)));
        }
        supply.clear();
        supply.settle();
        assert!(!supply.give(0, class::<Lazy>(1)));
    });
}

/// The smallest class that has a stack, and no slabs.
fn large<W: Word, P: Policy>(supply: Supply<'_, Box<[W]>, P>) -> Class {
    assert!(supply.shape.classes < supply.shape.records);
    Class::at(supply.shape.classes, P::PRECISION)
}

#[test]
fn large_blocks_rest_too_and_are_free_meanwhile() {
    with_supply::<Plain, Lazy>(|supply| {
        let class = large(supply);
        assert_eq!(supply.take(class), None);
        let blocks = [(); 4].map(|()| supply.tree.allocate_exact(class.leaves).unwrap());
        let misaligned = supply.tree.allocate_at(FIRST, class.leaves).map(|()| FIRST);
        for block in blocks {
            assert_eq!(supply.find(block, class), Some(Place::Tree));
            assert!(!supply.give(block + 1, class));
            assert!(supply.give(block, class) && !supply.give(block, class));
            assert_eq!(supply.find(block, class), None);
            assert!(!supply.detach(block, class) && !supply.detach_from_tree(block, class));
            for leaf in [block, block + 1] {
                assert_eq!(supply.leaves_of(leaf), Err(FreeError::AlreadyFree { leaf }));
                assert_eq!(supply.extent_at(leaf).unwrap().kind, Kind::Free);
            }
        }
        assert_eq!(supply.resting(), LARGE_BLOCKS * class.leaves);
        assert_eq!([supply.take(class), supply.take(class)], [Some(blocks[1]), Some(blocks[0])]);
        assert_eq!((supply.take(class), supply.resting()), (None, 0));
        assert!(supply.give(blocks[0], class) && supply.give(blocks[1], class));
        // What rests is aligned.
        if let Ok(misaligned) = misaligned {
            supply.take(class).unwrap();
            assert!(supply.give(misaligned, class));
            assert_eq!(supply.take(class), Some(blocks[0]));
            assert!(supply.give(blocks[0], class) && supply.give(blocks[1], class));
        }
        assert_eq!(supply.insist(|| (supply.tree.used() == 0).then_some(())), Some(()));
    });
}

#[test]
fn a_block_that_was_taken_from_a_stack_and_is_not_of_the_class_any_more_does_not_go_back() {
    with_supply::<Plain, Lazy>(|supply| {
        // Resized.
        let class = large(supply);
        let block = supply.tree.allocate_exact(class.leaves).unwrap();
        let found =
            |supply: Supply<'_, _, _>, block, class| supply.detach_found(block, class, Place::Tree);
        for detach in [Supply::detach, Supply::detach_from_tree, found] {
            assert!(supply.give(block, class) && supply.take(class) == Some(block));
            assert!(detach(supply, block, class));
            supply.tree.shrink_detached(block, class.leaves, class.leaves / 2);
            assert!(!supply.give(block, class));
            supply.tree.grow(block, class.leaves / 2, class.leaves).unwrap();
        }
        assert!(supply.give(block, class));
        // Freed without a look at the stack.
        let small = self::class::<Lazy>(5);
        let slots = [(); 3].map(|()| take(supply, small));
        assert!(supply.give(slots[0], small) && supply.take(small) == Some(slots[0]));
        assert!(supply.give_slow(slots[0], small) && !supply.give(slots[0], small));
        // Freed when its slab had become a tree.
        assert!(supply.give(slots[1], small) && supply.take(small) == Some(slots[1]));
        supply.settle();
        assert!(supply.give(slots[1], small) && !supply.give(slots[1], small));
        assert_eq!(supply.resting(), 0);
        assert!(supply.give(slots[2], small));
    });
}

#[test]
fn a_slab_becomes_ordinary_blocks_and_its_slots_are_freed_there() {
    with_supply::<Plain, Lazy>(|supply| {
        for leaves in [1, 3, 4, 5, 7] {
            let class = class::<Lazy>(leaves);
            let slots: Vec<_> = (0..20).map(|_| take(supply, class)).collect();
            for slot in slots.iter().step_by(3) {
                assert!(supply.give(*slot, class));
            }
            supply.settle();
            assert_eq!(supply.resting(), 0);
            for (at, slot) in slots.iter().enumerate() {
                let place = (at % 3 != 0).then_some(Place::Tree);
                assert_eq!(supply.find(*slot, class), place, "{leaves} {at}");
                assert_eq!(supply.give(*slot, class), place.is_some());
            }
        }
    });
}

/// The tree has blocks of the class behind a slab's last slot, and they are no slots.
#[test]
fn a_block_behind_the_last_slot_is_the_trees() {
    with_supply::<Plain, Lazy>(|supply| {
        let class = class::<Lazy>(3);
        let first = take(supply, class);
        let tail = first + 42 * 3;
        supply.tree.allocate_at(tail, 2).unwrap();
        supply.tree.grow(tail, 2, 3).unwrap();
        assert_eq!(supply.find(tail, class), Some(Place::Tree));
        assert!(supply.give(tail, class) && !supply.give(tail, class));
        assert!(supply.give(first, class));
    });
}

#[test]
fn a_slot_that_is_detached_leaves_the_others_as_they_are() {
    with_supply::<Plain, Lazy>(|supply| {
        let class = class::<Lazy>(5);
        let slots: Vec<_> = (0..6).map(|_| take(supply, class)).collect();
        assert!(supply.detach(slots[2], class) && !supply.detach(slots[2], class));
        supply.tree.free_detached(slots[2], 5);
        for (at, slot) in slots.iter().enumerate() {
            assert_eq!(supply.give(*slot, class), at != 2);
        }
    });
}

struct Impatient;

impl Policy for Impatient {
    const PATIENCE: u32 = 3;
}

/// The tree has nodes for a slot before the slab's word says that it is none, and to take it by these would leave
/// it in the word, to be freed a second time.
#[test]
fn a_slot_is_not_detached_while_a_call_that_opens_its_slab_has_stopped() {
    with_supply::<Atomic, Impatient>(|supply| {
        let class = class::<Impatient>(5);
        let slots: Vec<_> = (0..4).map(|_| take(supply, class)).collect();
        let kind = supply.record(class).unwrap().kind(class);
        let number = slots[0] >> kind.order::<Atomic>().get();
        supply.tree.while_opening(&kind, number, || {
            assert!(supply.tree.has_block(slots[1], 5), "there are nodes");
            assert!(!supply.detach(slots[1], class) && !supply.detach_from_tree(slots[1], class));
            assert_eq!(supply.find(slots[1], class), Some(Place::Slab));
            assert!(supply.give(slots[1], class) && !supply.give(slots[1], class));
            assert!(!supply.detach(slots[1], class));
        });
        assert!(supply.detach(slots[2], class));
        supply.tree.free_detached(slots[2], 5);
        assert!(supply.give(slots[0], class) && supply.give(slots[3], class));
    });
}

#[test]
fn lanes_take_from_slabs_of_their_own() {
    with_supply::<Plain, TwoCpus>(|supply| {
        let class = class::<TwoCpus>(2);
        let mine = take(supply, class);
        let record = supply.record(class).unwrap();
        let kind = record.kind(class);
        // Where the other lane searches there is none yet; but it has this one before it is refused.
        let own = supply.tree.own();
        assert!(own.contains(&mine) && own.end < supply.tree.range().end);
        let other = own.end >> kind.order::<Plain>().get()..usize::MAX;
        assert_eq!(supply.take_behind(class, record, other), None);
        let another = supply.take_others(class).unwrap();
        assert!(supply.give(another, class));
        assert!(supply.give(mine, class), "by whichever lane");
        assert_eq!(supply.resting(), 2 * kind.count());
        assert_eq!(supply.take_marked(class), Some(mine));
        assert!(supply.give(mine, class));
    });
}

#[test]
fn slabs_are_raised_on_demand() {
    with_supply::<Plain, Lazy>(|supply| {
        let small = class::<Lazy>(2);
        assert_eq!(LEAVES / FREE_FOR_A_SLAB, 16, "less than a slab of 32 or 64");
        for _ in 0..DEMAND {
            assert!(supply.raise(small).is_none());
        }
        let first = supply.raise(small).unwrap().first;
        assert!(supply.give(first, small));
        let large =
            class::<Lazy>((LEAVES / FREE_ON_DEMAND) >> Tree::<Box<[Plain]>, Lazy>::SLAB_HEIGHT);
        supply.tree.allocate(Order::MIN).unwrap();
        for _ in 0..DEMAND + 2 {
            assert!(supply.raise(large).is_none(), "less than 16 times its size is free");
        }
        let block = supply.tree.walk().find(|extent| extent.kind == Kind::Used).unwrap();
        supply.tree.free(block.first).unwrap();
    });
}
