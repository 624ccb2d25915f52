//! When freed blocks are merged, how exact a heap's sizes are, and how many CPUs share it.

/// How a tree treats freed blocks and spreads its callers, and how exactly a heap cuts blocks.
///
/// Implement it for a type of your own to choose another mix; [`Lazy`] and [`Eager`] are ready.
///
/// ```
/// use buddy_core::Policy;
///
/// /// Four cores that share one heap.
/// struct FourCores;
///
/// impl Policy for FourCores {
///     const CPUS: usize = 4;
///
///     fn cpu() -> usize {
///         0 // what the hardware says, an APIC id for example
///     }
/// }
/// ```
pub trait Policy {
    /// Whether freed blocks may wait unmerged for the next request of their size.
    ///
    /// `false` merges at once: every call costs about the same. `true` lets a bounded number of free
    /// blocks wait, in a tree for one CPU those in at most eight words of nodes per order (32 blocks
    /// each, 16 in 32-bit words), in a heap also the slots of slabs, in which small blocks lie side by
    /// side: an allocation that follows a free then splits and merges nothing, and many small blocks
    /// are split or merged at once. Before a request is refused everything is merged.
    const LAZY: bool = true;

    /// How many significant bits of a block's size in leaves a heap keeps, at least 1.
    ///
    /// 1 rounds sizes up to powers of two, 2 also has 3, 6, 12, .., 3 also 5, 7, 10, 14, ..: less
    /// waste, more pieces a block.
    const PRECISION: u32 = 3;

    /// Whether a heap places every block where little is left over, in the smallest of the gaps that it
    /// looks at, rather than where a free block of the next power of two is found first. For one thread:
    /// where others may be halfway through a free, a gap may seem to begin in the middle of a block, and
    /// a request may be refused that could be served.
    const PACKED: bool = false;

    /// How many CPUs are kept apart: each begins its search at a place of its own, and takes small
    /// blocks from slabs of its own as long as there are such.
    const CPUS: usize = 1;

    /// How often a request that found no memory looks again while calls of other threads have blocks
    /// in their hands, before it is refused after all.
    const PATIENCE: u32 = 1 << 12;

    /// The number of the CPU, or thread, that makes the call; taken modulo [`Self::CPUS`].
    ///
    /// It may be wrong, and change at any time: only speed depends on it.
    #[inline(always)]
    #[must_use]
    fn cpu() -> usize {
        0
    }
}

/// Leaves a bounded number of free blocks unmerged; for one CPU. The default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lazy;

impl Policy for Lazy {}

/// Merges at once, for those who want each call's cost the same.
#[derive(Clone, Copy, Debug, Default)]
pub struct Eager;

impl Policy for Eager {
    const LAZY: bool = false;
}

/// For heaps that are hardly larger than what they hold: sizes are exact, blocks are packed, and all
/// merge at once. A call costs several times what it does with the others.
///
/// ```
/// use buddy_core::{Heap, Plain, Tight};
/// use core::{alloc::Layout, mem::MaybeUninit};
///
/// #[repr(align(4096))]
/// struct Memory([MaybeUninit<u8>; 10_000]);
/// let mut memory = Memory([MaybeUninit::uninit(); 10_000]);
/// let heap: Heap<&mut [Plain], 16, Tight> = Heap::from_region(&mut memory.0)?;
/// let page = Layout::from_size_align(1300, 8)?;
/// let pages = core::iter::from_fn(|| heap.allocate(page).ok());
/// assert_eq!(pages.count(), 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Tight;

impl Policy for Tight {
    const LAZY: bool = false;
    const PRECISION: u32 = usize::BITS;
    const PACKED: bool = true;
}
