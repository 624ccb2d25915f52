//! The smallest heap that does, by bisection.

/// What one attempt with one size showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The size is enough.
    Enough,
    /// It is too small.
    TooSmall,
    /// It took too long to tell.
    OutOfTime,
}

/// What the search came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Smallest {
    /// This size is enough, and one smaller by the tolerance is not.
    Bytes(usize),
    /// The largest size allowed is not enough.
    NotEnough,
    /// An attempt took too long.
    OutOfTime,
}

/// Where to search.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// A size that cannot be enough, or only just.
    pub low: usize,
    /// The largest size to try.
    pub high: usize,
    /// How far above the largest size that was too small the result may lie, as a part of it.
    pub tolerance: f64,
}

/// Sizes are tried in steps of this many bytes.
const GRAIN: usize = 64;

/// The smallest size for which `attempt` finds enough memory.
///
/// First the sizes grow, by a sixteenth of `low` and then by steps of twice the length, then the
/// last step is bisected: about ten attempts. It is assumed that more memory is never worse; where
/// that is not so, the result is still a size that was enough.
pub fn smallest(search: Search, mut attempt: impl FnMut(usize) -> Attempt) -> Smallest {
    let mut too_small = search.low;
    let mut step = (search.low / 16).max(GRAIN);
    let mut enough = loop {
        let size = too_small.saturating_add(step).next_multiple_of(GRAIN).min(search.high);
        match attempt(size) {
            Attempt::Enough => break size,
            Attempt::OutOfTime => return Smallest::OutOfTime,
            Attempt::TooSmall if size >= search.high => return Smallest::NotEnough,
            Attempt::TooSmall => too_small = size,
        }
        step = step.saturating_mul(2);
    };
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a tolerance need not be exact"
    )]
    let tolerance = |bytes: usize| (bytes as f64 * search.tolerance) as usize;
    while enough - too_small > tolerance(too_small).max(GRAIN) {
        let size = (too_small.midpoint(enough) / GRAIN * GRAIN).max(too_small + 1);
        match attempt(size) {
            Attempt::Enough => enough = size,
            Attempt::TooSmall => too_small = size,
            Attempt::OutOfTime => return Smallest::OutOfTime,
        }
    }
    Smallest::Bytes(enough)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::Arena;
    use crate::meter::Limit;
    use crate::passes::time;
    use crate::toys::{Bump, trace};
    use crate::trace::Op;
    use crate::workloads::Work;

    /// The search for `needed` bytes, and how many attempts it took.
    fn search(needed: usize, low: usize, high: usize) -> (Smallest, usize) {
        let mut attempts = 0;
        let result = smallest(Search { low, high, tolerance: 0.005 }, |size| {
            assert!(size <= high);
            attempts += 1;
            if size >= needed { Attempt::Enough } else { Attempt::TooSmall }
        });
        (result, attempts)
    }

    #[test]
    fn the_result_is_enough_and_within_the_tolerance() {
        for needed in (1_000_001..4_000_000).step_by(99_991) {
            let (Smallest::Bytes(found), attempts) = search(needed, 1_000_000, 4_000_000) else {
                panic!("{needed} not found");
            };
            assert!(found >= needed && found - needed <= needed / 200 + GRAIN, "{needed} {found}");
            assert!(attempts <= 14, "{attempts}");
        }
    }

    #[test]
    fn the_largest_size_may_be_just_enough_or_not() {
        assert!(matches!(search(4_000_000, 1_000_000, 4_000_000).0, Smallest::Bytes(4_000_000)));
        assert_eq!(search(4_000_001, 1_000_000, 4_000_000).0, Smallest::NotEnough);
        assert_eq!(search(usize::MAX, 1, 1).0, Smallest::NotEnough);
    }

    #[test]
    fn an_attempt_without_a_result_ends_the_search() {
        let search = Search { low: 100, high: 10_000, tolerance: 0.01 };
        let result =
            smallest(
                search,
                |size| {
                    if size > 300 { Attempt::OutOfTime } else { Attempt::TooSmall }
                },
            );
        assert_eq!(result, Smallest::OutOfTime);
    }

    #[test]
    fn a_bump_allocator_needs_the_sum_of_all_blocks() {
        let mut arena = Arena::new(1 << 20).unwrap();
        let round = |_| [(Op::Alloc, 0, 1024), (Op::Free, 0, 0)];
        let trace = trace(&(0..100).flat_map(round).collect::<Vec<_>>());
        assert_eq!(trace.peak_bytes, 1024);
        let search = Search { low: trace.peak_bytes, high: 1 << 20, tolerance: 0.005 };
        let work = Work::Trace(trace);
        let limit = Limit { until_refused: true, ..Limit::events(usize::MAX) };
        let result = smallest(search, |size| {
            let pass = time::<Bump>(&work, &mut arena, size, limit);
            if pass.stop.is_none() { Attempt::Enough } else { Attempt::TooSmall }
        });
        let Smallest::Bytes(bytes) = result else { panic!("{result:?}") };
        assert!((102_400..=102_912).contains(&bytes), "{bytes}");
    }
}
