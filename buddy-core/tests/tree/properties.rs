//! Random calls, good and bad, on trees of up to a few thousand leaves anywhere on the number line.

use crate::action::Action;
use crate::model::Model;
use crate::subject::{Subject, storage};
use buddy_core::{Order, Policy, Word};
use proptest::prelude::*;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A leaf, in terms of what the tree holds when the call is made.
#[derive(Clone, Debug)]
enum Place {
    /// Where the block of this number (modulo how many there are) starts.
    Block(usize),
    /// So many leaves (modulo its size) into a block.
    Inside(usize, usize),
    /// So many leaves (modulo two more than there are) behind the leaf before the range.
    Leaf(usize),
    /// This leaf, in the range or not.
    Any(usize),
}

/// A number of leaves.
#[derive(Clone, Debug)]
enum Size {
    /// That of the block that starts at the place.
    Own,
    /// That of the block, less this one.
    Less(usize),
    Exactly(usize),
    /// Modulo three more than the range has.
    Modulo(usize),
}

#[derive(Clone, Debug)]
enum Step {
    Allocate(Order),
    Exact(Size),
    Anywhere(Size),
    Aligned(Size, Order),
    Within(Size, Order, Place, Size, Option<Order>),
    At(Place, Size),
    Many(Order, usize),
    Free(Place),
    FreeSized(Place, Size),
    FreePart(Place, Size),
    Grow(Place, Size, Size),
    Shrink(Place, Size, Size),
    Reserve(Place, Size),
    Release(Place, Size),
    Extend(Size),
    Cut(Size),
    Settle,
    Reset,
}

impl Place {
    fn leaf(&self, model: &Model) -> usize {
        let blocks = model.blocks();
        let range = model.range();
        match *self {
            Self::Block(number) | Self::Inside(number, _) if !blocks.is_empty() => {
                let block = blocks[number % blocks.len()];
                let into = if let Self::Inside(_, into) = *self { into % block.leaves } else { 0 };
                block.first + into
            }
            Self::Block(leaf) | Self::Inside(_, leaf) | Self::Leaf(leaf) => {
                (range.start + leaf % (range.len() + 2)).saturating_sub(1)
            }
            Self::Any(leaf) => leaf,
        }
    }
}

impl Size {
    fn leaves(&self, model: &Model, first: usize) -> usize {
        let own = model.block(first).unwrap_or(1);
        match *self {
            Self::Own => own,
            Self::Less(leaves) => own.saturating_sub(leaves),
            Self::Exactly(leaves) => leaves,
            Self::Modulo(leaves) => leaves % (model.total() + 3),
        }
    }
}

impl Step {
    fn action(&self, model: &Model) -> Action {
        let at = |place: &Place, size: &Size| {
            let first = place.leaf(model);
            (first, size.leaves(model, first))
        };
        let size = |size: &Size| size.leaves(model, model.range().start);
        match self {
            Self::Allocate(order) => Action::Allocate { order: *order },
            Self::Exact(leaves) => Action::AllocateExact { leaves: size(leaves) },
            Self::Anywhere(leaves) => Action::AllocateAnywhere { leaves: size(leaves) },
            Self::Aligned(leaves, align) => {
                Action::AllocateAligned { leaves: size(leaves), align: *align }
            }
            Self::Within(leaves, align, place, room, boundary) => {
                let (start, room) = at(place, room);
                let range = start..start.saturating_add(room);
                let (align, boundary) = (*align, *boundary);
                Action::AllocateWithin { leaves: size(leaves), align, range, boundary }
            }
            Self::At(place, leaves) => {
                let (first, leaves) = at(place, leaves);
                Action::AllocateAt { first, leaves }
            }
            Self::Many(order, count) => Action::AllocateMany { order: *order, count: *count },
            Self::Free(place) => Action::Free { first: place.leaf(model) },
            Self::FreeSized(place, leaves) => {
                let (first, leaves) = at(place, leaves);
                Action::FreeSized { first, leaves }
            }
            Self::FreePart(place, leaves) => {
                let (first, leaves) = at(place, leaves);
                Action::FreePart { first, leaves }
            }
            Self::Grow(place, old, more) => {
                let ((first, old), more) = (at(place, old), size(more));
                Action::Grow { first, old, new: old.saturating_add(more) }
            }
            Self::Shrink(place, old, new) => {
                let (first, old) = at(place, old);
                Action::Shrink { first, old, new: new.leaves(model, first) }
            }
            Self::Reserve(place, leaves) => {
                let (first, leaves) = at(place, leaves);
                Action::Reserve { first, leaves }
            }
            Self::Release(place, leaves) => {
                let (first, leaves) = at(place, leaves);
                Action::Release { first, leaves }
            }
            Self::Extend(leaves) => Action::Extend { leaves: size(leaves) },
            Self::Cut(leaves) => Action::Cut { leaves: size(leaves) },
            Self::Settle => Action::Settle,
            Self::Reset => Action::Reset,
        }
    }
}

fn orders() -> impl Strategy<Value = Order> {
    let order = prop_oneof![20 => 0_u32..4, 10 => 0_u32..14, 1 => 0..usize::BITS];
    order.prop_map(|order| Order::new(order).unwrap())
}

fn places() -> impl Strategy<Value = Place> {
    prop_oneof![
        10 => any::<usize>().prop_map(Place::Block),
        6 => any::<(usize, usize)>().prop_map(|(number, into)| Place::Inside(number, into)),
        10 => any::<usize>().prop_map(Place::Leaf),
        1 => any::<usize>().prop_map(Place::Any),
    ]
}

fn sizes() -> impl Strategy<Value = Size> {
    prop_oneof![
        8 => Just(Size::Own),
        4 => (0_usize..9).prop_map(Size::Less),
        16 => (0_usize..20).prop_map(Size::Exactly),
        4 => any::<usize>().prop_map(Size::Modulo),
        1 => any::<usize>().prop_map(Size::Exactly),
    ]
}

/// Sizes that fit more often than not.
fn modest() -> impl Strategy<Value = Size> {
    prop_oneof![
        16 => (1_usize..20).prop_map(Size::Exactly),
        4 => (1_usize..300).prop_map(Size::Exactly),
        2 => sizes(),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => orders().prop_map(Step::Allocate),
        10 => modest().prop_map(Step::Exact),
        3 => modest().prop_map(Step::Anywhere),
        3 => (modest(), orders()).prop_map(|(size, align)| Step::Aligned(size, align)),
        4 => (modest(), orders(), places(), sizes(), prop::option::weighted(0.3, orders()))
            .prop_map(|(size, align, at, room, bound)| Step::Within(size, align, at, room, bound)),
        5 => (places(), modest()).prop_map(|(at, size)| Step::At(at, size)),
        5 => (orders(), 0_usize..100).prop_map(|(order, count)| Step::Many(order, count)),
        14 => places().prop_map(Step::Free),
        10 => (places(), sizes()).prop_map(|(at, size)| Step::FreeSized(at, size)),
        6 => (places(), sizes()).prop_map(|(at, size)| Step::FreePart(at, size)),
        6 => (places(), sizes(), modest()).prop_map(|(at, old, more)| Step::Grow(at, old, more)),
        6 => (places(), sizes(), sizes()).prop_map(|(at, old, new)| Step::Shrink(at, old, new)),
        4 => (places(), modest()).prop_map(|(at, size)| Step::Reserve(at, size)),
        5 => (places(), sizes()).prop_map(|(at, size)| Step::Release(at, size)),
        2 => sizes().prop_map(Step::Extend),
        2 => sizes().prop_map(Step::Cut),
        2 => Just(Step::Settle),
        1 => Just(Step::Reset),
    ]
}

/// Ranges from 0, from anywhere, and across large powers of two.
fn ranges() -> impl Strategy<Value = Range<usize>> {
    let leaves = prop_oneof![4 => 1_usize..40, 3 => 40_usize..400, 1 => 400_usize..5000];
    let start = prop_oneof![
        2 => Just(0_usize),
        2 => 0_usize..200,
        1 => 0_usize..1 << 28,
        2 => (6_u32..28, 1_usize..200).prop_map(|(power, before)| (1_usize << power) - before.min(64)),
    ];
    (start, leaves).prop_map(|(start, leaves)| start..start + leaves)
}

/// Takes the steps, each noted down in `trail` before it is taken, and looks after each.
fn take<W: Word, P: Policy>(
    mut subject: Subject<'_, W, P>,
    steps: Vec<Step>,
    trail: &mut Vec<Action>,
) {
    subject.verify();
    for step in steps {
        let action = step.action(&subject.model);
        trail.push(action.clone());
        subject.apply(&action);
        subject.verify();
    }
}

fn tree_does_as_the_model<W: Word, P: Policy>() {
    let steps = prop::collection::vec(steps(), 1..120);
    proptest!(|(range in ranges(), is_reserved in prop::bool::weighted(0.1), steps in steps)| {
        let storage = storage::<W>(&range);
        let subject: Subject<'_, W, P> = if is_reserved {
            Subject::reserved(&storage, range.clone())
        } else {
            Subject::new(&storage, range.clone())
        };
        let mut trail = Vec::new();
        let outcome = catch_unwind(AssertUnwindSafe(|| take(subject, steps, &mut trail)));
        prop_assert!(outcome.is_ok(), "in a tree over {:?}: {:?}", range, trail);
    });
}

for_every_tree!(tree_does_as_the_model as tree_does_as_the_model_in_random_calls);

/// Allocates everything in blocks of one leaf, then frees it in an order of the seed's choice.
fn nothing_is_lost<W: Word, P: Policy>() {
    proptest!(ProptestConfig::with_cases(24), |(range in ranges(), seed in any::<usize>())| {
        let storage = storage::<W>(&range);
        let mut subject: Subject<'_, W, P> = Subject::new(&storage, range.clone());
        let count = range.len();
        for _ in 0..count {
            subject.apply(&Action::Allocate { order: Order::MIN });
        }
        subject.verify();
        // A step that shares no factor with the count visits every leaf once.
        let stride = (seed % count + 1..count + 2).find(|stride| gcd(*stride, count) == 1).unwrap();
        for number in 0..count {
            let first = range.start + number * stride % count;
            subject.apply(&Action::FreeSized { first, leaves: 1 });
            if number.is_power_of_two() {
                subject.verify();
            }
        }
        subject.verify();
    });
}

fn gcd(mut a: usize, mut b: usize) -> usize {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

for_every_tree!(nothing_is_lost as nothing_is_lost_when_every_leaf_comes_and_goes);
