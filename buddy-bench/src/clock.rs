//! A clock for single calls: the time-stamp counter where there is one, else the system's.

/// What [`now`] counts.
pub const UNIT: &str = if cfg!(target_arch = "x86_64") { "cycles" } else { "ns" };

/// The time in [`UNIT`]s since some moment. Neither earlier instructions nor later ones are moved
/// across it.
///
/// The cycles are those of the time-stamp counter, which runs at one speed whatever the processor's
/// is.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
#[must_use]
pub fn now() -> u64 {
    use core::arch::x86_64::{_mm_lfence, _rdtsc};
    // SAFETY: every x86_64 processor has SSE2.
    unsafe { _mm_lfence() };
    // SAFETY: reads a counter; programs may, on every system that lets this one run.
    let time = unsafe { _rdtsc() };
    // SAFETY: as above.
    unsafe { _mm_lfence() };
    time
}

/// The time in [`UNIT`]s since some moment.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
#[must_use]
pub fn now() -> u64 {
    use std::sync::OnceLock;
    use std::time::Instant;
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// The least time between two readings with nothing between them.
#[must_use]
pub fn overhead() -> u64 {
    let reading = |_| {
        let start = now();
        now().wrapping_sub(start)
    };
    (0..1000).map(reading).min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_forward() {
        let start = now();
        let overhead = overhead();
        assert!(now() >= start + overhead);
    }
}
