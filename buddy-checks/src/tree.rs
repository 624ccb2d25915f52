//! Calls on a tree beside the naive model of the exhaustive search: every answer must be the one that
//! the model allows, and what the tree says of itself must be what the model knows.

use crate::Input;
use crate::action::Action;
use crate::model::{Leaf, Model};
use crate::subject::{Subject, storage};
use buddy_core::{Atomic, Atomic32, Eager, Lazy, Order, Plain, Plain32, Policy, Word};

/// More leaves are not tried: the model looks at each.
const MOST_LEAVES: usize = 300;

/// Builds a tree as the first bytes say and makes the calls that the others stand for.
///
/// # Panics
/// If an answer or a state is wrong.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    match input.byte().map(|kind| kind % 8) {
        Some(0) => run_on::<Plain, Eager>(input),
        Some(1) => run_on::<Plain, Lazy>(input),
        Some(2) => run_on::<Plain32, Eager>(input),
        Some(3) => run_on::<Plain32, Lazy>(input),
        Some(4) => run_on::<Atomic, Eager>(input),
        Some(5) => run_on::<Atomic, Lazy>(input),
        Some(6) => run_on::<Atomic32, Eager>(input),
        Some(_) => run_on::<Atomic32, Lazy>(input),
        None => {}
    }
}

fn run_on<W: Word, P: Policy>(mut input: Input<'_>) {
    let (Some(start), Some(leaves), Some(is_reserved)) =
        (input.number(), input.below(MOST_LEAVES), input.byte())
    else {
        return;
    };
    // A word holds every leaf number; and far enough from the end for the sums of the model.
    let start = start % (1 << (W::BITS - 4));
    let range = start..start + leaves + 1;
    let storage = storage::<W>(&range);
    let mut subject: Subject<'_, W, P> = if is_reserved % 4 == 3 {
        Subject::reserved(&storage, range)
    } else {
        Subject::new(&storage, range)
    };
    let mut steps = 0;
    while let Some(action) = action(&mut input, &subject.model) {
        subject.apply(&action);
        steps += 1;
        if steps % 16 == 0 {
            subject.verify();
        }
    }
    subject.verify();
}

fn action(input: &mut Input<'_>, model: &Model) -> Option<Action> {
    let action = match input.byte()? % 20 {
        0 => Action::Allocate { order: order(input)? },
        1 => Action::AllocateExact { leaves: leaves(input)? },
        2 => Action::AllocateAnywhere { leaves: leaves(input)? },
        3 => Action::AllocateAligned { leaves: leaves(input)?, align: order(input)? },
        4 => {
            let (first, leaves, align) = (place(input, model)?, leaves(input)?, order(input)?);
            let range = first..first.saturating_add(input.number()?);
            let boundary = if input.byte()? % 2 == 0 { None } else { Some(order(input)?) };
            Action::AllocateWithin { leaves, align, range, boundary }
        }
        5 => Action::AllocateAt { first: place(input, model)?, leaves: leaves(input)? },
        6 => Action::AllocateMany { order: order(input)?, count: input.below(70)? },
        7 | 8 => Action::Free { first: place(input, model)? },
        9 | 10 => {
            let first = place(input, model)?;
            Action::FreeSized { first, leaves: size(input, model, first)? }
        }
        11 => {
            let first = place(input, model)?;
            Action::FreePart { first, leaves: size(input, model, first)? }
        }
        12 | 13 => {
            let first = place(input, model)?;
            let old = size(input, model, first)?;
            Action::Grow { first, old, new: old.saturating_add(leaves(input)?) }
        }
        14 => {
            let first = place(input, model)?;
            let old = size(input, model, first)?;
            Action::Shrink { first, old, new: leaves(input)? }
        }
        15 => Action::Reserve { first: place(input, model)?, leaves: leaves(input)? },
        16 => Action::Release { first: place(input, model)?, leaves: leaves(input)? },
        17 => Action::Extend { leaves: leaves(input)? },
        18 => Action::Cut { leaves: leaves(input)? },
        _ if input.byte()? % 8 == 0 => Action::Reset,
        _ => Action::Settle,
    };
    Some(action)
}

fn leaves(input: &mut Input<'_>) -> Option<usize> {
    input.number()
}

fn order(input: &mut Input<'_>) -> Option<Order> {
    let byte = u32::from(input.byte()?);
    Order::new(if byte < 0xF0 { byte % 10 } else { byte % usize::BITS })
}

/// Mostly the first leaf of a block, else one in the range or beside it, else any.
fn place(input: &mut Input<'_>, model: &Model) -> Option<usize> {
    let choice = input.byte()?;
    let range = model.range();
    let starts =
        || range.clone().filter(|leaf| model.leaf(*leaf) == Some(Leaf::Used { block: *leaf }));
    match choice {
        0..0xB0 if starts().next().is_some() => starts().cycle().nth(usize::from(choice)),
        0xF8.. => input.number(),
        _ => Some(range.start.wrapping_sub(1).wrapping_add(input.below(range.len() + 2)?)),
    }
}

/// Mostly the size of the block that starts there.
fn size(input: &mut Input<'_>, model: &Model, first: usize) -> Option<usize> {
    match (input.byte()?, model.block(first)) {
        (0..0xD0, Some(leaves)) => Some(leaves),
        _ => leaves(input),
    }
}
