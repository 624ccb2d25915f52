//! The blocks that were freed last, which are taken first: a few of each class, for one thread.
//!
//! To its slab, or to the tree, a block that rests here is held. So neither the call that puts it here nor
//! the one that takes it again changes a word of theirs:
//!
//! ```text
//! | how many | a block's name | .. | ..
//!            the bottom            the top, and what was taken above it
//! ```
//!
//! What was taken stays above the top, and goes back without another look, as long as it cannot be
//! another's: what is neither is [`Names::none`](super::Names::none).
//!
//! Where many blocks are freed in a row, to look through a full stack each time is of no use: when a slab becomes whole
//! meanwhile, the stack is emptied and *bypassed*, until a block is taken.

use crate::direct::direct;
use crate::tree::Word;

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

impl<'t, W: Word> Stack<'t, W> {
    #[inline(always)]
    fn count(self) -> usize {
        self.0[0].load()
    }

    #[inline(always)]
    fn blocks(self) -> &'t [W] {
        &self.0[1..]
    }

    /// Takes the block on top: its name.
    #[inline(always)]
    pub(super) fn pop(self) -> Option<usize> {
        let count = self.count();
        // Of none there is no last.
        let top = self.blocks().get(count.wrapping_sub(1))?;
        self.0[0].store(count - 1);
        Some(top.load())
    }

    /// Puts the block `name` back if it was taken last.
    #[inline(always)]
    pub(super) fn put_back_last(self, name: usize) -> bool {
        let count = self.count();
        let is_last = self.blocks().get(count).is_some_and(|last| last.load() == name);
        if is_last {
            self.0[0].store(count + 1);
        }
        is_last
    }

    /// Puts the block `name` back if it was taken from here: whether it was. `None`: it is here.
    #[inline(always)]
    pub(super) fn put_back(self, name: usize) -> Option<bool> {
        let (count, blocks) = (self.count(), self.blocks());
        let Some(at) = self.position(name) else {
            return Some(false);
        };
        let (found, next) = (blocks.get(at)?, blocks.get(count).filter(|_| at >= count)?);
        found.store(next.load());
        next.store(name);
        self.0[0].store(count + 1);
        Some(true)
    }

    /// Puts a held block on top that is not known here, if fewer than `most` are: whether it was.
    #[inline(always)]
    pub(super) fn push(self, name: usize, most: usize) -> bool {
        let count = self.count();
        let Some(next) = self.blocks().get(count).filter(|_| count < most) else {
            return false;
        };
        next.store(name);
        self.0[0].store(count + 1);
        true
    }

    /// Forgets that the block `name` was taken: it may be another's from now on. `false` if it is here. (`none` is no
    /// block's name.)
    pub(super) fn forget(self, name: usize, none: usize) -> bool {
        let Some(at) = self.position(name) else { return true };
        let is_taken = at >= self.count();
        if is_taken {
            self.blocks()[at].store(none);
        }
        is_taken
    }

    /// Forgets all blocks.
    pub(super) fn clear(self, none: usize) {
        self.0[0].store(0);
        self.blocks().iter().for_each(|block| block.store(none));
    }

    /// How many blocks are here.
    pub(super) fn len(self) -> usize {
        if self.is_bypassed() { 0 } else { self.count() }
    }

    /// Whether it is bypassed: it has no blocks, and knows none.
    #[inline(always)]
    pub(super) fn is_bypassed(self) -> bool {
        self.count() > MOST
    }

    /// Bypasses it, which is cleared.
    pub(super) fn bypass(self) {
        self.0[0].store(MOST + 1);
    }

    /// Ends that.
    #[inline(always)]
    pub(super) fn resume(self) {
        if self.is_bypassed() {
            self.0[0].store(0);
        }
    }

    /// Whether the block `name` is here.
    pub(super) fn has(self, name: usize) -> bool {
        self.position(name).is_some_and(|at| at < self.count())
    }

    /// Where the block `name` is, here or above the top.
    #[inline(always)]
    fn position(self, name: usize) -> Option<usize> {
        let is_there = |block: &W| block.load() == name;
        // Rarely so, and only then is it worth knowing where.
        if !self.blocks().iter().any(is_there) {
            return None;
        }
        self.blocks().iter().position(|block| is_there(direct(block)))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::tree::{Plain, Plain32};

    const NONE: usize = 99;

    fn stack<W: Word>(words: &[W; WORDS]) -> Stack<'_, W> {
        let stack = Stack(words);
        stack.clear(NONE);
        stack
    }

    fn check<W: Word>() {
        let words: [W; WORDS] = core::array::from_fn(|_| W::default());
        let stack = stack(&words);
        assert_eq!((stack.pop(), stack.has(0), stack.put_back(0)), (None, false, Some(false)));
        for blocks in [[0, 1, 2, 3, 4, 5], [1000, 0, 9, 7, 1001, 3]] {
            for (count, block) in blocks.into_iter().enumerate() {
                assert!(!stack.has(block) && stack.put_back(block).is_some());
                assert!(stack.has(block) || !stack.push(block, count));
                assert!(stack.has(block) || stack.push(block, MOST));
                assert!(stack.has(block) && !stack.put_back_last(block));
                assert_eq!((stack.put_back(block), stack.len()), (None, count + 1));
                assert!(!stack.has(6));
            }
            assert!(!stack.push(6, MOST));
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
    fn what_was_taken_goes_back_in_any_order_unless_it_is_forgotten() {
        let words: [Plain; WORDS] = Default::default();
        let stack = stack(&words);
        (11..17).for_each(|block| assert!(stack.push(block, MOST)));
        assert!(!stack.put_back_last(16), "it is here");
        assert_eq!([stack.pop(), stack.pop(), stack.pop()], [Some(16), Some(15), Some(14)]);
        assert!(stack.put_back_last(14) && !stack.put_back_last(14) && stack.has(14));
        assert_eq!((stack.put_back(16), stack.put_back(16)), (Some(true), None));
        assert_eq!((stack.put_back(15), stack.len()), (Some(true), 6));
        assert_eq!([stack.pop(), stack.pop(), stack.pop()], [Some(15), Some(16), Some(14)]);
        // Another takes the place of the one that was taken last.
        assert!(stack.push(21, MOST));
        assert_eq!(stack.put_back(14), Some(false));
        assert_eq!((stack.put_back(16), stack.put_back(15)), (Some(true), Some(true)));
        assert_eq!([stack.pop(), stack.pop(), stack.pop()], [Some(15), Some(16), Some(21)]);
        assert!(stack.forget(16, NONE) && stack.forget(16, NONE));
        assert!(!stack.put_back_last(16) && stack.put_back(16) == Some(false));
        assert_eq!((stack.put_back(15), stack.put_back(21)), (Some(true), Some(true)));
        // What is here is not forgotten one by one.
        assert!(!stack.forget(15, NONE));
        assert!(stack.has(15));
        stack.resume();
        assert!(stack.has(15), "it was not bypassed");
        stack.clear(NONE);
        assert_eq!((stack.len(), stack.has(15), stack.put_back(11)), (0, false, Some(false)));
    }

    #[test]
    fn nothing_rests_on_a_stack_that_is_bypassed() {
        let words: [Plain; WORDS] = Default::default();
        let stack = stack(&words);
        stack.bypass();
        assert!(stack.is_bypassed() && !stack.push(7, MOST) && !stack.put_back_last(7));
        assert_eq!((stack.pop(), stack.put_back(7), stack.len()), (None, Some(false), 0));
        stack.resume();
        assert!(!stack.is_bypassed() && stack.push(7, MOST));
        assert_eq!((stack.len(), stack.pop()), (1, Some(7)));
    }
}
