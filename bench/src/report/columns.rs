//! Which figures a workload's table has, and which way is better.

use crate::plan::Workload;

/// Which way is better.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Better {
    /// More is.
    More,
    /// Less is.
    Less,
    /// It says how the run was, not how good.
    Neither,
}

/// A column of the table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The figure's name.
    pub figure: &'static str,
    /// The heading, with the unit.
    pub title: &'static str,
    /// Which way is better.
    pub better: Better,
    /// Digits behind the point.
    pub digits: usize,
}

const fn column(figure: &'static str, title: &'static str, better: Better, digits: usize) -> Column {
    Column { figure, title, better, digits }
}

use Better::{Less, More, Neither};

const P50: Column = column("p50_us", "p50 µs", Less, 0);
const P99: Column = column("p99_us", "p99 µs", Less, 0);
const RATE: Column = column("requests_per_s", "requests/s", More, 0);
const CPU: Column = column("broker_cpu_us", "broker CPU µs a request", Less, 1);
const STOLEN: Column = column("stolen_percent", "stolen %", Neither, 1);
const OTHERS: Column = column("others_percent", "others' %", Neither, 0);
const ERRORS: Column = column("errors", "errors", Neither, 0);

const LATENCY: &[Column] = &[P50, P99, CPU, STOLEN, OTHERS, ERRORS];
const THROUGHPUT: &[Column] = &[RATE, CPU, P99, STOLEN, OTHERS, ERRORS];
const LARGE: &[Column] = &[column("mb_per_s", "MB/s", More, 0), CPU, P99, STOLEN, OTHERS, ERRORS];
const BULK: &[Column] = &[
    column("gb_per_s", "GB/s", More, 2),
    column("broker_cpu_ms_per_gb", "broker CPU ms/GB", Less, 0),
    column("grown_mib", "broker's memory grew by MiB", Less, 1),
    STOLEN,
    OTHERS,
];
const UNEVEN: &[Column] = &[
    column("total_ms", "ms in all", Less, 0),
    column("over_ideal", "× the ideal", Less, 3),
    column("short_p99_ms", "short requests' p99 ms", Less, 0),
    column("short_p99_over_ideal", "× the ideal's", Less, 2),
    STOLEN,
    OTHERS,
    ERRORS,
];
const CROWD: &[Column] = &[
    column("kib_a_connection", "KiB a connection", Less, 1),
    column("idle_cpu_ms_per_s", "CPU ms a second, idle", Less, 2),
];
const ISOLATION: &[Column] = &[
    P50,
    P99,
    column("p99_over_alone", "p99, × alone", Less, 2),
    column("streamed_gb_per_s", "beside it GB/s", Neither, 2),
    STOLEN,
    OTHERS,
    ERRORS,
];

/// The columns of a workload.
pub const fn of(workload: Workload) -> &'static [Column] {
    match workload {
        Workload::W1 => LATENCY,
        Workload::W2 | Workload::W7 => THROUGHPUT,
        Workload::W3 => LARGE,
        Workload::W4 => BULK,
        Workload::W5 => UNEVEN,
        Workload::W6 => CROWD,
        Workload::W8 => ISOLATION,
    }
}

impl Column {
    /// A value of it, as people read it.
    pub fn show(&self, value: f64) -> String {
        let digits = self.digits;
        let text = format!("{value:.digits$}");
        if digits > 0 || text.len() < 5 { text } else { thousands(&text) }
    }
}

/// `12345` as `12,345`.
fn thousands(digits: &str) -> String {
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_are_grouped() {
        assert_eq!(RATE.show(1_234_567.4), "1,234,567");
        assert_eq!(RATE.show(49_300.0), "49,300");
        assert_eq!(RATE.show(123.0), "123");
        assert_eq!(CPU.show(12_345.67), "12345.7");
    }
}
