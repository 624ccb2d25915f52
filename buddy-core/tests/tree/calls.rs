//! The calls that the exhaustive search makes from every state.

use crate::action::Action;
use crate::model::Model;
use buddy_core::{Kind, Order};

/// Which calls a search makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Calls {
    /// All.
    All,
    /// Those that change what is allocated: what is reserved and the range's end stay.
    Blocks,
}

/// The arguments that a search tries.
pub(crate) struct Arguments {
    calls: Calls,
    /// Where leaves may begin.
    firsts: Vec<usize>,
    /// Numbers of leaves up to one more than can ever be had.
    most: usize,
    /// Orders up to one more than can ever be had.
    orders: Vec<Order>,
}

impl Arguments {
    /// For a tree that starts like this: the leaves that are not reserved, and those beside them.
    pub(crate) fn new(calls: Calls, model: &Model) -> Self {
        let is_free = |leaf: usize| model.first_other(leaf, 1, Kind::Free).is_none();
        let around = model.range().start.saturating_sub(1)..=model.range().end;
        let near = |leaf: &usize| (leaf.saturating_sub(1)..=leaf + 1).any(is_free);
        let most = model.count(Kind::Free) + 1;
        let orders = (0..=most.ilog2() + 1).filter_map(Order::new).collect();
        Self { calls, firsts: around.filter(near).collect(), most, orders }
    }

    /// Every call with every argument. Those that name a block's size do so wrongly once, and
    /// otherwise as the block has it.
    pub(crate) fn actions(&self, model: &Model) -> Vec<Action> {
        let mut list = vec![Action::Settle, Action::Reset];
        for order in self.orders.iter().copied() {
            list.push(Action::Allocate { order });
            list.extend((0..=self.most).map(|count| Action::AllocateMany { order, count }));
        }
        for leaves in 0..=self.most {
            list.push(Action::AllocateExact { leaves });
            list.push(Action::AllocateAnywhere { leaves });
            let aligned = |align: &Order| Action::AllocateAligned { leaves, align: *align };
            list.extend(self.orders.iter().map(aligned));
            self.constrained(leaves, &mut list);
            if self.calls == Calls::All {
                list.extend([Action::Extend { leaves }, Action::Cut { leaves }]);
            }
        }
        for first in self.firsts.iter().copied() {
            list.push(Action::Free { first });
            (0..=self.most).for_each(|leaves| self.given(first, leaves, &mut list));
        }
        for block in model.blocks() {
            let (first, old) = (block.first, block.leaves);
            list.extend((0..=self.most).map(|new| Action::Grow { first, old, new }));
            list.extend((0..=self.most).map(|new| Action::Shrink { first, old, new }));
        }
        list
    }

    /// Calls that name these leaves.
    fn given(&self, first: usize, leaves: usize, list: &mut Vec<Action>) {
        list.extend([
            Action::AllocateAt { first, leaves },
            Action::FreeSized { first, leaves },
            Action::FreePart { first, leaves },
            Action::Grow { first, old: leaves, new: leaves + 1 },
            Action::Shrink { first, old: leaves, new: leaves.saturating_sub(1) },
        ]);
        if self.calls == Calls::All {
            list.extend([Action::Reserve { first, leaves }, Action::Release { first, leaves }]);
        }
    }

    /// Requests for `leaves` leaves: in every range, at every alignment and boundary in some.
    fn constrained(&self, leaves: usize, list: &mut Vec<Action>) {
        let within =
            |align, range, boundary| Action::AllocateWithin { leaves, align, range, boundary };
        for start in self.firsts.iter().copied() {
            let ends = self.firsts.iter().filter(|end| **end + 1 >= start + leaves.max(1));
            list.extend(ends.map(|end| within(Order::MIN, start..*end, None)));
        }
        let (low, high) = (self.firsts[0], self.firsts[self.firsts.len() - 1]);
        for order in self.orders.iter().copied() {
            list.push(within(order, 0..usize::MAX, Some(Order::MIN)));
            list.push(within(Order::MIN, 0..usize::MAX, Some(order)));
            list.push(within(order, low + 1..high - 1, None));
            list.push(within(order, 0..high - 1, Some(order)));
            list.push(within(order, usize::MAX - 1..usize::MAX, None));
        }
    }
}
