//! Size classes: the sizes that a heap's blocks have, and their numbers.
//!
//! A block has as many leaves as were asked for, rounded up to a number with so few significant bits
//! as the policy's precision says. So between two powers of two there are as many classes as the
//! bits behind the first can tell apart.

/// The blocks of one size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Class {
    /// Classes are numbered by size from 0 on, without gaps.
    pub(crate) index: usize,
    /// The size.
    pub(crate) leaves: usize,
    /// The order of the next power of two: what blocks fresh from the tree are aligned to.
    pub(crate) natural: u32,
}

/// The bits behind the first that a size has at `precision`.
const fn mantissa(precision: u32) -> u32 {
    match precision {
        0 => 0,
        _ if precision < usize::BITS => precision - 1,
        _ => usize::BITS - 1,
    }
}

impl Class {
    /// The class of the smallest blocks that hold leaf number `last`, counted from 0.
    #[inline(always)]
    pub(crate) const fn holding(last: usize, precision: u32) -> Self {
        let mantissa = mantissa(precision);
        let natural = usize::BITS - last.leading_zeros();
        let shift = natural.saturating_sub(mantissa + 1);
        let steps = last >> shift;
        let index = ((shift as usize) << mantissa) + steps;
        Self { index, leaves: (steps + 1) << shift, natural }
    }

    /// The class of blocks of exactly `leaves` leaves; `None` if that is no class's size.
    #[inline(always)]
    pub(crate) const fn of(leaves: usize, precision: u32) -> Option<Self> {
        let class = Self::holding(leaves.wrapping_sub(1), precision);
        if leaves != 0 && class.leaves == leaves { Some(class) } else { None }
    }

    /// The class with that number.
    pub(crate) const fn at(index: usize, precision: u32) -> Self {
        let mantissa = mantissa(precision);
        let shift = (index >> mantissa).saturating_sub(1);
        let steps = index - (shift << mantissa);
        Self::holding(((steps + 1) << shift) - 1, precision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_numbered_by_size_without_gaps() {
        for precision in 0..=6 {
            let mut class = Class::holding(0, precision);
            assert_eq!((class.index, class.leaves, class.natural), (0, 1, 0));
            for last in 1..5000 {
                let next = Class::holding(last, precision);
                assert!(next.leaves > last);
                let is_new = class.leaves <= last;
                assert_eq!(next.index, class.index + usize::from(is_new));
                assert_eq!(is_new, next.leaves != class.leaves);
                assert_eq!(1 << next.natural, next.leaves.next_power_of_two());
                class = next;
            }
        }
    }

    #[test]
    fn a_class_is_found_by_its_size_and_by_its_number() {
        for precision in [0, 1, 2, 3, 4, 9, usize::BITS, u32::MAX] {
            for leaves in 1..2000 {
                let class = Class::holding(leaves - 1, precision);
                assert_eq!(Class::at(class.index, precision), class);
                assert_eq!(Class::of(class.leaves, precision), Some(class));
                assert_eq!(Class::of(leaves, precision).is_some(), leaves == class.leaves);
            }
        }
        assert_eq!(Class::of(0, 3), None);
    }
}
