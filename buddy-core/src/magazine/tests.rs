//! The magazine alone: no tree behind it, so any block may be "allocated".

extern crate std;
use super::*;
use crate::tree::{Order, Plain, Plain32};
use std::cell::RefCell;
use std::vec::Vec;

const PRECISION: u32 = 3;

/// The words of a magazine with several ways.
fn words<W: Word>() -> (Vec<W>, Shape) {
    words_within(1000, 1)
}

/// The words of a magazine of at most so many, for so many CPUs.
fn words_within<W: Word>(most: usize, cpus: usize) -> (Vec<W>, Shape) {
    let shape = Shape::fitting::<W>(0, most, Order::new(16).unwrap(), PRECISION, cpus);
    let words: Vec<W> = (0..shape.words()).map(|_| W::default()).collect();
    Magazine::new(&words, &shape, PRECISION, cpus).lay_out();
    (words, shape)
}

fn class(leaves: usize) -> Class {
    Class::of(leaves, PRECISION).unwrap()
}

/// A tree that takes whatever it is given.
#[derive(Default)]
struct Given {
    rows: RefCell<Vec<Row>>,
    attached: RefCell<Vec<Row>>,
    /// Bits that are never detached.
    stuck: usize,
}

impl Given {
    fn take(&self) -> Vec<Row> {
        self.rows.take()
    }
}

impl Backing for Given {
    fn detach(&self, row: Row) -> usize {
        row.blocks & !self.stuck
    }

    fn siblings(&self, _: Row) -> usize {
        0
    }

    fn reattach(&self, row: Row) {
        self.attached.borrow_mut().push(row);
    }

    fn free(&self, row: Row) {
        self.rows.borrow_mut().push(row);
    }
}

/// A tree that is given nothing.
struct Nothing;

impl Backing for Nothing {
    fn detach(&self, row: Row) -> usize {
        row.blocks
    }

    fn siblings(&self, _: Row) -> usize {
        0
    }

    fn reattach(&self, _: Row) {}

    fn free(&self, row: Row) {
        panic!("{row:?} was given away");
    }
}

impl Magazine<'_, Plain> {
    fn ways(&self, class: Class) -> usize {
        self.area(class).unwrap().mask + 1
    }
}

/// What `load` is given of a tree: blocks of `leaves` leaves in one group.
fn row(leaves: usize, number: usize, blocks: usize) -> Row {
    Row { order: Order::for_leaves(leaves).unwrap(), leaves, number, blocks }
}

#[test]
fn a_row_from_the_tree_is_handed_out_from_the_lowest_block_on() {
    let (words, shape) = words::<Plain>();
    let magazine = Magazine::new(&words, &shape, PRECISION, 1);
    let class = class(5);
    assert_eq!(magazine.take(0, class), None);
    // Nodes 3, 4 and 7 of group 2 at order 3.
    let first = (2 * State::<Plain>::NODES as usize + 3) * 8;
    assert_eq!(magazine.load(0, class, row(5, 2, 0b1001_1000), &Nothing), first);
    assert_eq!(magazine.resting(), 10);
    assert_eq!(magazine.take(0, class), Some(first + 8));
    assert_eq!(magazine.take(0, class), Some(first + 32));
    assert_eq!((magazine.take(0, class), magazine.resting()), (None, 0));
}

#[test]
fn a_member_is_kept_once_and_taken_once() {
    let (words, shape) = words::<Plain32>();
    let magazine = Magazine::new(&words, &shape, PRECISION, 1);
    let class = class(6);
    let first = magazine.load(0, class, row(6, 1, 0b111), &Nothing);
    assert!(!magazine.holds(first, class) && magazine.holds(first + 8, class));
    assert_eq!(magazine.keep(first, class), Kept::Yes);
    assert_eq!(magazine.keep(first, class), Kept::Before);
    assert!(!magazine.adopt(first, class, &Nothing) && !magazine.forget(first, class));
    let taken: Vec<_> = core::iter::from_fn(|| magazine.take(0, class)).collect();
    assert_eq!(taken, [first, first + 8, first + 16]);
    assert_eq!(magazine.keep(first + 16, class), Kept::Yes);
    assert_eq!(magazine.keep(first, class), Kept::Yes);
    assert_eq!(magazine.take(0, class), Some(first));
}

#[test]
fn what_is_no_member_is_not_kept_without_a_look_at_the_tree() {
    let (words, shape) = words::<Plain>();
    let magazine = Magazine::new(&words, &shape, PRECISION, 1);
    let first = magazine.load(0, class(4), row(4, 0, 0b11), &Nothing);
    assert_eq!(magazine.keep(first + 8, class(4)), Kept::No); // of another node
    assert_eq!(magazine.keep(first + 1, class(4)), Kept::No); // inside
    assert_eq!(magazine.keep(first, class(3)), Kept::No); // of another class
    assert_eq!(magazine.keep(first + 32 * 64 * 4, class(4)), Kept::No); // of another group
    assert!(magazine.forget(first, class(4)));
    assert_eq!(magazine.keep(first, class(4)), Kept::No);
    assert!(magazine.adopt(first, class(4), &Nothing));
    assert_eq!(magazine.take(0, class(4)), Some(first));
    assert_eq!(magazine.take(0, class(4)), Some(first + 4));
}

#[test]
fn a_row_goes_to_another_group_once_nothing_rests_there() {
    let (words, shape) = words::<Plain>();
    let magazine = Magazine::new(&words, &shape, PRECISION, 1);
    let class = class(1);
    let first = magazine.load(0, class, row(1, 3, 0b11), &Nothing);
    let rival = (3 + magazine.ways(class)) * State::<Plain>::NODES as usize;
    assert!(!magazine.has_row(rival, class) && magazine.has_row(first, class));
    assert!(!magazine.adopt(rival, class, &Nothing));
    assert_eq!(magazine.take(0, class), Some(first + 1));
    assert!(magazine.has_row(rival, class) && magazine.adopt(rival, class, &Nothing));
    // What was handed out of the first group is not known any more.
    assert_eq!(magazine.keep(first, class), Kept::No);
    assert!(!magazine.has_row(first, class));
    assert_eq!((magazine.take(0, class), magazine.take(0, class)), (Some(rival), None));
}

#[test]
fn blocks_in_any_way_are_found() {
    let (words, shape) = words_within::<Plain>(100_000, 1);
    let magazine = Magazine::new(&words, &shape, PRECISION, 1);
    let class = class(2);
    assert!(magazine.ways(class) > 64);
    let firsts: Vec<_> = (0..magazine.ways(class))
        .map(|way| magazine.load(0, class, row(2, way, 0b1), &Nothing))
        .collect();
    assert_eq!(magazine.take_marked(0, class), None);
    for first in &firsts {
        assert_eq!(magazine.keep(*first, class), Kept::Unmarked);
        magazine.mark(*first, class, &Nothing);
    }
    let mut taken: Vec<_> = core::iter::from_fn(|| magazine.take_marked(0, class)).collect();
    taken.sort_unstable();
    assert_eq!(taken, firsts);
}

#[test]
fn appetite_grows_with_every_load_until_memory_is_short() {
    let (words, shape) = words::<Plain>();
    let magazine = Magazine::new(&words, &shape, PRECISION, 1);
    let class = class(2);
    let most = State::<Plain>::NODES as usize;
    for (number, expected) in [1, 2, 4, 8, 16, 32].into_iter().enumerate() {
        assert_eq!(magazine.appetite(0, class), expected.min(most));
        magazine.load(0, class, row(2, number, 0b1), &Nothing);
    }
    magazine.drain(&Nothing);
    assert_eq!(magazine.appetite(0, class), 1);
}

#[test]
fn every_lane_has_a_hint_and_an_appetite_of_its_own() {
    let (words, shape) = words_within::<Plain>(100_000, 4);
    let magazine = Magazine::new(&words, &shape, PRECISION, 4);
    let class = class(2);
    for lane in 0..4 {
        assert_eq!(magazine.appetite(lane, class), 1);
        magazine.load(lane, class, row(2, lane, 0b11), &Nothing);
    }
    for lane in 0..4 {
        assert_eq!(magazine.appetite(lane, class), 2);
        let second = row(2, lane, 0b10).first_leaf::<Plain>(1);
        assert_eq!(magazine.take(lane, class), Some(second));
        assert_eq!(magazine.take(lane, class), None);
    }
}

#[test]
fn a_row_that_has_no_place_is_given_back_but_for_the_lowest_block() {
    let (words, shape) = words::<Plain>();
    let magazine = Magazine::new(&words, &shape, PRECISION, 1);
    let class = class(5);
    // A block of another group rests there, too few to be given away for it.
    magazine.load(0, class, row(5, 3, 0b11), &Nothing);
    let rival = row(5, 3 + magazine.ways(class), 0b1011_0000);
    let tree = Given::default();
    let first = magazine.load(0, class, rival, &tree);
    assert_eq!(first, rival.first_leaf::<Plain>(4));
    assert_eq!(tree.take(), [Row { blocks: 0b1010_0000, ..rival }]);
    assert_eq!(tree.attached.take(), [Row { blocks: 0b0001_0000, ..rival }]);
    // A row of one block has nothing to give back.
    let single = Row { blocks: 0b1, ..rival };
    magazine.load(0, class, single, &tree);
    let stocked = (tree.take(), tree.attached.take());
    assert_eq!(stocked, (Vec::new(), [single].to_vec()));
}

#[test]
fn draining_gives_every_row_with_its_size() {
    let (words, shape) = words::<Plain>();
    let magazine = Magazine::new(&words, &shape, PRECISION, 1);
    let rows = [1, 2, 3, 5, 7, 20].map(|leaves| row(leaves, leaves, 0b110));
    for row in rows {
        magazine.load(0, class(row.leaves), row, &Nothing);
    }
    assert_eq!(magazine.resting(), 38);
    let tree = Given::default();
    magazine.drain(&tree);
    assert_eq!(tree.take(), rows.map(|row| Row { blocks: 0b100, ..row }));
    assert_eq!(magazine.resting(), 0);
    magazine.drain(&Nothing);
}

#[test]
fn while_memory_is_short_nothing_is_stocked() {
    let (words, shape) = words::<Plain>();
    let magazine = Magazine::new(&words, &shape, PRECISION, 1);
    let first = magazine.load(0, class(1), row(1, 0, 0b11), &Nothing);
    magazine.press();
    let tree = Given::default();
    magazine.drain(&tree);
    assert!(!magazine.adopt(first, class(1), &Nothing));
    magazine.load(0, class(1), row(1, 1, 0b11), &tree);
    assert_eq!(tree.take(), [row(1, 0, 0b10), row(1, 1, 0b10)]);
    // A member of a row that was emptied is kept, but does not stay.
    assert_eq!(magazine.keep(first, class(1)), Kept::Unmarked);
    magazine.mark(first, class(1), &tree);
    assert_eq!((tree.take(), magazine.resting()), (std::vec![row(1, 0, 0b1)], 0));
    magazine.relax();
    assert!(magazine.adopt(first, class(1), &Nothing));
}

/// A tree that looks at the magazine whenever it is called.
struct Watching<'m, 'w>(&'m Magazine<'w, Plain>, usize);

impl Backing for Watching<'_, '_> {
    fn detach(&self, row: Row) -> usize {
        let Self(magazine, first) = *self;
        let class = class(1);
        assert_eq!(magazine.take(0, class), None);
        assert_eq!(magazine.take_marked(0, class), None);
        // What is held may only be forgotten; what rests is known to.
        assert_eq!(magazine.keep(first, class), Kept::No);
        assert!(!magazine.adopt(first, class, &Nothing) && magazine.forget(first, class));
        assert_eq!(magazine.keep(first + 1, class), Kept::Before);
        assert!(!magazine.forget(first + 2, class) && magazine.holds(first + 2, class));
        // Another call short of memory passes by.
        magazine.drain(&Nothing);
        row.blocks
    }

    fn siblings(&self, _: Row) -> usize {
        0
    }

    fn reattach(&self, row: Row) {
        // Not to be taken before it is attached.
        assert_eq!(self.0.take_marked(0, class(1)), None);
        assert!(self.0.holds(row.first_leaf::<Plain>(1), class(1)));
    }

    fn free(&self, row: Row) {
        assert!(!self.0.holds(self.1 + 1, class(1)) && row.blocks == 0b110);
    }
}

#[test]
fn a_row_that_another_call_changes_is_left_alone() {
    let (words, shape) = words::<Plain>();
    let magazine = Magazine::new(&words, &shape, PRECISION, 1);
    let first = magazine.load(0, class(1), row(1, 0, 0b111), &Watching(&magazine, 0));
    magazine.drain(&Watching(&magazine, first));
    assert_eq!((magazine.resting(), magazine.take_marked(0, class(1))), (0, None));
}

#[test]
fn a_block_that_another_call_has_detached_stays_in_its_row() {
    let (words, shape) = words::<Plain>();
    let magazine = Magazine::new(&words, &shape, PRECISION, 1);
    let first = magazine.load(0, class(1), row(1, 0, 0b1111), &Nothing);
    let tree = Given { stuck: 0b100, ..Given::default() };
    magazine.drain(&tree);
    assert_eq!(tree.take(), [row(1, 0, 0b1010)]);
    assert!(magazine.holds(first + 2, class(1)) && magazine.resting() == 1);
    // The row still stands for what it did, less what was given away.
    assert_eq!(magazine.knows(first, class(1)), Some(true));
    assert_eq!(magazine.knows(first + 1, class(1)), None);
    magazine.drain(&tree);
    assert_eq!((tree.take().len(), magazine.resting()), (0, 1));
}

#[test]
fn without_words_nothing_rests() {
    let magazine: Magazine<'_, Plain> = Magazine::new(&[], &Shape::NONE, PRECISION, 1);
    let class = class(1);
    assert_eq!((magazine.keep(0, class), magazine.take(0, class)), (Kept::No, None));
    assert!(!magazine.adopt(0, class, &Nothing) && magazine.forget(0, class));
    assert_eq!(magazine.take_marked(0, class), None);
    assert!(!magazine.holds(0, class) && !magazine.has(class));
    magazine.press();
    magazine.relax();
    magazine.drain(&Nothing);
    magazine.clear();
    assert_eq!(magazine.resting(), 0);
}

#[test]
fn a_misaligned_block_of_the_highest_class_has_no_seat() {
    let most = State::<Plain>::NUMBERS.ilog2() + State::<Plain>::NODES.ilog2();
    let natural = usize::BITS - most;
    let shape = Shape::fitting::<Plain>(0, 100_000, Order::new(usize::BITS - 3).unwrap(), 1, 1);
    let words: Vec<Plain> = (0..shape.words()).map(|_| Plain::zero()).collect();
    let magazine = Magazine::new(&words, &shape, 1, 1);
    magazine.lay_out();
    let class = Class::of(1 << natural, 1).unwrap();
    assert!(magazine.has(class) && !magazine.has(Class::of(2 << natural, 1).unwrap()));
    assert!(magazine.seat(3 << natural, class).is_some());
    for bit in 0..natural {
        assert!(magazine.seat(3 << natural | 1 << bit, class).is_none(), "{bit}");
    }
}
