//! Frames are slots of slabs, and nobody can tell.

use buddy_core::frames::{
    Bootstrap, Frame, Frames, FreeError, MemoryKind, MemoryRange, PhysicalAddress, Request,
};
use buddy_core::{Atomic, Atomic32, Kind, Lazy, Order, Plain, Plain32, Policy, Word};

/// 256 MiB in one zone, from 256 MiB on.
const START: usize = 1 << 16;
const COUNT: usize = 1 << 16;

struct FourCpus;

impl Policy for FourCpus {
    const CPUS: usize = 4;
}

fn with_frames<W: Word, P: Policy>(call: impl FnOnce(&Frames<'_, W, P>)) {
    let map = [MemoryRange::new((START as u64) << 12, (COUNT as u64) << 12, MemoryKind::Usable)];
    let bootstrap = Bootstrap::new(map);
    let words = bootstrap.metadata_words::<W, P, 4096>().unwrap();
    let mut words: Vec<W> = (0..words).map(|_| W::default()).collect();
    let frames = bootstrap.build_in(&mut words).unwrap();
    call(&frames);
    assert_eq!(frames.validate(), Ok(()));
}

/// Runs each with every kind of word, for one CPU and many.
macro_rules! on_every_kind {
    ($($check:ident as $name:ident),+ $(,)?) => {
        $(
            #[test]
            fn $name() {
                with_frames::<Plain, Lazy>($check);
                with_frames::<Plain32, Lazy>($check);
                with_frames::<Atomic, FourCpus>($check);
                with_frames::<Atomic32, FourCpus>($check);
            }
        )+
    };
}

on_every_kind!(
    figures as figures_count_what_rests_as_free,
    claims as what_rests_is_had_by_whoever_wants_that_place,
    merging as what_rests_is_merged_for_a_large_block,
    frees as a_frame_that_rests_cannot_be_freed_in_any_form,
    parts as a_slot_is_divided_and_freed_in_parts,
    exhaustion as nothing_is_left_at_rest_when_memory_is_used_up,
);

/// Frames of which some rest then.
fn rest<W: Word, P: Policy>(frames: &Frames<'_, W, P>) -> Vec<Frame> {
    let pages: Vec<Frame> = (0..200).map(|_| frames.allocate_one().unwrap()).collect();
    for page in &pages {
        frames.free_one(*page).unwrap();
    }
    pages
}

fn figures<W: Word, P: Policy>(frames: &Frames<'_, W, P>) {
    for page in rest(frames) {
        assert_eq!(frames.used_frames(), 0);
        assert_eq!(frames.free_frames(), COUNT);
        assert_eq!(frames.stretch_at(page).unwrap().kind, Kind::Free);
    }
    rest(frames);
    assert_eq!(frames.walk().next().unwrap().frames, COUNT);
    rest(frames);
    let statistics = frames.statistics();
    assert_eq!((statistics.used(), statistics.blocks(), statistics.free()), (0, 0, COUNT));
    // Again from where one was given last.
    let page = frames.allocate_one().unwrap();
    frames.free_one(page).unwrap();
    assert_eq!(frames.allocate_one(), Ok(page));
    frames.free_one(page).unwrap();
}

fn claims<W: Word, P: Policy>(frames: &Frames<'_, W, P>) {
    for page in rest(frames) {
        frames.allocate_at(page, 1).unwrap();
    }
    let page = Frame::new(START + COUNT / 2);
    frames.allocate_at(page, 1).unwrap();
    frames.free_one(page).unwrap();
    let bank = page.address()..page.address().saturating_add(4096);
    assert_eq!(frames.remove(bank.clone()), Ok(1));
    assert_eq!(frames.free_one(page), Err(FreeError::Reserved { address: page.address() }));
    assert_eq!(frames.add(bank), Ok(1));
    let all = PhysicalAddress::new(0)..PhysicalAddress::new(1 << 50);
    assert!(frames.remove(all).is_err());
}

fn merging<W: Word, P: Policy>(frames: &Frames<'_, W, P>) {
    let mut pages = vec![Frame::default(); COUNT];
    for page in &mut pages {
        *page = frames.allocate_one().unwrap();
    }
    assert!(frames.allocate_one().is_err());
    for page in &pages {
        frames.free_one(*page).unwrap();
    }
    let all = frames.allocate(Order::for_leaves(COUNT).unwrap()).unwrap();
    assert_eq!(all.number(), START);
    frames.free(all).unwrap();
}

fn frees<W: Word, P: Policy>(frames: &Frames<'_, W, P>) {
    for page in rest(frames) {
        let refused = FreeError::AlreadyFree { address: page.address() };
        assert_eq!(frames.free_one(page), Err(refused));
        assert_eq!(frames.free_sized(page, 1), Err(refused));
        assert_eq!(frames.free(page), Err(refused));
        assert_eq!(frames.free_part(page, 1), Err(refused));
        assert_eq!(frames.split(page, 1, 1), Err(refused));
        assert_eq!(frames.free_sized(page, 2), Err(refused));
    }
    let four = frames.allocate_exact(4).unwrap();
    let inside = four.saturating_add(1);
    let wrong = FreeError::WrongSize { address: four.address(), given: 3, actual: 4 };
    assert_eq!(frames.free_sized(four, 3), Err(wrong));
    let not_start = FreeError::NotStart { address: inside.address(), block: four.address() };
    assert_eq!(frames.free_one(inside), Err(not_start));
    frames.free_sized(four, 4).unwrap();
    let refused = FreeError::AlreadyFree { address: four.address() };
    assert_eq!(frames.free_sized(four, 3), Err(refused));
    assert_eq!(frames.split(four, 4, 2), Err(refused));
    let refused = FreeError::AlreadyFree { address: inside.address() };
    assert_eq!(frames.free_one(inside), Err(refused));
    assert_eq!(frames.free_part(inside, 1), Err(refused));
    assert_eq!(frames.free_part(inside, 4), Err(refused));
}

fn parts<W: Word, P: Policy>(frames: &Frames<'_, W, P>) {
    for count in [2, 3, 4, 5, 6, 7, 8] {
        // From the tree, then from slabs.
        for _ in 0..3 {
            let block = frames.allocate_exact(count).unwrap();
            assert_eq!(frames.split(block, count, 1), Ok(count));
            assert!(frames.free_sized(block, count).is_err());
            for page in 0..count {
                frames.free_one(block.saturating_add(page)).unwrap();
            }
            let block = frames.allocate_exact(count).unwrap();
            frames.free_part(block.saturating_add(1), 1).unwrap();
            // It must not be taken for the block that it was.
            let wrong = FreeError::WrongSize { address: block.address(), given: count, actual: 1 };
            assert_eq!(frames.free_sized(block, count), Err(wrong));
            assert_eq!(frames.free(block), Ok(1));
            if count > 2 {
                assert_eq!(frames.free(block.saturating_add(2)), Ok(count - 2));
            }
            let block = frames.allocate_exact(count).unwrap();
            frames.free_sized(block, count).unwrap();
        }
        assert_eq!(frames.used_frames(), 0);
        assert_eq!(frames.statistics().blocks(), 0);
    }
}

fn exhaustion<W: Word, P: Policy>(frames: &Frames<'_, W, P>) {
    for _ in 0..2 {
        rest(frames);
        let mut pages = vec![Frame::default(); COUNT + 1];
        let many = frames.allocate_many(Order::MIN, &mut pages[..COUNT / 2]);
        let mut had = many;
        while let Ok(page) = frames.allocate_one() {
            pages[had] = page;
            had += 1;
        }
        assert_eq!((many, had), (COUNT / 2, COUNT));
        frames.free_many(Order::MIN, &pages[..had]).unwrap();
        rest(frames);
        let blocks: Vec<Frame> = (0..100).map(|_| frames.allocate_exact(4).unwrap()).collect();
        for block in blocks {
            frames.free_sized(block, 4).unwrap();
        }
        assert_eq!(frames.allocate_many(Order::MIN, &mut pages), COUNT);
        frames.free_many(Order::MIN, &pages[..COUNT]).unwrap();
    }
}

/// Whatever words lie where its slot's would be: of other slabs, too, that look the same.
fn strangers<W: Word, P: Policy>() {
    // 1 GiB, which has slabs of classes whose words have the same tags.
    let count = 4 * COUNT;
    let map = [MemoryRange::new((START as u64) << 12, (count as u64) << 12, MemoryKind::Usable)];
    let bootstrap = Bootstrap::new(map);
    let words = bootstrap.metadata_words::<W, P, 4096>().unwrap();
    let mut words: Vec<W> = (0..words).map(|_| W::default()).collect();
    let frames: Frames<'_, W, P> = bootstrap.build_in(&mut words).unwrap();
    let counts = [1, 2, 10, 12];
    for count in counts {
        let held = [(); 100].map(|()| frames.allocate_exact(count).unwrap().number());
        assert!(
            W::BITS < 64 || count == 1 || held.contains(&(held[20] + count)),
            "they are slots, side by side"
        );
    }
    let used = frames.used_frames();
    for number in (0..START).step_by(7).chain(START + count..START + 4 * count) {
        let frame = Frame::new(number);
        let refused = Err(FreeError::NotManaged { address: frame.address() });
        assert!(counts.map(|count| frames.free_sized(frame, count)) == [refused; 4], "{frame:?}");
    }
    assert_eq!(frames.used_frames(), used);
}

#[test]
fn a_frame_that_is_not_managed_is_no_slot() {
    strangers::<Plain, Lazy>();
    strangers::<Plain32, Lazy>();
    strangers::<Atomic, FourCpus>();
    strangers::<Atomic32, FourCpus>();
}

/// What rests in a low zone is not taken while a higher one has memory.
#[test]
fn what_rests_in_a_low_zone_is_left_there() {
    let mib = 1 << 20;
    let map = [1 << 30, 5 << 30].map(|start| MemoryRange::new(start, 64 * mib, MemoryKind::Usable));
    let bootstrap = Bootstrap::new(map);
    let words = bootstrap.metadata_words::<Plain, Lazy, 4096>().unwrap();
    let mut words: Vec<Plain> = (0..words).map(|_| Plain::default()).collect();
    let frames: Frames<'_, Plain> = bootstrap.build_in(&mut words).unwrap();
    let low = PhysicalAddress::new(4 << 30);
    for _ in 0..100 {
        let frame = frames.allocate_within(&Request::frames(1).below(low)).unwrap();
        assert!(frame.address() < low);
        frames.free_one(frame).unwrap();
        let other = frames.allocate_one().unwrap();
        assert!(other.address() >= low);
    }
}
