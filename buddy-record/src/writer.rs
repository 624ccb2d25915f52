//! Writing the log: one atomic addition and three stores a record, into a mapped file.
//!
//! Invariants, where a thread has seen the state `ON`:
//! - **W1** `map` is the log, mapped shared, never unmapped, with the head and `limit` records.
//! - **W2** `here` is a page of its own, whose first byte is 1 in the process that began and 0 in what
//!   it forked (`MADV_WIPEONFORK`). A forked process does not have the log mapped.

use crate::format::{HEAD_BYTES, Kind, MAGIC, RECORD_BYTES, Record, head, new_log};
use crate::{DEFAULT_RECORDS, LOG, PROCESS, RECORDS};
use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int};
use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::FileExt;
use std::ptr::null_mut;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, AtomicU64};

/// The level of the preloaded library.
pub const PRELOAD: u64 = 1;
/// The level of [`Recorder`](crate::Recorder), whose calls would come to the preloaded library, too.
pub const RECORDER: u64 = 2;

const UNKNOWN: u8 = 0;
const STARTING: u8 = 1;
const ON: u8 = 2;
const OFF: u8 = 3;

/// Names of files longer than this are none.
const MOST_NAME: usize = 4096;

/// Where a recorder of one level writes its records.
#[derive(Debug)]
pub struct Writer {
    level: u64,
    state: AtomicU8,
    map: AtomicPtr<AtomicU64>,
    here: AtomicPtr<AtomicU8>,
    limit: AtomicU64,
}

impl Writer {
    /// A writer, which looks for its log with the first record.
    #[must_use]
    pub const fn new(level: u64) -> Self {
        Self {
            level,
            state: AtomicU8::new(UNKNOWN),
            map: AtomicPtr::new(null_mut()),
            here: AtomicPtr::new(null_mut()),
            limit: AtomicU64::new(0),
        }
    }

    /// Writes a record, if there is a log with room for it, and this is the process recorded.
    ///
    /// What frees an address must be recorded before, what hands it out afterwards; then the order of
    /// the records is one that can have been.
    #[inline]
    pub fn record(&self, kind: Kind, align: usize, address: usize, size: usize) {
        let align_log2 = align.trailing_zeros() as u8;
        let (address, size) = (address as u64, size as u64);
        if self.is_on() {
            self.write(Record { kind, align_log2, thread: thread(), address, size });
        }
    }

    /// Looks for the log now, rather than with the first record.
    pub fn start(&self) {
        self.is_on();
    }

    /// Whether this process is recorded by this writer.
    #[inline]
    fn is_on(&self) -> bool {
        match self.state.load(Acquire) {
            // SAFETY: W2.
            ON => unsafe { &*self.here.load(Relaxed) }.load(Relaxed) == 1,
            UNKNOWN => self.begin(),
            _ => false,
        }
    }

    #[cold]
    fn begin(&self) -> bool {
        if self.state.compare_exchange(UNKNOWN, STARTING, Acquire, Relaxed).is_err() {
            return false;
        }
        let before = errno();
        let on = self.claim().is_some();
        set_errno(before);
        self.state.store(if on { ON } else { OFF }, Release);
        if on {
            self.write(Record { kind: Kind::Start, align_log2: 0, thread: 0, address: 0, size: 0 });
        }
        on
    }

    /// Maps the log that the environment names, if it is for this process.
    fn claim(&self) -> Option<()> {
        let path = variable(LOG)?;
        if variable(PROCESS).is_some_and(|name| !is_this_program(name)) {
            return None;
        }
        let file = open(path)?;
        let len = usize::try_from(file.metadata().ok()?.len()).ok()?;
        let records = len.checked_sub(HEAD_BYTES)? / RECORD_BYTES;
        let map: *mut AtomicU64 = map(len, &file)?.cast();
        drop(file);
        self.map.store(map, Relaxed);
        let limit = self.word(head::LIMIT).load(Relaxed);
        let is_log = self.word(head::MAGIC).load(Relaxed) == MAGIC && limit <= records as u64;
        if !is_log || !self.is_for_this_process() {
            // SAFETY: mapped above, and nobody has seen it.
            unsafe { libc::munmap(map.cast(), len) };
            return None;
        }
        self.limit.store(limit, Relaxed);
        self.here.store(page_of_this_process()?, Relaxed);
        // SAFETY: the mapping of this length.
        unsafe { libc::madvise(map.cast(), len, libc::MADV_DONTFORK) };
        self.word(head::LEVEL).store(self.level, Relaxed);
        Some(())
    }

    /// Whether the log is this process', or nobody's, and so this process' from now on.
    fn is_for_this_process(&self) -> bool {
        // SAFETY: no arguments.
        let process = u64::from(unsafe { libc::getpid() }.unsigned_abs());
        let owner = self.word(head::PROCESS).compare_exchange(0, process, AcqRel, Acquire);
        owner.is_ok() || owner == Err(process)
    }

    #[inline]
    fn write(&self, record: Record) {
        if self.word(head::LEVEL).load(Relaxed) != self.level {
            return;
        }
        let number = self.word(head::NEXT).fetch_add(1, Relaxed);
        if number >= self.limit.load(Relaxed) {
            return;
        }
        let place = (HEAD_BYTES + number as usize * RECORD_BYTES) / size_of::<AtomicU64>();
        let [what, address, size] = record.words();
        self.word(place + 1).store(address, Relaxed);
        self.word(place + 2).store(size, Relaxed);
        self.word(place).store(what, Release);
    }

    /// A word of the log.
    #[inline]
    fn word(&self, index: usize) -> &AtomicU64 {
        // SAFETY: the caller's index lies inside the mapping (W1).
        let word = unsafe { self.map.load(Relaxed).add(index) };
        // SAFETY: mapped for ever, aligned, and written as atomics only (W1).
        unsafe { &*word }
    }
}

/// The number of this thread, from 1.
#[inline]
fn thread() -> u32 {
    thread_local! {
        // Has no destructor, so that it is there to a thread's end, and needs no memory.
        static NUMBER: Cell<u32> = const { Cell::new(0) };
    }
    static LAST: AtomicU32 = AtomicU32::new(0);
    NUMBER.with(|number| {
        if number.get() == 0 {
            number.set(LAST.fetch_add(1, Relaxed).wrapping_add(1));
        }
        number.get()
    })
}

/// Makes an empty file a log with room for so many records. All its space is taken at once, so that
/// no record finds the disk full. Allocates nothing.
///
/// # Errors
/// If there is no room for it.
pub fn prepare(file: &File, records: u64) -> io::Result<()> {
    let (words, len) = new_log(records);
    let len = libc::off_t::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?;
    // SAFETY: an open file.
    let error = unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, len) };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    for (index, word) in words.iter().enumerate() {
        file.write_all_at(&word.to_ne_bytes(), index as u64 * 8)?;
    }
    Ok(())
}

/// Opens the log, or makes a new one.
fn open(path: &CStr) -> Option<File> {
    let open = |flags: c_int| -> Option<File> {
        // SAFETY: the path ends in a zero.
        let descriptor = unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC, 0o600) };
        // SAFETY: just opened, and owned by nobody else.
        (descriptor >= 0).then(|| unsafe { File::from_raw_fd(descriptor) })
    };
    if let Some(file) = open(libc::O_RDWR) {
        return Some(file);
    }
    let file = open(libc::O_RDWR | libc::O_CREAT | libc::O_EXCL);
    let limit = variable(RECORDS).and_then(|limit| limit.to_str().ok()?.parse().ok());
    let filled = file.filter(|file| prepare(file, limit.unwrap_or(DEFAULT_RECORDS)).is_ok());
    if filled.is_none() {
        complain(b"buddy-record: the log cannot be created; nothing is recorded\n");
    }
    filled
}

fn map(len: usize, file: &File) -> Option<*mut libc::c_void> {
    let (access, descriptor) = (libc::PROT_READ | libc::PROT_WRITE, file.as_raw_fd());
    // SAFETY: a new mapping, at a place that the system chooses.
    let map = unsafe { libc::mmap(null_mut(), len, access, libc::MAP_SHARED, descriptor, 0) };
    (map != libc::MAP_FAILED).then_some(map)
}

/// A page that begins with 1 in this process, and with 0 in those it forks.
fn page_of_this_process() -> Option<*mut AtomicU8> {
    const PAGE: usize = 4096;
    let (access, kind) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping, at a place that the system chooses.
    let page = unsafe { libc::mmap(null_mut(), PAGE, access, kind, -1, 0) };
    // SAFETY: mapped, or refused by the call.
    let wiped = unsafe { libc::madvise(page, PAGE, libc::MADV_WIPEONFORK) };
    if page == libc::MAP_FAILED || wiped != 0 {
        complain(b"buddy-record: nothing is recorded: needs Linux 4.14 (MADV_WIPEONFORK)\n");
        return None;
    }
    let page: *mut AtomicU8 = page.cast();
    // SAFETY: mapped, zeroed, and nobody else's.
    unsafe { &*page }.store(1, Relaxed);
    Some(page)
}

/// What the environment says. Nothing is copied: the standard library would allocate.
fn variable(name: &str) -> Option<&'static CStr> {
    let mut terminated = [0_u8; 32];
    terminated.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
    // SAFETY: the name ends in a zero, as it is shorter than the buffer.
    let value: *const c_char = unsafe { libc::getenv(terminated.as_ptr().cast()) };
    // SAFETY: a string of the environment, which stays unless the program changes that variable.
    let value = (!value.is_null()).then(|| unsafe { CStr::from_ptr(value) })?;
    (!value.is_empty() && value.count_bytes() < MOST_NAME).then_some(value)
}

/// Whether the file of this program has that name.
fn is_this_program(name: &CStr) -> bool {
    let mut path = [0_u8; MOST_NAME];
    let link = c"/proc/self/exe".as_ptr();
    // SAFETY: a path that ends in a zero, and a buffer of that length.
    let len = unsafe { libc::readlink(link, path.as_mut_ptr().cast(), path.len()) };
    let path = usize::try_from(len).map_or(&[][..], |len| &path[..len]);
    path.rsplit(|&byte| byte == b'/').next() == Some(name.to_bytes())
}

fn errno() -> c_int {
    // SAFETY: no duties.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: it always points to this thread's `errno`.
    unsafe { place.read() }
}

/// What the next failure of a C function would do.
pub fn set_errno(error: c_int) {
    // SAFETY: no duties.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: it always points to this thread's `errno`.
    unsafe { place.write(error) };
}

fn complain(message: &[u8]) {
    // SAFETY: the descriptor of stderr, which stays open.
    let stderr = ManuallyDrop::new(unsafe { File::from_raw_fd(libc::STDERR_FILENO) });
    let _ = io::Write::write_all(&mut &*stderr, message);
}
