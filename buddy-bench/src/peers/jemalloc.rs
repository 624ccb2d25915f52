//! jemalloc: size classes in slabs, caches of each thread.

use super::global::Named;
use tikv_jemallocator::Jemalloc;

impl Named for Jemalloc {
    const NAME: &'static str = "jemalloc";
    const PACKAGE: &'static str = concat!("tikv-jemallocator ", env!("VERSION_TIKV_JEMALLOCATOR"));
    const ALLOCATOR: Self = Self;
}
