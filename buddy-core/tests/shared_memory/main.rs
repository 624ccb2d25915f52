//! One tree in a file that several processes map: either allocates, either frees, and one may be
//! killed at any moment.

mod file;
mod site;
mod worker;

use file::Owner;
use site::Site;
use std::sync::atomic::Ordering::{Acquire, Release};
use worker::orders;

#[test]
#[ignore = "no test: the processes that the tests start"]
fn worker_process() {
    site::work();
}

#[test]
fn processes_share_a_tree_and_free_each_others_blocks() {
    let site = Site::new();
    let (mut one, mut two) = (site.start(1), site.start(2));
    site.order(orders::WORK);
    site.await_steps(&mut one, 5000);
    site.await_steps(&mut two, 5000);
    site.rest(&mut [&mut one, &mut two]);
    let held = |worker: usize| {
        let owners =
            site.shared.owners().iter().filter_map(|owner| Owner::from_word(owner.load(Acquire)));
        owners.filter(|owner| owner.worker == worker).count()
    };
    assert!(held(1) > 0 && held(2) > 0);
    assert!(site.shared.refused().load(Acquire) > 0, "the tree was never full");
    site.order(orders::STOP);
    one.end();
    two.end();
    site.assert_all_comes_back();
}

#[test]
fn what_a_process_held_that_was_killed_between_two_calls_is_found_by_a_walk() {
    let site = Site::new();
    let (mut one, mut two) = (site.start(1), site.start(2));
    for _ in 0..5 {
        site.order(orders::WORK);
        site.await_steps(&mut one, 300);
        site.await_steps(&mut two, 300);
        site.rest(&mut [&mut one, &mut two]);
        one.kill();
        // The other goes on.
        site.order(orders::WORK);
        site.await_steps(&mut two, 1000);
        site.rest(&mut [&mut two]);
        // A restart finds the tree whole, and in it what the dead one held.
        let mapping = site.map_again();
        let (tree, whole) = site.restart(&mapping);
        assert!(whole);
        assert!(site.bury(&tree, |worker| worker == 1) > 0);
        tree.validate().unwrap();
        one = site.start(1);
    }
    site.order(orders::STOP);
    one.end();
    two.end();
    site.assert_all_comes_back();
}

#[test]
fn a_process_killed_in_the_middle_of_work_stops_nobody() {
    let site = Site::new();
    let (mut one, mut two) = (site.start(1), site.start(2));
    for round in 0..40 {
        site.order(orders::WORK);
        site.await_steps(&mut two, 100);
        site.await_steps(&mut one, 100 + 37 * round);
        // Anywhere in a step, as likely as not in a call of the tree.
        one.kill();
        site.await_steps(&mut two, 1000);
        site.rest(&mut [&mut two]);
        let mapping = site.map_again();
        let (tree, _) = site.restart(&mapping);
        site.bury(&tree, |worker| worker == 1);
        tree.validate().unwrap();
        one = site.start(1);
    }
    site.order(orders::STOP);
    one.end();
    two.end();
    // What the dead had taken from the mailbox, but not freed: at most a block each.
    let mapping = site.map_again();
    let (tree, _) = site.restart(&mapping);
    let sent = site.shared.mailbox().iter().filter(|letter| letter.load(Acquire) != 0).count();
    assert!(tree.statistics().blocks() - sent <= 40);
    site.bury(&tree, |_| true);
    site.assert_all_comes_back();
}

#[test]
fn a_torn_tree_is_refused_and_made_anew_from_what_the_owners_wrote() {
    let site = Site::new();
    let mut one = site.start(1);
    site.order(orders::WORK);
    site.await_steps(&mut one, 500);
    site.rest(&mut [&mut one]);
    let mapping = site.map_again();
    let (tree, whole) = site.restart(&mapping);
    assert!(whole);
    // A death in `allocate` may look like this: a block is marked that nobody counted.
    let (used, blocks) = (tree.used(), tree.statistics().blocks());
    let words = site.shared.words_of_the_tree();
    let counter = words.iter().find(|word| word.load(Acquire) == used).unwrap();
    counter.store(used - 1, Release);
    let (tree, whole) = site.restart(&mapping);
    assert!(!whole);
    assert_eq!(tree.statistics().blocks(), blocks);
    assert_eq!(tree.used(), used);
    // The worker goes on with the new tree.
    site.order(orders::WORK);
    site.await_steps(&mut one, 500);
    site.order(orders::STOP);
    one.end();
    site.assert_all_comes_back();
}
