//! Why a file is no trace.

use std::fmt;
use std::io;

/// Why a trace could not be had. Events are counted from 0.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages say")]
pub enum TraceError {
    /// Neither a trace of ours nor a file.
    #[error("no trace is called `{name}` (there are {}), and no such file exists", known.join(", "))]
    Unknown { name: String, known: &'static [&'static str] },
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Read(io::Error),
    /// The file is no zstd frame, or a damaged one.
    #[error("cannot be decompressed: {0}")]
    Decompress(io::Error),
    /// More than a trace may have.
    #[error("longer than {limit} bytes decompressed")]
    TooLong { limit: u64 },
    /// The first bytes are not those of a trace.
    #[error("not a trace: it does not begin with `ALTRACE1`")]
    Magic,
    /// The data end too early.
    #[error("truncated: it ends in its {0}")]
    Truncated(Part),
    /// The header announces more than the data can hold, or nothing.
    #[error("corrupt header: {events} events and {slots} slots in {bytes} bytes")]
    Header { events: u64, slots: u64, bytes: usize },
    /// A number is too long.
    #[error("corrupt {part}: the number for event {event} has too many bits")]
    Varint { part: Part, event: usize },
    /// A slot that the header does not announce.
    #[error("event {event}: slot {slot} of {slots}")]
    SlotOutOfRange { event: usize, slot: u64, slots: usize },
    /// An allocation into a slot with a block.
    #[error("event {event}: allocates into slot {slot}, which is full")]
    SlotFull { event: usize, slot: u32 },
    /// A free or realloc of a slot without a block.
    #[error("event {event}: frees or reallocates slot {slot}, which is empty")]
    SlotEmpty { event: usize, slot: u32 },
    /// A size of 0, or 2^32 or above.
    #[error("event {event}: a block of {size} bytes (1 to 2^32 - 1 are possible)")]
    Size { event: usize, size: u64 },
    /// An alignment above 2^31.
    #[error("event {event}: an alignment of 2^{exponent}")]
    Alignment { event: usize, exponent: u8 },
    /// A thread that the header does not announce.
    #[error("event {event}: thread {thread} of {threads}")]
    Thread { event: usize, thread: u8, threads: u64 },
    /// Data behind the end.
    #[error("{bytes} bytes too many")]
    Trailing { bytes: usize },
    /// The header's peak of live bytes is not the events'.
    #[error("corrupt header: a peak of {header} live bytes, the events' is {events}")]
    Peak { header: u64, events: usize },
}

/// The parts of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Magic and counts.
    Header,
    /// One byte an event.
    Operations,
    /// One number an event.
    Slots,
    /// One number an event that is no free.
    Sizes,
    /// One byte an allocation.
    Alignments,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Operations => "operations",
            Self::Slots => "slots",
            Self::Sizes => "sizes",
            Self::Alignments => "alignments",
        })
    }
}
