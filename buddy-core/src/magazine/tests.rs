//! The magazine alone: no tree behind it, so any block may be "allocated".

extern crate std;
use super::*;
use crate::tree::{Plain, Plain32};
use std::vec::Vec;

const PRECISION: u32 = 3;

/// The words of a magazine with several ways.
fn words<W: Word>() -> (Vec<W>, Shape) {
    let shape = Shape::fitting::<W>(0, 1000, Order::new(16).unwrap(), PRECISION, 1);
    assert!(shape.way_mask > 0);
    ((0..shape.words()).map(|_| W::default()).collect(), shape)
}

fn class(leaves: usize) -> Class {
    Class::of(leaves, PRECISION).unwrap()
}

fn nothing(row: Row) {
    panic!("{row:?} was given away");
}

/// What `load` is given of a tree: blocks of `leaves` leaves in one word of nodes.
fn row(leaves: usize, number: usize, blocks: usize) -> Row {
    Row { order: Order::for_leaves(leaves).unwrap(), leaves, number, blocks }
}

#[test]
fn a_row_from_the_tree_is_handed_out_from_the_lowest_block_on() {
    let (words, shape) = words::<Plain>();
    let magazine = Magazine::new(&words, shape, PRECISION);
    let class = class(5);
    assert_eq!(magazine.take(0, class), None);
    // Nodes 3, 4 and 7 of word 2 at order 3.
    let first = (2 * State::<Plain>::NODES as usize + 3) * 8;
    assert_eq!(magazine.load(0, class, row(5, 2, 0b1001_1000), nothing), first);
    assert_eq!(magazine.resting(), 10);
    assert_eq!(magazine.take(0, class), Some(first + 8));
    assert_eq!(magazine.take(0, class), Some(first + 32));
    assert_eq!((magazine.take(0, class), magazine.resting()), (None, 0));
}

#[test]
fn a_member_is_kept_once_and_taken_once() {
    let (words, shape) = words::<Plain32>();
    let magazine = Magazine::new(&words, shape, PRECISION);
    let class = class(6);
    let first = magazine.load(0, class, row(6, 1, 0b111), nothing);
    assert!(!magazine.holds(first, class) && magazine.holds(first + 8, class));
    assert_eq!(magazine.keep(first, class), Kept::Yes);
    assert_eq!(magazine.keep(first, class), Kept::Before);
    assert_eq!(magazine.adopt(first, class, nothing), Kept::Before);
    assert_eq!(magazine.take(0, class), Some(first));
    assert_eq!(magazine.keep(first, class), Kept::Yes);
}

#[test]
fn what_is_no_member_is_not_kept_without_a_look_at_the_tree() {
    let (words, shape) = words::<Plain>();
    let magazine = Magazine::new(&words, shape, PRECISION);
    let first = magazine.load(0, class(4), row(4, 0, 0b11), nothing);
    assert_eq!(magazine.keep(first + 8, class(4)), Kept::No); // of another node
    assert_eq!(magazine.keep(first + 1, class(4)), Kept::No); // inside
    assert_eq!(magazine.keep(first, class(3)), Kept::No); // of another class
    assert_eq!(magazine.keep(first + 32 * 64 * 4, class(4)), Kept::No); // of another word
    magazine.forget(first, class(4));
    assert_eq!(magazine.keep(first, class(4)), Kept::No);
    assert_eq!(magazine.adopt(first, class(4), nothing), Kept::Yes);
    assert_eq!(magazine.take(0, class(4)), Some(first));
}

#[test]
fn another_word_of_nodes_takes_the_place_and_sends_away_what_rests() {
    let (words, shape) = words::<Plain>();
    let magazine = Magazine::new(&words, shape, PRECISION);
    let class = class(1);
    let mut sent = Vec::new();
    magazine.load(0, class, row(1, 3, 0b1111), nothing);
    let rival = 3 + (shape.way_mask + 1);
    let first = rival * State::<Plain>::NODES as usize;
    assert_eq!(magazine.adopt(first, class, |row| sent.push(row)), Kept::Yes);
    assert_eq!(sent, [row(1, 3, 0b1110)]);
    // What was handed out of the first word is not known any more.
    assert_eq!(magazine.keep(3 * State::<Plain>::NODES as usize, class), Kept::No);
    assert_eq!((magazine.take(0, class), magazine.take(0, class)), (Some(first), None));
}

#[test]
fn one_block_for_now_sends_nobody_away() {
    let (words, shape) = words::<Plain>();
    let magazine = Magazine::new(&words, shape, PRECISION);
    magazine.load(0, class(1), row(1, 0, 0b11), nothing);
    magazine.load(0, class(1), row(1, shape.way_mask + 1, 0b1), nothing);
    assert_eq!(magazine.resting(), 1);
}

#[test]
fn blocks_in_any_way_are_found() {
    let shape = Shape::fitting::<Plain>(0, 100_000, Order::new(16).unwrap(), PRECISION, 1);
    assert!(shape.mark_words > 1);
    let words: Vec<Plain> = (0..shape.words()).map(|_| Plain::zero()).collect();
    let magazine = Magazine::new(&words, shape, PRECISION);
    let class = class(2);
    let firsts: Vec<_> = (0..=shape.way_mask)
        .map(|way| magazine.load(0, class, row(2, way, 0b1), nothing))
        .collect();
    assert_eq!(magazine.take_marked(0, class), None);
    for first in &firsts {
        assert_eq!(magazine.keep(*first, class), Kept::Yes);
    }
    let mut taken: Vec<_> = core::iter::from_fn(|| magazine.take_marked(0, class)).collect();
    taken.sort_unstable();
    assert_eq!(taken, firsts);
}

#[test]
fn appetite_grows_with_every_load_until_memory_is_short() {
    let (words, shape) = words::<Plain>();
    let magazine = Magazine::new(&words, shape, PRECISION);
    let class = class(2);
    for expected in [1, 2, 4, 8, 16, 32, 32] {
        assert_eq!(magazine.appetite(0, class), expected);
        magazine.load(0, class, row(2, 0, 0b1), nothing);
    }
    magazine.drain(nothing);
    assert_eq!(magazine.appetite(0, class), 1);
}

#[test]
fn draining_gives_every_row_with_its_size() {
    let (words, shape) = words::<Plain>();
    let magazine = Magazine::new(&words, shape, PRECISION);
    let rows = [1, 2, 3, 5, 7, 20].map(|leaves| row(leaves, leaves, 0b110));
    for row in rows {
        magazine.load(0, class(row.leaves), row, nothing);
    }
    assert_eq!(magazine.resting(), 38);
    let mut drained = Vec::new();
    magazine.drain(|row| drained.push(row));
    assert_eq!(drained, rows.map(|row| Row { blocks: 0b100, ..row }));
    assert_eq!(magazine.resting(), 0);
    magazine.drain(nothing);
}

#[test]
fn while_memory_is_short_nothing_is_stocked() {
    let (words, shape) = words::<Plain>();
    let magazine = Magazine::new(&words, shape, PRECISION);
    let first = magazine.load(0, class(1), row(1, 0, 0b11), nothing);
    magazine.press();
    let mut given = Vec::new();
    magazine.drain(|row| given.push(row));
    assert_eq!(magazine.keep(first, class(1)), Kept::No);
    assert_eq!(magazine.adopt(first, class(1), nothing), Kept::No);
    magazine.load(0, class(1), row(1, 1, 0b11), |row| given.push(row));
    assert_eq!(given, [row(1, 0, 0b10), row(1, 1, 0b10)]);
    magazine.relax();
    assert_eq!(magazine.adopt(first, class(1), nothing), Kept::Yes);
}

#[test]
fn a_row_that_another_call_gives_away_is_left_alone() {
    let (words, shape) = words::<Plain>();
    let magazine = Magazine::new(&words, shape, PRECISION);
    let class = class(1);
    let first = magazine.load(0, class, row(1, 0, 0b111), nothing);
    magazine.adopt(first + State::<Plain>::NODES as usize * (shape.way_mask + 1), class, |_| {
        // In the middle of it.
        assert_eq!(magazine.take(0, class), None);
        assert_eq!(magazine.take_marked(0, class), None);
        assert_eq!(magazine.keep(first, class), Kept::No);
        assert_eq!(magazine.adopt(first, class, nothing), Kept::No);
        // What rested is the other call's, and may be anybody's.
        assert_eq!(magazine.adopt(first + 1, class, nothing), Kept::No);
        assert!(!magazine.holds(first + 2, class));
        magazine.drain(nothing);
    });
}

#[test]
fn without_words_nothing_rests() {
    let magazine: Magazine<'_, Plain> = Magazine::new(&[], Shape::NONE, PRECISION);
    let class = class(1);
    assert_eq!((magazine.keep(0, class), magazine.take(0, class)), (Kept::No, None));
    assert_eq!(
        (magazine.adopt(0, class, nothing), magazine.take_marked(0, class)),
        (Kept::No, None)
    );
    assert!(!magazine.holds(0, class) && !magazine.has(class));
    magazine.forget(0, class);
    magazine.press();
    magazine.relax();
    magazine.drain(nothing);
    magazine.clear();
    assert_eq!(magazine.resting(), 0);
}

#[test]
fn a_misaligned_block_of_the_highest_class_has_no_seat() {
    let natural = usize::BITS + 1 - State::<Plain>::NODES - State::<Plain>::NODES.ilog2();
    let shape = Shape::fitting::<Plain>(0, 100_000, Order::new(usize::BITS - 3).unwrap(), 1, 1);
    let words: Vec<Plain> = (0..shape.words()).map(|_| Plain::zero()).collect();
    let magazine = Magazine::new(&words, shape, 1);
    let class = Class::of(1 << natural, 1).unwrap();
    assert!(magazine.has(class) && !magazine.has(Class::of(2 << natural, 1).unwrap()));
    assert!(magazine.seat(3 << natural, class).is_some());
    for bit in 0..natural {
        assert!(magazine.seat(3 << natural | 1 << bit, class).is_none(), "{bit}");
    }
}
