//! How full the range is.

use super::Tree;
use super::geometry::{header, record};
use super::order::Order;
use super::policy::Policy;
use super::word::{Storage, Word};
use core::fmt;

const ORDERS: usize = usize::BITS as usize;

/// A tree's state in figures, in leaves.
///
/// Its `Display` lists the free blocks by order:
///
/// ```
/// # use buddy_core::{Order, Plain, Tree};
/// # let mut metadata: Vec<Plain> = (0..Tree::<[Plain; 0]>::metadata_words(0..16)).map(|_| Plain::default()).collect();
/// let tree: Tree<_> = Tree::new(metadata.as_mut_slice(), 0..16)?;
/// tree.allocate_exact(3)?;
/// assert_eq!(
///     tree.statistics().to_string(),
///     "3 used, 13 free, 0 reserved of 16 leaves; 1 block, peak 3 leaves\n\
///      free blocks by order: 0: 1, 2: 1, 3: 1; largest 8 leaves, fragmentation 39 %"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Statistics {
    total: usize,
    used: usize,
    peak: usize,
    reserved: usize,
    blocks: usize,
    free_blocks: [usize; ORDERS],
}

impl Statistics {
    /// Those of no leaves at all.
    pub(crate) const EMPTY: Self =
        Self { total: 0, used: 0, peak: 0, reserved: 0, blocks: 0, free_blocks: [0; ORDERS] };

    /// The same with another peak.
    /// Leaves of the range.
    #[must_use]
    pub const fn total(&self) -> usize {
        self.total
    }

    /// Allocated leaves.
    #[must_use]
    pub const fn used(&self) -> usize {
        self.used
    }

    /// The most leaves that were allocated at one time.
    #[must_use]
    pub const fn peak(&self) -> usize {
        self.peak
    }

    /// Reserved leaves.
    #[must_use]
    pub const fn reserved(&self) -> usize {
        self.reserved
    }

    /// Free leaves.
    #[must_use]
    pub const fn free(&self) -> usize {
        self.total - self.used - self.reserved
    }

    /// Allocated blocks.
    #[must_use]
    pub const fn blocks(&self) -> usize {
        self.blocks
    }

    /// Free blocks of an order.
    #[must_use]
    pub const fn free_blocks(&self, order: Order) -> usize {
        self.free_blocks[order.get() as usize]
    }

    /// The leaves of the largest free block; 0 if nothing is free.
    #[must_use]
    pub fn largest_free(&self) -> usize {
        self.free_blocks.iter().rposition(|&count| count > 0).map_or(0, |order| 1 << order)
    }

    /// External fragmentation: how many percent of the free leaves lie outside the largest free
    /// block, rounded up.
    #[must_use]
    pub fn fragmentation_percent(&self) -> u32 {
        let (free, outside) = (self.free(), self.free() - self.largest_free().min(self.free()));
        if free == 0 { 0 } else { (outside as u128 * 100).div_ceil(free as u128) as u32 }
    }
}

impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { total, used, peak, reserved, blocks, .. } = self;
        let free = self.free();
        let plural = if *blocks == 1 { "" } else { "s" };
        writeln!(
            f,
            "{used} used, {free} free, {reserved} reserved of {total} leaves; \
             {blocks} block{plural}, peak {peak} leaves"
        )?;
        write!(f, "free blocks by order:")?;
        let mut separator = " ";
        for (order, count) in self.free_blocks.iter().enumerate().filter(|(_, count)| **count > 0) {
            write!(f, "{separator}{order}: {count}")?;
            separator = ", ";
        }
        if free == 0 {
            return write!(f, " none");
        }
        let (largest, percent) = (self.largest_free(), self.fragmentation_percent());
        write!(f, "; largest {largest} leaves, fragmentation {percent} %")
    }
}

impl<S: Storage, P: Policy> Tree<S, P> {
    /// The tree in figures, after [`Self::settle`]. O(orders) besides.
    ///
    /// While other threads change the tree the figures may not fit each other.
    ///
    /// ```
    /// # let words = [const { buddy_core::Plain::zero() }; 100];
    /// # let tree: buddy_core::Tree<_> = buddy_core::Tree::new(words, 0..100)?;
    /// tree.allocate_exact(5)?;
    /// let statistics = tree.statistics();
    /// assert_eq!((statistics.used(), statistics.free(), statistics.blocks()), (5, 95, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.settle();
        let mut free_blocks = [0; ORDERS];
        for order in self.orders() {
            free_blocks[order.get() as usize] = self.record(order)[record::FREE].load();
        }
        let total = self.end() - self.geometry.first;
        let reserved = self.header()[header::RESERVED].load().min(total);
        Statistics {
            total,
            reserved,
            used: self.header()[header::USED].load().min(total - reserved),
            peak: self.header()[header::PEAK].load(),
            blocks: self.header()[header::BLOCKS].load(),
            free_blocks,
        }
    }

    /// Allocated leaves. O(1).
    ///
    /// ```
    /// # let words = [const { buddy_core::Plain::zero() }; 100];
    /// # let tree: buddy_core::Tree<_> = buddy_core::Tree::new(words, 0..100)?;
    /// tree.allocate_exact(5)?;
    /// assert_eq!(tree.used(), 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn used(&self) -> usize {
        self.header()[header::USED].load()
    }

    /// Free leaves. O(1).
    ///
    /// ```
    /// # let words = [const { buddy_core::Plain::zero() }; 100];
    /// # let tree: buddy_core::Tree<_> = buddy_core::Tree::new(words, 0..100)?;
    /// tree.allocate_exact(5)?;
    /// assert_eq!(tree.free_leaves(), 95);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn free_leaves(&self) -> usize {
        let reserved = self.header()[header::RESERVED].load();
        (self.end() - self.geometry.first).saturating_sub(self.used() + reserved)
    }

    /// The leaves of the largest free block, as it is: unmerged frees count by themselves.
    pub(super) fn largest_free(&self) -> usize {
        let mut orders = self.orders().rev();
        orders.find(|order| self.record(*order)[record::FREE].load() > 0).map_or(0, Order::leaves)
    }
}
