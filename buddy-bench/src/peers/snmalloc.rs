//! snmalloc: what another thread frees goes back to its owner as a message.

use super::global::Named;
use snmalloc_rs::SnMalloc;

impl Named for SnMalloc {
    const NAME: &'static str = "snmalloc";
    const PACKAGE: &'static str = concat!("snmalloc-rs ", env!("VERSION_SNMALLOC_RS"));
    const ALLOCATOR: Self = Self;
}
