//! Calls on page frames beside a naive model: any memory map, entries that overlap or are not of whole
//! frames among them, and any zones.

use crate::Input;
use buddy_core::frames::{MemoryKind, MemoryRange};
use buddy_core::{Atomic, Eager, Lazy, Plain, Plain32};
use model::{BYTES, FRAMES, MAX_ORDER, ZONES};
use pair::{Step, agree};
use std::iter;
use std::ops::Range;

// The model and the calls are those of the random tests.
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../../buddy-core/tests/frames/model.rs"]
mod model;
#[path = "../../buddy-core/tests/frames/pair.rs"]
mod pair;

/// More entries are not tried.
const MOST_ENTRIES: usize = 10;

/// Builds frames of a map as the first bytes say and makes the calls that the others stand for.
///
/// # Panics
/// If an answer or a state is wrong.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let Some(kind) = input.byte() else { return };
    let (Some(map), Some(limits)) = (map(&mut input), limits(&mut input)) else { return };
    let steps = iter::from_fn(|| step(&mut input));
    match kind % 5 {
        0 => agree::<Plain, Lazy>(&map, limits, steps),
        1 => agree::<Plain, Eager>(&map, limits, steps),
        2 => agree::<Plain32, Lazy>(&map, limits, steps),
        3 => agree::<Atomic, Lazy>(&map, limits, steps),
        _ => agree::<Atomic, Eager>(&map, limits, steps),
    }
}

fn map(input: &mut Input<'_>) -> Option<Vec<MemoryRange>> {
    let entries = 1 + input.below(MOST_ENTRIES)?;
    (0..entries).map(|_| entry(input)).collect()
}

fn entry(input: &mut Input<'_>) -> Option<MemoryRange> {
    let kind = match input.byte()? % 6 {
        0..=2 => MemoryKind::Usable,
        3 | 4 => MemoryKind::Reserved,
        _ => MemoryKind::Later,
    };
    let Range { start, end } = addresses(input)?;
    Some(MemoryRange::new(start, end - start, kind))
}

/// Bytes or whole frames, few or many.
fn addresses(input: &mut Input<'_>) -> Option<Range<u64>> {
    let most = BYTES as usize;
    let (kind, start) = (input.byte()?, input.below(most)?);
    let length = if kind & 1 == 0 { input.below(200)? } else { input.below(most)? };
    let (start, length) = if kind & 2 == 0 { (start, length) } else { (start & !15, length & !15) };
    Some(start as u64..(start + length).min(most) as u64)
}

fn limits(input: &mut Input<'_>) -> Option<[usize; ZONES]> {
    let mut limit = 0;
    let mut next = || {
        limit += 1 + input.below(100)?;
        Some(limit)
    };
    Some([next()?, next()?, next()?])
}

fn step(input: &mut Input<'_>) -> Option<Step> {
    let step = match input.byte()? % 25 {
        0..=3 => Step::One,
        4 | 5 => Step::Block(input.below(MAX_ORDER as usize + 2)? as u32),
        6 | 7 => Step::Exact(size(input)?),
        8 => Step::At(input.below(FRAMES + 2)?, size(input)?),
        9 | 10 => {
            let (frames, range) = (size(input)?, addresses(input)?);
            let (align, boundary) = (input.byte()?, input.byte()?);
            let boundary = (boundary % 2 == 0).then_some(4 + u32::from(boundary) / 2 % 5);
            let range = if align < 0xC0 { range } else { 0..BYTES };
            Step::Within { frames, range, align: u32::from(align % 8), boundary }
        }
        11 => Step::Many(input.below(3)? as u32, input.below(70)?),
        12..=15 => Step::Free(input.below(FRAMES)?),
        16 | 17 => {
            let number = input.below(FRAMES)?;
            let other = input.byte()? % 4 == 0;
            Step::FreeSized(number, if other { Some(size(input)?) } else { None })
        }
        18 => Step::FreeAny(input.below(FRAMES + 2)?, size(input)?),
        19 | 20 => Step::FreePart(input.below(FRAMES)?, input.below(9)?, size(input)?),
        21 => Step::Split(input.below(FRAMES)?, size(input)?),
        22 => Step::FreePartOfAny(input.below(FRAMES + 2)?, size(input)?),
        23 => Step::Add(addresses(input)?),
        _ => Step::Remove(addresses(input)?),
    };
    Some(step)
}

/// Mostly few frames.
fn size(input: &mut Input<'_>) -> Option<usize> {
    match input.byte()? {
        few @ 0..0x80 => Some(usize::from(few % 6)),
        many => Some(usize::from(many % 70)),
    }
}
