//! Numbers that cannot be foreseen without the seed. (Not by whoever knows it, and not of
//! cryptographic strength.)

/// A number that depends on every bit of both: the finalizer of G. Steele, D. Lea and C. Flood's
/// `SplitMix` (*Fast splittable pseudorandom number generators*, 2014), twice.
#[inline]
pub(super) const fn mix(seed: u64, number: u64) -> u64 {
    finalize(finalize(seed ^ 0x9E37_79B9_7F4A_7C15) ^ number)
}

#[inline]
const fn finalize(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

/// A number below `bound`, at least 1, that depends on every bit.
#[inline]
pub(super) const fn below(bound: usize, random: u64) -> usize {
    // The upper half of a product with 2^32 `bound`: for small bounds as even as a remainder.
    (((random >> 32) * bound as u64) >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_splitmix() {
        // The first of seed 0, as published with the algorithm.
        assert_eq!(finalize(0x9E37_79B9_7F4A_7C15), 0xE220_A839_7B1D_CDAF);
    }

    #[test]
    fn one_bit_changes_about_half_of_the_bits() {
        let mut least = u32::MAX;
        for bit in 0..64 {
            for number in 0..64 {
                let flipped = mix(7, number) ^ mix(7, number ^ 1 << bit);
                let reseeded = mix(7, number) ^ mix(7 ^ 1 << bit, number);
                least = least.min(flipped.count_ones()).min(reseeded.count_ones());
            }
        }
        assert!(least >= 10, "{least}");
    }

    #[test]
    fn numbers_below_a_bound_are_even() {
        for bound in [1, 2, 3, 8, 16] {
            let mut counts = [0; 16];
            for number in 0..16_000 {
                counts[below(bound, mix(1, number))] += 1;
            }
            let fair = 16_000 / bound;
            assert!(
                counts[..bound]
                    .iter()
                    .all(|count| (fair * 8 / 10..=fair * 12 / 10).contains(count))
            );
            assert_eq!(counts.iter().sum::<usize>(), counts[..bound].iter().sum());
        }
    }
}
