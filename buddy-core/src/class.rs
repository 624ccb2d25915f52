//! Size classes: the sizes that a heap's blocks have, and their numbers.
//!
//! A block has as many leaves as were asked for, rounded up to a number with so few significant bits
//! as the policy's precision says. So between two powers of two there are as many classes as the
//! bits behind the first can tell apart.

use crate::tree::Policy;
use core::marker::PhantomData;

/// The blocks of one size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Class {
    /// Where what is known of it lies among the same of others: its number times [`Self::PLACE`].
    pub(crate) place: usize,
    /// The size.
    pub(crate) leaves: usize,
    /// The order of the next power of two: what blocks fresh from the tree are aligned to.
    pub(crate) natural: u32,
}

/// A class, as a table has it.
#[derive(Clone, Copy)]
struct Small {
    place: u16,
    natural: u8,
    /// The leaves, less one.
    last: u8,
}

/// How many sizes have their class in a table: blocks up to 4 KiB of 16-byte leaves.
const SMALL_SIZES: usize = 256;

/// The size classes of a policy.
pub(crate) struct Classes<P>(PhantomData<P>);

impl<P: Policy> Classes<P> {
    /// The classes that hold the lowest leaf numbers.
    const SMALL: &'static [Small; SMALL_SIZES] = &{
        let mut table = [Small { place: 0, natural: 0, last: 0 }; SMALL_SIZES];
        let mut last = 0;
        while last < SMALL_SIZES {
            let Class { place, leaves, natural } = Class::holding(last, P::PRECISION);
            // Neither there are more classes than sizes, nor are leaves more than the most of these.
            table[last] =
                Small { place: place as u16, natural: natural as u8, last: (leaves - 1) as u8 };
            last += 1;
        }
        table
    };

    /// [`Class::holding`] at the policy's precision.
    #[inline(always)]
    pub(crate) const fn holding(last: usize) -> Class {
        if last < SMALL_SIZES {
            let Small { place, natural, last } = Self::SMALL[last];
            Class { place: place as usize, leaves: last as usize + 1, natural: natural as u32 }
        } else {
            rare();
            Class::holding(last, P::PRECISION)
        }
    }
}

/// The bits behind the first that a size has at `precision`.
const fn mantissa(precision: u32) -> u32 {
    match precision {
        0 => 0,
        _ if precision < usize::BITS => precision - 1,
        _ => usize::BITS - 1,
    }
}

/// What leads here is laid out behind everything else.
#[cold]
#[inline]
const fn rare() {}

impl Class {
    /// From one class to the next.
    pub(crate) const PLACE: usize = 16;
    /// No supply knows of so many.
    pub(crate) const MOST: usize = (1 << 31) / Self::PLACE;

    /// Classes are numbered by size from 0 on, without gaps.
    pub(crate) const fn number(self) -> usize {
        self.place / Self::PLACE
    }

    /// The class of the smallest blocks that hold leaf number `last`, counted from 0.
    #[inline(always)]
    pub(crate) const fn holding(last: usize, precision: u32) -> Self {
        let mantissa = mantissa(precision);
        let natural = usize::BITS - last.leading_zeros();
        let shift = natural.saturating_sub(mantissa + 1);
        let steps = last >> shift;
        let index = ((shift as usize) << mantissa) + steps;
        // Of 32 bits, so that the compiler sees that no sum with a place overflows.
        let is_fine = mantissa >= u32::BITS / 2;
        let index = if is_fine && index > Self::MOST { Self::MOST } else { index };
        Self { place: index as u32 as usize * Self::PLACE, leaves: (steps + 1) << shift, natural }
    }

    /// The class of blocks of exactly `leaves` leaves; `None` if that is no class's size.
    #[inline(always)]
    pub(crate) const fn of(leaves: usize, precision: u32) -> Option<Self> {
        let class = Self::holding(leaves.wrapping_sub(1), precision);
        if leaves != 0 && class.leaves == leaves { Some(class) } else { None }
    }

    /// The class of that natural order with a number that is `rank` modulo `ranks`, a power of two; of a
    /// precision that has no more than so many classes of one natural order.
    pub(crate) const fn ranked(natural: u32, rank: u32, ranks: u32, precision: u32) -> Self {
        let last = Self::holding((1 << natural) - 1, precision).number();
        Self::at(last - (last.wrapping_sub(rank as usize) & (ranks as usize - 1)), precision)
    }

    /// The class with that number.
    #[inline]
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
            assert_eq!((class.number(), class.leaves, class.natural), (0, 1, 0));
            for last in 1..5000 {
                let next = Class::holding(last, precision);
                assert!(next.leaves > last);
                let is_new = class.leaves <= last;
                assert_eq!(next.number(), class.number() + usize::from(is_new));
                assert_eq!(is_new, next.leaves != class.leaves);
                assert_eq!(1 << next.natural, next.leaves.next_power_of_two());
                class = next;
            }
        }
    }

    struct Bits<const PRECISION: u32>;

    impl<const PRECISION: u32> Policy for Bits<PRECISION> {
        const PRECISION: u32 = PRECISION;
    }

    fn check_table<P: Policy>() {
        for last in (0..2000).chain([usize::MAX >> 8]) {
            assert_eq!(Classes::<P>::holding(last), Class::holding(last, P::PRECISION));
        }
    }

    #[test]
    fn the_table_has_what_is_computed() {
        check_table::<Bits<0>>();
        check_table::<Bits<1>>();
        check_table::<Bits<3>>();
        check_table::<Bits<64>>();
    }

    #[test]
    fn a_class_is_found_by_its_size_and_by_its_number() {
        for precision in [0, 1, 2, 3, 4, 9, usize::BITS, u32::MAX] {
            for leaves in 1..2000 {
                let class = Class::holding(leaves - 1, precision);
                assert_eq!(Class::at(class.number(), precision), class);
                if precision <= 4 {
                    let rank = class.number() as u32 % 8;
                    assert_eq!(Class::ranked(class.natural, rank, 8, precision), class);
                }
                assert_eq!(Class::of(class.leaves, precision), Some(class));
                assert_eq!(Class::of(leaves, precision).is_some(), leaves == class.leaves);
            }
        }
        assert_eq!(Class::of(0, 3), None);
    }

    /// A class beyond all that have numbers is none of those that have.
    #[cfg(target_pointer_width = "64")]
    #[test]
    fn numbers_do_not_wrap() {
        for last in [u32::MAX as usize, (1 << 32) + 5, 1 << 40, usize::MAX >> 8] {
            assert_eq!(Class::holding(last, u32::MAX).number(), Class::MOST);
            assert!(Class::holding(last, 3).number() < 1000);
        }
    }
}
