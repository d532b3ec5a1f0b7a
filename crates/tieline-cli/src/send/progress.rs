//! The progress line on a terminal: `thumbs  812 MiB up  41 MiB down  97 MiB/s  [=======>   ]  0:00:08`.

use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::JoinHandle;

use super::traffic::Traffic;
use crate::units::Size;

/// How often the line is drawn.
const EVERY: Duration = Duration::from_millis(100);

/// The line, until it is dropped.
pub(super) struct Progress {
    bar: ProgressBar,
    drawing: JoinHandle<()>,
}

impl Progress {
    /// Shows the line on stderr.
    pub(super) fn show(channel: &str, length: Option<u64>, traffic: Arc<Traffic>) -> Self {
        let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr());
        let template = if length.is_some() { "{msg}  [{bar:20}]  {prefix}" } else { "{msg}  {prefix}" };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("=> "));
        let drawing = tokio::spawn(draw(bar.clone(), channel.to_owned(), traffic));
        Self { bar, drawing }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.drawing.abort();
        self.bar.finish_and_clear();
    }
}

async fn draw(bar: ProgressBar, channel: String, traffic: Arc<Traffic>) {
    let mut ticks = tokio::time::interval(EVERY);
    let mut rate = Rate::default();
    loop {
        ticks.tick().await;
        let (up, down) = (traffic.up(), traffic.down());
        let rate = rate.of(up + down, traffic.elapsed());
        bar.set_position(up);
        bar.set_prefix(clock(traffic.elapsed()));
        bar.set_message(format!("{channel}  {} up  {} down  {}/s", Size(up), Size(down), Size(rate)));
    }
}

/// The rate of the last moments, smoothed so that it can be read.
#[derive(Default)]
struct Rate {
    bytes: u64,
    at: Duration,
    smooth: f64,
    figures: u32,
}

impl Rate {
    /// The least weight of the newest figure; the first ones are averaged.
    const WEIGHT: f64 = 0.1;

    /// Bytes a second, now that `bytes` have moved.
    #[allow(clippy::cast_sign_loss, reason = "neither bytes nor time run backwards")]
    fn of(&mut self, bytes: u64, at: Duration) -> u64 {
        let span = at.saturating_sub(self.at).as_secs_f64();
        if span > 0.0 {
            let now = bytes.saturating_sub(self.bytes) as f64 / span;
            self.figures += 1;
            self.smooth += (now - self.smooth) * Self::WEIGHT.max(1.0 / f64::from(self.figures));
            (self.bytes, self.at) = (bytes, at);
        }
        self.smooth as u64
    }
}

/// `0:00:08`.
fn clock(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_shows_hours_minutes_and_seconds() {
        assert_eq!(clock(Duration::from_secs(8)), "0:00:08");
        assert_eq!(clock(Duration::from_secs(3661)), "1:01:01");
    }

    #[test]
    fn a_steady_stream_shows_its_rate() {
        let mut rate = Rate::default();
        for second in 1..10 {
            assert_eq!(rate.of(second * 1000, Duration::from_secs(second)), 1000);
        }
    }
}
