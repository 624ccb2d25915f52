//! The log: what the recorders write, and `buddy-bench record` reads. It lives for one recording, on
//! one machine; what is kept is the trace made of it.
//!
//! ```text
//!   0     head, one page    magic, level, process, next, limit: five words of 64 bits
//!   4096  records           24 bytes each: what, address, size
//! ```
//!
//! Words have the machine's byte order. `next` counts the records that were asked for: a recorder
//! takes a number from it, and writes the record with that number. A record of zeros was taken and
//! never written, because its thread was killed in between.

/// The first word of a log.
pub const MAGIC: u64 = u64::from_ne_bytes(*b"BUDLOG01");

/// Where the records begin.
pub const HEAD_BYTES: usize = 4096;

/// The length of a record.
pub const RECORD_BYTES: usize = 24;

/// The words of the head.
pub mod head {
    /// [`MAGIC`](super::MAGIC).
    pub const MAGIC: usize = 0;
    /// Which recorder writes: 1 for the preloaded library, 2 for `Recorder`, which takes its place.
    pub const LEVEL: usize = 1;
    /// The process that is recorded; 0 before there is one.
    pub const PROCESS: usize = 2;
    /// The number of the next record.
    pub const NEXT: usize = 3;
    /// How many records there is room for.
    pub const LIMIT: usize = 4;
}

/// What a record tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A program begins; what came before was another.
    Start = 1,
    /// A block was handed out.
    Alloc = 2,
    /// A block of zeros was handed out.
    AllocZeroed = 3,
    /// A block is about to be freed.
    Free = 4,
    /// A block is about to be reallocated: from now on its address may be another's.
    ReallocBegin = 5,
    /// The reallocation that the thread began is done: the block is at this address, with this size.
    /// Address 0: it was refused, and the block is where it was.
    ReallocEnd = 6,
}

impl Kind {
    const ALL: [Self; 6] = [
        Self::Start,
        Self::Alloc,
        Self::AllocZeroed,
        Self::Free,
        Self::ReallocBegin,
        Self::ReallocEnd,
    ];
}

/// One call, or one half of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// What happened.
    pub kind: Kind,
    /// Log2 of the alignment asked for.
    pub align_log2: u8,
    /// Which thread, from 1.
    pub thread: u32,
    /// The block's address.
    pub address: u64,
    /// The bytes asked for.
    pub size: u64,
}

impl Record {
    /// The three words of the record; the first is never 0.
    #[must_use]
    pub fn words(self) -> [u64; 3] {
        let what =
            self.kind as u64 | u64::from(self.align_log2) << 8 | u64::from(self.thread) << 32;
        [what, self.address, self.size]
    }

    /// The record of three words; `None` if they are none.
    #[must_use]
    pub fn from_words([what, address, size]: [u64; 3]) -> Option<Self> {
        let code = what & 0xff;
        let kind = Kind::ALL.into_iter().find(|&kind| kind as u64 == code)?;
        let (align_log2, thread) = ((what >> 8) as u8, (what >> 32) as u32);
        Some(Self { kind, align_log2, thread, address, size })
    }
}

/// A log that was read into memory.
#[derive(Clone, Copy, Debug)]
pub struct Log<'a> {
    records: &'a [u8],
    /// Records that there was no room for.
    pub left_out: u64,
    /// Whether a program was recorded at all.
    pub begun: bool,
}

/// Why bytes are no log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogError {
    /// They do not begin as a log does.
    Magic,
    /// The head announces more records than there are bytes.
    Truncated,
}

impl std::fmt::Display for LogError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Magic => "not a log of buddy-record, or of another version",
            Self::Truncated => "truncated: the head announces more records than there are",
        })
    }
}

impl std::error::Error for LogError {}

impl<'a> Log<'a> {
    /// The log that the bytes of a file hold.
    ///
    /// # Errors
    /// If they hold none.
    pub fn new(bytes: &'a [u8]) -> Result<Self, LogError> {
        let written = usize::try_from(written_bytes(bytes)?).map_err(|_| LogError::Truncated)?;
        let records = bytes.get(HEAD_BYTES..written).ok_or(LogError::Truncated)?;
        let word = |index| word(bytes, index);
        let left_out = word(head::NEXT).saturating_sub(word(head::LIMIT));
        Ok(Self { records, left_out, begun: word(head::PROCESS) != 0 })
    }

    /// The records in order; `None` for each that was never written.
    pub fn records(&self) -> impl Iterator<Item = Option<Record>> + use<'a> {
        let words = |bytes: &[u8]| [word(bytes, 0), word(bytes, 1), word(bytes, 2)];
        self.records.chunks_exact(RECORD_BYTES).map(move |bytes| Record::from_words(words(bytes)))
    }
}

/// How long the written part of a log is, of which these are the first [`HEAD_BYTES`] at least.
///
/// # Errors
/// If it is none.
pub fn written_bytes(log: &[u8]) -> Result<u64, LogError> {
    if log.len() < HEAD_BYTES || word(log, head::MAGIC) != MAGIC {
        return Err(LogError::Magic);
    }
    let records = word(log, head::NEXT).min(word(log, head::LIMIT));
    let bytes = records.checked_mul(RECORD_BYTES as u64);
    bytes.and_then(|bytes| bytes.checked_add(HEAD_BYTES as u64)).ok_or(LogError::Truncated)
}

/// The head of a new log, and its length with room for so many records.
#[must_use]
pub fn new_log(limit: u64) -> ([u64; 5], u64) {
    let mut words = [0; 5];
    (words[head::MAGIC], words[head::LIMIT]) = (MAGIC, limit);
    (words, limit.saturating_mul(RECORD_BYTES as u64).saturating_add(HEAD_BYTES as u64))
}

fn word(bytes: &[u8], index: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[index * 8..index * 8 + 8]);
    u64::from_ne_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: Record =
        Record { kind: Kind::Free, align_log2: 0, thread: 2, address: 0x7f00, size: 0 };

    fn file(limit: u64, next: u64, records: &[[u64; 3]]) -> Vec<u8> {
        let (mut words, _) = new_log(limit);
        (words[head::NEXT], words[head::PROCESS]) = (next, 7);
        let mut bytes: Vec<u8> = words.into_iter().flat_map(u64::to_ne_bytes).collect();
        bytes.resize(HEAD_BYTES, 0);
        bytes.extend(records.as_flattened().iter().flat_map(|word| word.to_ne_bytes()));
        bytes
    }

    #[test]
    fn records_of_every_kind_are_read_as_they_were_written() {
        for kind in Kind::ALL {
            let record = Record { kind, align_log2: 31, thread: u32::MAX, address: 1, size: !0 };
            assert_eq!(Record::from_words(record.words()), Some(record));
        }
        assert_eq!(Record::from_words([0, 1, 2]), None);
        assert_eq!(Record::from_words([7, 1, 2]), None);
    }

    #[test]
    fn what_was_taken_and_not_written_is_a_gap() {
        let bytes = file(9, 2, &[[0; 3], FREE.words(), [0; 3]]);
        let log = Log::new(&bytes).unwrap();
        assert_eq!(log.records().collect::<Vec<_>>(), [None, Some(FREE)]);
        assert!(log.begun && log.left_out == 0);
    }

    #[test]
    fn records_beyond_the_limit_are_counted() {
        let bytes = file(1, 5, &[FREE.words()]);
        let log = Log::new(&bytes).unwrap();
        assert_eq!((log.records().count(), log.left_out), (1, 4));
    }

    #[test]
    fn what_is_no_log_is_refused() {
        let bytes = file(2, 2, &[FREE.words(); 2]);
        assert!(Log::new(&bytes).is_ok());
        assert_eq!(Log::new(&bytes[..bytes.len() - 1]).unwrap_err(), LogError::Truncated);
        assert_eq!(Log::new(&bytes[..100]).unwrap_err(), LogError::Magic);
        assert_eq!(Log::new(&bytes[8..]).unwrap_err(), LogError::Magic);
        assert_eq!(Log::new(&file(!0, !0, &[])).unwrap_err(), LogError::Truncated);
    }
}
