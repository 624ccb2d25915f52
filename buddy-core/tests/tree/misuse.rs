//! Every way to call the tree wrongly, with the refusal that it must give; nothing may change.

use crate::action::{Action, Refusal};
use crate::subject::{Subject, storage};
use buddy_core::tree::{AllocError, AttachError, BuildError, FreeError, GrowError, RangeError};
use buddy_core::{Eager, Lazy, Order, Policy, Tree, Word};
use proptest::prelude::*;

const MAX: usize = usize::MAX;

/// A tree over 3..43 with room for three leaves more. Used: 4..8, 9..14, 24..32, 32..35; reserved:
/// 16..20, 21. The largest free block is 36..40, the highest order 4 (16..32).
fn furnished<W: Word, P: Policy>(storage: &[W]) -> Subject<'_, W, P> {
    let mut subject = Subject::new(storage, 3..46);
    subject.apply(&Action::Cut { leaves: 3 });
    for (first, leaves) in [(4, 4), (9, 5), (24, 8), (32, 3)] {
        subject.apply(&Action::AllocateAt { first, leaves });
    }
    subject.apply(&Action::Reserve { first: 16, leaves: 4 });
    subject.apply(&Action::Reserve { first: 21, leaves: 1 });
    subject.verify();
    subject
}

/// Makes each call on a furnished tree: it gives that refusal, and nothing changes.
fn refused<W: Word, P: Policy, E: Into<Refusal>>(table: impl IntoIterator<Item = (Action, E)>) {
    let storage = storage::<W>(&(3..46));
    let mut subject = furnished::<W, P>(&storage);
    for (action, refusal) in table {
        let before: Vec<_> = subject.tree.walk().collect();
        assert_eq!(action.perform(&mut subject.tree), Err(refusal.into()), "{action:?}");
        // A lazy tree may merge when it refuses.
        if !P::LAZY {
            assert!(subject.tree.walk().eq(before), "{action:?} changed the tree");
        }
        subject.verify();
    }
}

fn order(order: u32) -> Order {
    Order::new(order).unwrap()
}

fn allocations<W: Word, P: Policy>() {
    let none = |leaves| AllocError::OutOfMemory { leaves, largest_free: 4 };
    let many = |leaves| AllocError::TooLarge { leaves, total: 40 };
    let high = |requested| AllocError::Alignment { requested, served: order(4) };
    let exact = |leaves| Action::AllocateExact { leaves };
    let aligned = |leaves, align| Action::AllocateAligned { leaves, align };
    refused::<W, P, _>([
        (Action::Allocate { order: order(3) }, none(8)),
        (Action::Allocate { order: order(5) }, none(32)),
        (Action::Allocate { order: order(6) }, many(64)),
        (Action::Allocate { order: Order::MAX }, many(1 << (usize::BITS - 1))),
        (exact(0), AllocError::ZeroSize),
        (exact(5), none(5)),
        (exact(33), none(33)),
        (exact(40), none(40)),
        (exact(41), many(41)),
        (exact(MAX), many(MAX)),
        (aligned(0, Order::MIN), AllocError::ZeroSize),
        (aligned(0, Order::MAX), AllocError::ZeroSize),
        (aligned(3, order(3)), none(3)),
        (aligned(1, order(5)), high(order(5))),
        (aligned(1, Order::MAX), high(Order::MAX)),
        (aligned(MAX, Order::MIN), many(MAX)),
    ]);
    refused::<W, P, _>(constrained());
}

/// Requests within constraints that nothing meets.
fn constrained() -> Vec<(Action, AllocError)> {
    let none = |leaves| AllocError::OutOfMemory { leaves, largest_free: 4 };
    let within = |leaves, align, range, boundary| Action::AllocateWithin {
        leaves,
        align: order(align),
        range,
        boundary,
    };
    let beyond = |leaves, boundary| AllocError::Boundary { leaves, boundary: order(boundary) };
    #[allow(clippy::reversed_empty_ranges, reason = "what must be refused")]
    let backwards = 40..3;
    vec![
        (within(0, 0, 0..MAX, None), AllocError::ZeroSize),
        (within(41, 0, 0..MAX, None), AllocError::TooLarge { leaves: 41, total: 40 }),
        (
            within(1, 5, 0..MAX, None),
            AllocError::Alignment { requested: order(5), served: order(4) },
        ),
        (within(3, 0, 0..MAX, Some(order(1))), beyond(3, 1)),
        (within(2, 0, 0..MAX, Some(Order::MIN)), beyond(2, 0)),
        (within(8, 0, 0..MAX, None), none(8)),
        (within(1, 3, 0..MAX, None), none(1)),
        (within(2, 0, 0..14, None), none(2)),
        (within(2, 0, 15..22, None), none(2)),
        (within(4, 0, 37..MAX, None), none(4)),
        (within(4, 0, 0..39, None), none(4)),
        (within(1, 0, 4..8, None), none(1)),
        (within(1, 0, 43..46, None), none(1)),
        (within(1, 0, 20..20, None), none(1)),
        (within(1, 0, backwards, None), none(1)),
        (within(1, 0, MAX - 1..MAX, None), none(1)),
        (within(1, 0, MAX..MAX, None), none(1)),
    ]
}

fn given_places<W: Word, P: Policy>() {
    let at = |first, leaves| Action::AllocateAt { first, leaves };
    let out = |first, leaves| AllocError::OutOfRange { first, leaves };
    refused::<W, P, _>([
        (at(3, 0), AllocError::ZeroSize),
        (at(MAX, 0), AllocError::ZeroSize),
        (at(2, 1), out(2, 1)),
        (at(2, 3), out(2, 3)),
        (at(43, 1), out(43, 1)),
        (at(42, 2), out(42, 2)),
        (at(3, MAX), out(3, MAX)),
        (at(MAX, 1), out(MAX, 1)),
        (at(0, MAX), out(0, MAX)),
        (at(3, 2), AllocError::Occupied { leaf: 4 }),
        (at(13, 2), AllocError::Occupied { leaf: 13 }),
        (at(14, 3), AllocError::Occupied { leaf: 16 }),
        (at(20, 4), AllocError::Occupied { leaf: 21 }),
        (at(3, 40), AllocError::Occupied { leaf: 4 }),
    ]);
}

/// Leaves at which no block starts, and why.
fn no_starts() -> Vec<(usize, FreeError)> {
    let outside = [0, 2, 43, 45, 46, 64, MAX - 1, MAX];
    let free = [3, 8, 14, 15, 20, 22, 23, 35, 36, 37, 42];
    let reserved = [16, 17, 18, 19, 21];
    let inside = [(5, 4), (7, 4), (10, 9), (12, 9), (13, 9), (28, 24), (33, 32), (34, 32)];
    let outside = outside.into_iter().map(|leaf| (leaf, FreeError::OutOfRange { leaf }));
    let free = free.into_iter().map(|leaf| (leaf, FreeError::AlreadyFree { leaf }));
    let reserved = reserved.into_iter().map(|leaf| (leaf, FreeError::Reserved { leaf }));
    let inside =
        inside.into_iter().map(|(leaf, block)| (leaf, FreeError::NotStart { leaf, block }));
    outside.chain(free).chain(reserved).chain(inside).collect()
}

/// Blocks with sizes that they do not have.
fn wrong_sizes() -> Vec<(usize, usize, FreeError)> {
    let blocks = [(4, 4), (9, 5), (24, 8), (32, 3)];
    let sizes = [0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 16, 32, 64, 1 << (usize::BITS - 1), MAX - 3, MAX];
    let wrong = blocks.into_iter().flat_map(|(leaf, actual)| {
        let others = sizes.into_iter().filter(move |given| *given != actual);
        others.map(move |given| (leaf, given, FreeError::WrongSize { leaf, given, actual }))
    });
    let no_start = no_starts()
        .into_iter()
        .flat_map(|(leaf, error)| [0, 1, 2, 4, 5, 8, 64, MAX].map(|given| (leaf, given, error)));
    wrong.chain(no_start).collect()
}

fn frees<W: Word, P: Policy>() {
    let free = |(first, error)| (Action::Free { first }, error);
    refused::<W, P, _>(no_starts().into_iter().map(free));
    let sized = |(first, leaves, error)| (Action::FreeSized { first, leaves }, error);
    refused::<W, P, _>(wrong_sizes().into_iter().map(sized));
}

fn parts<W: Word, P: Policy>() {
    let part = |first, leaves| Action::FreePart { first, leaves };
    let beyond =
        |leaf, given, actual| (part(leaf, given), FreeError::WrongSize { leaf, given, actual });
    refused::<W, P, _>([
        (part(4, 0), FreeError::ZeroSize),
        (part(2, 1), FreeError::OutOfRange { leaf: 2 }),
        (part(43, 1), FreeError::OutOfRange { leaf: 43 }),
        (part(MAX, MAX), FreeError::OutOfRange { leaf: MAX }),
        (part(3, 2), FreeError::AlreadyFree { leaf: 3 }),
        (part(36, 1), FreeError::AlreadyFree { leaf: 36 }),
        (part(17, 1), FreeError::Reserved { leaf: 17 }),
        (part(21, 1), FreeError::Reserved { leaf: 21 }),
        beyond(4, 5, 4),
        beyond(6, 3, 2),
        beyond(7, MAX, 1),
        beyond(9, 6, 5),
        beyond(12, 3, 2),
        beyond(24, 11, 8),
        beyond(31, 2, 1),
        beyond(34, MAX - 33, 1),
    ]);
}

fn resizing<W: Word, P: Policy>() {
    for (first, old, error) in wrong_sizes() {
        let news = [0, 1, old.saturating_add(1), MAX];
        let grow = news.map(|new| (Action::Grow { first, old, new }, GrowError::Block(error)));
        refused::<W, P, _>(grow);
        refused::<W, P, _>(news.map(|new| (Action::Shrink { first, old, new }, error)));
    }
    let grow = |first, old, new| Action::Grow { first, old, new };
    refused::<W, P, _>([
        (grow(4, 4, 3), GrowError::Smaller { old: 4, new: 3 }),
        (grow(9, 5, 0), GrowError::Smaller { old: 5, new: 0 }),
        (grow(4, 4, 6), GrowError::Occupied { leaf: 9 }),
        (grow(9, 5, 12), GrowError::Occupied { leaf: 16 }),
        (grow(24, 8, 9), GrowError::Occupied { leaf: 32 }),
        (grow(24, 8, 19), GrowError::Occupied { leaf: 32 }),
        (grow(32, 3, 12), GrowError::OutOfRange { end: 44 }),
        (grow(24, 8, 20), GrowError::OutOfRange { end: 44 }),
        (grow(32, 3, MAX), GrowError::OutOfRange { end: MAX }),
        (grow(32, 3, MAX - 32), GrowError::OutOfRange { end: MAX }),
    ]);
    let shrink = |first, old, new| Action::Shrink { first, old, new };
    refused::<W, P, _>([
        (shrink(4, 4, 0), FreeError::ZeroSize),
        (shrink(9, 5, 0), FreeError::ZeroSize),
        (shrink(4, 4, 5), FreeError::WrongSize { leaf: 4, given: 5, actual: 4 }),
        (shrink(32, 3, MAX), FreeError::WrongSize { leaf: 32, given: MAX, actual: 3 }),
    ]);
}

fn range_moves<W: Word, P: Policy>() {
    let out = |first, leaves| RangeError::OutOfRange { first, leaves };
    let reserve = |first, leaves| Action::Reserve { first, leaves };
    let release = |first, leaves| Action::Release { first, leaves };
    for (first, leaves) in [(2, 1), (0, 43), (42, 2), (43, 1), (44, 1), (MAX, 1), (20, MAX)] {
        let both = [reserve(first, leaves), release(first, leaves)];
        refused::<W, P, _>(both.map(|action| (action, out(first, leaves))));
    }
    let capacity = |leaves| RangeError::Capacity { leaves, available: 3 };
    refused::<W, P, _>([
        (reserve(3, 0), RangeError::ZeroSize),
        (release(16, 0), RangeError::ZeroSize),
        (reserve(3, 2), RangeError::Occupied { leaf: 4 }),
        (reserve(14, 3), RangeError::Occupied { leaf: 16 }),
        (reserve(16, 1), RangeError::Occupied { leaf: 16 }),
        (reserve(21, 1), RangeError::Occupied { leaf: 21 }),
        (reserve(30, 1), RangeError::Occupied { leaf: 30 }),
        (release(15, 2), RangeError::NotReserved { leaf: 15 }),
        (release(16, 5), RangeError::NotReserved { leaf: 20 }),
        (release(21, 2), RangeError::NotReserved { leaf: 22 }),
        (release(12, 1), RangeError::NotReserved { leaf: 12 }),
        (release(32, 1), RangeError::NotReserved { leaf: 32 }),
        (Action::Extend { leaves: 4 }, capacity(4)),
        (Action::Extend { leaves: MAX }, capacity(MAX)),
        (Action::Cut { leaves: 9 }, RangeError::Occupied { leaf: 34 }),
        (Action::Cut { leaves: 27 }, RangeError::Occupied { leaf: 16 }),
        (Action::Cut { leaves: 39 }, RangeError::Occupied { leaf: 4 }),
        (Action::Cut { leaves: 40 }, out(3, 40)),
        (Action::Cut { leaves: MAX }, out(3, MAX)),
    ]);
}

/// A block that was freed stays refused, whatever it has merged into since.
fn double_frees<W: Word, P: Policy>() {
    let storage = storage::<W>(&(3..46));
    let mut subject = furnished::<W, P>(&storage);
    let starts = [(4, 4), (9, 5), (24, 8), (32, 3)];
    for (number, (first, leaves)) in starts.into_iter().enumerate() {
        if number % 2 == 0 {
            subject.apply(&Action::Free { first });
        } else {
            subject.apply(&Action::FreeSized { first, leaves });
        }
        for (first, leaves) in starts[..=number].iter().copied() {
            subject.apply(&Action::Free { first });
            subject.apply(&Action::FreeSized { first, leaves });
            subject.apply(&Action::FreePart { first, leaves });
            subject.verify();
        }
    }
    subject.apply(&Action::AllocateExact { leaves: 3 });
    let first = subject.model.blocks()[0].first;
    subject.apply(&Action::Reset);
    for action in [Action::Free { first }, Action::FreeSized { first, leaves: 3 }] {
        subject.apply(&action);
        subject.verify();
    }
}

fn building<W: Word, P: Policy>() {
    let needed = Tree::<&[W], P>::metadata_words(3..46);
    let words = storage::<W>(&(3..46));
    for given in 0..needed {
        let short = &words[..given];
        let refusal = BuildError::Storage { needed, given };
        assert_eq!(Tree::<_, P>::new(short, 3..46).err(), Some(refusal));
        assert_eq!(Tree::<_, P>::reserved(short, 3..46).err(), Some(refusal));
        assert_eq!(Tree::<_, P>::new_zeroed(short, 3..46).err(), Some(refusal));
        assert_eq!(Tree::<_, P>::reserved_zeroed(short, 3..46).err(), Some(refusal));
        assert_eq!(Tree::<_, P>::attach(short).err(), Some(AttachError::NoTree));
    }
    let before: Vec<usize> = words.iter().map(Word::load).collect();
    let empty = BuildError::Range { first: 9, end: 9 };
    assert_eq!(Tree::<_, P>::new(words.as_slice(), 9..9).err(), Some(empty));
    assert!(words.iter().map(Word::load).eq(before), "a refusal wrote to the storage");

    let _ = furnished::<W, P>(&words);
    for given in 1..needed {
        let cut_off = Tree::<_, P>::attach(&words[..given]).err();
        let refusal = AttachError::Build(BuildError::Storage { needed, given });
        // Without the header the range is not known either.
        assert!(cut_off == Some(refusal) || given < 16 && cut_off.is_some(), "{cut_off:?}");
    }
    let other = if P::LAZY {
        Tree::<_, Eager>::attach(words.as_slice()).err()
    } else {
        Tree::<_, Lazy>::attach(words.as_slice()).err()
    };
    assert_eq!(other, Some(AttachError::NoTree));
    assert!(Tree::<_, P>::attach(words.as_slice()).is_ok());
}

/// Whatever damage the storage took, attaching to it ends, and a tree that passes can be used.
fn attaching<W: Word, P: Policy>() {
    let value = prop_oneof![
        any::<usize>(),
        0_usize..64,
        (0..usize::BITS).prop_map(|bit| 1 << bit),
        (0_usize..64).prop_map(|less| MAX - less),
    ];
    let damage = prop::collection::vec((any::<prop::sample::Index>(), value), 1..5);
    proptest!(|(damage in damage, is_flipped in any::<bool>())| {
        let storage = storage::<W>(&(3..46));
        drop(furnished::<W, P>(&storage));
        for (at, value) in damage {
            let word = at.get(&storage);
            word.store(if is_flipped { word.load() ^ value } else { value });
        }
        if let Ok(tree) = Tree::<_, P>::attach(storage.as_slice()) {
            let blocks: Vec<_> = tree.walk().collect();
            for block in blocks {
                let _ = tree.free(block.first);
                let _ = tree.allocate(Order::MIN);
            }
            prop_assert_eq!(tree.validate(), Ok(()));
        }
    });
}

for_every_tree!(
    allocations as impossible_allocations_are_refused,
    given_places as occupied_places_are_refused,
    frees as frees_of_what_is_no_block_are_refused,
    parts as frees_of_what_is_no_part_are_refused,
    resizing as impossible_resizes_are_refused,
    range_moves as impossible_moves_of_the_range_are_refused,
    double_frees as double_frees_are_refused,
    building as storage_that_does_not_fit_is_refused,
    attaching as damaged_storage_is_refused_or_usable,
);
