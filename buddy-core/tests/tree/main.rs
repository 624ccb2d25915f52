//! The tree beside a naive model: every state of tiny trees, random calls on larger ones, every
//! misuse, the arithmetic of ranges too large to build, and many threads on one tree.

/// Makes a check, generic over word and policy, a test for every kind of tree.
macro_rules! for_every_tree {
    ($($check:ident as $name:ident),* $(,)?) => {
        $(mod $name {
            use buddy_core::{Atomic, Atomic32, Eager, Lazy, Plain, Plain32};

            #[test]
            fn plain_eager() {
                super::$check::<Plain, Eager>();
            }
            #[test]
            fn plain_lazy() {
                super::$check::<Plain, Lazy>();
            }
            #[test]
            fn plain32_eager() {
                super::$check::<Plain32, Eager>();
            }
            #[test]
            fn plain32_lazy() {
                super::$check::<Plain32, Lazy>();
            }
            #[test]
            fn atomic_eager() {
                super::$check::<Atomic, Eager>();
            }
            #[test]
            fn atomic_lazy() {
                super::$check::<Atomic, Lazy>();
            }
            #[test]
            fn atomic32_eager() {
                super::$check::<Atomic32, Eager>();
            }
            #[test]
            fn atomic32_lazy() {
                super::$check::<Atomic32, Lazy>();
            }
        })*
    };
}

/// The same, for every kind of tree that threads can share.
macro_rules! for_every_shared_tree {
    ($($check:ident as $name:ident),* $(,)?) => {
        $(mod $name {
            use buddy_core::{Atomic, Atomic32, Eager, Lazy};

            #[test]
            fn atomic_eager() {
                super::$check::<Atomic, Eager>();
            }
            #[test]
            fn atomic_lazy() {
                super::$check::<Atomic, Lazy>();
            }
            #[test]
            fn atomic32_eager() {
                super::$check::<Atomic32, Eager>();
            }
            #[test]
            fn atomic32_lazy() {
                super::$check::<Atomic32, Lazy>();
            }
        })*
    };
}

mod action;
mod calls;
mod corners;
mod exhaustive;
mod geometry;
mod misuse;
mod model;
mod oracle;
mod properties;
mod rests;
mod subject;
mod threads;
