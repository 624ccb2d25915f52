//! Blocks that have rooms.

extern crate std;
use super::super::room::ROOMS;
use super::{LEAVES, Place, Supply, class, with_supply};
use crate::class::Class;
use crate::tree::{Extent, Kind, Lazy, Plain, Policy, Word};
use std::boxed::Box;
use std::vec::Vec;

type Plains<'t> = Supply<'t, Box<[Plain]>, Lazy>;

/// A block of 24 leaves with a room of 128, in place of one that is freed.
fn with_room(supply: Plains<'_>) -> usize {
    let (small, large) = (class::<Lazy>(20), class::<Lazy>(24));
    let from = supply.tree.allocate_exact(20).unwrap();
    supply.note_grown(LEAVES, from);
    let (first, all) = supply.open_room(from, large).unwrap();
    assert_eq!(all, 128);
    assert!(supply.give(from, small));
    first
}

/// Whether any block has a room.
fn has_rooms(supply: Supply<'_, Box<[Plain]>, Lazy>) -> bool {
    supply.shape.rooms_in::<Plain, Lazy>(supply.words()).is_some_and(|rooms| rooms.0[0].load() > 0)
}

#[test]
fn a_block_that_grows_again_gets_a_room_and_is_resized_in_it() {
    with_supply::<Plain, Lazy>(|supply| {
        let [old, new, larger] = [20, 24, 40].map(class::<Lazy>);
        let from = supply.tree.allocate_exact(20).unwrap();
        assert_eq!((supply.open_room(from, new), has_rooms(supply)), (None, false));
        // Two others grew since.
        for other in [from, LEAVES, LEAVES + 1] {
            supply.note_grown(LEAVES + 2, other);
        }
        assert_eq!(supply.open_room(from, new), None);
        supply.note_grown(LEAVES, from);
        // Too small for a room, or too large.
        assert_eq!(supply.open_room(from, class::<Lazy>(14)), None);
        assert_eq!(supply.open_room(from, class::<Lazy>(LEAVES / 32)), None);
        let (first, all) = supply.open_room(from, new).unwrap();
        assert!(supply.give(from, old) && all == 128 && has_rooms(supply));

        let used = Extent { first, leaves: 24, kind: Kind::Used };
        let behind = Extent { first: first + 24, leaves: 104, kind: Kind::Free };
        assert_eq!([0, 23].map(|at| supply.extent_at(first + at)), [Some(used); 2]);
        assert_eq!([24, 127].map(|at| supply.extent_at(first + at)), [Some(behind); 2]);
        assert_eq!((supply.leaves_of(first), supply.resting()), (Ok(24), 104));
        assert_eq!(supply.find(first, new), Some(Place::Room));
        for wrong in [20, 28, 128].map(class::<Lazy>) {
            assert_eq!(supply.find(first, wrong), None);
            assert!(!supply.give(first, wrong), "{wrong:?}");
        }
        assert!(!supply.resize_in_room(first, 20, 40) && !supply.resize_in_room(first, 24, 160));
        assert!(supply.resize_in_room(first, 24, 128) && supply.resize_in_room(first, 128, 40));
        assert_eq!((supply.leaves_of(first), supply.resting()), (Ok(40), 88));
        assert!(supply.give(first, larger) && !supply.give(first, larger));
        assert!(!has_rooms(supply) && supply.find(first, larger).is_none());
        assert_eq!((supply.resting(), supply.tree.used()), (0, 0));
    });
}

#[test]
fn one_room_more_closes_the_oldest() {
    with_supply::<Plain, Lazy>(|supply| {
        let class = class::<Lazy>(24);
        let mut blocks: Vec<_> = (0..ROOMS).map(|_| with_room(supply)).collect();
        // One that was closed meanwhile is in nobody's way.
        assert!(supply.give(blocks.remove(1), class));
        blocks.push(with_room(supply));
        assert!(blocks.iter().all(|block| supply.find(*block, class) == Some(Place::Room)));
        blocks.push(with_room(supply));
        let places: Vec<_> = blocks.iter().map(|block| supply.find(*block, class)).collect();
        assert_eq!(places[0], Some(Place::Tree));
        assert!(places[1..].iter().all(|place| *place == Some(Place::Room)));
        assert_eq!(supply.tree.leaves_of(blocks[0]), Ok(24));
        assert_eq!(supply.resting(), ROOMS * 104);
        // Whatever detaches a block closes its room.
        assert!(supply.detach_from_tree(blocks[1], class));
        supply.tree.free_detached(blocks.remove(1), 24);
        assert_eq!(supply.resting(), (ROOMS - 1) * 104);
        supply.settle();
        assert_eq!((supply.resting(), has_rooms(supply)), (0, false));
        for block in blocks {
            assert_eq!(supply.find(block, class), Some(Place::Tree));
            assert!(supply.give(block, class) && !supply.give(block, class));
        }
    });
}

#[test]
fn what_lacks_memory_gets_that_of_rooms() {
    with_supply::<Plain, Lazy>(|supply| {
        let block = with_room(supply);
        let rest: Vec<_> =
            std::iter::from_fn(|| supply.insist(|| supply.tree.allocate_exact(1).ok())).collect();
        assert_eq!(rest.len(), LEAVES - 24);
        for leaf in rest {
            supply.tree.free_sized(leaf, 1).unwrap();
        }
        assert!(supply.give(block, class::<Lazy>(24)));
    });
}

#[test]
fn a_room_is_made_and_extended_where_the_block_is() {
    with_supply::<Plain, Lazy>(|supply| {
        let [small, class, more, most] = [20, 24, 256, 320].map(class::<Lazy>);
        let first = supply.tree.allocate_exact(2048).unwrap();
        supply.tree.shrink(first, 2048, 20).unwrap();
        assert_eq!(supply.extend_room(first, small, class), None);
        supply.note_grown(first, first);
        assert_eq!(supply.extend_room(first, small, class), Some(first + 20..first + 128));
        assert_eq!(supply.find(first, class), Some(Place::Room));
        assert!(!supply.resize_in_room(first, 24, 256));
        assert_eq!(supply.extend_room(first, class, more), Some(first + 128..first + 1024));
        assert_eq!((supply.leaves_of(first), supply.resting()), (Ok(256), 768));
        // Something behind is in the way.
        supply.tree.allocate_at(first + 1024, 1).unwrap();
        assert_eq!(supply.extend_room(first, more, most), None);
        assert_eq!(supply.find(first, more), Some(Place::Room));
        // To another room, if there can be one so large.
        assert!(supply.is_better_moved(first, most));
        supply.tree.free_sized(first + 1024, 1).unwrap();
        assert!(supply.is_better_moved(first, most));
        assert!(!supply.is_better_moved(first, self::class::<Lazy>(LEAVES / 16)));
        assert!(supply.give(first, more));
        assert_eq!(supply.tree.used(), 0);
    });
}

#[test]
fn a_block_that_was_taken_from_a_stack_and_has_a_room_does_not_go_back() {
    with_supply::<Plain, Lazy>(|supply| {
        let old = super::large(supply);
        let new = Class::at(old.number() + 1, Lazy::PRECISION);
        let first = supply.tree.allocate_exact(old.leaves).unwrap();
        assert!(supply.give(first, old) && supply.take(old) == Some(first));
        supply.note_grown(first, first);
        let fresh = supply.extend_room(first, old, new).unwrap();
        let all = (4 * new.leaves).next_power_of_two();
        assert_eq!(fresh, first + old.leaves..first + all);
        assert!(!supply.give(first, old) && supply.resting() == all - new.leaves);
        assert!(supply.give(first, new) && !supply.give(first, new));
    });
}

#[test]
fn small_slots_are_moved_at_once_unless_they_grew_before() {
    with_supply::<Plain, Lazy>(|supply| {
        let large = Class::at(supply.shape.classes, Lazy::PRECISION);
        let is_moved = |from, to| supply.is_moved_at_once(77, from, to);
        let of = class::<Lazy>;
        supply.note_grown(LEAVES, 77);
        for (from, to, moved) in [
            (of(1), of(2), true),
            (of(14), of(2), true),
            (of(5), of(5), false),
            (of(1), of(14), true),
            (of(1), of(16), false),
            (of(20), of(16), false),
            (large, of(2), false),
            (of(2), large, false),
        ] {
            assert_eq!(is_moved(from, to), moved, "{from:?} {to:?}");
        }
        assert!(supply.is_moved_at_once(78, of(1), of(16)));
        assert!(!supply.is_moved_at_once(78, of(56), of(80)));
    });
}
