//! Collections that go from thread to thread, and which heaps let them.

use crate::kind::{Global, Hard, Kind, Lanes, LockFree, Locked, Single, SingleEager, assert_empty};
use buddy_alloc_api::Buddy;
use buddy_alloc_api::allocator_api2::boxed::Box;
use buddy_alloc_api::allocator_api2::vec::Vec;
use hashbrown::HashMap;
use std::sync::mpsc;
use std::thread;

/// Says at compile time that a type does not implement a trait: otherwise `_` would be ambiguous.
macro_rules! assert_not {
    ($type:ty: $marker:ident) => {
        const _: fn() = || {
            trait Ambiguous<A> {
                fn item() {}
            }
            struct Implements;
            impl<T: ?Sized> Ambiguous<()> for T {}
            impl<T: ?Sized + $marker> Ambiguous<Implements> for T {}
            let _ = <$type as Ambiguous<_>>::item;
        };
    };
}

const fn assert_send<T: Send>() {}
const fn assert_sync<T: Sync>() {}

// A heap over plain words may go to another thread, but not be in two at once, so that a collection,
// which leaves the heap where it is, must stay.
const _: () = assert_send::<Buddy<Single>>();
assert_not!(Buddy<Single>: Sync);
assert_not!(&'static Buddy<Single>: Send);
assert_not!(Vec<u8, &'static Buddy<Single>>: Send);
assert_not!(Box<u8, &'static Buddy<SingleEager>>: Send);
assert_not!(HashMap<u8, u8, (), &'static Buddy<Single>>: Send);

// Over atomic words, or behind a lock, both may.
const _: () = assert_sync::<Buddy<LockFree>>();
const _: () = assert_sync::<Buddy<Locked>>();
const _: () = assert_sync::<Buddy<Global>>();
const _: () = assert_send::<Vec<u8, &'static Buddy<LockFree>>>();
const _: () = assert_send::<Box<u8, &'static Buddy<Locked>>>();
const _: () = assert_send::<HashMap<u8, u8, (), &'static Buddy<LockFree>>>();
// As far as what is in it may.
assert_not!(Vec<*const u8, &'static Buddy<LockFree>>: Send);

const WORKERS: u32 = 4;

fn check_threads_have_collections_of_their_own<H: Kind + Sync>() {
    let buddy = H::buddy();
    thread::scope(|scope| {
        for worker in 0..WORKERS {
            let buddy = &buddy;
            scope.spawn(move || {
                for round in 0..100 {
                    let mut numbers = Vec::new_in(buddy);
                    let mut squares = HashMap::new_in(buddy);
                    let (first, last) = (worker * 1000, worker * 1000 + 100 * (round % 8 + 1));
                    for number in first..last {
                        numbers.push(number);
                        squares.insert(number, u64::from(number).pow(2));
                    }
                    numbers.shrink_to_fit();
                    assert!(numbers.iter().copied().eq(first..last));
                    assert!(
                        numbers.iter().all(|number| squares[number] == u64::from(*number).pow(2))
                    );
                }
            });
        }
    });
    assert_empty(buddy);
}

/// One thread makes them, one grows them, one checks and frees them.
fn check_collections_go_from_thread_to_thread<H: Kind + Sync>() {
    let buddy = H::buddy();
    thread::scope(|scope| {
        let (to_grow, made) = mpsc::sync_channel(8);
        let (to_check, grown) = mpsc::sync_channel(8);
        let buddy = &buddy;
        scope.spawn(move || {
            for length in 0..500_usize {
                let mut numbers = Vec::new_in(buddy);
                numbers.resize(length, length);
                to_grow.send(Box::new_in(numbers, buddy)).unwrap();
            }
        });
        scope.spawn(move || {
            for mut numbers in made {
                let length = numbers.len();
                numbers.extend(length..2 * length);
                to_check.send(numbers).unwrap();
            }
        });
        scope.spawn(move || {
            let mut lengths = 0..500_usize;
            for (numbers, length) in grown.into_iter().zip(&mut lengths) {
                let expected = core::iter::repeat_n(length, length).chain(length..2 * length);
                assert!(numbers.iter().copied().eq(expected));
            }
            assert!(lengths.is_empty());
        });
    });
    assert_empty(buddy);
}

fn check_a_map_is_filled_here_and_freed_there<H: Kind + Sync>() {
    let buddy = H::buddy();
    thread::scope(|scope| {
        let mut map = HashMap::new_in(&buddy);
        map.extend((0..3000_u32).map(|number| (number, Box::new_in(number, &buddy))));
        let sum = scope.spawn(move || map.into_values().map(|number| u64::from(*number)).sum());
        assert_eq!(sum.join().ok(), Some(3000 * 2999 / 2_u64));
    });
    assert_empty(buddy);
}

macro_rules! each_shared_kind {
    ($($name:ident: $check:ident)*) => {
        $(
            #[test]
            fn $name() {
                $check::<LockFree>();
                $check::<Lanes>();
                $check::<Hard>();
                $check::<Locked>();
                $check::<Global>();
            }
        )*
    };
}

each_shared_kind! {
    threads_have_collections_of_their_own: check_threads_have_collections_of_their_own
    collections_go_from_thread_to_thread: check_collections_go_from_thread_to_thread
    a_map_is_filled_here_and_freed_there: check_a_map_is_filled_here_and_freed_there
}

#[test]
fn a_heap_for_one_thread_may_move_to_another() {
    let buddy = Single::buddy();
    let sum = thread::spawn(move || {
        let mut numbers = Vec::new_in(&buddy);
        numbers.extend(0..100);
        let sum = numbers.iter().sum::<i32>();
        drop(numbers);
        assert_empty(buddy);
        sum
    });
    assert_eq!(sum.join().unwrap(), 4950);
}
