//! What was measured, for people and as JSON.

use std::io::{self, Write};

use serde::Serialize;

use super::limit::Limit;
use super::record::Quantiles;
use crate::exit::{self, Failure};
use crate::units::Size;

/// The figures of a run. These are the names in the JSON.
#[derive(Serialize, Debug)]
pub(super) struct Report {
    pub(super) version: &'static str,
    pub(super) channel: String,
    /// Requests a second that were asked for; none in a closed loop.
    pub(super) rate_asked: Option<u32>,
    /// Requests that were to be under way; none in an open loop.
    pub(super) in_flight: Option<u32>,
    pub(super) seconds: f64,
    /// Bytes of each request.
    pub(super) size: u64,
    /// Requests that were answered.
    pub(super) answered: u64,
    pub(super) failed: u64,
    /// Answered with something else than was sent; none if that wasn't looked at.
    pub(super) mismatched: Option<u64>,
    /// Requests of the schedule that couldn't be sent in time.
    pub(super) unsent: u64,
    /// Answered requests a second.
    pub(super) rate: f64,
    pub(super) bytes_up_per_s: f64,
    pub(super) bytes_down_per_s: f64,
    /// From the intended start to the last byte of the response.
    pub(super) latency_us: Quantiles,
    /// From the intended start to the real one.
    pub(super) lateness_us: Quantiles,
    /// Processors that this process kept busy.
    pub(super) own_cpus: f64,
    pub(super) cpus: usize,
    /// The part of the machine's time in which it was busy.
    pub(super) machine_busy: Option<f64>,
    /// The part of their time in which the places of the receivers in this process were taken.
    pub(super) receivers_busy: Option<f64>,
    pub(super) limit: Limit,
    pub(super) warnings: Vec<String>,
}

impl Report {
    /// Writes it to stdout.
    ///
    /// # Errors
    /// If that can't be written.
    pub(super) fn write(&self, as_json: bool) -> Result<(), Failure> {
        let text = if as_json {
            serde_json::to_string_pretty(self).map_err(|error| Failure::new(exit::INTERNAL, error.to_string()))?
        } else {
            self.text()
        };
        writeln!(io::stdout(), "{text}")
            .map_err(|error| Failure::new(exit::NO_OUTPUT, format!("stdout can't be written: {error}")))
    }

    #[expect(clippy::cast_sign_loss, reason = "neither times nor rates are negative")]
    fn text(&self) -> String {
        let load = match (self.rate_asked, self.in_flight) {
            (Some(rate), _) => format!("{rate} requests/s"),
            (_, Some(number)) => format!("{number} under way"),
            (None, None) => String::new(),
        };
        let rate = |bytes: f64| Size(bytes as u64);
        let mut lines = vec![
            format!("{}  {load}, {} each, for {:.1} s", self.channel, Size(self.size), self.seconds),
            format!("  answered  {}  {:.1}/s", self.answered, self.rate),
            format!("  bytes     {}/s up  {}/s down", rate(self.bytes_up_per_s), rate(self.bytes_down_per_s)),
            format!("  latency   {}", quantiles(&self.latency_us)),
        ];
        if self.rate_asked.is_some() {
            lines.push(format!("  late      {}", quantiles(&self.lateness_us)));
        }
        if self.failed > 0 {
            lines.push(format!("  failed    {}", self.failed));
        }
        if self.unsent > 0 {
            lines
                .push(format!("  unsent    {}: of these there is no latency, and it would be a long one", self.unsent));
        }
        match self.mismatched {
            Some(0) => lines.push("  verified  every response is its request, bit by bit".to_owned()),
            Some(wrong) => lines.push(format!("  verified  {wrong} responses are not their requests")),
            None => {}
        }
        let mut cpu = format!("  cpu       this process {:.2} of {}", self.own_cpus, self.cpus);
        if let Some(busy) = self.machine_busy {
            cpu = format!("{cpu}, machine {:.0} %", busy * 100.0);
        }
        if let Some(busy) = self.receivers_busy {
            cpu = format!("{cpu}, receivers taken {:.0} %", busy * 100.0);
        }
        lines.push(cpu);
        lines.push(format!("  limit     {}", self.limit.words));
        lines.extend(self.warnings.iter().map(|warning| format!("  warning   {warning}")));
        lines.join("\n")
    }
}

fn quantiles(times: &Quantiles) -> String {
    let Quantiles { p50, p90, p99, p999, max, .. } = *times;
    let times = [("p50", p50), ("p90", p90), ("p99", p99), ("p99.9", p999), ("max", max)];
    times.map(|(name, time)| format!("{name} {}", micros(time))).join("  ")
}

/// Three digits: `0.4 µs`, `12.3 µs`, `812 µs`, `1.20 ms`, `2.03 s`.
fn micros(time: f64) -> String {
    let (time, unit) = match time {
        time if time >= 1e6 => (time / 1e6, "s"),
        time if time >= 1e3 => (time / 1e3, "ms"),
        time => (time, "µs"),
    };
    let digits = if time >= 100.0 {
        0
    } else if time >= 10.0 || unit == "µs" {
        1
    } else {
        2
    };
    format!("{time:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_with_the_digits_that_matter() {
        for (time, text) in [(0.42, "0.4 µs"), (12.34, "12.3 µs"), (812.0, "812 µs"), (1200.0, "1.20 ms")] {
            assert_eq!(micros(time), text);
        }
        assert_eq!(micros(2_030_000.0), "2.03 s");
        assert_eq!(micros(123_456.0), "123 ms");
    }
}
