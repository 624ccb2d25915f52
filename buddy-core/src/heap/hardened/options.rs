//! What a hardened heap is to do besides.

use core::fmt;

/// The most blocks among which [`Hardening::random_choice`] chooses.
pub(super) const MOST_CHOICES: usize = 16;

/// Which hardening a [`Hardened`](super::Hardened) heap has; at first none.
///
/// ```
/// use buddy_core::heap::Hardening;
///
/// let seed = 0x5eed; // from a source of random numbers
/// let hardening = Hardening::new(seed).zero_on_free().guards().quarantine(4096).random_choice(8);
/// assert_ne!(hardening, Hardening::new(seed));
/// ```
#[derive(Clone, Copy)]
pub struct Hardening {
    pub(super) seed: u64,
    pub(super) clears: bool,
    pub(super) guards: bool,
    /// The bytes of the largest block that waits; 0 for none.
    pub(super) waits_up_to: usize,
    /// Among how many blocks one is chosen, at least 1.
    pub(super) choices: usize,
    pub(super) report: Option<fn(&Damage)>,
}

impl Hardening {
    /// No hardening yet. Guards and choices follow from `seed`: whoever knows it can forge guards
    /// and foresee choices, so take it from a source of random numbers.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, clears: false, guards: false, waits_up_to: 0, choices: 1, report: None }
    }

    /// Writes zeros over a block when it is freed, and over what a block gives up when it shrinks:
    /// O(size). Whoever gets the memory next does not read what was in it.
    #[must_use]
    pub const fn zero_on_free(self) -> Self {
        Self { clears: true, ..self }
    }

    /// Puts a guard before and behind each block, at least one minimum block long (before: at least
    /// the alignment), whose bytes next to the block are checked when it is freed or resized. A block
    /// then has exactly the size that was asked for, and is freed with that size.
    #[must_use]
    pub const fn guards(self) -> Self {
        Self { guards: true, ..self }
    }

    /// Lets freed blocks of up to `largest` bytes (guards included) wait before they are handed out
    /// again, as many as the heap has slots. A heap that is short of memory ends the wait of all.
    ///
    /// With [`Self::zero_on_free`] their bytes are looked at when the wait is over: O(size).
    #[must_use]
    pub const fn quarantine(self, largest: usize) -> Self {
        Self { waits_up_to: largest, ..self }
    }

    /// Takes one of the next `choices` blocks at random, instead of the next: at least 1, at most 16.
    /// O(`choices`). Large blocks, and those of a heap that is nearly full, are not chosen.
    #[must_use]
    pub const fn random_choice(self, choices: usize) -> Self {
        let most = if choices > MOST_CHOICES { MOST_CHOICES } else { choices };
        Self { choices: if most == 0 { 1 } else { most }, ..self }
    }

    /// Calls `report` for each write to freed memory that is found. It may be called by any
    /// call of the heap, and must not call the heap.
    #[must_use]
    pub const fn report(self, report: fn(&Damage)) -> Self {
        Self { report: Some(report), ..self }
    }

    /// Whether anything is done with a block that is freed.
    pub(super) const fn claims(&self) -> bool {
        self.clears || self.guards || self.waits_up_to != 0
    }
}

impl PartialEq for Hardening {
    /// Whether both do the same, whomever they tell.
    fn eq(&self, other: &Self) -> bool {
        let parts = |hardening: &Self| {
            let Self { seed, clears, guards, waits_up_to, choices, report: _ } = *hardening;
            (seed, clears, guards, waits_up_to, choices)
        };
        parts(self) == parts(other)
    }
}

impl Eq for Hardening {}

impl fmt::Debug for Hardening {
    /// Everything but the seed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hardening")
            .field("zero_on_free", &self.clears)
            .field("guards", &self.guards)
            .field("quarantine", &self.waits_up_to)
            .field("random_choice", &self.choices)
            .finish_non_exhaustive()
    }
}

/// A write to memory that had been freed: found when the block's wait in the quarantine was over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Damage {
    /// The address of the block, its guard included.
    pub block: usize,
    /// The block's bytes, guards included.
    pub bytes: usize,
    /// The address of the first byte that was written to.
    pub at: usize,
}
