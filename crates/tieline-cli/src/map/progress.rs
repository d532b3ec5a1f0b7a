//! The progress bar, on a terminal only: `thumbs  [=====>    ] 12/100  1 failed  3 MiB up  41 KiB down  eta 8s`.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::tally::Tally;
use crate::terminal;

/// The bar, until it is dropped.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Shows the bar on stderr, if that is a terminal and responses aren't shown on it too.
    pub(super) fn show(channel: &str, total: Option<u64>, are_files: bool) -> Self {
        if !terminal::shows_colour() || (!are_files && io::stdout().is_terminal()) {
            return Self { bar: None };
        }
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
        let template = if total.is_some() {
            "{prefix}  [{bar:20}] {pos}/{len}  {msg}  eta {eta}"
        } else {
            "{prefix}  {pos}  {msg}  {elapsed}"
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("=> "));
        bar.set_prefix(channel.to_owned());
        Self { bar: Some(bar) }
    }

    /// The figures have changed.
    pub(super) fn update(&self, tally: &Tally) {
        if let Some(bar) = &self.bar {
            bar.set_position(tally.over());
            bar.set_message(tally.line());
        }
    }

    /// Says a line without spoiling the bar.
    pub(super) fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| terminal::say(line)),
            None => terminal::say(line),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
