//! Random work under every mix of options, beside a shadow that knows every block.

use super::{SLOTS, Under, layout};
use buddy_core::heap::{FreeError, Hardened, Hardening, ZeroedWord};
use buddy_core::{Atomic, Heap, Plain, Plain32};
use proptest::prelude::*;
use std::alloc::Layout;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

#[derive(Clone, Debug)]
enum Action {
    Allocate(Layout, bool),
    Free(usize),
    FreeAgain(usize),
    Resize(usize, Layout, bool),
    Release,
}

fn layouts() -> impl Strategy<Value = Layout> {
    let size = prop_oneof![1 => Just(0_usize), 6 => 1_usize..200, 3 => 1_usize..9000];
    (size, prop_oneof![4 => 0_u32..5, 1 => 5_u32..13])
        .prop_map(|(size, align)| layout(size, 1 << align))
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        6 => (layouts(), any::<bool>()).prop_map(|(layout, zeroed)| Action::Allocate(layout, zeroed)),
        4 => any::<usize>().prop_map(Action::Free),
        1 => any::<usize>().prop_map(Action::FreeAgain),
        4 => (any::<usize>(), layouts(), any::<bool>())
            .prop_map(|(victim, layout, zeroed)| Action::Resize(victim, layout, zeroed)),
        1 => Just(Action::Release),
    ];
    prop::collection::vec(action, 1..150)
}

fn hardenings() -> impl Strategy<Value = Hardening> {
    let limit = prop_oneof![Just(0), Just(256), Just(usize::MAX)];
    (any::<[bool; 2]>(), limit, 0_usize..20).prop_map(|([clears, guards], limit, choices)| {
        let hardening = Hardening::new(99).quarantine(limit).random_choice(choices);
        let hardening = if clears { hardening.zero_on_free() } else { hardening };
        if guards { hardening.guards() } else { hardening }
    })
}

struct Live {
    block: NonNull<[u8]>,
    layout: Layout,
    mark: u8,
}

impl Live {
    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: a live block, which the shadow alone uses.
        unsafe { self.block.as_mut() }
    }

    /// Zeros first: the bytes may never have been written.
    fn fill(&mut self) {
        // SAFETY: as above.
        unsafe { self.block.cast::<u8>().write_bytes(self.mark, self.block.len()) };
    }

    fn check(&mut self, bytes: usize) {
        let mark = self.mark;
        assert!(self.bytes()[..bytes].iter().all(|byte| *byte == mark));
    }
}

struct Shadow<'m, W: ZeroedWord> {
    heap: Under<'m, W>,
    live: Vec<Live>,
    freed: Vec<(NonNull<u8>, Layout)>,
    next_mark: u8,
}

impl<W: ZeroedWord> Shadow<'_, W> {
    fn enter(
        &mut self,
        block: NonNull<[u8]>,
        layout: Layout,
        kept: Option<(u8, usize)>,
        zeroed: bool,
    ) {
        assert!(block.len() >= layout.size());
        let start = block.cast::<u8>().addr().get();
        assert_eq!(start % layout.align(), 0);
        for other in self.live.iter().filter(|other| !other.block.is_empty()) {
            let from = other.block.cast::<u8>().addr().get();
            assert!(
                start + block.len() <= from
                    || from + other.block.len() <= start
                    || block.is_empty()
            );
        }
        self.freed.retain(|(freed, _)| *freed != block.cast());
        self.next_mark = self.next_mark % 255 + 1;
        let (mark, kept) = kept.unwrap_or((0, 0));
        let mut live = Live { block, layout, mark };
        live.check(kept);
        if zeroed {
            assert!(live.bytes()[kept..].iter().all(|byte| *byte == 0));
        }
        live.mark = self.next_mark;
        live.fill();
        self.live.push(live);
    }

    fn step(&mut self, action: &Action) {
        match *action {
            Action::Allocate(layout, zeroed) => {
                let block = if zeroed {
                    self.heap.allocate_zeroed(layout)
                } else {
                    self.heap.allocate(layout)
                };
                if let Ok(block) = block {
                    self.enter(block, layout, None, zeroed);
                }
            }
            Action::Free(victim) if !self.live.is_empty() => {
                let mut live = self.live.swap_remove(victim % self.live.len());
                live.check(live.block.len());
                // SAFETY: the shadow has forgotten the block.
                assert_eq!(unsafe { self.heap.deallocate(live.block.cast(), live.layout) }, Ok(()));
                if live.layout.size() > 0 {
                    self.freed.push((live.block.cast(), live.layout));
                }
            }
            Action::FreeAgain(victim) if !self.freed.is_empty() => {
                let (ptr, layout) = self.freed[victim % self.freed.len()];
                // Without guards another block may begin there, or hold it.
                let before = (self.heap.waiting(), self.heap.heap().total_free());
                // SAFETY: no live block starts there.
                let freed: Result<(), FreeError> = unsafe { self.heap.deallocate(ptr, layout) };
                assert!(freed.is_err());
                assert_eq!((self.heap.waiting(), self.heap.heap().total_free()), before);
            }
            Action::Resize(victim, layout, zeroed) if !self.live.is_empty() => {
                let at = victim % self.live.len();
                let all = self.live[at].block.len();
                self.live[at].check(all);
                let Live { block, layout: old, mark } = self.live[at];
                let ptr = block.cast();
                let resized = if layout.size() < old.size() {
                    // SAFETY: on success the shadow forgets the old block.
                    unsafe { self.heap.shrink(ptr, old, layout) }
                } else if zeroed {
                    // SAFETY: as above.
                    unsafe { self.heap.grow_zeroed(ptr, old, layout) }
                } else {
                    // SAFETY: as above.
                    unsafe { self.heap.grow(ptr, old, layout) }
                };
                if let Ok(new) = resized {
                    self.live.swap_remove(at);
                    let kept = old.size().min(layout.size());
                    let zeroed = zeroed && layout.size() >= old.size();
                    self.enter(new, layout, Some((mark, kept)), zeroed);
                } else {
                    self.live[at].check(all);
                }
            }
            Action::Release => {
                self.heap.release_waiting();
                self.heap.heap().validate().unwrap();
            }
            _ => {}
        }
    }
}

fn run<W: ZeroedWord>(bytes: usize, hardening: Hardening, actions: &[Action]) {
    let mut memory: Box<[MaybeUninit<u8>]> = Box::new_uninit_slice(bytes);
    let heap: Under<'_, W> = Hardened::new(Heap::from_region(&mut memory).unwrap(), hardening);
    let mut shadow = Shadow { heap, live: Vec::new(), freed: Vec::new(), next_mark: 0 };
    for action in actions {
        shadow.step(action);
        assert!(shadow.heap.waiting() <= SLOTS);
    }
    while !shadow.live.is_empty() {
        shadow.step(&Action::Free(0));
    }
    assert_eq!(shadow.heap.damaged(), 0);
    let heap = shadow.heap.into_heap();
    heap.validate().unwrap();
    assert_eq!((heap.total_allocated(), heap.total_free()), (0, heap.size()));
}

proptest! {
    #[test]
    fn valid_work_is_as_on_a_plain_heap(
        bytes in prop_oneof![10_000_usize..70_000, Just(1 << 20)],
        hardening in hardenings(),
        actions in actions(),
    ) {
        run::<Plain>(bytes, hardening, &actions);
        run::<Plain32>(bytes, hardening, &actions);
        run::<Atomic>(bytes, hardening, &actions);
    }
}
