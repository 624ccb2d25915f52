//! What an attacker, or a mistake, does to a plain heap, and to one with the option against it.

use super::{SLOTS, Under, hardened, layout, peek, plain, poke};
use buddy_core::heap::{AllocError, Damage, FreeError, Hardened, Hardening};
use buddy_core::{Heap, Plain};
use std::alloc::Layout;
use std::collections::HashSet;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::Mutex;

const SIZE: usize = 100;
/// The distance of the byte before a block.
const BEFORE: usize = usize::MAX;
const NONE: Hardening = Hardening::new(7);

type Bare<'m> = Heap<&'m mut [Plain], 16>;

fn take(heap: &Bare<'_>, layout: Layout) -> NonNull<u8> {
    heap.allocate(layout).unwrap().cast()
}

fn free(heap: &Bare<'_>, ptr: NonNull<u8>, layout: Layout) -> Result<(), FreeError> {
    // SAFETY: what happens after it is the attack.
    unsafe { heap.deallocate(ptr, layout) }
}

fn take_hard(heap: &Under<'_, Plain>, layout: Layout) -> NonNull<u8> {
    heap.allocate(layout).unwrap().cast()
}

fn free_hard(heap: &Under<'_, Plain>, ptr: NonNull<u8>, layout: Layout) -> Result<(), FreeError> {
    // SAFETY: what happens after it is the attack.
    unsafe { heap.deallocate(ptr, layout) }
}

fn fill(start: NonNull<u8>, bytes: usize, value: u8) {
    for at in 0..bytes {
        poke(start, at, value);
    }
}

fn bytes(start: NonNull<u8>, from: usize, to: usize) -> Vec<u8> {
    (from..to).map(|at| peek(start, at)).collect()
}

// Zeros: a secret is read from memory that was freed.

#[test]
fn a_freed_secret_is_read_from_a_plain_heap() {
    let (heap, layout) = (plain(1 << 16), layout(SIZE, 8));
    let secret = take(&heap, layout);
    fill(secret, SIZE, 0x55);
    free(&heap, secret, layout).unwrap();
    let attacker = take(&heap, layout);
    assert_eq!((attacker, bytes(attacker, 0, SIZE)), (secret, vec![0x55; SIZE]));
}

#[test]
fn zero_on_free_leaves_nothing_to_read() {
    for size in [1, SIZE, 5000, 300_000] {
        let heap = hardened(1 << 20, NONE.zero_on_free());
        let layout = layout(size, 8);
        let block = heap.allocate(layout).unwrap();
        fill(block.cast(), block.len(), 0x55);
        free_hard(&heap, block.cast(), layout).unwrap();
        assert_eq!(bytes(block.cast(), 0, block.len()), vec![0; block.len()]);
    }
}

#[test]
fn zero_on_free_clears_what_a_block_gives_up() {
    let heap = hardened::<Plain>(1 << 20, NONE.zero_on_free());
    let (large, small) = (layout(5000, 8), layout(SIZE, 8));
    let block = heap.allocate(large).unwrap();
    fill(block.cast(), block.len(), 0x55);
    // SAFETY: the old pointer is only peeked through.
    let shrunk = unsafe { heap.shrink(block.cast(), large, small) }.unwrap();
    assert_eq!(shrunk.cast::<u8>(), block.cast());
    assert_eq!(bytes(block.cast(), 0, SIZE), vec![0x55; SIZE]);
    let rest = block.len() - shrunk.len();
    assert_eq!(bytes(block.cast(), shrunk.len(), block.len()), vec![0; rest]);
}

#[test]
fn zero_on_free_clears_a_block_that_moves_or_shrinks_to_nothing() {
    let heap = hardened(1 << 20, NONE.zero_on_free());
    let (small, large) = (layout(128, 8), layout(300, 8));
    let blocks: Vec<_> = (0..50).map(|_| take_hard(&heap, small)).collect();
    let is_in_front = |block: &&NonNull<u8>| {
        blocks.iter().any(|other| other.addr().get() == block.addr().get() + 128)
    };
    let block = *blocks.iter().find(is_in_front).unwrap();
    fill(block, 128, 0x55);
    // SAFETY: the old pointer is only peeked through.
    let moved: NonNull<u8> = unsafe { heap.grow(block, small, large) }.unwrap().cast();
    assert_ne!(moved, block);
    assert_eq!((bytes(moved, 0, 128), bytes(block, 0, 128)), (vec![0x55; 128], vec![0; 128]));
    // SAFETY: as above.
    let none = unsafe { heap.shrink(moved, large, layout(0, 1)) }.unwrap();
    assert_eq!((none.len(), bytes(moved, 0, 300)), (0, vec![0; 300]));
}

// Guards: a write runs over the end of a block, or begins before it.

#[test]
fn a_write_over_the_end_changes_the_neighbour_in_a_plain_heap() {
    let (heap, layout) = (plain::<Plain>(1 << 16), layout(96, 8));
    let (one, other) = (take(&heap, layout), take(&heap, layout));
    let (first, second) = (one.min(other), one.max(other));
    fill(second, 96, 0);
    let gap = second.addr().get() - first.addr().get();
    poke(first, gap, 0x55);
    assert_eq!(peek(second, 0), 0x55);
    assert_eq!((free(&heap, first, layout), free(&heap, second, layout)), (Ok(()), Ok(())));
}

#[test]
fn guards_find_every_write_next_to_a_block() {
    for (size, align) in [(1, 1), (16, 16), (SIZE, 8), (4096, 64), (5000, 4096)] {
        let heap = hardened(1 << 20, NONE.guards());
        let layout = layout(size, align);
        let block = heap.allocate(layout).unwrap();
        assert_eq!((block.len(), block.cast::<u8>().addr().get() % align), (size, 0));
        let block: NonNull<u8> = block.cast();
        fill(block, size, 0x55);
        for at in [BEFORE - 15, BEFORE, size, size + 15] {
            // Also the 0 that ends a string.
            for value in [0, peek(block, at) ^ 1] {
                let right = peek(block, at);
                poke(block, at, value);
                let (address, at) = (block.addr().get(), block.addr().get().wrapping_add(at));
                let error = FreeError::Overwritten { address, at };
                assert_eq!(free_hard(&heap, block, layout), Err(error));
                let larger = super::layout(size + 1000, align);
                // SAFETY: it does not succeed.
                let grown = unsafe { heap.grow(block, layout, larger) };
                assert_eq!(grown, Err(AllocError::Block(error)));
                // SAFETY: it does not succeed.
                let shrunk = unsafe { heap.shrink(block, layout, super::layout(0, align)) };
                assert_eq!(shrunk, Err(AllocError::Block(error)));
                poke(block, at.wrapping_sub(address), right);
            }
        }
        // The block was its holder's all the time.
        assert_eq!(bytes(block, 0, size), vec![0x55; size]);
        assert_eq!(free_hard(&heap, block, layout), Ok(()));
        assert_eq!(heap.heap().total_allocated(), 0);
        heap.heap().validate().unwrap();
    }
}

#[test]
fn guards_go_with_a_block_that_is_resized() {
    let heap = hardened(1 << 20, NONE.guards());
    let sizes = [SIZE, SIZE + 1, SIZE + 5, 1000, 990, 60_000, 17, 300_000, 1];
    let mut old = layout(50, 8);
    let mut block = take_hard(&heap, old);
    fill(block, 50, 0x55);
    for size in sizes {
        let new = layout(size, 8);
        // SAFETY: the old pointer is not used again.
        let resized = unsafe { heap.grow(block, old, new) }.unwrap();
        (block, old) = (resized.cast(), new);
        assert_eq!(resized.len(), size);
        assert_eq!(bytes(block, 0, size.min(17)), vec![0x55; size.min(17)]);
        for at in [BEFORE, size] {
            let right = peek(block, at);
            poke(block, at, !right);
            let freed = free_hard(&heap, block, new);
            assert!(matches!(freed, Err(FreeError::Overwritten { .. })), "{size} {freed:?}");
            poke(block, at, right);
        }
        fill(block, size, 0x55);
    }
    free_hard(&heap, block, old).unwrap();
}

#[test]
fn guards_tell_wrong_sizes_and_alignments() {
    let heap = hardened(1 << 20, NONE.guards());
    let block = take_hard(&heap, layout(SIZE, 8));
    for wrong in [layout(SIZE - 1, 8), layout(SIZE + 1, 8), layout(SIZE + 4, 8), layout(1, 1)] {
        let freed = free_hard(&heap, block, wrong);
        assert!(freed.is_err(), "{wrong:?}");
    }
    let freed = free_hard(&heap, block, layout(SIZE, 64));
    assert!(freed.is_err());
    let size = layout(1000, 8);
    let actual = FreeError::WrongSize { address: block.addr().get(), given: 1000, actual: 128 };
    assert_eq!(free_hard(&heap, block, size), Err(actual));
    let huge = layout(isize::MAX as usize - 4, 1);
    assert!(free_hard(&heap, block, huge).is_err());
    assert!(matches!(heap.allocate(huge), Err(AllocError::TooLarge { .. })));
    let inside = NonNull::new(block.as_ptr().wrapping_add(16)).unwrap();
    let address = block.addr().get() + 16;
    let error = FreeError::NotStart { address, block: block.addr().get() };
    assert_eq!(free_hard(&heap, inside, layout(SIZE, 8)), Err(error));
    let null = NonNull::new(std::ptr::without_provenance_mut(16)).unwrap();
    let outside = FreeError::OutOfBounds { address: 16 };
    assert_eq!(free_hard(&heap, null, layout(SIZE, 8)), Err(outside));
    assert_eq!(free_hard(&heap, block, layout(SIZE, 8)), Ok(()));
    let again = FreeError::AlreadyFree { address: block.addr().get() };
    assert_eq!(free_hard(&heap, block, layout(SIZE, 8)), Err(again));
}

#[test]
fn a_stale_pointer_finds_no_guards_in_a_block_that_begins_elsewhere() {
    let heap = hardened(1 << 20, NONE.guards());
    // Both blocks begin 4096 bytes before the second pointer, and are of one class.
    let (stale, live) = (layout(6000, 8), layout(6000 - 4096, 4096));
    let first = take_hard(&heap, stale);
    free_hard(&heap, first, stale).unwrap();
    let second = take_hard(&heap, live);
    assert_eq!(second.addr().get() - 4096, first.addr().get() - 16);
    let freed = free_hard(&heap, first, stale);
    assert!(matches!(freed, Err(FreeError::Overwritten { .. })), "{freed:?}");
    free_hard(&heap, second, live).unwrap();
}

#[test]
fn a_guard_is_not_that_of_another_heap_block_or_size() {
    let guard = |seed, skipped: usize, size| {
        let heap: Under<'static, Plain> = hardened(1 << 16, Hardening::new(seed).guards());
        for _ in 0..skipped {
            take_hard(&heap, layout(size, 8));
        }
        bytes(take_hard(&heap, layout(size, 8)), size, size + 16)
    };
    let guards: HashSet<_> =
        [(1, 0, 96), (2, 0, 96), (1, 1, 96), (1, 0, 95)].map(|(s, n, b)| guard(s, n, b)).into();
    assert_eq!(guards.len(), 4);
}

// The quarantine: memory that was freed is used as if it were not.

#[test]
fn the_next_block_of_a_plain_heap_is_the_one_just_freed() {
    let (heap, layout) = (plain(1 << 16), layout(SIZE, 8));
    let victim = take(&heap, layout);
    free(&heap, victim, layout).unwrap();
    assert_eq!(take(&heap, layout), victim);
    // And so a second free by the victim takes it from its new owner.
    assert_eq!(free(&heap, victim, layout), Ok(()));
}

#[test]
fn the_quarantine_delays_reuse_and_finds_second_frees() {
    for hardening in [NONE.quarantine(1 << 12), NONE.quarantine(1 << 12).zero_on_free().guards()] {
        let (heap, layout) = (hardened(1 << 16, hardening), layout(SIZE, 8));
        let victim = take_hard(&heap, layout);
        free_hard(&heap, victim, layout).unwrap();
        for waiting in 1..=SLOTS {
            let other = take_hard(&heap, layout);
            assert_ne!(other, victim);
            let again = free_hard(&heap, victim, layout);
            assert_eq!(again, Err(FreeError::AlreadyFree { address: victim.addr().get() }));
            // SAFETY: it does not succeed.
            let grown = unsafe { heap.grow(victim, layout, super::layout(500, 8)) };
            assert!(matches!(grown, Err(AllocError::Block(FreeError::AlreadyFree { .. }))));
            assert_eq!(heap.waiting(), waiting);
            free_hard(&heap, other, layout).unwrap();
        }
        // As many frees as there are slots ended its wait.
        let next: Vec<_> = (0..SLOTS + 2).map(|_| take_hard(&heap, layout)).collect();
        assert!(next.contains(&victim));
    }
}

#[test]
fn blocks_above_the_limit_do_not_wait() {
    let heap = hardened(1 << 16, NONE.quarantine(112));
    let (small, large) = (layout(SIZE, 8), layout(113, 8));
    for (layout, waits) in [(small, true), (large, false)] {
        let block = take_hard(&heap, layout);
        free_hard(&heap, block, layout).unwrap();
        assert_eq!((heap.release_waiting() == 1, heap.waiting()), (waits, 0));
    }
}

#[test]
fn a_heap_that_is_short_of_memory_ends_the_wait() {
    let heap = hardened(1 << 14, NONE.quarantine(usize::MAX));
    let quarter = layout(heap.heap().size() / 4, 1);
    let most = layout(heap.heap().statistics().largest_free() * 16, 1);
    for zeroed in [false, true, false, true] {
        let blocks: Vec<_> = std::iter::from_fn(|| heap.allocate(quarter).ok()).collect();
        assert!((2..=4).contains(&blocks.len()) && heap.allocate(most).is_err());
        for block in &blocks {
            free_hard(&heap, block.cast(), quarter).unwrap();
        }
        assert_eq!(heap.waiting(), blocks.len());
        assert!(matches!(heap.allocate(layout(1 << 20, 1)), Err(AllocError::TooLarge { .. })));
        assert_eq!(heap.waiting(), blocks.len());
        let all = if zeroed { heap.allocate_zeroed(most) } else { heap.allocate(most) };
        free_hard(&heap, all.unwrap().cast(), most).unwrap();
        assert_eq!(heap.release_waiting(), 1);
    }
    assert_eq!(heap.heap().total_allocated(), 0);
    heap.heap().validate().unwrap();
}

static FOUND: Mutex<Vec<Damage>> = Mutex::new(Vec::new());

#[test]
fn a_write_to_a_block_that_waits_is_found_and_nobody_gets_it() {
    let hardening = NONE.zero_on_free().quarantine(1 << 12);
    let hardening = hardening.report(|damage| FOUND.lock().unwrap().push(*damage));
    let (heap, layout) = (hardened(1 << 16, hardening), layout(SIZE, 8));
    let victim = take_hard(&heap, layout);
    free_hard(&heap, victim, layout).unwrap();
    poke(victim, 55, 1);
    assert_eq!(heap.damaged(), 0);
    for _ in 0..2 * SLOTS {
        let other = take_hard(&heap, layout);
        assert_ne!(other, victim);
        free_hard(&heap, other, layout).unwrap();
    }
    assert_eq!(heap.damaged(), 1);
    let block = victim.addr().get();
    let [damage] = FOUND.lock().unwrap()[..] else { panic!("one write") };
    assert_eq!((damage.block, damage.bytes, damage.at), (block, 112, block + 55));
    heap.release_waiting();
    assert_eq!((heap.damaged(), heap.heap().total_allocated()), (1, 112));
    heap.heap().validate().unwrap();
    let taken: HashSet<_> = std::iter::from_fn(|| heap.allocate(layout).ok()).collect();
    assert!(taken.iter().all(|block| block.cast() != victim));
}

// Random choice: the attacker knows where the next block will be.

/// How often the next block lies where the last one did, or right behind it.
fn foreseen(mut take: impl FnMut() -> NonNull<u8>) -> usize {
    let mut last = take();
    (0..200)
        .filter(|_| {
            let next = take();
            let distance = next.addr().get().wrapping_sub(last.addr().get());
            last = next;
            distance == 128
        })
        .count()
}

#[test]
fn the_next_block_of_a_plain_heap_is_foreseen() {
    let heap = plain(1 << 20);
    // Where rows of blocks end there is another distance.
    assert!(foreseen(|| take(&heap, layout(128, 8))) > 100);
}

#[test]
fn random_choice_cannot_be_foreseen() {
    for choices in [4, 8, 16] {
        let heap = hardened(1 << 20, NONE.random_choice(choices));
        let foreseen = foreseen(|| take_hard(&heap, layout(128, 8)));
        assert!(foreseen < 400 / choices, "{foreseen} of 200 among {choices}");
        // The order depends on the seed.
        let order = |seed| {
            let heap = hardened(1 << 20, Hardening::new(seed).random_choice(choices));
            let start = take_hard(&heap, layout(1, 1)).addr().get();
            let next = || take_hard(&heap, layout(SIZE, 8)).addr().get().wrapping_sub(start);
            (0..20).map(|_| next()).collect::<Vec<_>>()
        };
        assert_ne!(order(1), order(2));
        assert_eq!(heap.heap().statistics().blocks(), 201);
    }
}

#[test]
fn a_heap_that_fills_up_gives_all_it_has_whatever_is_chosen() {
    let heap = hardened::<Plain>(1 << 16, NONE.random_choice(usize::MAX));
    let layout = layout(16, 16);
    let blocks: HashSet<_> = std::iter::from_fn(|| heap.allocate(layout).ok()).collect();
    assert_eq!((blocks.len() * 16, heap.heap().total_free()), (heap.heap().size(), 0));
    let heap: Under<'static, Plain> = hardened(1 << 16, NONE.random_choice(0));
    assert!(heap.allocate(layout).is_ok());
}

#[test]
fn only_what_there_is_plenty_of_is_chosen() {
    let is_foreseen = |part: usize| {
        let heap = hardened::<Plain>(1 << 20, NONE.random_choice(8));
        let layout = layout((heap.heap().size() / part).next_power_of_two() / 2, 8);
        let bare = plain::<Plain>(1 << 20);
        let offset = |heap: &Bare<'_>| heap.walk().next().unwrap().start.addr().get() % 4096;
        assert_eq!(offset(&bare), offset(heap.heap()));
        let origin = (take_hard(&heap, layout).addr().get(), take(&bare, layout).addr().get());
        (0..8).all(|_| {
            let next = (take_hard(&heap, layout).addr().get(), take(&bare, layout).addr().get());
            next.0.wrapping_sub(origin.0) == next.1.wrapping_sub(origin.1)
        })
    };
    // 64 times the size has to be free for each of the choices.
    assert!(!is_foreseen(1024) && is_foreseen(256) && is_foreseen(32));
}

// None of it.

#[test]
fn without_options_it_is_the_heap() {
    let mut memory: Box<[MaybeUninit<u8>]> = Box::new_uninit_slice(1 << 16);
    let work = |heap: Under<'_, Plain>| {
        let (mut live, mut seen) = (Vec::new(), Vec::new());
        for size in (1..200).map(|at| at * 37 % 1500) {
            let layout = layout(size, 8);
            let block = heap.allocate(layout).ok();
            seen.push(block);
            live.extend(block.map(|block| (block.cast(), layout)));
            if size % 3 == 0 {
                let (block, layout) = live.swap_remove(size % live.len());
                free_hard(&heap, block, layout).unwrap();
            }
        }
        assert_eq!((heap.waiting(), heap.damaged()), (0, 0));
        (seen, heap.into_heap().total_free())
    };
    let all_off = NONE.quarantine(0).random_choice(1);
    let hard = work(Hardened::new(Heap::from_region(&mut memory).unwrap(), all_off));
    let bare: Bare<'_> = Heap::from_region(&mut memory).unwrap();
    let (mut live, mut seen) = (Vec::new(), Vec::new());
    for size in (1..200).map(|at| at * 37 % 1500) {
        let layout = layout(size, 8);
        let block = bare.allocate(layout).ok();
        seen.push(block);
        live.extend(block.map(|block| (block.cast(), layout)));
        if size % 3 == 0 {
            let (block, layout) = live.swap_remove(size % live.len());
            free(&bare, block, layout).unwrap();
        }
    }
    assert_eq!(hard, (seen, bare.total_free()));
}

#[test]
fn all_blocks_are_freed_at_once_those_that_wait_too() {
    let mut heap = hardened(1 << 16, NONE.quarantine(usize::MAX).zero_on_free());
    let layout = layout(SIZE, 8);
    let blocks = [(); 5].map(|()| take_hard(&heap, layout));
    free_hard(&heap, blocks[2], layout).unwrap();
    // SAFETY: no block is used.
    unsafe { heap.free_all() };
    assert_eq!((heap.waiting(), heap.release_waiting()), (0, 0));
    assert_eq!(heap.heap().total_allocated(), 0);
    heap.heap().validate().unwrap();
    assert!(free_hard(&heap, blocks[0], layout).is_err());
}

#[test]
fn debug_output_does_not_tell_the_seed() {
    let heap: Under<'static, Plain> = hardened(1 << 16, Hardening::new(0x1234_5678).guards());
    let text = format!("{heap:?}");
    assert!(text.contains("guards: true") && text.contains("waiting: 0"), "{text}");
    assert!(!text.contains("seed") && !text.contains(&0x1234_5678.to_string()), "{text}");
}
