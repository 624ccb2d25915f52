//! From the bytes of a file to a [`Trace`], with nothing believed that was not checked.

use super::{Event, Op, Part, Trace, TraceError, peak_bytes};
use ruzstd::decoding::StreamingDecoder;
use std::io::{self, Read};

/// More than this is no trace, compressed or not.
pub(super) const MOST_BYTES: u64 = 1 << 28;

pub(super) const MAGIC: &[u8; 8] = b"ALTRACE1";
const ZSTD_MAGIC: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();

/// The contents of a zstd frame, with its checksum compared if it has one.
pub(super) fn decompress(file: &[u8]) -> Result<Vec<u8>, TraceError> {
    let damaged =
        |what: String| TraceError::Decompress(io::Error::new(io::ErrorKind::InvalidData, what));
    if !file.starts_with(&ZSTD_MAGIC) {
        return Err(TraceError::NotZstd);
    }
    let mut frame = StreamingDecoder::new(file).map_err(|error| damaged(error.to_string()))?;
    let mut bytes = Vec::new();
    let mut most = frame.by_ref().take(MOST_BYTES + 1);
    most.read_to_end(&mut bytes).map_err(TraceError::Decompress)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(TraceError::TooLong { limit: MOST_BYTES });
    }
    let stored = frame.decoder.get_checksum_from_data();
    if stored.is_some() && stored != frame.decoder.get_calculated_checksum() {
        return Err(damaged("the checksum is wrong".to_owned()));
    }
    Ok(bytes)
}

/// The trace that decompressed bytes hold.
pub(super) fn decode(name: &str, bytes: &[u8]) -> Result<Trace, TraceError> {
    let mut rest = Bytes { rest: bytes };
    if rest.take(MAGIC.len(), Part::Header)? != MAGIC {
        return Err(TraceError::Magic);
    }
    let header = Header::read(&mut rest)?;
    let operations = rest.take(header.events, Part::Operations)?;
    let mut events = Vec::with_capacity(header.events);
    for (event, &code) in operations.iter().enumerate() {
        events.push(operation(event, code, &header, &mut rest)?);
    }
    for (number, event) in events.iter_mut().enumerate().filter(|(_, event)| event.op != Op::Free) {
        let size = rest.varint(Part::Sizes, number)?;
        event.size = u32::try_from(size)
            .ok()
            .filter(|&size| size > 0)
            .ok_or(TraceError::Size { event: number, size })?;
    }
    alignments(&mut events, header.slots, &mut rest)?;
    if !rest.rest.is_empty() {
        return Err(TraceError::Trailing { bytes: rest.rest.len() });
    }
    let peak_bytes = peak_bytes(&events, header.slots);
    if header.peak_bytes != peak_bytes as u64 {
        return Err(TraceError::Peak { header: header.peak_bytes, events: peak_bytes });
    }
    let Header { slots, threads, .. } = header;
    Ok(Trace { name: name.to_owned(), events, slots, threads, peak_bytes })
}

struct Header {
    events: usize,
    slots: usize,
    threads: u64,
    peak_bytes: u64,
}

impl Header {
    /// Reads the counts, and refuses those that the rest cannot hold: each event takes at least two
    /// bytes, and each slot an event. So nothing is reserved that the file does not pay for.
    fn read(rest: &mut Bytes<'_>) -> Result<Self, TraceError> {
        let mut counts = [0u64; 4];
        for count in &mut counts {
            *count = rest.u64()?;
        }
        let [events, slots, threads, peak_bytes] = counts;
        let bytes = rest.rest.len();
        let refused = TraceError::Header { events, slots, bytes };
        match (usize::try_from(events), usize::try_from(slots)) {
            (Ok(events), Ok(slots)) if 0 < slots && slots <= events && events <= bytes / 2 => {
                Ok(Self { events, slots, threads, peak_bytes })
            }
            _ => Err(refused),
        }
    }
}

/// The event with this code; its slot is the next number.
fn operation(
    event: usize,
    code: u8,
    header: &Header,
    rest: &mut Bytes<'_>,
) -> Result<Event, TraceError> {
    let op = match code & 3 {
        0 => Op::Alloc,
        1 => Op::Free,
        2 => Op::Realloc,
        _ => Op::AllocZeroed,
    };
    let (thread, threads) = (code >> 2, header.threads);
    if u64::from(thread) >= threads {
        return Err(TraceError::Thread { event, thread, threads });
    }
    let (number, slots) = (rest.varint(Part::Slots, event)?, header.slots);
    let slot = u32::try_from(number).ok().filter(|&slot| (slot as usize) < slots);
    let slot = slot.ok_or(TraceError::SlotOutOfRange { event, slot: number, slots })?;
    Ok(Event { slot, size: 0, op, align_log2: 0, thread })
}

/// Gives each event its block's alignment, and sees that slots are filled and emptied in turn.
fn alignments(events: &mut [Event], slots: usize, rest: &mut Bytes<'_>) -> Result<(), TraceError> {
    let mut blocks: Vec<Option<u8>> = vec![None; slots];
    for (number, event) in events.iter_mut().enumerate() {
        let slot = event.slot;
        let block = &mut blocks[slot as usize];
        event.align_log2 = match (event.op, *block) {
            (Op::Alloc | Op::AllocZeroed, None) => match rest.byte(Part::Alignments)? {
                exponent @ 0..=31 => *block.insert(exponent),
                exponent => return Err(TraceError::Alignment { event: number, exponent }),
            },
            (Op::Realloc, Some(exponent)) => exponent,
            (Op::Free, Some(exponent)) => {
                *block = None;
                exponent
            }
            (_, Some(_)) => return Err(TraceError::SlotFull { event: number, slot }),
            (_, None) => return Err(TraceError::SlotEmpty { event: number, slot }),
        };
    }
    Ok(())
}

/// What has not been read yet.
struct Bytes<'a> {
    rest: &'a [u8],
}

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize, part: Part) -> Result<&'a [u8], TraceError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(TraceError::Truncated(part))?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self, part: Part) -> Result<u8, TraceError> {
        self.take(1, part).map(|bytes| bytes[0])
    }

    fn u64(&mut self) -> Result<u64, TraceError> {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(self.take(8, Part::Header)?);
        Ok(u64::from_le_bytes(bytes))
    }

    /// A LEB128 number of at most 35 bits: enough for all a trace has, and for a message about more.
    fn varint(&mut self, part: Part, event: usize) -> Result<u64, TraceError> {
        let mut number = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte(part)?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(TraceError::Varint { part, event })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    const ALLOC: u8 = 0;
    const FREE: u8 = 1;
    const REALLOC: u8 = 2;

    /// The bytes of a trace: header counts (events, slots, threads, peak), then the parts.
    fn file(header: [u64; 4], parts: [&[u8]; 4]) -> Vec<u8> {
        let counts = header.map(u64::to_le_bytes).concat();
        [MAGIC.as_slice(), &counts, &parts.concat()].concat()
    }

    /// Two blocks, the first reallocated from 16 to 300 bytes, the second freed.
    fn sound() -> Vec<u8> {
        let operations = [ALLOC, ALLOC | 1 << 2, REALLOC, FREE];
        file([4, 2, 2, 308], [&operations, &[0, 1, 0, 1], &[16, 8, 0xac, 2], &[4, 3]])
    }

    fn refused(bytes: &[u8]) -> TraceError {
        decode("bad", bytes).unwrap_err()
    }

    #[test]
    fn a_sound_trace_is_decoded() {
        let trace = decode("sound", &sound()).unwrap();
        let event =
            |op, slot, size, align_log2, thread| Event { slot, size, op, align_log2, thread };
        let events = [
            event(Op::Alloc, 0, 16, 4, 0),
            event(Op::Alloc, 1, 8, 3, 1),
            event(Op::Realloc, 0, 300, 4, 0),
            event(Op::Free, 1, 0, 3, 0),
        ];
        assert_eq!((trace.events.as_slice(), trace.slots), (events.as_slice(), 2));
        assert_eq!((trace.threads, trace.peak_bytes), (2, 308));
    }

    #[test]
    fn other_files_are_no_traces() {
        let mut bytes = sound();
        bytes[7] = b'2';
        assert!(matches!(refused(&bytes), TraceError::Magic));
    }

    #[test]
    fn a_trace_cut_anywhere_is_an_error() {
        let bytes = sound();
        for len in 0..bytes.len() {
            let error = refused(&bytes[..len]);
            assert!(
                matches!(error, TraceError::Truncated(_) | TraceError::Header { .. }),
                "{len}: {error}"
            );
        }
        assert!(matches!(refused(&bytes[..20]), TraceError::Truncated(Part::Header)));
        let unfinished = file([1, 1, 1, 1], [&[ALLOC], &[0x80], &[], &[]]);
        assert!(matches!(refused(&unfinished), TraceError::Truncated(Part::Slots)));
        assert!(matches!(refused(&bytes[..51]), TraceError::Truncated(Part::Sizes)));
        assert!(matches!(refused(&bytes[..53]), TraceError::Truncated(Part::Alignments)));
    }

    #[test]
    fn a_header_that_promises_too_much_is_refused_before_memory_is_reserved() {
        for header in [[u64::MAX, 1, 1, 1], [1 << 40, 1, 1, 1], [1, 2, 1, 1], [1, 0, 1, 1], [0; 4]]
        {
            let bytes = file(header, [&[ALLOC], &[0], &[1], &[0]]);
            assert!(matches!(refused(&bytes), TraceError::Header { .. }), "{header:?}");
        }
    }

    #[test]
    fn numbers_of_too_many_bits_are_refused() {
        let long = [0x80, 0x80, 0x80, 0x80, 0x80, 0];
        let error = refused(&file([1, 1, 1, 1], [&[ALLOC], &long, &[1], &[0]]));
        assert!(matches!(error, TraceError::Varint { part: Part::Slots, event: 0 }));
        let error = refused(&file([1, 1, 1, 1], [&[ALLOC], &[0], &long, &[0]]));
        assert!(matches!(error, TraceError::Varint { part: Part::Sizes, event: 0 }));
    }

    #[test]
    fn a_slot_that_is_not_announced_is_refused() {
        let error = refused(&file([2, 2, 1, 1], [&[ALLOC, ALLOC], &[0, 2], &[1, 1], &[0, 0]]));
        assert!(matches!(error, TraceError::SlotOutOfRange { event: 1, slot: 2, slots: 2 }));
    }

    #[test]
    fn a_slot_is_filled_and_emptied_in_turn() {
        let error = refused(&file([1, 1, 1, 0], [&[FREE], &[0], &[], &[]]));
        assert!(matches!(error, TraceError::SlotEmpty { event: 0, slot: 0 }));
        let error = refused(&file([1, 1, 1, 0], [&[REALLOC], &[0], &[8], &[]]));
        assert!(matches!(error, TraceError::SlotEmpty { event: 0, slot: 0 }));
        let twice = [&[ALLOC, FREE, FREE][..], &[0, 0, 0], &[8], &[0]];
        assert!(matches!(
            refused(&file([3, 1, 1, 8], twice)),
            TraceError::SlotEmpty { event: 2, .. }
        ));
        let error = refused(&file([2, 1, 1, 8], [&[ALLOC, ALLOC], &[0, 0], &[8, 8], &[0, 0]]));
        assert!(matches!(error, TraceError::SlotFull { event: 1, slot: 0 }));
    }

    #[test]
    fn sizes_are_positive_and_below_two_to_the_32() {
        let error = refused(&file([1, 1, 1, 0], [&[ALLOC], &[0], &[0], &[0]]));
        assert!(matches!(error, TraceError::Size { event: 0, size: 0 }));
        let large = [0x80, 0x80, 0x80, 0x80, 0x10];
        let error = refused(&file([1, 1, 1, 0], [&[ALLOC], &[0], &large, &[0]]));
        assert!(matches!(error, TraceError::Size { event: 0, size: 0x1_0000_0000 }));
    }

    #[test]
    fn alignments_have_an_end() {
        let error = refused(&file([1, 1, 1, 8], [&[ALLOC], &[0], &[8], &[32]]));
        assert!(matches!(error, TraceError::Alignment { event: 0, exponent: 32 }));
    }

    #[test]
    fn threads_are_announced() {
        let error = refused(&file([1, 1, 3, 8], [&[ALLOC | 3 << 2], &[0], &[8], &[0]]));
        assert!(matches!(error, TraceError::Thread { event: 0, thread: 3, threads: 3 }));
    }

    #[test]
    fn nothing_may_follow_and_the_peak_must_be_right() {
        let mut bytes = sound();
        bytes.push(0);
        assert!(matches!(refused(&bytes), TraceError::Trailing { bytes: 1 }));
        let mut bytes = sound();
        bytes[32] ^= 1;
        assert!(matches!(refused(&bytes), TraceError::Peak { header: 309, events: 308 }));
    }

    #[test]
    fn frames_are_decompressed_and_damaged_ones_refused() {
        let frame = compress_to_vec(sound().as_slice(), CompressionLevel::Fastest);
        assert_eq!(decompress(&frame).unwrap(), sound());
        for len in 4..frame.len() - 4 {
            assert!(matches!(decompress(&frame[..len]), Err(TraceError::Decompress(_))), "{len}");
        }
        for other in [b"ALTRACE1".as_slice(), b"", &frame[..3]] {
            assert!(matches!(decompress(other), Err(TraceError::NotZstd)));
        }
    }

    #[test]
    fn a_wrong_checksum_is_told() {
        let mut frame = compress_to_vec(sound().as_slice(), CompressionLevel::Fastest);
        *frame.last_mut().unwrap() ^= 1;
        let error = decompress(&frame).unwrap_err();
        assert!(error.to_string().contains("checksum"), "{error}");
    }
}
