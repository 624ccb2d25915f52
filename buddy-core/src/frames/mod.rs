//! Page frames: a kernel's physical memory, from the firmware's memory map on.
//!
//! [`Frames`] hands out frame numbers. It never touches the memory that it manages, but for the part
//! that holds its metadata: 4.3 bits a frame, placed in the map itself before there is a heap.
//!
//! ```text
//!   firmware's map ---> Bootstrap ---> Frames        one_ frame, 2^k, n, at, within: Request
//!   usable, reserved    zones,         |    |    |
//!   unsorted, overlaps  metadata      DMA DMA32 Normal        a Tree each
//! ```
//!
//! ```
//! use buddy_core::frames::{Bootstrap, Frames, MemoryKind, MemoryRange, PhysicalAddress, Request};
//! use buddy_core::{Atomic, Order};
//! # use core::ptr::NonNull;
//!
//! // What the firmware says, in any order; and where the kernel is.
//! let map = [
//!     MemoryRange::new(0x10_0000, 63 << 20, MemoryKind::Usable),
//!     MemoryRange::new(0, 0x9_fc00, MemoryKind::Usable),
//!     MemoryRange::new(0x9_fc00, 0x6_0400, MemoryKind::Reserved),
//! ];
//! let kernel = PhysicalAddress::new(0x10_0000)..PhysicalAddress::new(0x24_3210);
//! let bootstrap = Bootstrap::new(map).reserve([kernel]);
//!
//! // How physical memory is reached; in a kernel `mapped_at(OFFSET, END)`.
//! # let memory = NonNull::from(vec![0_u64; 8 << 20].leak()).cast::<u8>();
//! # // SAFETY: 64 MiB, the map's last address.
//! # let reach = |start: PhysicalAddress, _| Some(unsafe { memory.add(start.get() as usize) });
//! // SAFETY: all of the usable memory is mapped there, and nobody's.
//! let frames: Frames<Atomic> = unsafe { bootstrap.place(reach)? };
//!
//! let table = frames.allocate_one()?; // one frame
//! let huge = frames.allocate(Order::new(9).unwrap())?; // 512, aligned to 2 MiB
//! let three = frames.allocate_exact(3)?; // costs 3
//! let dma = frames.allocate_within(
//!     &Request::frames(5).below(PhysicalAddress::new(16 << 20)).boundary(64 << 10),
//! )?;
//! assert_eq!(frames.used_frames(), 1 + 512 + 3 + 5);
//!
//! frames.free_one(table)?;
//! assert!(frames.free_one(table).is_err()); // a second free is an error, and changes nothing
//! frames.free_part(huge, 256)?; // the lower half
//! frames.free(huge.saturating_add(256))?;
//! frames.free_sized(three, 3)?;
//! frames.free_sized(dma, 5)?;
//! print!("{}", frames.statistics()); // as /proc/buddyinfo
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Many CPUs, interrupts, locks
//!
//! Over [`Atomic`](crate::Atomic) words [`Frames`] is `Sync`: all CPUs and their interrupt handlers
//! call it with no lock, and no call waits for another. Small blocks are slots of slabs, of which each CPU
//! takes from some of its own, so that most calls change one word; free slots count as free, and are
//! merged before a request is refused. Over [`Plain`](crate::Plain) words it is for
//! one CPU, or for a lock of yours round it: `Mutex<Frames<'static, Plain>>` with any mutex; one that
//! interrupt handlers take has to disable interrupts.
//!
//! # Cost
//!
//! What [`Bootstrap::place`] takes of the memory for good, with frames of 4 KiB and 64-bit words:
//!
//! | memory, in one piece | metadata | of it |
//! |---|---|---|
//! | 64 MiB | 10 KiB, 3 frames | 0.018 % |
//! | 1 GiB | 138 KiB, 35 frames | 0.0131 % |
//! | 16 GiB | 2.2 MiB, 551 frames | 0.0131 % |
//! | 1 TiB | 138 MiB, 35 226 frames | 0.0131 % |
//!
//! (Linux's `struct page` takes 1.56 %, and says much more.) A hole between two usable ranges of one
//! zone costs as much as memory. Every call that does not say otherwise takes
//! O(orders + summary levels) steps a zone. No call panics on account of its arguments.
//!
//! # Invariants
//!
//! - **F1** A frame that is not reserved in its zone's tree is usable: the map said so, or
//!   [`Frames::add`] was told so.
//! - **F2** The frames of the metadata are reserved for good.
//! - **F3** Only these frames change their trees: the words are borrowed exclusively.

#![deny(unsafe_code)]

mod address;
mod bootstrap;
mod error;
mod free;
mod hotplug;
mod inspect;
mod map;
#[expect(unsafe_code)]
mod place;
mod pool;
mod request;
mod stats;
mod zone;

pub use address::{Frame, PhysicalAddress};
pub use bootstrap::Bootstrap;
pub use error::{AllocError, BootstrapError, FreeError, FreeManyError, RangeError};
pub use inspect::Stretch;
pub use map::{MemoryKind, MemoryRange};
pub use place::mapped_at;
pub use request::Request;
pub use stats::{Statistics, ZoneStatistics};
pub use zone::Zone;

use crate::tree::{self, Lazy, Order, Policy, Word};
use core::fmt;
use core::ops::Range;
use pool::Pool;

/// The frames of a memory map, in zones.
///
/// - `W`: the [`Word`]s of the metadata, for one CPU or many.
/// - `P`: which CPU a call is on, and when freed blocks are merged.
/// - `ZONES`: how many zones there are, with or without memory.
/// - `FRAME_SIZE`: bytes of a frame, a power of two.
/// - `MAX_ORDER`: the highest order of a request (inclusive); 18 is 1 GiB in frames of 4 KiB.
///
/// Requests are served from the highest zone that can, so that low memory is left for those that ask
/// for it ([`Request::below`]). Made by [`Bootstrap`].
pub struct Frames<
    'm,
    W: Word,
    P: Policy = Lazy,
    const ZONES: usize = 3,
    const FRAME_SIZE: usize = 4096,
    const MAX_ORDER: u32 = 18,
> {
    zones: [Zone; ZONES],
    pools: [Option<Pool<'m, W, P>>; ZONES],
    /// The numbers of the frames that hold the metadata; empty if they are not in the map.
    metadata: Range<usize>,
    /// The words of `hotplug.rs`.
    changing: &'m mut [W],
}

/// How many frames [`Frames::allocate_many`] asks a tree for at a time.
const BATCH: usize = 64;

/// Allocating.
impl<W: Word, P: Policy, const ZONES: usize, const FRAME_SIZE: usize, const MAX_ORDER: u32>
    Frames<'_, W, P, ZONES, FRAME_SIZE, MAX_ORDER>
{
    /// Allocates one frame.
    ///
    /// ```
    /// # use buddy_core::{frames::*, Plain};
    /// # let mut words = [const { Plain::zero() }; 1000];
    /// # let map = [MemoryRange::new(0, 1 << 24, MemoryKind::Usable)];
    /// # let frames: Frames<Plain> = Bootstrap::new(map).build_in(&mut words)?;
    /// let frame = frames.allocate_one()?;
    /// frames.free_one(frame)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`AllocError::OutOfMemory`].
    #[inline]
    pub fn allocate_one(&self) -> Result<Frame<FRAME_SIZE>, AllocError> {
        self.allocate(Order::MIN)
    }

    /// Allocates a block of `2^order` frames, aligned to its size.
    ///
    /// ```
    /// # use buddy_core::{frames::*, Order, Plain};
    /// # let mut words = [const { Plain::zero() }; 1000];
    /// # let map = [MemoryRange::new(0, 1 << 24, MemoryKind::Usable)];
    /// # let frames: Frames<Plain> = Bootstrap::new(map).build_in(&mut words)?;
    /// let huge = frames.allocate(Order::new(9).unwrap())?;
    /// assert_eq!(huge.address().get() % (2 << 20), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`AllocError::OutOfMemory`], [`AllocError::TooLarge`] above `MAX_ORDER`.
    #[inline]
    pub fn allocate(&self, order: Order) -> Result<Frame<FRAME_SIZE>, AllocError> {
        // Nothing is at hand that is larger than may be.
        match self.highest_pool().and_then(|pool| pool.take_at_hand(order)) {
            Some(first) => Ok(Frame::new(first)),
            None => self.allocate_other(order),
        }
    }

    /// As [`Self::allocate`], where nothing is at hand.
    #[inline(never)]
    fn allocate_other(&self, order: Order) -> Result<Frame<FRAME_SIZE>, AllocError> {
        if let Some(first) = self.highest_pool().and_then(|pool| pool.take_marked(order)) {
            return Ok(Frame::new(first));
        }
        Self::order_for(order.leaves())?;
        self.search(order.leaves(), |pool| Some(pool.take_block(order)))
    }

    /// Allocates exactly `count` contiguous frames, aligned to the next power of two where that can
    /// be, and returns the first.
    ///
    /// ```
    /// # use buddy_core::{frames::*, Plain};
    /// # let mut words = [const { Plain::zero() }; 1000];
    /// # let map = [MemoryRange::new(0, 1 << 24, MemoryKind::Usable)];
    /// # let frames: Frames<Plain> = Bootstrap::new(map).build_in(&mut words)?;
    /// let three = frames.allocate_exact(3)?;
    /// assert_eq!(frames.used_frames(), 3);
    /// assert_eq!(frames.free(three)?, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`AllocError::ZeroSize`], [`AllocError::TooLarge`], [`AllocError::OutOfMemory`].
    pub fn allocate_exact(&self, count: usize) -> Result<Frame<FRAME_SIZE>, AllocError> {
        Self::order_for(count)?;
        self.search(count, |pool| Some(pool.take(count)))
    }

    /// Allocates the `count` frames from `first` on, as one block, if all of them are free.
    /// O(orders) for each free block that they lie in.
    ///
    /// ```
    /// # use buddy_core::{frames::*, Plain};
    /// # let mut words = [const { Plain::zero() }; 1000];
    /// # let map = [MemoryRange::new(0, 1 << 24, MemoryKind::Usable)];
    /// # let frames: Frames<Plain> = Bootstrap::new(map).build_in(&mut words)?;
    /// // Where a processor that wakes up begins.
    /// let trampoline = Frame::containing(PhysicalAddress::new(0x8000)).unwrap();
    /// frames.allocate_at(trampoline, 1)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`AllocError::ZeroSize`], [`AllocError::NotManaged`], [`AllocError::Occupied`].
    pub fn allocate_at(&self, first: Frame<FRAME_SIZE>, count: usize) -> Result<(), AllocError> {
        let not_managed = AllocError::NotManaged { address: first.address(), frames: count };
        let pool = self.pool_of(first.number()).ok_or(not_managed)?;
        let taken = pool.insist(|tree| tree.allocate_at(first.number(), count));
        taken.map_err(|error| match error {
            tree::AllocError::ZeroSize => AllocError::ZeroSize,
            tree::AllocError::Occupied { leaf } => {
                AllocError::Occupied { address: Self::address(leaf) }
            }
            _ => not_managed,
        })
    }

    /// Allocates up to `out.len()` blocks of `2^order` frames, writes their first frames to `out`, and
    /// returns how many there were: fewer only when no more are to be had.
    ///
    /// O(`out.len()`), and O(orders + summary levels) for every word of the metadata.
    ///
    /// ```
    /// # use buddy_core::{frames::*, Order, Plain};
    /// # let mut words = [const { Plain::zero() }; 1000];
    /// # let map = [MemoryRange::new(0, 1 << 24, MemoryKind::Usable)];
    /// # let frames: Frames<Plain> = Bootstrap::new(map).build_in(&mut words)?;
    /// let mut pages = [Frame::default(); 100];
    /// assert_eq!(frames.allocate_many(Order::MIN, &mut pages), 100);
    /// frames.free_many(Order::MIN, &pages)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn allocate_many(&self, order: Order, out: &mut [Frame<FRAME_SIZE>]) -> usize {
        if order.get() > MAX_ORDER {
            return 0;
        }
        let mut taken = 0;
        let mut is_fallback = false;
        for (zone, pool) in self.highest_first() {
            let kept = if is_fallback { zone.kept() } else { 0 };
            is_fallback = true;
            let spare = || match kept {
                0 => BATCH,
                _ => pool.tree().free_leaves().saturating_sub(kept) >> order.get(),
            };
            while taken < out.len() {
                let mut batch = [0; BATCH];
                let wanted = BATCH.min(out.len() - taken).min(spare());
                let had = pool.take_many(order, &mut batch[..wanted]);
                for (slot, first) in out[taken..].iter_mut().zip(&batch[..had]) {
                    *slot = Frame::new(*first);
                }
                taken += had;
                if had < wanted || wanted == 0 {
                    break;
                }
            }
        }
        taken
    }
}

/// Finding zones.
impl<W: Word, P: Policy, const ZONES: usize, const FRAME_SIZE: usize, const MAX_ORDER: u32>
    Frames<'_, W, P, ZONES, FRAME_SIZE, MAX_ORDER>
{
    /// The zones with memory, in the order in which they serve requests.
    fn highest_first(&self) -> impl Iterator<Item = (&Zone, &Pool<'_, W, P>)> {
        let zones = self.zones.iter().zip(&self.pools).rev();
        zones.filter_map(|(zone, pool)| Some((zone, pool.as_ref()?)))
    }

    /// The pool that serves requests first.
    #[inline(always)]
    fn highest_pool(&self) -> Option<&Pool<'_, W, P>> {
        self.pools.iter().rev().flatten().next()
    }

    fn pool_of(&self, frame: usize) -> Option<&Pool<'_, W, P>> {
        // The highest first, as frames are allocated.
        self.pools.iter().rev().flatten().find(|pool| pool.tree().range().contains(&frame))
    }

    fn managed_pool(&self, frame: Frame<FRAME_SIZE>) -> Result<&Pool<'_, W, P>, FreeError> {
        let not_managed = || FreeError::NotManaged { address: frame.address() };
        self.pool_of(frame.number()).ok_or_else(not_managed)
    }

    fn address(frame: usize) -> PhysicalAddress {
        Frame::<FRAME_SIZE>::new(frame).address()
    }
}

impl<W: Word, P: Policy, const ZONES: usize, const FRAME_SIZE: usize, const MAX_ORDER: u32>
    fmt::Debug for Frames<'_, W, P, ZONES, FRAME_SIZE, MAX_ORDER>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frames").field("zones", &self.zones).finish_non_exhaustive()
    }
}
