//! Which processors there are: the firmware's tables say it (ACPI 6.5, chapter 5.2).

use super::pointer;
use buddy_core::frames::PhysicalAddress;

/// A table: its signature and its length are told by its head.
const HEAD_BYTES: usize = 36;

/// Reads a number, wherever it lies.
fn read<T: Copy>(address: u64) -> T {
    // SAFETY: the firmware's tables lie in memory that is mapped, and reserved.
    unsafe { pointer::<T>(PhysicalAddress::new(address)).read_unaligned() }
}

/// The addresses of all tables.
fn tables(rsdp: PhysicalAddress) -> impl Iterator<Item = u64> {
    assert_eq!(read::<[u8; 8]>(rsdp.get()), *b"RSD PTR ", "no root of the firmware's tables");
    let root = u64::from(read::<u32>(rsdp.get() + 16));
    let length = read::<u32>(root + 4) as usize;
    (HEAD_BYTES..length).step_by(4).map(move |at| u64::from(read::<u32>(root + at as u64)))
}

/// Calls with the number in the hardware of every processor that can be started.
pub(crate) fn processors(rsdp: PhysicalAddress) -> impl Iterator<Item = u8> {
    let table = tables(rsdp).find(|table| read::<[u8; 4]>(*table) == *b"APIC");
    let table = table.expect("a table of interrupt controllers");
    let end = table + u64::from(read::<u32>(table + 4));
    let mut at = table + HEAD_BYTES as u64 + 8;
    core::iter::from_fn(move || {
        let entry = at;
        at += u64::from(read::<u8>(entry + 1));
        (entry < end).then_some(entry)
    })
    .filter(|entry| read::<u8>(*entry) == 0 && read::<u32>(entry + 4) & 1 == 1)
    .map(|entry| read::<u8>(entry + 3))
}
