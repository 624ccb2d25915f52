//! From a size in bytes to a number of leaves: the one place where sizes are rounded.

use crate::class::{Class, Classes};
use crate::tree::Policy;
use core::alloc::Layout;
use core::ptr::{self, NonNull};

/// The class of blocks for `size` bytes in leaves of `min_block` bytes, a power of two: as many leaves as
/// hold it, rounded up to the policy's precision. For 0 bytes it is one that no heap has blocks of.
///
/// Monotone, and a whole number of leaves that it returned once is returned again. So every size
/// from the one asked for up to the block's usable size stands for the same number of leaves, and a
/// `Layout` with any of them frees the block. Any size that a `Layout` can have is without overflow.
#[inline(always)]
pub(super) const fn class<P: Policy>(size: usize, min_block: usize) -> Class {
    Classes::<P>::holding(size.wrapping_sub(1) / min_block)
}

/// What stands for a block of 0 bytes: no memory, the layout's alignment, no provenance.
#[inline]
pub(super) fn dangling(layout: Layout) -> NonNull<[u8]> {
    let address = ptr::without_provenance_mut(layout.align());
    // An alignment is never 0.
    let start = NonNull::new(address).unwrap_or(NonNull::dangling());
    NonNull::slice_from_raw_parts(start, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn leaves<P: Policy>(size: usize, min_block: usize) -> usize {
        class::<P>(size, min_block).leaves
    }

    struct Bits<const PRECISION: u32>;

    impl<const PRECISION: u32> Policy for Bits<PRECISION> {
        const LAZY: bool = false;
        const PRECISION: u32 = PRECISION;
    }

    #[test]
    fn sizes_round_up_to_the_precision() {
        for (size, one, two, three) in [
            (1, 1, 1, 1),
            (16, 1, 1, 1),
            (17, 2, 2, 2),
            (40, 4, 3, 3),
            (70, 8, 6, 5),
            (9 * 16, 16, 12, 10),
            (100 * 16, 128, 128, 112),
        ] {
            assert_eq!(leaves::<Bits<0>>(size, 16), one, "{size}");
            assert_eq!(leaves::<Bits<1>>(size, 16), one, "{size}");
            assert_eq!(leaves::<Bits<2>>(size, 16), two, "{size}");
            assert_eq!(leaves::<Bits<3>>(size, 16), three, "{size}");
        }
    }

    fn check_monotone_and_idempotent<P: Policy>() {
        let mut last = 0;
        for size in 1..5000 {
            let rounded = leaves::<P>(size, 8);
            assert!(rounded >= last && rounded * 8 >= size);
            assert_eq!(leaves::<P>(rounded * 8, 8), rounded);
            last = rounded;
        }
    }

    #[test]
    fn every_size_up_to_the_usable_one_stands_for_the_same_leaves() {
        check_monotone_and_idempotent::<Bits<0>>();
        check_monotone_and_idempotent::<Bits<1>>();
        check_monotone_and_idempotent::<Bits<2>>();
        check_monotone_and_idempotent::<Bits<3>>();
        check_monotone_and_idempotent::<Bits<64>>();
    }

    #[test]
    fn the_largest_layouts_do_not_overflow() {
        for min_block in [8, 16, 4096, 1 << (usize::BITS - 1)] {
            for size in [isize::MAX as usize, isize::MAX as usize - 1] {
                assert!(leaves::<Bits<1>>(size, min_block) >= 1);
                assert!(leaves::<Bits<3>>(size, min_block) >= 1);
            }
        }
    }

    #[test]
    fn a_block_of_no_bytes_has_the_alignment() {
        for align in [1, 64, 1 << 20] {
            let block = dangling(Layout::from_size_align(0, align).unwrap());
            assert_eq!((block.cast::<u8>().addr().get(), block.len()), (align, 0));
        }
    }
}
