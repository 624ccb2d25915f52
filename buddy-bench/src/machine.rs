//! Which machine and compiler the figures are from.

use crate::csv::{MACHINE, OK, Row};
use std::{fs, thread};

/// The processor's name as the system tells it, or `unknown CPU`.
#[must_use]
pub fn cpu_model() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = info.lines().find(|line| line.starts_with("model name"));
    let model = line.and_then(|line| line.split_once(':')).map(|(_, model)| model.trim());
    model.unwrap_or("unknown CPU").to_owned()
}

/// How many threads can run at once.
#[must_use]
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// The compiler that built this program.
pub const RUSTC: &str = env!("RUSTC_VERSION");

/// The line of a file of figures that tells the machine.
#[must_use]
pub fn row() -> Row {
    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    let cores = Some(cores() as f64);
    Row {
        command: MACHINE.to_owned(),
        workload: cpu_model(),
        package: RUSTC.to_owned(),
        metric: "cores".to_owned(),
        median: cores,
        low: cores,
        high: cores,
        runs: 1,
        status: OK.to_owned(),
        ..Row::default()
    }
}
