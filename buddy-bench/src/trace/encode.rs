//! From a [`Trace`] to the bytes of a file: what `decode` reads.

use super::decode::MAGIC;
use super::{Op, Trace};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

impl Trace {
    /// The bytes of the file that [`load`](super::load) reads: one zstd frame with a checksum.
    #[must_use]
    pub fn to_file(&self) -> Vec<u8> {
        compress_to_vec(encode(self).as_slice(), CompressionLevel::Fastest)
    }
}

/// The decompressed contents of the file.
fn encode(trace: &Trace) -> Vec<u8> {
    let events = &trace.events;
    let counts = [events.len(), trace.slots, trace.threads as usize, trace.peak_bytes];
    let mut bytes = MAGIC.to_vec();
    bytes.extend(counts.iter().flat_map(|&count| (count as u64).to_le_bytes()));
    bytes.extend(events.iter().map(|event| event.op as u8 | event.thread << 2));
    for event in events {
        varint(event.slot, &mut bytes);
    }
    for event in events.iter().filter(|event| event.op != Op::Free) {
        varint(event.size, &mut bytes);
    }
    let fills = events.iter().filter(|event| matches!(event.op, Op::Alloc | Op::AllocZeroed));
    bytes.extend(fills.map(|event| event.align_log2));
    bytes
}

/// A LEB128 number: seven bits a byte, lowest first.
fn varint(mut number: u32, bytes: &mut Vec<u8>) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toys::trace;
    use crate::trace::decode::{decode, decompress};
    use crate::trace::load;

    #[test]
    fn traces_are_read_as_they_were_written() {
        for name in ["git-log", "rustc-threads"] {
            let trace = load(name).unwrap();
            let file = trace.to_file();
            let read = decode(name, &decompress(&file).unwrap()).unwrap();
            assert!(read.events == trace.events);
            assert_eq!((read.slots, read.threads), (trace.slots, trace.threads));
        }
    }

    #[test]
    fn numbers_of_every_length_are_read_as_they_were_written() {
        let sizes = [1, 0x7f, 0x80, 0x3fff, 0x4000, 0x1f_ffff, 0x20_0000, 1 << 28, u32::MAX];
        let events: Vec<_> = (0..).zip(sizes).map(|(slot, size)| (Op::Alloc, slot, size)).collect();
        let trace = trace(&events);
        assert_eq!(decode("test", &encode(&trace)).unwrap().events, trace.events);
    }
}
