//! What the documentation allows each call to answer, told from the model alone.

use crate::action::{Action, Answer, Outcome, Refusal};
use crate::model::{Leaf, Model};
use buddy_core::tree::{AllocError, FreeError, GrowError, RangeError};
use buddy_core::{Kind, Order};
use std::ops::Range;

/// What a call may answer.
#[derive(Debug)]
enum Allowed {
    /// This.
    Only(Answer),
    /// An aligned block that was free: at this place, where the documentation names one.
    Block { leaves: usize, align: Order, range: Range<usize>, place: Option<usize> },
    /// A block anywhere that was free; or a refusal, if there are more gaps than are looked at.
    Gap { leaves: usize, is_certain: bool },
    /// So many blocks of this order.
    Blocks { order: Order, count: usize },
    /// Any of these: all of them are true.
    Refusals(Vec<Refusal>),
}

impl<T: Into<Refusal>> From<T> for Allowed {
    fn from(error: T) -> Self {
        Self::Refusals(vec![error.into()])
    }
}

/// A request for leaves at a place that the tree chooses.
struct Request {
    leaves: usize,
    align: Order,
    range: Range<usize>,
    boundary: Option<Order>,
}

impl Request {
    const fn anywhere(leaves: usize, align: Order) -> Self {
        Self { leaves, align, range: 0..usize::MAX, boundary: None }
    }
}

impl Model {
    /// Checks what the tree answered to a call, and follows it. `is_eager`: free blocks are merged
    /// at all times, which decides the place of a block.
    pub(crate) fn follow(&mut self, action: &Action, outcome: &Outcome, is_eager: bool) {
        match (self.allowed(action, is_eager), outcome) {
            (Allowed::Only(answer), Ok(given)) => assert_eq!(*given, answer),
            (Allowed::Refusals(refusals), Err(given)) => {
                assert!(refusals.contains(given), "{given:?}, expected {refusals:?}");
                return;
            }
            (Allowed::Block { leaves, align, range, place }, Ok(Answer::Block(first))) => {
                assert!(first % align.leaves() == 0, "{first} is not aligned");
                assert!(range.start <= *first && first + leaves <= range.end, "outside {range:?}");
                assert_eq!(*first, place.unwrap_or(*first), "not the place documented");
                self.allocate(*first, leaves);
            }
            (Allowed::Gap { leaves, .. }, Ok(Answer::Block(first))) => {
                self.allocate(*first, leaves);
            }
            (Allowed::Gap { is_certain: false, .. }, Err(_)) => return,
            (Allowed::Blocks { order, count }, Ok(Answer::Blocks(blocks))) => {
                assert_eq!(blocks.len(), count);
                for first in blocks {
                    assert!(first % order.leaves() == 0, "{first} is not aligned");
                    self.allocate(*first, order.leaves());
                }
            }
            (allowed, outcome) => panic!("{outcome:?}, expected {allowed:?}"),
        }
        self.change(action);
    }

    /// What a call that was granted changes, where that does not depend on its answer.
    fn change(&mut self, action: &Action) {
        match *action {
            Action::AllocateAt { first, leaves } => self.allocate(first, leaves),
            Action::Free { first } => self.free(first, self.block(first).unwrap()),
            Action::FreeSized { first, leaves } | Action::FreePart { first, leaves } => {
                self.free(first, leaves);
            }
            Action::Grow { first, new, .. } => self.grow(first, new),
            Action::Shrink { first, old, new } if new < old => self.free(first + new, old - new),
            Action::Reserve { first, leaves } => self.set(first, leaves, Leaf::Reserved),
            Action::Release { first, leaves } => self.set(first, leaves, Leaf::Free),
            Action::Extend { leaves } => self.move_end(self.range().end + leaves),
            Action::Cut { leaves } => self.move_end(self.range().end - leaves),
            Action::Reset => self.reset(),
            _ => {}
        }
    }

    fn allowed(&self, action: &Action, is_eager: bool) -> Allowed {
        match *action {
            Action::Allocate { order } => {
                self.placed(&Request::anywhere(order.leaves(), Order::MIN), is_eager)
            }
            Action::AllocateExact { leaves } => {
                self.placed(&Request::anywhere(leaves, Order::MIN), is_eager)
            }
            Action::AllocateAnywhere { leaves } => self.anywhere(leaves, is_eager),
            Action::AllocateAligned { leaves, align } => {
                self.placed(&Request::anywhere(leaves, align), is_eager)
            }
            Action::AllocateWithin { leaves, align, ref range, boundary } => {
                self.placed(&Request { leaves, align, range: range.clone(), boundary }, true)
            }
            Action::AllocateAt { first, leaves } => self.allocated_at(first, leaves),
            Action::AllocateMany { order, count } => self.many(order, count),
            Action::Free { first } => match self.block_or_why(first) {
                Ok(leaves) => Allowed::Only(Answer::Leaves(leaves)),
                Err(error) => error.into(),
            },
            Action::FreeSized { first, leaves } => done(self.sized(first, leaves)),
            Action::FreePart { first, leaves } => done(self.part(first, leaves)),
            Action::Grow { first, old, new } => done(self.grown(first, old, new)),
            Action::Shrink { first, old, new } => done(self.shrunk(first, old, new)),
            Action::Reserve { first, leaves } => {
                let refuse = |leaf| RangeError::Occupied { leaf };
                done(self.all_of_kind(first, leaves, Kind::Free, refuse))
            }
            Action::Release { first, leaves } => {
                let refuse = |leaf| RangeError::NotReserved { leaf };
                done(self.all_of_kind(first, leaves, Kind::Reserved, refuse))
            }
            Action::Extend { leaves } => {
                let available = self.capacity_end - self.range().end;
                let is_possible = leaves <= available;
                done(is_possible.then_some(()).ok_or(RangeError::Capacity { leaves, available }))
            }
            Action::Cut { leaves } => done(self.cut(leaves)),
            Action::Settle | Action::Reset => Allowed::Only(Answer::Done),
        }
    }

    /// An aligned block that holds the request must be free within its limits, or it is refused.
    fn placed(&self, request: &Request, place_is_told: bool) -> Allowed {
        let Request { leaves, align, ref range, boundary } = *request;
        if leaves == 0 {
            return AllocError::ZeroSize.into();
        }
        let (total, served) = (self.total(), self.max_order());
        let out_of_memory = AllocError::OutOfMemory { leaves, largest_free: self.largest_free() };
        let mut refusals = Vec::new();
        if leaves > total {
            refusals.push(AllocError::TooLarge { leaves, total }.into());
        }
        if align > served {
            refusals.push(AllocError::Alignment { requested: align, served }.into());
        }
        if let Some(boundary) = boundary.filter(|boundary| leaves > boundary.leaves()) {
            refusals.push(AllocError::Boundary { leaves, boundary }.into());
        }
        let size = Order::for_leaves(leaves);
        if !refusals.is_empty() {
            // No order is high enough for the leaves alone.
            if leaves <= total && size > Some(served) {
                refusals.push(out_of_memory.into());
            }
            return Allowed::Refusals(refusals);
        }
        let align = size.unwrap().max(align);
        match self.best_place(align, range) {
            Some(place) => Allowed::Block {
                leaves,
                align,
                range: range.clone(),
                place: place_is_told.then_some(place),
            },
            None => out_of_memory.into(),
        }
    }

    /// The lowest aligned place for a block of `order` in the smallest free block that has one.
    fn best_place(&self, order: Order, range: &Range<usize>) -> Option<usize> {
        let place_in = |(first, size): (usize, Order)| {
            let low = first.max(range.start);
            let place = low.checked_next_multiple_of(order.leaves())?;
            let end = range.end.min(first + size.leaves());
            (place < end && order.leaves() <= end - place).then_some((size, place))
        };
        self.free_blocks().into_iter().filter_map(place_in).min().map(|(_, place)| place)
    }

    /// As an exact request, else in any gap that is long enough.
    fn anywhere(&self, leaves: usize, is_eager: bool) -> Allowed {
        let exact = self.placed(&Request::anywhere(leaves, Order::MIN), is_eager);
        let is_refused = matches!(exact, Allowed::Refusals(_));
        if !is_refused || leaves == 0 || !self.has_gap(leaves) {
            return exact;
        }
        let blocks = self.free_blocks();
        let order = Order::for_leaves(leaves).unwrap().get();
        let of_order =
            |height: u32| blocks.iter().filter(|(_, size)| size.get() + height == order).count();
        Allowed::Gap { leaves, is_certain: of_order(1) <= 32 && of_order(2) <= 32 }
    }

    fn allocated_at(&self, first: usize, leaves: usize) -> Allowed {
        if leaves == 0 {
            return AllocError::ZeroSize.into();
        }
        if !self.contains(first, leaves) {
            return AllocError::OutOfRange { first, leaves }.into();
        }
        let occupied = self.first_other(first, leaves, Kind::Free);
        occupied.map_or(Allowed::Only(Answer::Done), |leaf| AllocError::Occupied { leaf }.into())
    }

    fn many(&self, order: Order, count: usize) -> Allowed {
        let sizes = self.free_blocks().into_iter().map(|(_, size)| size);
        let there_are = sizes.map(|size| size.leaves() / order.leaves()).sum();
        Allowed::Blocks { order, count: count.min(there_are) }
    }

    /// The size of the block that starts at a leaf, or why none does.
    pub(crate) fn block_or_why(&self, leaf: usize) -> Result<usize, FreeError> {
        match self.leaf(leaf) {
            None => Err(FreeError::OutOfRange { leaf }),
            Some(Leaf::Free) => Err(FreeError::AlreadyFree { leaf }),
            Some(Leaf::Reserved) => Err(FreeError::Reserved { leaf }),
            Some(Leaf::Used { block }) => {
                self.block(leaf).ok_or(FreeError::NotStart { leaf, block })
            }
        }
    }

    fn sized(&self, leaf: usize, given: usize) -> Result<(), FreeError> {
        let actual = self.block_or_why(leaf)?;
        if given == actual { Ok(()) } else { Err(FreeError::WrongSize { leaf, given, actual }) }
    }

    fn part(&self, leaf: usize, given: usize) -> Result<(), FreeError> {
        if given == 0 {
            return Err(FreeError::ZeroSize);
        }
        let Some(Leaf::Used { .. }) = self.leaf(leaf) else {
            return self.block_or_why(leaf).map(drop);
        };
        let of_block = |other: &usize| self.leaf(*other) == self.leaf(leaf);
        let actual = (leaf..self.range().end).take_while(of_block).count();
        if given <= actual { Ok(()) } else { Err(FreeError::WrongSize { leaf, given, actual }) }
    }

    fn grown(&self, first: usize, old: usize, new: usize) -> Result<(), GrowError> {
        self.sized(first, old)?;
        if new < old {
            return Err(GrowError::Smaller { old, new });
        }
        let end = first.saturating_add(new);
        if end > self.range().end {
            return Err(GrowError::OutOfRange { end });
        }
        let occupied = self.first_other(first + old, new - old, Kind::Free);
        occupied.map_or(Ok(()), |leaf| Err(GrowError::Occupied { leaf }))
    }

    fn shrunk(&self, leaf: usize, old: usize, new: usize) -> Result<(), FreeError> {
        self.sized(leaf, old)?;
        match new {
            0 => Err(FreeError::ZeroSize),
            _ if new > old => Err(FreeError::WrongSize { leaf, given: new, actual: old }),
            _ => Ok(()),
        }
    }

    fn all_of_kind(
        &self,
        first: usize,
        leaves: usize,
        kind: Kind,
        refuse: impl Fn(usize) -> RangeError,
    ) -> Result<(), RangeError> {
        if leaves == 0 {
            return Err(RangeError::ZeroSize);
        }
        if !self.contains(first, leaves) {
            return Err(RangeError::OutOfRange { first, leaves });
        }
        self.first_other(first, leaves, kind).map_or(Ok(()), |leaf| Err(refuse(leaf)))
    }

    fn cut(&self, leaves: usize) -> Result<(), RangeError> {
        if leaves >= self.total() {
            return Err(RangeError::OutOfRange { first: self.range().start, leaves });
        }
        let occupied = self.first_other(self.range().end - leaves, leaves, Kind::Free);
        occupied.map_or(Ok(()), |leaf| Err(RangeError::Occupied { leaf }))
    }
}

fn done<E: Into<Refusal>>(result: Result<(), E>) -> Allowed {
    match result {
        Ok(()) => Allowed::Only(Answer::Done),
        Err(error) => Allowed::Refusals(vec![error.into()]),
    }
}
