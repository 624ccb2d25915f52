//! What a test sets up: the file, the processes, and the hand that clears up after dead ones.

use crate::file::{LEAVES, Owner, Shared};
use crate::worker::{self, orders};
use buddy_core::tree::AttachError;
use buddy_core::{Atomic, Kind, Tree};
use std::env;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering::{Acquire, Release};
use std::thread;
use tempfile::TempDir;

const PATH: &str = "SHARED_MEMORY_PATH";
const NUMBER: &str = "SHARED_MEMORY_WORKER";

/// Lives a worker's life, if this process was started as one.
pub(crate) fn work() {
    if let (Some(path), Ok(number)) = (env::var_os(PATH), env::var(NUMBER)) {
        worker::run(Path::new(&path), number.parse().unwrap());
    }
}

/// A process of this program, killed when the test is over.
pub(crate) struct Process {
    pub(crate) number: usize,
    child: Child,
}

impl Process {
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for the process to end by itself.
    pub(crate) fn end(mut self) {
        assert!(self.child.wait().unwrap().success(), "worker {} failed", self.number);
    }

    fn wait_until(&mut self, reached: impl Fn() -> bool) {
        while !reached() {
            let ended = self.child.try_wait().unwrap();
            assert_eq!(ended, None, "worker {} ended early", self.number);
            thread::yield_now();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) struct Site {
    pub(crate) shared: Shared,
    path: PathBuf,
    _folder: TempDir,
}

impl Site {
    /// A file with a tree in which all is free. The workers rest.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tree");
        File::create_new(&path).unwrap();
        let shared = Shared::map(&path);
        Tree::<_>::new(shared.metadata(), 0..LEAVES).unwrap();
        shared.order().store(orders::REST, Release);
        Self { shared, path, _folder: folder }
    }

    /// Starts a worker while the others rest.
    pub(crate) fn start(&self, number: usize) -> Process {
        self.shared.obeyed(number).store(0, Release);
        let child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "worker_process", "--ignored", "--nocapture"])
            .env(PATH, &self.path)
            .env(NUMBER, number.to_string())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut process = Process { number, child };
        process.wait_until(|| self.shared.obeyed(number).load(Acquire) == orders::REST);
        process
    }

    /// Gives an order.
    pub(crate) fn order(&self, order: usize) {
        self.shared.order().store(order, Release);
    }

    /// Lets a worker make some more steps.
    pub(crate) fn await_steps(&self, process: &mut Process, steps: usize) {
        let progress = self.shared.progress(process.number);
        let goal = progress.load(Acquire) + steps;
        process.wait_until(|| progress.load(Acquire) >= goal);
    }

    /// Makes the workers finish their steps and wait.
    pub(crate) fn rest(&self, processes: &mut [&mut Process]) {
        self.order(orders::REST);
        for process in processes {
            let obeyed = self.shared.obeyed(process.number);
            process.wait_until(|| obeyed.load(Acquire) == orders::REST);
        }
    }

    /// The tree as the dead have left it, by a mapping of its own, as after a restart; `whole` says
    /// whether it was accepted as it is. All others rest.
    ///
    /// A process that dies between two calls leaves a whole tree. One that dies in the middle of a
    /// call may leave a torn one, which is refused; then the tree is made anew from what the owners
    /// wrote down.
    pub(crate) fn restart<'s>(&self, mapping: &'s Shared) -> (Tree<&'s [Atomic]>, bool) {
        match Tree::attach(mapping.metadata()) {
            Ok(tree) => (tree, true),
            Err(AttachError::Invalid(_)) => (self.rebuild(mapping), false),
            Err(error) => panic!("not even the header is left: {error}"),
        }
    }

    fn rebuild<'s>(&self, mapping: &'s Shared) -> Tree<&'s [Atomic]> {
        let tree = Tree::new(mapping.metadata(), 0..LEAVES).unwrap();
        for (first, word) in self.shared.owners().iter().enumerate() {
            if let Some(owner) = Owner::from_word(word.load(Acquire)) {
                tree.allocate_at(first, owner.leaves).unwrap();
            }
        }
        tree.validate().unwrap();
        tree
    }

    /// Frees what the tree holds for workers that are `dead`, or for nobody; says how much that was.
    pub(crate) fn bury(&self, tree: &Tree<&[Atomic]>, dead: impl Fn(usize) -> bool) -> usize {
        let owners = self.shared.owners();
        for letter in self.shared.mailbox() {
            let first = letter.load(Acquire).checked_sub(1);
            let owner = first.and_then(|first| Owner::from_word(owners[first].load(Acquire)));
            if owner.is_none_or(|owner| dead(owner.worker)) {
                letter.store(0, Release);
            }
        }
        let mut freed = 0;
        for extent in tree.walk().filter(|extent| extent.kind == Kind::Used) {
            let owner = Owner::from_word(owners[extent.first].load(Acquire));
            assert!(
                owner.is_none_or(|owner| owner.leaves == extent.leaves),
                "{owner:?}, {extent:?}"
            );
            if owner.is_none_or(|owner| dead(owner.worker)) {
                owners[extent.first].store(0, Release);
                tree.free_sized(extent.first, extent.leaves).unwrap();
                freed += 1;
            }
        }
        freed
    }

    /// What the mailbox holds when all workers have ended, and then nothing, is in use.
    pub(crate) fn assert_all_comes_back(&self) {
        let mapping = Shared::map(&self.path);
        let (tree, whole) = self.restart(&mapping);
        assert!(whole);
        for letter in self.shared.mailbox() {
            if let Some(first) = letter.swap(0, Acquire).checked_sub(1) {
                tree.free(first).unwrap();
                self.shared.owners()[first].store(0, Release);
            }
        }
        assert_eq!(tree.used(), 0);
        assert_eq!(tree.statistics().largest_free(), LEAVES);
        tree.validate().unwrap();
    }

    pub(crate) fn map_again(&self) -> Shared {
        Shared::map(&self.path)
    }
}
