//! Charts in SVG, readable on light and dark ground: bars for each workload, lines for what grows.

use std::fmt::Write as _;

use super::stats::Spread;
use crate::servers::Rank;

/// A bar: whose it is, and what was measured.
#[derive(Clone, Debug)]
pub struct Bar {
    /// The peer's name.
    pub name: String,
    /// What it is.
    pub rank: Rank,
    /// Its length, and the range of the rounds.
    pub spread: Spread,
    /// The median, as people read it.
    pub label: String,
}

/// A line: whose it is, and its points from left to right; one may be missing.
#[derive(Clone, Debug)]
pub struct Line {
    /// The peer's name.
    pub name: String,
    /// What it is.
    pub rank: Rank,
    /// The heights.
    pub points: Vec<Option<f64>>,
}

const WIDTH: f64 = 760.0;
const LEFT: f64 = 130.0;
const RIGHT: f64 = 90.0;
const TOP: f64 = 46.0;
const ROW: f64 = 26.0;
const PLOT: f64 = 260.0;

/// The text's and the axes' colour: it stands out from white and from black.
const INK: &str = "#808080";

const fn colour(rank: Rank) -> &'static str {
    match rank {
        Rank::Tieline => "#d9480f",
        Rank::Peer => "#1c7ed6",
        Rank::Limit => "#868e96",
    }
}

/// Colours of lines; a chart has few.
const LINES: [&str; 6] = ["#d9480f", "#1c7ed6", "#2f9e44", "#9c36b5", "#e8590c", "#868e96"];

fn open(height: f64, title: &str) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"13\" fill=\"{INK}\" role=\"img\">\n"
    );
    let title = escape(title);
    let _ = writeln!(svg, "<title>{title}</title>\n<text x=\"8\" y=\"22\" font-size=\"15\">{title}</text>");
    svg
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Bars from the left, one a peer; a thin line shows the range of the rounds.
pub fn bars(title: &str, bars: &[Bar]) -> String {
    let most = bars.iter().map(|bar| bar.spread.most).fold(f64::MIN_POSITIVE, f64::max);
    let x = |value: f64| LEFT + value / most * (WIDTH - LEFT - RIGHT);
    let mut svg = open(TOP + ROW * bars.len() as f64 + 8.0, title);
    for (at, bar) in bars.iter().enumerate() {
        let y = TOP + ROW * at as f64;
        let (middle, end) = (y + 9.0, x(bar.spread.median));
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{LEFT}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"18\" fill=\"{}\"/>\
             <path d=\"M{:.1} {middle:.1}H{:.1}\" stroke=\"{INK}\" stroke-width=\"2\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            LEFT - 8.0,
            y + 14.0,
            escape(&bar.name),
            end - LEFT,
            colour(bar.rank),
            x(bar.spread.least),
            x(bar.spread.most),
            x(bar.spread.most) + 6.0,
            y + 14.0,
            escape(&bar.label),
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// Lines over steps that are named below; heights begin at zero.
pub fn lines(title: &str, steps: &[String], lines: &[Line]) -> String {
    let points = lines.iter().flat_map(|line| line.points.iter().flatten().copied());
    let most = points.fold(f64::MIN_POSITIVE, f64::max);
    let bottom = TOP + PLOT;
    let step = (WIDTH - 60.0 - RIGHT) / (steps.len().saturating_sub(1).max(1)) as f64;
    let x = |at: usize| 60.0 + step * at as f64;
    let y = |value: f64| bottom - value / most * PLOT;
    let mut svg = open(bottom + 34.0 + 20.0 * lines.len() as f64, title);
    for part in 0..=4 {
        let value = most * f64::from(part) / 4.0;
        let _ = writeln!(
            svg,
            "<path d=\"M60 {0:.1}H{1:.1}\" stroke=\"{INK}\" stroke-opacity=\".3\"/>\
             <text x=\"54\" y=\"{2:.1}\" text-anchor=\"end\">{value:.1}</text>",
            y(value),
            x(steps.len().saturating_sub(1)),
            y(value) + 4.0,
        );
    }
    for (at, name) in steps.iter().enumerate() {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            x(at),
            bottom + 18.0,
            escape(name)
        );
    }
    for (number, line) in lines.iter().enumerate() {
        let colour = LINES[number % LINES.len()];
        let mut path = String::new();
        for (at, value) in line.points.iter().enumerate() {
            let Some(value) = value else { continue };
            let _ = write!(path, "{}{:.1} {:.1}", if path.is_empty() { 'M' } else { 'L' }, x(at), y(*value));
            let _ = writeln!(svg, "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>", x(at), y(*value));
        }
        let legend = bottom + 40.0 + 20.0 * number as f64;
        let _ = writeln!(
            svg,
            "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\
             <path d=\"M60 {:.1}H90\" stroke=\"{colour}\" stroke-width=\"3\"/><text x=\"98\" y=\"{legend:.1}\">{}</text>",
            legend - 4.0,
            escape(&line.name),
        );
    }
    svg.push_str("</svg>\n");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(name: &str, median: f64) -> Bar {
        let spread = Spread { median, least: median, most: median };
        Bar { name: name.to_owned(), rank: Rank::Peer, spread, label: format!("{median}") }
    }

    #[test]
    fn bars_are_as_long_as_their_values() {
        let svg = bars("a < b", &[bar("half", 50.0), bar("whole", 100.0)]);
        assert!(svg.contains("width=\"270.0\"") && svg.contains("width=\"540.0\""), "{svg}");
        assert!(svg.contains("a &lt; b") && svg.ends_with("</svg>\n"));
    }

    #[test]
    fn a_line_passes_over_a_point_that_is_missing() {
        let line = Line { name: "x".to_owned(), rank: Rank::Tieline, points: vec![Some(1.0), None, Some(2.0)] };
        let svg = lines("growing", &["1".to_owned(), "8".to_owned(), "64".to_owned()], &[line]);
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(svg.contains("M60.0 176.0L670.0 46.0"), "{svg}");
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        assert!(bars("none", &[]).ends_with("</svg>\n"));
        assert!(lines("none", &[], &[]).ends_with("</svg>\n"));
    }
}
