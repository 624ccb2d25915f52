//! The allocator that programs on this system have by default.

use super::global::Named;
use std::alloc::System;

impl Named for System {
    const NAME: &'static str = "system";
    const PACKAGE: &'static str = "the system's malloc";
    const ALLOCATOR: Self = Self;
}
