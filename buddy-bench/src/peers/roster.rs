//! All allocators for one thread, and how one is asked for.

use super::{
    Buddy, BuddyAlloc, BuddySystem, Bump, Global, GoodMemory, LinkedList, Memory, Peer, Rlsf, Talc,
    WithFastPath,
};
use crate::arena::Arena;
use crate::calls::Call;
use crate::checked::Check;
use crate::meter::{Limit, Pass};
use crate::passes;
use crate::workloads::Work;
use buddy_core::tree::{Eager, Lazy, Tight};
use std::alloc::System;
use std::time::Duration;

/// What is told of an allocator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entrant {
    /// What `--alloc` and the tables call it.
    pub name: &'static str,
    /// The package and version it comes from.
    pub package: &'static str,
    /// Where its blocks come from.
    pub memory: Memory,
}

impl Entrant {
    /// Whether it is this project's.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.package.starts_with("buddy-core ")
    }
}

/// One peer, with its passes compiled for it.
#[derive(Clone, Copy, Debug)]
pub struct Contestant {
    /// Who it is.
    pub entrant: Entrant,
    /// [`Peer::CONTROL_BYTES`].
    pub control_bytes: usize,
    /// [`passes::check`].
    pub check: fn(&Work, &mut Arena, usize, Limit, u64) -> Check,
    /// [`passes::time`].
    pub time: fn(&Work, &mut Arena, usize, Limit) -> Pass,
    /// [`passes::create`].
    pub create: fn(&mut Arena, usize) -> Option<Duration>,
    /// [`passes::calls`].
    pub calls: fn(&Work, &mut Arena, usize, Limit, &mut Vec<Call>) -> Pass,
}

impl Contestant {
    /// The entry of a peer.
    #[must_use]
    pub const fn of<P: Peer>() -> Self {
        Self {
            entrant: Entrant { name: P::NAME, package: P::PACKAGE, memory: P::MEMORY },
            control_bytes: P::CONTROL_BYTES,
            check: passes::check::<P>,
            time: passes::time::<P>,
            create: passes::create::<P>,
            calls: passes::calls::<P>,
        }
    }
}

/// All allocators; the first is the one that is compared with the others.
pub const ROSTER: &[Contestant] = &[
    Contestant::of::<Buddy<Lazy>>(),
    Contestant::of::<Buddy<Eager>>(),
    Contestant::of::<Buddy<Tight>>(),
    Contestant::of::<BuddySystem>(),
    Contestant::of::<BuddyAlloc>(),
    Contestant::of::<WithFastPath>(),
    Contestant::of::<Talc>(),
    Contestant::of::<Rlsf>(),
    Contestant::of::<LinkedList>(),
    Contestant::of::<GoodMemory>(),
    Contestant::of::<Global<System>>(),
    #[cfg(feature = "mimalloc")]
    Contestant::of::<Global<mimalloc::MiMalloc>>(),
    #[cfg(feature = "jemalloc")]
    Contestant::of::<Global<tikv_jemallocator::Jemalloc>>(),
    #[cfg(feature = "snmalloc")]
    Contestant::of::<Global<snmalloc_rs::SnMalloc>>(),
    Contestant::of::<Bump>(),
];

/// Those that take part only where they are named: too slow to be measured beside the others, and there
/// for how small their heaps can be.
pub const ON_REQUEST: &[&str] = &["buddy-tight"];

/// Those that this program was built without; each is a feature of its package.
const LEFT_OUT: &[&str] = &[
    #[cfg(not(feature = "mimalloc"))]
    "mimalloc",
    #[cfg(not(feature = "jemalloc"))]
    "jemalloc",
    #[cfg(not(feature = "snmalloc"))]
    "snmalloc",
];

/// An allocator cannot be had by this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownName {
    /// There is none.
    #[error("no allocator is called `{name}`; there are {}", known.join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<&'static str>,
    },
    /// There could be.
    #[error("this program was built without {name}: build it with `--features {name}`")]
    LeftOut {
        /// What was asked for.
        name: String,
    },
}

/// The entries of `roster` of those names or, where none has the name, of those packages, in the
/// roster's order; if there is no name, all but those of [`ON_REQUEST`].
///
/// # Errors
/// If a name is not in the roster.
pub fn select<'a, T>(
    roster: &'a [T],
    entrant: fn(&T) -> &Entrant,
    names: &[String],
) -> Result<Vec<&'a T>, UnknownName> {
    let is_usual = |entry: &T| !ON_REQUEST.contains(&entrant(entry).name);
    let mut chosen: Vec<bool> =
        roster.iter().map(|entry| names.is_empty() && is_usual(entry)).collect();
    for name in names {
        let is_name = roster.iter().any(|entry| entrant(entry).name == name);
        let means = |entry: &T| {
            let Entrant { name: own, package, .. } = entrant(entry);
            let package = package.split_once(' ').map(|(package, _)| package);
            own == name || (!is_name && package == Some(name))
        };
        if !roster.iter().any(means) {
            let known = || roster.iter().map(|entry| entrant(entry).name).collect();
            let name = name.clone();
            return Err(if LEFT_OUT.contains(&name.as_str()) {
                UnknownName::LeftOut { name }
            } else {
                UnknownName::Unknown { name, known: known() }
            });
        }
        for (chosen, entry) in chosen.iter_mut().zip(roster) {
            *chosen |= means(entry);
        }
    }
    Ok(roster.iter().zip(chosen).filter_map(|(entry, chosen)| chosen.then_some(entry)).collect())
}

/// The contestants of those names: see [`select`].
///
/// # Errors
/// If a name is not in the roster.
pub fn contestants(names: &[String]) -> Result<Vec<&'static Contestant>, UnknownName> {
    select(ROSTER, |contestant| &contestant.entrant, names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(names: &[&str]) -> Result<Vec<&'static str>, UnknownName> {
        let names: Vec<String> = names.iter().copied().map(str::to_owned).collect();
        contestants(&names).map(|chosen| chosen.iter().map(|peer| peer.entrant.name).collect())
    }

    #[test]
    fn names_are_unique_and_select() {
        assert_eq!(selected(&["talc", "buddy"]).unwrap(), ["buddy", "talc"]);
        assert_eq!(
            selected(&["linked_list_allocator", "buddy-alloc"]).unwrap(),
            ["buddy-alloc", "linked_list"]
        );
        assert_eq!(selected(&[]).unwrap().len(), ROSTER.len() - ON_REQUEST.len());
        for peer in ROSTER {
            assert_eq!(selected(&[peer.entrant.name]).unwrap(), [peer.entrant.name]);
        }
    }

    #[test]
    fn names_that_cannot_be_had_are_told() {
        let error = selected(&["talc", "tlac"]).unwrap_err().to_string();
        assert!(error.contains("`tlac`") && error.contains("buddy, buddy-eager"));
        for &name in LEFT_OUT {
            assert!(selected(&[name]).unwrap_err().to_string().contains("--features"));
        }
    }

    #[test]
    fn versions_are_those_of_the_lock_file() {
        for Entrant { package, .. } in ROSTER.iter().map(|peer| &peer.entrant) {
            let Some((package, version)) = package.split_once(' ') else { panic!("{package}") };
            let lock = include_str!("../../../Cargo.lock");
            let entry = format!("name = \"{package}\"\nversion = \"{version}\"");
            assert!(package == "the" || lock.contains(&entry), "{entry}");
        }
    }
}
