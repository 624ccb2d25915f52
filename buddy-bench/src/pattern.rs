//! What a block is filled with, so that another block's writes are seen.

use std::ptr::NonNull;

const WORD: usize = 8;

/// The word at this place of a block with this mark. They differ from place to place, so that a copy
/// to the wrong place is seen, too.
#[inline]
fn word(mark: u64, index: usize) -> u64 {
    mark.wrapping_add((index as u64).wrapping_mul(0x0101_0101_0101_0101))
}

/// Fills `len` bytes at `block`.
///
/// # Safety
/// The bytes may be written.
pub(crate) unsafe fn fill(block: NonNull<u8>, len: usize, mark: u64) {
    let words = len / WORD;
    for index in 0..words {
        // SAFETY: this word lies inside the block.
        let place = unsafe { block.add(index * WORD) }.cast::<[u8; WORD]>();
        // SAFETY: an array of bytes has no alignment, and may be written there.
        unsafe { place.write(word(mark, index).to_le_bytes()) };
    }
    let rest = &word(mark, words).to_le_bytes()[..len % WORD];
    // SAFETY: the bytes behind the last whole word lie inside the block.
    let end = unsafe { block.add(words * WORD) };
    // SAFETY: there are as many, and they may be written.
    unsafe { end.copy_from_nonoverlapping(NonNull::from(rest).cast(), rest.len()) };
}

/// Where the bytes differ from what [`fill`] wrote, if they do.
pub(crate) fn first_difference(bytes: &[u8], mark: u64) -> Option<usize> {
    let words = bytes.chunks_exact(WORD);
    let (rest, count) = (words.remainder(), words.len());
    for (index, bytes) in words.enumerate() {
        let expected = word(mark, index);
        // A comparison of numbers: one of slices would call a function for each word.
        if bytes.try_into().map(u64::from_le_bytes).ok() != Some(expected) {
            return difference(bytes, expected).map(|byte| index * WORD + byte);
        }
    }
    difference(rest, word(mark, count)).map(|byte| count * WORD + byte)
}

fn difference(bytes: &[u8], word: u64) -> Option<usize> {
    bytes.iter().zip(word.to_le_bytes()).position(|(&found, expected)| found != expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_changed_byte_is_found() {
        for len in [1, 7, 8, 9, 64, 67] {
            let mut bytes = vec![0u8; len];
            // SAFETY: the vector's bytes.
            unsafe { fill(NonNull::new(bytes.as_mut_ptr()).unwrap(), len, 0x1234_5678_9abc_def0) };
            assert_eq!(first_difference(&bytes, 0x1234_5678_9abc_def0), None);
            for changed in 0..len {
                bytes[changed] ^= 0x10;
                assert_eq!(first_difference(&bytes, 0x1234_5678_9abc_def0), Some(changed));
                bytes[changed] ^= 0x10;
            }
        }
    }

    #[test]
    fn words_in_the_wrong_place_are_found() {
        let mut bytes = [0u8; 64];
        // SAFETY: the array's bytes.
        unsafe { fill(NonNull::from(&mut bytes).cast(), 64, 99) };
        bytes.copy_within(8..16, 16);
        assert_eq!(first_difference(&bytes, 99), Some(16));
    }
}
