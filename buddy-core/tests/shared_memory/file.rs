//! A file that several processes map: a tree, who owns which block, a control panel, and the memory.
//!
//! ```text
//! | panel | the tree's words | owners, a word a leaf | mailbox | leaves of LEAF bytes |
//! ```

use buddy_core::{Atomic, Tree};
use memmap2::{MmapOptions, MmapRaw};
use std::fs::File;
use std::path::Path;
use std::slice;
use std::sync::atomic::AtomicUsize;

pub(crate) const LEAVES: usize = 1024;
pub(crate) const LEAF: usize = 64;
pub(crate) const SLOTS: usize = 64;

const PANEL: usize = 8;
const WORDS: usize = Tree::<&[Atomic]>::metadata_words(0..LEAVES);
const WORD: usize = size_of::<AtomicUsize>();
const DATA: usize = (PANEL + WORDS + LEAVES + SLOTS) * WORD;
const BYTES: usize = DATA + LEAVES * LEAF;

const _: () = assert!(size_of::<Atomic>() == WORD);

/// What a process writes down of a block that it has.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Owner {
    pub(crate) worker: usize,
    pub(crate) leaves: usize,
}

impl Owner {
    pub(crate) fn to_word(self) -> usize {
        self.leaves << 8 | self.worker
    }

    pub(crate) fn from_word(word: usize) -> Option<Self> {
        (word != 0).then_some(Self { worker: word & 0xff, leaves: word >> 8 })
    }
}

/// A mapping of the file. What is in it is the same for all processes; where it lies is not, so blocks
/// are known by their leaf numbers.
pub(crate) struct Shared(MmapRaw);

impl Shared {
    /// Maps the file, which is given its length if it is new.
    pub(crate) fn map(path: &Path) -> Self {
        let file = File::options().read(true).write(true).open(path).unwrap();
        file.set_len(BYTES as u64).unwrap();
        Self(MmapOptions::new().map_raw(&file).unwrap())
    }

    fn words(&self, first: usize, count: usize) -> &[AtomicUsize] {
        assert!(first + count <= DATA / WORD);
        #[allow(clippy::cast_ptr_alignment, reason = "a mapping starts on a page")]
        let start = self.0.as_mut_ptr().cast::<AtomicUsize>().wrapping_add(first);
        // SAFETY: inside the mapping, aligned, and used by atomic operations only, in all processes.
        unsafe { slice::from_raw_parts(start, count) }
    }

    /// The words of the tree, for doing damage.
    pub(crate) fn words_of_the_tree(&self) -> &[AtomicUsize] {
        self.words(PANEL, WORDS)
    }

    /// The words of the tree.
    pub(crate) fn metadata(&self) -> &[Atomic] {
        let words = self.words_of_the_tree();
        // SAFETY: the words of the tree, which are atomic integers (`Atomic` is a transparent wrapper),
        // and which all processes use through a tree only.
        unsafe { slice::from_raw_parts(words.as_ptr().cast::<Atomic>(), WORDS) }
    }

    /// What the workers are to do.
    pub(crate) fn order(&self) -> &AtomicUsize {
        &self.words(0, PANEL)[0]
    }

    /// How many requests were refused.
    pub(crate) fn refused(&self) -> &AtomicUsize {
        &self.words(0, PANEL)[1]
    }

    /// Which order a worker is obeying.
    pub(crate) fn obeyed(&self, worker: usize) -> &AtomicUsize {
        &self.words(0, PANEL)[2 * worker]
    }

    /// How many steps a worker has made.
    pub(crate) fn progress(&self, worker: usize) -> &AtomicUsize {
        &self.words(0, PANEL)[2 * worker + 1]
    }

    /// Whose the block is that starts at a leaf: an [`Owner`], or 0.
    pub(crate) fn owners(&self) -> &[AtomicUsize] {
        self.words(PANEL + WORDS, LEAVES)
    }

    /// First leaves of blocks on their way from one process to another, plus 1, or 0.
    pub(crate) fn mailbox(&self) -> &[AtomicUsize] {
        self.words(PANEL + WORDS + LEAVES, SLOTS)
    }

    /// Writes a pattern over a block that the caller owns.
    pub(crate) fn fill(&self, first: usize, leaves: usize, pattern: u8) {
        // SAFETY: the leaves lie in the mapping, and belong to the caller.
        unsafe { self.leaf(first).write_bytes(pattern, leaves * LEAF) };
    }

    /// Whether a block that the caller owns has the pattern all over.
    pub(crate) fn has(&self, first: usize, leaves: usize, pattern: u8) -> bool {
        // SAFETY: the leaves lie in the mapping, and belong to the caller.
        let bytes = unsafe { slice::from_raw_parts(self.leaf(first), leaves * LEAF) };
        bytes.iter().all(|byte| *byte == pattern)
    }

    fn leaf(&self, first: usize) -> *mut u8 {
        assert!(first < LEAVES);
        self.0.as_mut_ptr().wrapping_add(DATA + first * LEAF)
    }
}
