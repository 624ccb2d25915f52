//! A lane for each thread.

use buddy_core::Policy;
use core::cell::Cell;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::thread_local;

/// The number of the thread that asks next.
static NEXT: AtomicUsize = AtomicUsize::new(1);

thread_local! {
    /// This thread's number; 0: it has none yet. Neither set up nor destroyed by any code, so it may
    /// be asked for by an allocation at any time in a thread's life.
    static NUMBER: Cell<usize> = const { Cell::new(0) };
}

/// A [`Policy`] for hosted programs: threads are numbered in the order of their first allocation,
/// and spread over `LANES` lanes.
///
/// Any number of threads may share a lane. Twice as many as the machine has cores are plenty.
#[derive(Clone, Copy, Debug, Default)]
pub struct PerThread<const LANES: usize = 16>;

impl<const LANES: usize> Policy for PerThread<LANES> {
    const CPUS: usize = LANES;

    #[inline]
    fn cpu() -> usize {
        NUMBER.with(|number| match number.get() {
            0 => {
                // A signal handler in between takes a number, too, and one of both counts.
                let new = NEXT.fetch_add(1, Ordering::Relaxed);
                number.set(new);
                new
            }
            number => number,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_thread_keeps_its_number_and_no_other_has_it() {
        let number = PerThread::<16>::cpu();
        let others: [usize; 4] =
            core::array::from_fn(|_| thread::spawn(PerThread::<16>::cpu).join().unwrap_or(number));
        assert_eq!(PerThread::<16>::cpu(), number);
        for (at, other) in others.iter().enumerate() {
            assert!(*other != number && !others[..at].contains(other));
        }
    }
}
