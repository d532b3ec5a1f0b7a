//! Medians, percentiles, spread.

use std::time::Duration;

/// The percentile of the samples, by nearest rank; nothing of nothing. `percent` is from 0 to 100.
#[expect(clippy::cast_sign_loss, reason = "a percentage and a length aren't negative")]
pub fn percentile(samples: &[Duration], percent: f64) -> Duration {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1).min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// The median of numbers; nothing of nothing.
pub fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => sorted[len / 2],
        len => f64::midpoint(sorted[len / 2 - 1], sorted[len / 2]),
    }
}

/// Numbers as their median and their range: `1.21 (1.04 to 1.73)`.
pub fn spread(numbers: &[f64]) -> String {
    let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let most = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{:.2} ({least:.2} to {most:.2})", median(numbers))
}

/// A span as people read it.
pub fn span(span: Duration) -> String {
    let micros = span.as_secs_f64() * 1e6;
    match micros {
        ..1000.0 => format!("{micros:.0} µs"),
        ..1e6 => format!("{:.2} ms", micros / 1e3),
        _ => format!("{:.2} s", micros / 1e6),
    }
}

/// Bytes as people read them.
pub fn size(bytes: f64) -> String {
    match bytes.abs() {
        ..1024.0 => format!("{bytes:.0} B"),
        ..1_048_576.0 => format!("{:.2} KiB", bytes / 1024.0),
        _ => format!("{:.1} MiB", bytes / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples_by_rank() {
        let samples: Vec<_> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&samples, 50.0), Duration::from_millis(50));
        assert_eq!(percentile(&samples, 99.0), Duration::from_millis(99));
        assert_eq!(percentile(&samples, 100.0), Duration::from_millis(100));
        assert_eq!(percentile(&samples[..1], 1.0), Duration::from_millis(100));
        assert_eq!(percentile(&[], 50.0), Duration::ZERO);
    }

    #[test]
    fn the_median_of_two_lies_between() {
        assert!((median(&[3.0, 1.0]) - 2.0).abs() < 1e-9);
        assert!((median(&[9.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!(median(&[]).is_nan());
        assert_eq!(spread(&[2.0, 1.0, 4.0]), "2.00 (1.00 to 4.00)");
    }

    #[test]
    fn people_read_units() {
        assert_eq!(span(Duration::from_micros(250)), "250 µs");
        assert_eq!(span(Duration::from_micros(2500)), "2.50 ms");
        assert_eq!(span(Duration::from_millis(30_500)), "30.50 s");
        assert_eq!(size(1536.0), "1.50 KiB");
        assert_eq!(size(3e6), "2.9 MiB");
    }
}
