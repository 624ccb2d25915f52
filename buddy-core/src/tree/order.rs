//! Orders: the logarithm of a block's size in leaves.

use core::fmt;

/// The order of a block: a block of order `k` has `2^k` leaves.
///
/// ```
/// use buddy_core::Order;
///
/// let order = Order::for_leaves(5).unwrap();
/// assert_eq!((order.get(), order.leaves()), (3, 8));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Order(u32);

impl Order {
    /// The order of a single leaf.
    pub const MIN: Self = Self(0);
    /// The highest order whose size in leaves a `usize` holds (inclusive).
    pub const MAX: Self = Self(usize::BITS - 1);

    /// The order `log2`, or `None` above [`Order::MAX`].
    ///
    /// ```
    /// assert_eq!(buddy_core::Order::new(4).map(buddy_core::Order::leaves), Some(16));
    /// assert_eq!(buddy_core::Order::new(usize::BITS), None);
    /// ```
    #[must_use]
    pub const fn new(log2: u32) -> Option<Self> {
        if log2 <= Self::MAX.0 { Some(Self(log2)) } else { None }
    }

    /// The smallest order whose blocks hold `leaves` leaves; `None` for 0 and where no order does.
    ///
    /// ```
    /// assert_eq!(buddy_core::Order::for_leaves(5), buddy_core::Order::new(3));
    /// assert_eq!(buddy_core::Order::for_leaves(0), None);
    /// ```
    #[must_use]
    #[inline]
    pub const fn for_leaves(leaves: usize) -> Option<Self> {
        if leaves == 0 || leaves > Self::MAX.leaves() {
            None
        } else {
            Some(Self(usize::BITS - (leaves - 1).leading_zeros()))
        }
    }

    /// The order of a power of two of leaves.
    #[inline(always)]
    pub(super) const fn of(leaves: usize) -> Self {
        Self(leaves.trailing_zeros())
    }

    /// The largest order whose blocks have at most `leaves` leaves, which must not be 0.
    #[inline(always)]
    pub(super) const fn largest(leaves: usize) -> Self {
        Self(leaves.ilog2())
    }

    /// The largest order whose blocks lie whole in `first..end` at their natural alignment when
    /// they start at `first`. The range must not be empty.
    #[inline]
    pub(super) const fn largest_at_start(first: usize, end: usize) -> Self {
        let fits = (end - first).ilog2();
        let aligned = first.trailing_zeros();
        Self(if aligned < fits { aligned } else { fits })
    }

    /// As [`Self::largest_at_start`] for the block that ends at `end`.
    #[inline]
    pub(super) const fn largest_at_end(first: usize, end: usize) -> Self {
        let fits = (end - first).ilog2();
        let aligned = end.trailing_zeros();
        Self(if aligned < fits { aligned } else { fits })
    }

    /// The order as a number.
    #[must_use]
    #[inline]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// How many leaves a block of this order has.
    #[must_use]
    #[inline]
    pub const fn leaves(self) -> usize {
        1 << self.0
    }

    /// The next higher order.
    #[inline]
    pub(super) const fn up(self) -> Self {
        Self(self.0 + 1)
    }

    /// The order `height` above this one, which must exist.
    #[inline]
    pub(super) const fn above(self, height: u32) -> Self {
        Self(self.0 + height)
    }

    /// The next lower order. The order must not be 0.
    #[inline]
    pub(super) const fn down(self) -> Self {
        Self(self.0 - 1)
    }

    /// The orders `low..=high`, lowest first.
    #[inline(always)]
    #[expect(clippy::range_plus_one, reason = "an inclusive range costs more in every step")]
    pub(super) fn range(low: u32, high: u32) -> impl DoubleEndedIterator<Item = Self> {
        (low..high + 1).map(Self)
    }
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Order({})", self.0)
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn for_leaves_is_the_smallest_order_that_holds_them() {
        for (leaves, order) in [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (1025, 11)] {
            assert_eq!(Order::for_leaves(leaves), Order::new(order), "{leaves}");
        }
        assert_eq!(Order::for_leaves(0), None);
        assert_eq!(Order::for_leaves(usize::MAX), None);
        assert_eq!(Order::for_leaves(1 << (usize::BITS - 1)), Some(Order::MAX));
    }
}
