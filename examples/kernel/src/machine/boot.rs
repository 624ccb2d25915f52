//! What the machine says at boot, by the PVH protocol: the memory map and the command line.

use super::pointer;
use buddy_core::frames::{MemoryKind, MemoryRange, PhysicalAddress};
use core::ffi::{CStr, c_char};
use spin::Once;

const MAGIC: u32 = 0x336e_c578;
/// Entries of a memory map that are looked at. Firmware has about ten.
const MOST: usize = 64;

#[repr(C)]
struct StartInfo {
    magic: u32,
    version: u32,
    flags: u32,
    modules: u32,
    module_list: u64,
    command_line: u64,
    rsdp: u64,
    map: u64,
    map_entries: u32,
    reserved: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Entry {
    address: u64,
    size: u64,
    kind: u32,
    reserved: u32,
}

/// A copy of it: where the original lies is free memory soon.
pub(crate) struct Boot {
    map: [MemoryRange; MOST],
    entries: usize,
    command_line: [u8; 256],
    command_line_bytes: usize,
    /// Where the firmware's tables begin.
    pub(crate) rsdp: PhysicalAddress,
}

static BOOT: Once<Boot> = Once::new();

impl Boot {
    /// Reads what the machine says.
    ///
    /// # Safety
    /// The argument that the entry point was called with.
    pub(crate) unsafe fn read(info: u64) -> &'static Self {
        BOOT.call_once(|| {
            // SAFETY: the protocol says that the structure lies there.
            let info = unsafe { pointer::<StartInfo>(PhysicalAddress::new(info)).read() };
            assert_eq!(info.magic, MAGIC, "not booted by the PVH protocol");
            let mut boot = Self {
                map: [MemoryRange::new(0, 0, MemoryKind::Reserved); MOST],
                entries: MOST.min(info.map_entries as usize),
                command_line: [0; 256],
                command_line_bytes: 0,
                rsdp: PhysicalAddress::new(info.rsdp),
            };
            let entries = pointer::<Entry>(PhysicalAddress::new(info.map));
            for (index, range) in boot.map[..boot.entries].iter_mut().enumerate() {
                // SAFETY: the protocol says that there are so many.
                let entry = unsafe { entries.wrapping_add(index).read() };
                let kind = if entry.kind == 1 { MemoryKind::Usable } else { MemoryKind::Reserved };
                *range = MemoryRange::new(entry.address, entry.size, kind);
            }
            if info.command_line != 0 {
                let line = pointer::<c_char>(PhysicalAddress::new(info.command_line));
                // SAFETY: the protocol says that a string ends with a zero.
                let line = unsafe { CStr::from_ptr(line) }.to_bytes();
                boot.command_line_bytes = line.len().min(boot.command_line.len());
                boot.command_line[..boot.command_line_bytes]
                    .copy_from_slice(&line[..boot.command_line_bytes]);
            }
            boot
        })
    }

    /// The memory map.
    pub(crate) fn map(&self) -> &[MemoryRange] {
        &self.map[..self.entries]
    }

    /// Where usable memory ends.
    pub(crate) fn end(&self) -> PhysicalAddress {
        let usable = self.map().iter().filter(|range| range.kind == MemoryKind::Usable);
        usable.map(|range| range.addresses().end).max().unwrap_or_default()
    }
}

/// Whether the command line has this word.
pub(crate) fn is_told(word: &str) -> bool {
    BOOT.get().is_some_and(|boot| {
        let line = core::str::from_utf8(&boot.command_line[..boot.command_line_bytes]);
        line.unwrap_or("").split_ascii_whitespace().any(|told| told == word)
    })
}
