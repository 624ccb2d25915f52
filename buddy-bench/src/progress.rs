//! A progress bar on stderr; silent where that is no terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// The bar of one command.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// A bar for so many steps.
    #[must_use]
    pub fn new(steps: usize) -> Self {
        let bar = ProgressBar::new(steps as u64);
        let style = ProgressStyle::with_template("{bar:40} {percent:>3} % {elapsed} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self(bar)
    }

    /// Says what is being done.
    pub fn doing(&self, what: String) {
        self.0.set_message(what);
    }

    /// Counts steps that are done.
    pub fn done(&self, steps: usize) {
        self.0.inc(steps as u64);
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}
