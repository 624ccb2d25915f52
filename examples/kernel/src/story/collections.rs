//! What `alloc` offers, on the kernel's heap.

use crate::heap::HEAP;
use crate::machine::serial::say;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

/// Makes collections, looks whether they hold what they should, and drops them.
pub(crate) fn run() {
    let numbers: Vec<u64> = (1..=1000).collect();
    assert_eq!(numbers.iter().sum::<u64>(), 500_500);

    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for number in 0..500 {
        names.insert(format!("name {number:03}"), number);
    }
    names.retain(|_, number| *number % 2 == 1);
    assert_eq!(names.len(), 250);
    assert_eq!(names.last_key_value().map(|(_, number)| *number), Some(499));

    let mut queue: VecDeque<Box<[u8]>> = VecDeque::new();
    for length in (0..300).map(|step| step * 37 % 1000) {
        queue.push_back(alloc::vec![0xa5; length].into_boxed_slice());
        if queue.len() > 20 {
            queue.pop_front();
        }
    }
    assert!(queue.iter().flatten().all(|byte| *byte == 0xa5));

    let shared = Rc::new(names);
    let holders: Vec<Rc<BTreeMap<String, usize>>> = (0..10).map(|_| shared.clone()).collect();
    assert_eq!(Rc::strong_count(&shared), 11);

    let text = (0..2000).fold(String::new(), |text, number| text + &format!("{number}, "));
    let before = HEAP.heap().total_allocated();
    say!(
        "A Vec of {}, a BTreeMap of {}, a VecDeque of {}, an Rc with {} holders, a String of {} bytes.",
        numbers.len(),
        shared.len(),
        queue.len(),
        holders.len() + 1,
        text.len()
    );
    drop((numbers, shared, holders, queue, text));
    let heap = HEAP.heap();
    say!(
        "They took {before} bytes; {} are in use after they were dropped.",
        heap.total_allocated()
    );
    assert_eq!(heap.total_allocated(), 0);
    assert_eq!(heap.validate(), Ok(()));
}
