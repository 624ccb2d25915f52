//! Many threads on one tree. A flag a leaf says who has it, apart from the tree: a leaf that is
//! handed out twice, or freed under its owner, is seen at once.

use crate::model::{Leaf, Model};
use buddy_core::tree::FreeError;
use buddy_core::{Constraints, Extent, Kind, Order, Policy, Tree, Word};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Barrier, mpsc};
use std::thread;

const THREADS: usize = 4;

/// No power of two, and across one, so that every order has more than one word.
const RANGE: Range<usize> = (1 << 14) - 1000..(1 << 14) + 1777;

/// Leaves that a thread holds: first and count.
type Held = (usize, usize);

/// Numbers by `SplitMix64`.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as usize % limit
    }

    /// Mostly a few leaves.
    fn size(&mut self) -> usize {
        let limit = [4, 12, 40, 200][self.below(4)];
        1 + self.below(limit)
    }
}

/// Whether each leaf is somebody's.
struct Flags(Vec<AtomicBool>);

impl Flags {
    fn new() -> Self {
        Self(RANGE.map(|_| AtomicBool::new(false)).collect())
    }

    fn take(&self, first: usize, leaves: usize) {
        for leaf in first..first + leaves {
            assert!(!self.0[leaf - RANGE.start].swap(true, Relaxed), "{leaf} is somebody's");
        }
    }

    /// To be called before the tree gets the leaves back.
    fn give(&self, first: usize, leaves: usize) {
        for leaf in first..first + leaves {
            assert!(self.0[leaf - RANGE.start].swap(false, Relaxed), "{leaf} is nobody's");
        }
    }
}

/// One thread: what it holds, and the thread that it hands blocks to.
struct Worker<'t, 'w, W: Word, P: Policy> {
    tree: &'t Tree<&'w [W], P>,
    flags: &'t Flags,
    random: Random,
    blocks: Vec<Held>,
    reserved: Vec<Held>,
    next: mpsc::Sender<Held>,
}

impl<W: Word, P: Policy> Worker<'_, '_, W, P> {
    fn step(&mut self) {
        match self.random.below(16) {
            0..=5 => self.allocate(),
            6..=9 => self.free(),
            10 => self.hand_over(),
            11 => self.resize(),
            12 => self.free_part(),
            13 => self.reserve_or_release(),
            _ => self.misuse(),
        }
    }

    /// Any of these may be refused: others have the memory.
    fn allocate(&mut self) {
        let leaves = self.random.size();
        let order = Order::for_leaves(leaves).unwrap();
        let first = match self.random.below(8) {
            0..=2 => self.tree.allocate_exact(leaves).ok(),
            3 => return self.allocate_many(),
            4 => {
                let first = RANGE.start + self.random.below(RANGE.len());
                self.tree.allocate_at(first, leaves).ok().map(|()| first)
            }
            5 => {
                let below = Constraints::new().below(RANGE.start + RANGE.len() / 2);
                self.tree.allocate_within(leaves, &below).ok()
            }
            _ => {
                let first = self.tree.allocate(order).ok();
                return first.into_iter().for_each(|first| self.keep(first, order.leaves()));
            }
        };
        if let Some(first) = first {
            self.keep(first, leaves);
        }
    }

    fn allocate_many(&mut self) {
        let order = Order::new(self.random.below(3) as u32).unwrap();
        let mut blocks = [0; 40];
        let wanted = self.random.below(blocks.len());
        let got = self.tree.allocate_many(order, &mut blocks[..wanted]);
        for first in &blocks[..got] {
            self.keep(*first, order.leaves());
        }
    }

    fn keep(&mut self, first: usize, leaves: usize) {
        self.flags.take(first, leaves);
        self.blocks.push((first, leaves));
    }

    /// Removes one of the blocks.
    fn pick(&mut self) -> Option<Held> {
        let count = self.blocks.len();
        (count > 0).then(|| self.blocks.swap_remove(self.random.below(count)))
    }

    fn free(&mut self) {
        let Some((first, leaves)) = self.pick() else { return };
        self.flags.give(first, leaves);
        if self.random.below(2) == 0 {
            assert_eq!(self.tree.free(first), Ok(leaves));
        } else {
            assert_eq!(self.tree.free_sized(first, leaves), Ok(()));
        }
    }

    fn hand_over(&mut self) {
        let Some(block) = self.pick() else { return };
        // The next thread may have ended.
        if self.next.send(block).is_err() {
            self.blocks.push(block);
        }
    }

    fn resize(&mut self) {
        let Some((first, old)) = self.pick() else { return };
        let new = self.random.size();
        if new < old {
            self.flags.give(first + new, old - new);
            assert_eq!(self.tree.shrink(first, old, new), Ok(()));
        }
        let has_grown = new > old && self.tree.grow(first, old, new).is_ok();
        if has_grown {
            self.flags.take(first + old, new - old);
        }
        self.blocks.push((first, if has_grown { new } else { old.min(new) }));
    }

    fn free_part(&mut self) {
        let Some((first, leaves)) = self.pick() else { return };
        let before = self.random.below(leaves);
        let freed = 1 + self.random.below(leaves - before);
        self.flags.give(first + before, freed);
        assert_eq!(self.tree.free_part(first + before, freed), Ok(()));
        let behind = (first + before + freed, leaves - before - freed);
        self.blocks.extend([(first, before), behind].iter().filter(|(_, leaves)| *leaves > 0));
    }

    fn reserve_or_release(&mut self) {
        if self.reserved.len() > 10 {
            return self.release();
        }
        let (first, leaves) = (RANGE.start + self.random.below(RANGE.len()), self.random.size());
        if self.tree.reserve(first, leaves).is_ok() {
            self.flags.take(first, leaves);
            self.reserved.push((first, leaves));
        }
    }

    fn release(&mut self) {
        for (first, leaves) in self.reserved.drain(..) {
            self.flags.give(first, leaves);
            assert_eq!(self.tree.release(first, leaves), Ok(()));
        }
    }

    /// Wrong frees that stay wrong whatever other threads do, and questions about an own block.
    fn misuse(&mut self) {
        let Some((first, leaves)) = self.pick() else { return };
        let leaf = first + self.random.below(leaves);
        let given = self.random.size();
        if leaf > first {
            let not_start = FreeError::NotStart { leaf, block: first };
            assert_eq!(self.tree.free(leaf), Err(not_start));
            assert_eq!(self.tree.free_sized(leaf, given), Err(not_start));
        }
        if given != leaves {
            let wrong = FreeError::WrongSize { leaf: first, given, actual: leaves };
            assert_eq!(self.tree.free_sized(first, given), Err(wrong));
        }
        let outside = FreeError::OutOfRange { leaf: RANGE.end };
        assert_eq!(self.tree.free(RANGE.end), Err(outside));
        assert_eq!(self.tree.leaves_of(first), Ok(leaves));
        assert_eq!(self.tree.extent_at(leaf), Some(Extent { first, leaves, kind: Kind::Used }));
        self.blocks.push((first, leaves));
    }
}

fn words<W: Word>() -> Vec<W> {
    (0..Tree::<&[W]>::metadata_words(RANGE)).map(|_| W::default()).collect()
}

/// Every leaf came back, and all that can be merged is.
fn all_is_free<W: Word, P: Policy>(tree: &Tree<&[W], P>) {
    assert_eq!(tree.validate(), Ok(()));
    let statistics = tree.statistics();
    assert_eq!(tree.validate(), Ok(()));
    assert_eq!((tree.used(), statistics.blocks(), statistics.reserved()), (0, 0, 0));
    let free = tree.walk().map(|extent| (extent.first, extent.leaves, extent.kind));
    let merged = Model::new(RANGE, Leaf::Free).free_blocks();
    let merged = merged.iter().map(|(first, order)| (*first, order.leaves(), Kind::Free));
    assert!(free.eq(merged), "not merged");
}

fn leaves_have_one_owner<W: Word + Sync, P: Policy + Sync>() {
    let words = words::<W>();
    let tree = Tree::<_, P>::new(words.as_slice(), RANGE).unwrap();
    let flags = Flags::new();
    let (mut senders, inboxes): (Vec<_>, Vec<_>) = (0..THREADS).map(|_| mpsc::channel()).unzip();
    // Each hands over to the one after it, the last to the first.
    senders.rotate_left(1);
    thread::scope(|scope| {
        for (seed, (next, inbox)) in senders.into_iter().zip(inboxes).enumerate() {
            let worker = Worker {
                tree: &tree,
                flags: &flags,
                random: Random(seed as u64),
                blocks: Vec::new(),
                reserved: Vec::new(),
                next,
            };
            scope.spawn(move || work(worker, &inbox));
        }
    });
    all_is_free(&tree);
}

/// A thread's life: random steps, now and then a look at the whole, at last all is given back.
fn work<W: Word, P: Policy>(mut worker: Worker<'_, '_, W, P>, inbox: &mpsc::Receiver<Held>) {
    for step in 0..20_000 {
        worker.step();
        worker.blocks.extend(inbox.try_iter());
        if step % 1000 == 0 {
            assert!(worker.tree.statistics().used() <= RANGE.len());
            let walked: usize = worker.tree.walk().map(|extent| extent.leaves).sum();
            assert!(walked >= RANGE.len());
        }
    }
    worker.release();
    let Worker { tree, flags, blocks, next, .. } = worker;
    // The next thread waits until no more can come.
    drop(next);
    for (first, leaves) in blocks.into_iter().chain(inbox) {
        flags.give(first, leaves);
        assert_eq!(tree.free(first), Ok(leaves));
    }
}

/// Blocks of all sizes at all places, until about half is used.
fn furnish<W: Word, P: Policy>(tree: &Tree<&[W], P>, random: &mut Random) -> Vec<Held> {
    let mut blocks = Vec::new();
    while tree.used() < RANGE.len() / 2 {
        let (first, leaves) = (RANGE.start + random.below(RANGE.len()), random.size());
        if random.below(2) == 0 && tree.allocate_at(first, leaves).is_ok() {
            blocks.push((first, leaves));
        } else if let Ok(first) = tree.allocate_exact(leaves) {
            blocks.push((first, leaves));
        }
    }
    blocks
}

/// All threads free the same blocks at the same time.
fn one_free_succeeds<W: Word + Sync, P: Policy + Sync>() {
    let words = words::<W>();
    let tree = Tree::<_, P>::new(words.as_slice(), RANGE).unwrap();
    let mut random = Random(0);
    for _ in 0..60 {
        let blocks = furnish(&tree, &mut random);
        let (freed, start) = (AtomicUsize::new(0), Barrier::new(THREADS));
        thread::scope(|scope| {
            for number in 0..THREADS {
                let (tree, blocks, freed, start) = (&tree, &blocks, &freed, &start);
                scope.spawn(move || {
                    start.wait();
                    for (first, leaves) in blocks {
                        let is_freed = if number % 2 == 0 {
                            tree.free(*first).inspect(|freed| assert_eq!(freed, leaves)).is_ok()
                        } else {
                            tree.free_sized(*first, *leaves).is_ok()
                        };
                        freed.fetch_add(usize::from(is_freed), Relaxed);
                    }
                });
            }
        });
        assert_eq!(freed.into_inner(), blocks.len());
        all_is_free(&tree);
    }
}

/// Threads take single leaves until they are refused, which may be early; none is lost by that.
fn no_leaf_is_lost<W: Word + Sync, P: Policy + Sync>() {
    let words = words::<W>();
    let tree = Tree::<_, P>::new(words.as_slice(), RANGE).unwrap();
    let flags = Flags::new();
    for _ in 0..20 {
        let take = || while tree.allocate(Order::MIN).map(|leaf| flags.take(leaf, 1)).is_ok() {};
        let start = Barrier::new(THREADS);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    start.wait();
                    take();
                });
            }
        });
        take();
        assert_eq!(tree.used(), RANGE.len());
        assert_eq!(tree.validate(), Ok(()));
        thread::scope(|scope| {
            for number in 0..THREADS {
                let (tree, flags, start) = (&tree, &flags, &start);
                scope.spawn(move || {
                    start.wait();
                    for leaf in RANGE.skip(number).step_by(THREADS) {
                        flags.give(leaf, 1);
                        assert_eq!(tree.free(leaf), Ok(1));
                    }
                });
            }
        });
        all_is_free(&tree);
    }
}

for_every_shared_tree!(
    leaves_have_one_owner as leaves_have_one_owner_at_a_time,
    one_free_succeeds as one_of_several_frees_succeeds,
    no_leaf_is_lost as no_leaf_is_lost_between_threads,
);
