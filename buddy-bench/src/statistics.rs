//! Figures over the rounds of a measurement.

/// Median and spread of repeated measurements.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// The middle one, or the mean of the two in the middle.
    pub median: f64,
    /// The bounds of the middle half.
    pub quartiles: (f64, f64),
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// How many there were.
    pub rounds: usize,
}

impl Summary {
    /// The summary of `samples`; `None` of none.
    #[must_use]
    pub fn of(samples: &[f64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        };
        let quarter = sorted.len() / 4;
        let quartiles = (sorted[quarter], sorted[sorted.len() - 1 - quarter]);
        Some(Self { median, quartiles, min, max, rounds: sorted.len() })
    }

    /// The summary of the reciprocals, times `numerator`: rates from times. The median of an even
    /// number is that of the mean time.
    #[must_use]
    pub fn rate(&self, numerator: f64) -> Self {
        let rate = |time: f64| numerator / time;
        let quartiles = (rate(self.quartiles.1), rate(self.quartiles.0));
        let (min, max) = (rate(self.max), rate(self.min));
        Self { median: rate(self.median), quartiles, min, max, rounds: self.rounds }
    }

    /// Half the width of the middle half, as a part of the median.
    #[must_use]
    pub fn spread(&self) -> f64 {
        (self.quartiles.1 - self.quartiles.0) / 2.0 / self.median
    }
}

/// The geometric mean; `None` of no numbers.
#[must_use]
pub fn geometric_mean(numbers: &[f64]) -> Option<f64> {
    let logarithms: f64 = numbers.iter().map(|number| number.ln()).sum();
    #[expect(clippy::cast_precision_loss, reason = "a handful of numbers")]
    (!numbers.is_empty()).then(|| (logarithms / numbers.len() as f64).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one() {
        let summary = Summary::of(&[3.0, 1.0, 10.0]).unwrap();
        let quartiles = (1.0, 10.0);
        assert_eq!(summary, Summary { median: 3.0, quartiles, min: 1.0, max: 10.0, rounds: 3 });
        assert!((Summary::of(&[1.0, 2.0, 3.0, 10.0]).unwrap().median - 2.5).abs() < 1e-9);
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn the_spread_is_that_of_the_middle_half() {
        let summary = Summary::of(&[100.0, 4.0, 6.0, 5.0, 3.0, 7.0, 0.0]).unwrap();
        assert_eq!((summary.median, summary.quartiles), (5.0, (3.0, 7.0)));
        assert!((summary.spread() - 0.4).abs() < 1e-9);
    }

    #[test]
    fn rates_are_the_reciprocals_of_times() {
        let rate = Summary::of(&[1.0, 2.0, 4.0]).unwrap().rate(8.0);
        let expected = Summary::of(&[2.0, 4.0, 8.0]).unwrap();
        assert_eq!(rate, expected);
    }

    #[test]
    fn the_geometric_mean_of_a_number_and_its_inverse_is_one() {
        assert!((geometric_mean(&[4.0, 0.25]).unwrap() - 1.0).abs() < 1e-9);
        assert_eq!(geometric_mean(&[]), None);
    }
}
