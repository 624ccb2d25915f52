//! Random calls on random maps, beside the model.

use crate::model::{BYTES, FRAMES, MAX_ORDER, SIZE, ZONES};
use crate::pair::{Step, agree};
use buddy_core::frames::{MemoryKind, MemoryRange};
use buddy_core::{Eager, Lazy, Plain};
use proptest::prelude::*;
use std::ops::Range;

fn bytes() -> impl Strategy<Value = Range<u64>> {
    let any = (0..BYTES, 0..600_u64).prop_map(|(start, length)| start..(start + length).min(BYTES));
    let frames = (0..FRAMES as u64, 0..40_u64).prop_map(|(first, frames)| {
        first * SIZE as u64..((first + frames) * SIZE as u64).min(BYTES)
    });
    prop_oneof![any, frames]
}

fn map() -> impl Strategy<Value = Vec<MemoryRange>> {
    use MemoryKind::{Later, Reserved, Usable};
    let kind = prop_oneof![3 => Just(Usable), 2 => Just(Reserved), 1 => Just(Later)];
    let length = prop_oneof![0..100_u64, 0..BYTES];
    let entry = (0..BYTES, length, kind)
        .prop_map(|(start, length, kind)| MemoryRange::new(start, length.min(BYTES - start), kind));
    prop::collection::vec(entry, 1..9)
}

fn step() -> impl Strategy<Value = Step> {
    let number = 0..1000_usize;
    let size = || prop_oneof![0..6_usize, 0..70_usize];
    let range = prop_oneof![3 => bytes(), 1 => Just(0..BYTES)];
    let conditions = (size(), range, 0..8_u32, prop::option::of(4..9_u32));
    prop_oneof![
        4 => Just(Step::One),
        3 => (0..MAX_ORDER + 2).prop_map(Step::Block),
        3 => size().prop_map(Step::Exact),
        2 => (0..FRAMES + 2, size()).prop_map(|(first, frames)| Step::At(first, frames)),
        3 => conditions.prop_map(|(frames, range, align, boundary)| {
            Step::Within { frames, range, align, boundary }
        }),
        1 => (0..3_u32, 0..70_usize).prop_map(|(order, count)| Step::Many(order, count)),
        5 => number.clone().prop_map(Step::Free),
        3 => (number.clone(), prop::option::of(size())).prop_map(|(n, size)| Step::FreeSized(n, size)),
        1 => (0..FRAMES + 2, size()).prop_map(|(first, frames)| Step::FreeAny(first, frames)),
        1 => (0..FRAMES + 2, size()).prop_map(|(first, frames)| Step::FreePartOfAny(first, frames)),
        2 => (number.clone(), 0..9_usize, size()).prop_map(|(n, into, frames)| Step::FreePart(n, into, frames)),
        1 => (number, size()).prop_map(|(n, each)| Step::Split(n, each)),
        1 => bytes().prop_map(Step::Add),
        1 => bytes().prop_map(Step::Remove),
    ]
}

fn limits() -> impl Strategy<Value = [usize; ZONES]> {
    [1..90_usize, 1..90_usize, 1..120_usize]
        .prop_map(|[low, middle, high]| [low, low + middle, low + middle + high])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, rng_seed: prop::test_runner::RngSeed::Fixed(6), ..ProptestConfig::default() })]

    #[test]
    fn any_map_and_calls_agree_with_the_model(
        map in map(),
        limits in limits(),
        steps in prop::collection::vec(step(), 0..80),
    ) {
        agree::<Plain, Lazy>(&map, limits, steps.iter().cloned());
        agree::<Plain, Eager>(&map, limits, steps);
    }
}
