//! The allocators under test: one file each, behind the trait [`Peer`].

mod buddy;
mod buddy_alloc;
mod buddy_system_allocator;
mod linked_list_allocator;
mod rlsf;
mod system;
mod talc;

pub use buddy::Buddy;
pub use buddy_alloc::{BuddyAlloc, WithFastPath};
pub use buddy_system_allocator::BuddySystem;
pub use linked_list_allocator::LinkedList;
pub use rlsf::Rlsf;
pub use system::System;
pub use talc::Talc;

use crate::arena::{Arena, Region};
use crate::replay::{Check, Limit, Pass, check, run, until_refused};
use crate::trace::Trace;
use buddy_core::tree::{Eager, Lazy};
use std::alloc::Layout;
use std::ptr::NonNull;

/// An allocator that can be measured.
///
/// Nothing is believed of the blocks until a replay has checked them, so an implementation cannot
/// break the program by being wrong inside its region.
pub trait Peer: Sized {
    /// What `--alloc` and the tables call it.
    const NAME: &'static str;
    /// The package and version it comes from.
    const PACKAGE: &'static str;
    /// Whether it manages the given region and nothing else.
    const FIXED: bool = true;

    /// An allocator for `region`, or `None` if that is too small for it.
    ///
    /// # Safety
    /// Until the allocator is dropped, the region is valid, and used by nobody but the allocator and
    /// the holders of its blocks.
    unsafe fn create(region: Region) -> Option<Self>;

    /// A block for `layout`, whose size is not zero.
    fn alloc(&mut self, layout: Layout) -> Option<NonNull<u8>>;

    /// A block of zeros.
    #[inline]
    fn alloc_zeroed(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let block = self.alloc(layout)?;
        // SAFETY: the allocator gave the block, with this many bytes.
        unsafe { block.write_bytes(0, layout.size()) };
        Some(block)
    }

    /// Takes a block back.
    ///
    /// # Safety
    /// The block is of this allocator, live, with that layout, and not used any more.
    unsafe fn dealloc(&mut self, block: NonNull<u8>, layout: Layout);

    /// A block of the new size with the old one's contents. If there is none, the old block stays.
    ///
    /// Unless an allocator can do better: a new block, a copy, a free.
    ///
    /// # Safety
    /// As [`Self::dealloc`], if the call succeeds. `new` has the alignment of `old`.
    #[inline]
    unsafe fn realloc(
        &mut self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Option<NonNull<u8>> {
        let moved = self.alloc(new)?;
        let kept = old.size().min(new.size());
        // SAFETY: two live blocks, which have that many bytes each.
        unsafe { moved.copy_from_nonoverlapping(block, kept) };
        // SAFETY: the caller does not use the old block any more.
        unsafe { self.dealloc(block, old) };
        Some(moved)
    }
}

/// One peer, with its replay loops compiled for it.
#[derive(Clone, Copy, Debug)]
pub struct Contestant {
    /// [`Peer::NAME`].
    pub name: &'static str,
    /// [`Peer::PACKAGE`].
    pub package: &'static str,
    /// [`Peer::FIXED`].
    pub fixed: bool,
    /// Bytes of the allocator's value, which lie outside the region.
    pub control_bytes: usize,
    /// [`check`] in the first bytes of an arena, with a seed for the patterns.
    pub check: fn(&Trace, &mut Arena, usize, Limit, u64) -> Check,
    /// [`run`] in the first bytes of an arena.
    pub time: fn(&Trace, &mut Arena, usize, Limit) -> Pass,
    /// [`until_refused`] in the first bytes of an arena.
    pub probe: fn(&Trace, &mut Arena, usize, Limit) -> Pass,
}

impl Contestant {
    /// The entry of a peer.
    #[must_use]
    pub const fn of<P: Peer>() -> Self {
        Self {
            name: P::NAME,
            package: P::PACKAGE,
            fixed: P::FIXED,
            control_bytes: if P::FIXED { size_of::<P>() } else { 0 },
            check: check::<P>,
            time: run::<P>,
            probe: until_refused::<P>,
        }
    }
}

/// All allocators; the first is the one that the others are compared with.
pub const ROSTER: &[Contestant] = &[
    Contestant::of::<Buddy<Lazy>>(),
    Contestant::of::<Buddy<Eager>>(),
    Contestant::of::<BuddySystem>(),
    Contestant::of::<BuddyAlloc>(),
    Contestant::of::<WithFastPath>(),
    Contestant::of::<Talc>(),
    Contestant::of::<Rlsf>(),
    Contestant::of::<LinkedList>(),
    Contestant::of::<System>(),
];

/// Whether a contestant is one of this project's.
#[must_use]
pub fn is_ours(contestant: &Contestant) -> bool {
    contestant.package == Buddy::<Lazy>::PACKAGE
}

/// No allocator has this name.
#[derive(Clone, Debug, thiserror::Error)]
#[error("no allocator is called `{name}`; there are {}", known.join(", "))]
pub struct UnknownName {
    name: String,
    known: Vec<&'static str>,
}

/// The contestants of those names or, where none has the name, of those packages, in the roster's
/// order; all of them if there is no name.
///
/// # Errors
/// If a name is not in the roster.
pub fn select(names: &[String]) -> Result<Vec<&'static Contestant>, UnknownName> {
    let mut chosen = vec![names.is_empty(); ROSTER.len()];
    for name in names {
        let is_name = ROSTER.iter().any(|peer| peer.name == name);
        let package = |peer: &Contestant| peer.package.split_once(' ').map(|(package, _)| package);
        let means =
            |peer: &Contestant| peer.name == name || (!is_name && package(peer) == Some(name));
        if !ROSTER.iter().any(means) {
            let known = ROSTER.iter().map(|peer| peer.name).collect();
            return Err(UnknownName { name: name.clone(), known });
        }
        for (chosen, peer) in chosen.iter_mut().zip(ROSTER) {
            *chosen |= means(peer);
        }
    }
    Ok(ROSTER.iter().zip(chosen).filter_map(|(peer, chosen)| chosen.then_some(peer)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_select() {
        let selected = |names: &[&str]| {
            let names: Vec<String> = names.iter().copied().map(str::to_owned).collect();
            select(&names).map(|chosen| chosen.iter().map(|peer| peer.name).collect::<Vec<_>>())
        };
        assert_eq!(selected(&["talc", "buddy"]).unwrap(), ["buddy", "talc"]);
        assert_eq!(
            selected(&["linked_list_allocator", "buddy-alloc"]).unwrap(),
            ["buddy-alloc", "linked_list"]
        );
        assert_eq!(selected(&[]).unwrap().len(), ROSTER.len());
        let error = selected(&["talc", "tlac"]).unwrap_err().to_string();
        assert!(error.contains("`tlac`") && error.contains("buddy, buddy-eager"));
        for peer in ROSTER {
            assert_eq!(selected(&[peer.name]).unwrap(), [peer.name]);
        }
    }

    #[test]
    fn versions_are_those_of_the_lock_file() {
        for peer in ROSTER.iter().filter(|peer| peer.fixed) {
            let (package, version) = peer.package.split_once(' ').unwrap();
            let lock = include_str!("../../../Cargo.lock");
            assert!(lock.contains(&format!("name = \"{package}\"\nversion = \"{version}\"")));
        }
    }
}
