//! The blocks that were freed last, which are taken first: a few of each class, for one thread.
//!
//! To its slab, or to the tree, a block that rests here is held. So neither the call that puts it here nor
//! the one that takes it again changes a word of theirs:
//!
//! ```text
//! | how many | a block's first leaf | .. | ..
//!            the bottom                  the top, and what was taken above it
//! ```
//!
//! What was taken stays above the top: the block there goes back without another look, as long as nothing
//! says that it is another's now. After the last of them comes a [`Stack::CUT`].

use crate::tree::{Word, max_value};

/// The most blocks.
pub(super) const MOST: usize = 6;
pub(super) const WORDS: usize = MOST + 1;

/// The words of a stack: [`WORDS`].
pub(super) struct Stack<'t, W>(pub(super) &'t [W]);

impl<W> Clone for Stack<'_, W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<W> Copy for Stack<'_, W> {}

impl<W: Word> Stack<'_, W> {
    /// No block begins at such a leaf: a word has two bits a leaf at least.
    pub(super) const CUT: usize = max_value::<W>();

    /// Takes the block on top: its first leaf.
    #[inline(always)]
    pub(super) fn pop(self) -> Option<usize> {
        let count = self.0[0].load();
        // Of none there is no last.
        let top = self.0[1..].get(count.wrapping_sub(1))?;
        self.0[0].store(count - 1);
        Some(top.load())
    }

    /// Puts the block back that was taken last and not put back since, if it is the one at `first`.
    #[inline(always)]
    pub(super) fn put_back(self, first: usize) -> bool {
        let count = self.0[0].load();
        let above = self.0[1..].get(count);
        let is_above = above.is_some_and(|above| above.load() == first);
        if is_above {
            self.0[0].store(count + 1);
        }
        is_above
    }

    /// Puts a held block on top, if fewer than `most` are here: whether it was. `None`: it is here already.
    #[inline(always)]
    pub(super) fn push(self, first: usize, most: usize) -> Option<bool> {
        let count = self.0[0].load();
        if self.has(first) {
            return None;
        }
        let Some(next) = self.0[1..].get(count).filter(|_| count < most) else {
            return Some(false);
        };
        next.store(first);
        if let Some(above) = self.0.get(count + 2) {
            above.store(Self::CUT);
        }
        self.0[0].store(count + 1);
        Some(true)
    }

    /// Forgets what was taken: it may be another's from now on.
    pub(super) fn cut(self) {
        if let Some(above) = self.0[1..].get(self.len()) {
            above.store(Self::CUT);
        }
    }

    /// How many blocks are here.
    pub(super) fn len(self) -> usize {
        self.0[0].load().min(MOST)
    }

    /// Whether the block at `first` is here.
    #[inline(always)]
    pub(super) fn has(self, first: usize) -> bool {
        // Above the top it may be, too, but not lower than here.
        let at = self.0[1..].iter().position(|block| block.load() == first);
        at.is_some_and(|at| at < self.0[0].load())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::tree::{Plain, Plain32};

    fn check<W: Word>() {
        let words: [W; WORDS] = core::array::from_fn(|_| W::default());
        let stack = Stack(&words);
        stack.cut();
        assert_eq!((stack.pop(), stack.has(0), stack.put_back(0)), (None, false, false));
        for blocks in [[0, 1, 2, 3, 4, 5], [1000, 0, 9, 7, 1001, 3]] {
            for (count, block) in blocks.into_iter().enumerate() {
                assert!(!stack.has(block));
                assert_eq!(stack.push(block, count), Some(false));
                assert_eq!(stack.push(block, MOST), Some(true));
                assert!(stack.has(block));
                assert_eq!(stack.push(block, MOST), None);
                assert!(!stack.has(6) && !stack.put_back(block));
            }
            assert_eq!(stack.push(6, MOST), Some(false));
            for block in blocks.into_iter().rev() {
                assert_eq!(stack.pop(), Some(block));
            }
            assert_eq!((stack.pop(), stack.len()), (None, 0));
        }
    }

    #[test]
    fn what_was_freed_last_is_taken_first_and_known_meanwhile() {
        check::<Plain>();
        check::<Plain32>();
    }

    #[test]
    fn what_was_taken_goes_back_in_the_opposite_order_until_others_come_between() {
        let words: [Plain; WORDS] = Default::default();
        let stack = Stack(&words);
        let push = |block: usize| stack.push(block, MOST);
        let fill = || (11..17).for_each(|block| assert_eq!(push(block), Some(true)));
        fill();
        assert!(!stack.put_back(16), "it is here");
        assert_eq!([stack.pop(), stack.pop(), stack.pop()], [Some(16), Some(15), Some(14)]);
        assert!(!stack.put_back(16) && !stack.put_back(15));
        assert!(stack.put_back(14) && !stack.put_back(14) && stack.has(14));
        assert!(stack.put_back(15) && stack.put_back(16) && stack.len() == 6);
        // Another takes the place of one that was taken: those behind it go the long way, once.
        (11..15).for_each(|_| assert!(stack.pop().is_some()));
        assert_eq!(push(13), Some(true));
        assert!(!stack.put_back(14) && !stack.put_back(15));
        assert_eq!(push(14), Some(true));
        assert!(!stack.put_back(15));
        assert_eq!((push(14), stack.pop(), stack.pop()), (None, Some(14), Some(13)));
        assert!(stack.put_back(13));
        stack.cut();
        assert!(!stack.put_back(14));
        // One that was taken, and has its place above the top still.
        while stack.pop().is_some() {}
        fill();
        (0..5).for_each(|_| assert!(stack.pop().is_some()));
        assert_eq!((push(13), push(13), push(21)), (Some(true), None, Some(true)));
    }
}
