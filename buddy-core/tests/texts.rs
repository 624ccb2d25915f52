//! What values say of themselves.

use buddy_core::frames::{
    Bootstrap, Frame, Frames, MemoryKind, MemoryRange, PhysicalAddress, Zone,
};
use buddy_core::{BuddyAllocator, Heap, Lazy, Order, Plain, Tree};
use std::mem::MaybeUninit;

#[test]
fn a_tree_and_a_walk_show_where_they_are() {
    let words = [const { Plain::zero() }; 100];
    let tree: Tree<_> = Tree::new(words, 8..100).unwrap();
    tree.allocate_exact(5).unwrap();
    let text = format!("{tree:?}");
    for part in ["Tree {", "range: 8..100"] {
        assert!(text.contains(part), "{text}");
    }
    let mut walk = tree.walk();
    walk.next();
    let text = format!("{walk:?}");
    assert!(text.contains("Walk") && text.contains("end: 100"), "{text}");
}

#[test]
fn an_order_is_its_number() {
    let order = Order::new(7).unwrap();
    assert_eq!((format!("{order}"), format!("{order:?}")), ("7".into(), "Order(7)".into()));
    assert_eq!(format!("{order:>3}"), "  7");
}

#[test]
fn statistics_are_a_sentence_and_a_list() {
    let words = [const { Plain::zero() }; 100];
    let tree: Tree<_> = Tree::new(words, 0..96).unwrap();
    let first = tree.allocate(Order::MIN).unwrap();
    assert_eq!(
        tree.statistics().to_string(),
        "1 used, 95 free, 0 reserved of 96 leaves; 1 block, peak 1 leaves\n\
         free blocks by order: 0: 1, 1: 1, 2: 1, 3: 1, 4: 1, 6: 1; largest 64 leaves, \
         fragmentation 33 %"
    );
    tree.free(first).unwrap();
    while tree.allocate(Order::new(5).unwrap()).is_ok() {}
    assert_eq!(
        tree.statistics().to_string(),
        "96 used, 0 free, 0 reserved of 96 leaves; 3 blocks, peak 96 leaves\n\
         free blocks by order: none"
    );
}

#[test]
fn heaps_show_their_regions() {
    let mut memory = [const { MaybeUninit::uninit() }; 10_000];
    let heap: Heap<&mut [Plain], 16> = Heap::from_region(&mut memory).unwrap();
    let text = format!("{heap:?}");
    assert!(text.starts_with("Heap {") && text.contains("tree: Some"), "{text}");
    assert!(text.contains("regions: [Region { base: 0x"), "{text}");
    let owned = BuddyAllocator::<4096, 16>::new(false);
    let text = format!("{owned:?}");
    assert!(text.starts_with("BuddyAllocator(Heap {"), "{text}");
}

#[test]
fn frames_and_addresses_are_hexadecimal() {
    let (address, frame) = (PhysicalAddress::new(0x1_2000), Frame::<4096>::new(0x12));
    assert_eq!((format!("{address}"), format!("{frame}")), ("0x12000".into(), "frame 0x12".into()));
    assert_eq!(format!("{address:?} {frame:?}"), "PhysicalAddress(0x12000) Frame(0x12)");
}

#[test]
fn statistics_of_frames_are_a_line_for_each_zone() {
    let map = [MemoryRange::new(0, 20 << 20, MemoryKind::Usable)];
    let mut words = [const { Plain::zero() }; 2000];
    let bootstrap = Bootstrap::new(map).zones([Zone::DMA, Zone::NORMAL]);
    let frames: Frames<'_, Plain, Lazy, 2, 4096, 2> = bootstrap.build_in(&mut words).unwrap();
    frames.allocate_one().unwrap();
    let text = frames.statistics().to_string();
    let lines: Vec<Vec<&str>> =
        text.lines().map(|line| line.split_whitespace().collect()).collect();
    // 4096 and 1024 frames; of the upper zone one is allocated.
    assert_eq!(lines, [["zone", "DMA", "0", "0", "1024"], ["zone", "Normal", "1", "1", "255"]]);
    let text = format!("{frames:?}");
    assert!(text.starts_with("Frames {") && text.contains("zones"), "{text}");
}
