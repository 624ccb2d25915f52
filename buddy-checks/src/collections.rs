//! Collections in a heap beside the same collections of the standard library.

use crate::Input;
use buddy_alloc_api::Buddy;
use buddy_alloc_api::allocator_api2::boxed::Box as BuddyBox;
use buddy_alloc_api::allocator_api2::vec::Vec as BuddyVec;
use buddy_core::BuddyAllocator;
use hashbrown::HashMap as BuddyMap;
use std::collections::HashMap;

type Heap = Buddy<BuddyAllocator<{ 1 << 16 }, 16>>;

/// Fills, shrinks and drops collections as the bytes say, in a heap that is often full.
///
/// # Panics
/// If a collection has not what it should have, or the heap has lost something.
pub fn run(bytes: &[u8]) {
    let buddy = Heap::new(BuddyAllocator::new(false));
    let mut pairs: Vec<Pair<'_>> = (0..4).map(|_| Pair::new(&buddy)).collect();
    let mut input = Input::new(bytes);
    while let Some(which) = input.byte() {
        let which = usize::from(which) % pairs.len();
        if pairs[which].step(&mut input, &buddy).is_none() {
            break;
        }
        pairs[which].check();
        buddy.heap().validate().unwrap();
    }
    pairs.iter().for_each(Pair::check);
    drop(pairs);
    assert_eq!(buddy.heap().total_allocated(), 0);
    buddy.heap().validate().unwrap();
}

/// Collections in the heap, and those that they should equal.
struct Pair<'b> {
    list: BuddyVec<u32, &'b Heap>,
    should_list: Vec<u32>,
    map: BuddyMap<u8, BuddyBox<[u8; 40], &'b Heap>, hashbrown::DefaultHashBuilder, &'b Heap>,
    should_map: HashMap<u8, u8>,
}

impl<'b> Pair<'b> {
    fn new(buddy: &'b Heap) -> Self {
        Self {
            list: BuddyVec::new_in(buddy),
            should_list: Vec::new(),
            map: BuddyMap::new_in(buddy),
            should_map: HashMap::new(),
        }
    }

    fn check(&self) {
        assert_eq!(self.list.as_slice(), self.should_list);
        assert_eq!(self.map.len(), self.should_map.len());
        for (key, mark) in &self.should_map {
            assert!(self.map[key].iter().all(|byte| byte == mark), "{key}");
        }
    }

    fn step(&mut self, input: &mut Input<'_>, buddy: &'b Heap) -> Option<()> {
        match input.byte()? % 9 {
            0 | 1 => self.extend(input.number()? % 5000),
            2 => {
                let len = input.number()?;
                self.list.truncate(len);
                self.should_list.truncate(len);
            }
            3 => self.list.shrink_to_fit(),
            4 => {
                // Whether there is room or not, the list stays as it is.
                _ = self.list.try_reserve(input.number()?);
            }
            5 | 6 => self.insert(input.byte()?, input.byte()?, buddy),
            7 => {
                let key = input.byte()?;
                assert_eq!(self.map.remove(&key).is_some(), self.should_map.remove(&key).is_some());
            }
            _ if input.byte()? % 8 == 0 => {
                self.map.clear();
                self.should_map.clear();
            }
            _ => self.copy(buddy),
        }
        Some(())
    }

    fn extend(&mut self, count: usize) {
        if self.list.try_reserve(count).is_ok() {
            let from = self.should_list.len() as u32;
            self.list.extend(from..from + count as u32);
            self.should_list.extend(from..from + count as u32);
        }
    }

    fn insert(&mut self, key: u8, mark: u8, buddy: &'b Heap) {
        if self.map.try_reserve(1).is_err() {
            return;
        }
        if let Ok(value) = BuddyBox::try_new_in([mark; 40], buddy) {
            self.map.insert(key, value);
            self.should_map.insert(key, mark);
        }
    }

    /// Moves the list to a block of its own size, if there is room for both.
    fn copy(&mut self, buddy: &'b Heap) {
        let mut copy = BuddyVec::new_in(buddy);
        if copy.try_reserve_exact(self.list.len()).is_ok() {
            copy.extend_from_slice(&self.list);
            self.list = copy;
        }
    }
}
