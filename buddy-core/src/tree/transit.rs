//! Exact refusals among many threads: knowing when blocks are on their way.
//!
//! A call that splits, merges, frees or moves what is free has leaves in its hands that a search by
//! another thread cannot see, or shows them at a place that the search has passed. So one word
//! counts, in its lower half, the calls that are at it now, and in its upper half those that were
//! ([`Transit`]). A search that finds nothing is believed only if from its beginning to its end
//! nobody was at it: then there was a moment at which nothing was free. Else it searches again, up to
//! [`Policy::PATIENCE`] times: whoever was stopped in the middle of a call keeps a few blocks in his
//! hands, and nobody waits for him for ever.
//!
//! For one thread all of this is nothing.

use super::Tree;
use super::geometry::header;
use super::policy::Policy;
use super::word::{Storage, Word};

/// A call that has leaves in its hands, until it is dropped.
#[must_use]
pub(crate) struct Transit<'t, W: Word>(&'t W);

/// One call that is over, less one that is at it.
const fn over<W: Word>() -> usize {
    (1 << (W::BITS / 2)) - 1
}

impl<W: Word> Drop for Transit<'_, W> {
    #[inline(always)]
    fn drop(&mut self) {
        if W::SHARED {
            self.0.add(over::<W>());
        }
    }
}

impl<S: Storage, P: Policy> Tree<S, P> {
    /// From now on the caller may have leaves in its hands.
    #[inline(always)]
    pub(crate) fn transit(&self) -> Transit<'_, S::Word> {
        let word = &self.header()[header::TRANSIT];
        if <S::Word as Word>::SHARED {
            word.add(1);
        }
        Transit(word)
    }

    /// Settles and attempts until an attempt succeeds, or fails while nobody else had leaves in his
    /// hands. `own` is how many transits an attempt that fails makes itself.
    #[cold]
    pub(super) fn insist<T, E>(
        &self,
        own: usize,
        mut attempt: impl FnMut() -> Result<T, E>,
    ) -> Result<T, E> {
        let mut left = P::PATIENCE;
        loop {
            self.settle();
            let before = self.header()[header::TRANSIT].load();
            let failed = match attempt() {
                Ok(success) => return Ok(success),
                Err(error) => error,
            };
            if !<S::Word as Word>::SHARED || left == 0 {
                return Err(failed);
            }
            let after = self.header()[header::TRANSIT].load();
            let is_quiet = before & over::<S::Word>() == 0;
            let own = own << (<S::Word as Word>::BITS / 2);
            let mask = super::word::max_value::<S::Word>();
            if is_quiet && after == before.wrapping_add(own) & mask {
                return Err(failed);
            }
            left -= 1;
            core::hint::spin_loop();
        }
    }
}
