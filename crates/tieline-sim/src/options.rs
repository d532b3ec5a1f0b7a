//! What the command line says.

use std::ops::Range;
use std::time::Duration;

/// Told to whoever asks, or is wrong.
pub(crate) const USAGE: &str = "\
usage: tieline-sim [--seed N [--trace]] [--seeds FROM..TO] [--hours H] [--minutes WALL]

  --seed N         runs one seed, and tells what came of it
  --trace          prints all that happens in it
  --seeds FROM..TO runs these seeds; with --hours or --minutes, fresh ones behind them until the time is over
  --hours H        goes on until so many hours were simulated
  --minutes WALL   goes on until so many minutes have passed; with --hours, fails if they don't suffice

Without options: fresh seeds for one minute. A failure ends the run with status 1, and names its seed.";

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) seed: Option<u64>,
    pub(crate) traces: bool,
    seeds: Option<Range<u64>>,
    hours: Option<f64>,
    wall: Option<Duration>,
}

impl Options {
    /// `None` if help is asked for.
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut options = Self::default();
        let mut words = words.peekable();
        while let Some(word) = words.next() {
            if word == "--trace" {
                options.traces = true;
                continue;
            }
            if word == "--help" || word == "-h" {
                return Ok(None);
            }
            let value = words.next().ok_or_else(|| format!("{word} needs a value, or isn't known"))?;
            let wrong = || format!("{word} can't be {value}");
            match word.as_str() {
                "--seed" => options.seed = Some(value.parse().map_err(|_| wrong())?),
                "--seeds" => options.seeds = Some(range(&value).ok_or_else(wrong)?),
                "--hours" => options.hours = Some(value.parse().map_err(|_| wrong())?),
                "--minutes" => {
                    let minutes: f64 = value.parse().map_err(|_| wrong())?;
                    options.wall = Some(Duration::try_from_secs_f64(minutes * 60.0).map_err(|_| wrong())?);
                }
                _ => return Err(format!("{word} isn't known")),
            }
        }
        if options.seeds.is_none() && options.hours.is_none() && options.wall.is_none() {
            options.wall = Some(Duration::from_mins(1));
        }
        Ok(Some(options))
    }

    /// The seeds that were given, and the first of the fresh ones.
    pub(crate) fn ranges(&self, fresh: u64) -> (Range<u64>, u64) {
        (self.seeds.clone().unwrap_or(0..0), fresh)
    }

    /// Whether enough was run.
    pub(crate) fn is_over(&self, seeds: u64, hours: f64, wall: Duration) -> bool {
        let given = self.seeds.as_ref().map_or(0, |seeds| seeds.end.saturating_sub(seeds.start));
        if self.wall.is_some_and(|limit| wall >= limit) {
            return true;
        }
        match self.hours {
            Some(limit) => hours >= limit && seeds >= given,
            None => self.wall.is_none() && seeds >= given,
        }
    }

    /// Whether it was asked for more hours than were simulated.
    pub(crate) fn falls_short(&self, hours: f64) -> bool {
        self.hours.is_some_and(|wanted| hours < wanted)
    }

    /// When it ends, in words.
    pub(crate) fn limits(&self) -> String {
        let hours = self.hours.map(|hours| format!("until {hours} hours are simulated"));
        let wall = self.wall.map(|wall| format!("at most {} s", wall.as_secs()));
        let words: Vec<_> = hours.into_iter().chain(wall).collect();
        if words.is_empty() { "each once".to_owned() } else { words.join(", ") }
    }
}

fn range(value: &str) -> Option<Range<u64>> {
    let (from, to) = value.split_once("..")?;
    let range = from.parse().ok()?..to.parse().ok()?;
    (range.start < range.end).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Result<Option<Options>, String> {
        Options::parse(words.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn seeds_run_once_and_then_fresh_ones_until_the_hours_are_full() {
        let options = parse("--seeds 3..5 --hours 10 --minutes 2").unwrap().unwrap();
        assert_eq!(options.ranges(900), (3..5, 900));
        assert!(!options.is_over(2, 9.0, Duration::ZERO));
        assert!(options.is_over(2, 10.0, Duration::ZERO) && !options.falls_short(10.0));
        assert!(options.is_over(0, 1.0, Duration::from_mins(2)) && options.falls_short(1.0));
        let once = parse("--seeds 3..5").unwrap().unwrap();
        assert!(!once.is_over(1, 0.0, Duration::from_hours(1)) && once.is_over(2, 0.0, Duration::ZERO));
    }

    #[test]
    fn what_is_not_known_or_cannot_be_is_said() {
        for wrong in ["--seed x", "--seeds 5..3", "--minutes -1", "--what 1", "--hours"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert!(parse("--help").unwrap().is_none());
    }
}
