//! The log: a serial port.

use core::fmt::{self, Write};
use spin::Mutex;
use x86_64::instructions::port::Port;

/// The first serial port of a PC.
const BASE: u16 = 0x3f8;
const LINE_STATUS: u16 = BASE + 5;
/// The port takes another byte.
const IS_READY: u8 = 1 << 5;

struct Log;

impl Write for Log {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            // SAFETY: reading the port's state.
            while unsafe { Port::<u8>::new(LINE_STATUS).read() } & IS_READY == 0 {}
            // SAFETY: the port sends a byte.
            unsafe { Port::new(BASE).write(byte) };
        }
        Ok(())
    }
}

/// Interrupt handlers do not log, so a lock is right here.
static LOG: Mutex<Log> = Mutex::new(Log);

/// Writes to the log.
pub(crate) fn print(text: fmt::Arguments<'_>) {
    // It never fails.
    let _ = LOG.lock().write_fmt(text);
}

/// Writes the last words, whoever has the lock; what another processor writes may be mixed in.
pub(crate) fn print_at_any_cost(text: fmt::Arguments<'_>) {
    let _ = Log.write_fmt(text);
}

/// A line in the log.
macro_rules! say {
    ($($text:tt)*) => {
        $crate::machine::serial::print(format_args!("{}\n", format_args!($($text)*)))
    };
}
pub(crate) use say;
