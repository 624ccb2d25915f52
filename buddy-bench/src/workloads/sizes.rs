//! Sizes of which small ones are as likely as large ones are rare.

use crate::random::Random;

/// A number from `least` to `most` whose logarithm is equally distributed.
#[expect(clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "sizes are far below 2^52")]
pub(super) fn logarithmic(least: u32, most: u32, random: &mut Random) -> u32 {
    let part = (random.next() >> 11) as f64 / (1u64 << 53) as f64;
    let size = f64::from(least) * (f64::from(most) / f64::from(least)).powf(part);
    (size.round() as u32).clamp(least, most)
}

/// The mean of those numbers.
#[expect(clippy::cast_sign_loss, reason = "a mean of positive numbers")]
pub(super) fn logarithmic_mean(least: u32, most: u32) -> usize {
    let (least, most) = (f64::from(least), f64::from(most));
    if most > least { ((most - least) / (most / least).ln()) as usize } else { least as usize }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_keep_their_bounds_and_their_mean() {
        let mut random = Random::new(5);
        let sizes: Vec<usize> =
            (0..20_000).map(|_| logarithmic(16, 1024, &mut random) as usize).collect();
        assert!(sizes.iter().all(|size| (16..=1024).contains(size)));
        let mean = sizes.iter().sum::<usize>() / sizes.len();
        assert!(mean.abs_diff(logarithmic_mean(16, 1024)) < 5, "{mean}");
        let below = sizes.iter().filter(|&&size| size < 128).count();
        assert!(below.abs_diff(sizes.len() / 2) < sizes.len() / 50, "{below}");
        assert_eq!((logarithmic(64, 64, &mut random), logarithmic_mean(64, 64)), (64, 64));
    }
}
