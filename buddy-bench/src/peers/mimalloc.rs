//! mimalloc: pages of one size class each, lists of free blocks by page.

use super::global::Named;
use mimalloc::MiMalloc;

impl Named for MiMalloc {
    const NAME: &'static str = "mimalloc";
    const PACKAGE: &'static str = concat!("mimalloc ", env!("VERSION_MIMALLOC"));
    const ALLOCATOR: Self = Self;
}
