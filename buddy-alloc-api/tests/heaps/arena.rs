//! An arena of another crate, bump-scope, that takes its chunks from a heap, by allocator-api2 0.4.

use crate::kind::{Kind, LockFree, Locked, Single, SingleEager, assert_empty};
use buddy_alloc_api::Buddy;
use bump_scope::Bump;
use bump_scope::alloc::compat::AllocatorApi2V04Compat as Compat;

fn check_an_arena_takes_chunks_and_gives_them_back<H: Kind>() {
    let buddy = H::buddy();
    let mut arena: Bump<Compat<&Buddy<H>>> = Bump::new_in(Compat(&buddy));
    let words: std::vec::Vec<&str> =
        (0..1000).map(|number| arena.alloc_str(&format!("word {number}")).into_ref()).collect();
    assert!(words.iter().enumerate().all(|(number, word)| *word == format!("word {number}")));
    assert!(arena.stats().count() > 1, "one chunk was enough");
    arena.scoped(|scope| assert_eq!(*scope.alloc([1_u64; 64]), [1; 64]));
    arena.reset();
    drop(arena);
    assert_empty(buddy);
}

#[test]
fn an_arena_takes_chunks_and_gives_them_back() {
    check_an_arena_takes_chunks_and_gives_them_back::<Single>();
    check_an_arena_takes_chunks_and_gives_them_back::<SingleEager>();
    check_an_arena_takes_chunks_and_gives_them_back::<LockFree>();
    check_an_arena_takes_chunks_and_gives_them_back::<Locked>();
}

#[test]
fn an_arena_beyond_the_heap_is_refused_and_whole() {
    let buddy = Single::buddy();
    let arena: Bump<Compat<&Buddy<Single>>> = Bump::try_new_in(Compat(&buddy)).unwrap();
    let kept = arena.try_alloc([7_u8; 300]).unwrap();
    let mut chunks = 0;
    while arena.try_alloc_uninit_slice::<u8>(50_000).is_ok() {
        chunks += 1;
    }
    assert!(chunks > 5);
    assert_eq!(*kept, [7; 300]);
    drop(kept);
    drop(arena);
    assert_empty(buddy);
}
