//! The kernel's own page tables, on frames of the allocator.

use crate::machine::{OFFSET, boot::Boot, pointer};
use crate::memory::{frames, image};
use buddy_core::frames::{Frame, PhysicalAddress, Request};
use spin::Mutex;
use x86_64::registers::control::Cr3;
use x86_64::structures::paging::{
    FrameAllocator, Mapper, OffsetPageTable, Page, PageSize, PageTable, PageTableFlags as Flags,
    PhysFrame, Size2MiB, Size4KiB,
};
use x86_64::{PhysAddr, VirtAddr};

const DATA: Flags = Flags::PRESENT.union(Flags::WRITABLE).union(Flags::NO_EXECUTE);

unsafe extern "C" {
    static data_start: u8;
}

/// Serves the frames for page tables: below 4 GiB, since the other processors load their first page
/// table in 32-bit mode, and since not more is mapped at first.
struct TableFrames;

// SAFETY: the frames are free, and the caller's then.
unsafe impl FrameAllocator<Size4KiB> for TableFrames {
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        let low = Request::frames(1).below(PhysicalAddress::new(4 << 30));
        frames().allocate_within(&low).ok().map(hardware)
    }
}

/// The same frame, as the hardware's crate names it.
fn hardware(frame: Frame) -> PhysFrame {
    PhysFrame::containing_address(PhysAddr::new(frame.address().get()))
}

/// And back.
fn ours(frame: PhysFrame) -> Frame {
    Frame::new((frame.start_address().as_u64() / Size4KiB::SIZE) as usize)
}

/// Page tables that are in use.
pub(crate) struct Tables {
    mapper: OffsetPageTable<'static>,
    root: Frame,
    /// The tables that the kernel began with.
    before: PhysFrame,
}

/// The tables, while they are in use. Interrupt handlers map nothing.
pub(crate) static TABLES: Mutex<Option<Tables>> = Mutex::new(None);

/// Makes page tables and uses them: all of physical memory at `OFFSET`, the image where it is, with
/// its code read-only and its data not executable.
pub(crate) fn start(boot: &Boot) {
    let root = ours(TableFrames.allocate_frame().expect("a frame for page tables"));
    let table = pointer::<PageTable>(root.address());
    // SAFETY: the frame is this table's now, and mapped.
    unsafe { table.write(PageTable::new()) };
    // SAFETY: as before; nobody else has a reference to it.
    let table = unsafe { &mut *table };
    // SAFETY: physical memory is mapped at the offset, by these tables and those in use now.
    let mapper = unsafe { OffsetPageTable::new(table, VirtAddr::new(OFFSET as u64)) };
    let (before, flags) = Cr3::read();
    let mut tables = Tables { mapper, root, before };

    let end = boot.end().get().max(4 << 30);
    for at in (0..end).step_by(Size2MiB::SIZE as usize) {
        tables.map::<Size2MiB>(OFFSET as u64 + at, at, DATA);
    }
    let data = (&raw const data_start).addr() as u64;
    for at in (image().start.get()..image().end.get()).step_by(Size4KiB::SIZE as usize) {
        tables.map::<Size4KiB>(at, at, if at < data { Flags::PRESENT } else { DATA });
    }
    // SAFETY: the image, which has the code and the stack in use, stays where it is, and so does
    // physical memory.
    unsafe { Cr3::write(hardware(root), flags) };
    *TABLES.lock() = Some(tables);
}

impl Tables {
    fn map<S: PageSize + core::fmt::Debug>(&mut self, page: u64, frame: u64, flags: Flags)
    where
        OffsetPageTable<'static>: Mapper<S>,
    {
        let page = Page::<S>::containing_address(VirtAddr::new(page));
        let frame = PhysFrame::containing_address(PhysAddr::new(frame));
        // SAFETY: pages of physical memory as a whole, and of the image: see `start` and
        // `map_code`; or pages that nobody uses yet, for frames that are the caller's.
        let mapped = unsafe { self.mapper.map_to(page, frame, flags, &mut TableFrames) };
        mapped.expect("a page that is not mapped yet, and frames for tables").flush();
    }

    /// Maps a frame where it is, to be executed.
    pub(crate) fn map_code(&mut self, frame: Frame) {
        let address = frame.address().get();
        self.map::<Size4KiB>(address, address, Flags::PRESENT | Flags::WRITABLE);
    }

    /// Maps a frame at an address that nothing is mapped at.
    pub(crate) fn map_data(&mut self, address: usize, frame: Frame) {
        self.map::<Size4KiB>(address as u64, frame.address().get(), DATA);
    }

    /// Ends the mapping of a page, and returns the frame.
    pub(crate) fn unmap(&mut self, address: usize) -> Frame {
        let page = Page::<Size4KiB>::containing_address(VirtAddr::new(address as u64));
        let (frame, flush) = self.mapper.unmap(page).expect("a page that is mapped");
        flush.flush();
        ours(frame)
    }

    /// Goes back to the tables that the kernel began with, and frees all frames of these.
    pub(crate) fn end(self) {
        let (_, flags) = Cr3::read();
        // SAFETY: the tables of the start still map the image, and memory up to 4 GiB.
        unsafe { Cr3::write(self.before, flags) };
        free_table(self.root, 4);
    }
}

/// Frees a table of a level, 4 being the highest, with all tables below it.
fn free_table(table: Frame, level: u32) {
    // SAFETY: a table below 4 GiB, which is mapped, and not in use any more.
    let entries = unsafe { &*pointer::<PageTable>(table.address()) };
    if level > 1 {
        let tables = entries.iter().filter(|entry| !entry.is_unused());
        for entry in tables.filter(|entry| !entry.flags().contains(Flags::HUGE_PAGE)) {
            let frame = PhysFrame::<Size4KiB>::containing_address(entry.addr());
            free_table(ours(frame), level - 1);
        }
    }
    frames().free_one(table).expect("a frame of a page table");
}
