//! Single frames, the most frequent request: where a zone takes one from and gives one to.

use super::ZoneTree;
use crate::tree::{AllocError, FreeError, Order, Policy, Word};

/// Takes one frame of a zone.
#[inline]
pub(super) fn take<W: Word, P: Policy>(zone: &ZoneTree<'_, W, P>) -> Result<usize, AllocError> {
    zone.allocate(Order::MIN)
}

/// Gives one frame back to its zone.
#[inline]
pub(super) fn give<W: Word, P: Policy>(
    zone: &ZoneTree<'_, W, P>,
    frame: usize,
) -> Result<(), FreeError> {
    zone.free_sized(frame, 1)
}
