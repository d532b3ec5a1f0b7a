//! When a token expires: a date with a time and an offset, as TOML and RFC 3339 write it.

use std::time::{Duration, SystemTime};

use toml::value::{Date, Datetime, Offset};

const WRONG: &str = "write the moment of expiry with its offset: 2027-01-01T00:00:00Z";

/// What is written on the command line.
///
/// # Errors
/// If it is no date, or not a moment.
pub(super) fn parse(text: &str) -> Result<Datetime, String> {
    let date: Datetime = text.parse().map_err(|_| WRONG.to_owned())?;
    moment(date).map(|_| date)
}

/// The moment that a date is.
///
/// # Errors
/// If it lacks the time or the offset, without which it isn't one, or lies before 1970.
pub(super) fn moment(date: Datetime) -> Result<SystemTime, String> {
    let (Some(day), Some(time), Some(offset)) = (date.date, date.time, date.offset) else { return Err(WRONG.into()) };
    let minutes = match offset {
        Offset::Z => 0,
        Offset::Custom { minutes } => i64::from(minutes),
    };
    let of_day = i64::from(time.hour) * 3600 + i64::from(time.minute) * 60 + i64::from(time.second.unwrap_or(0));
    let seconds = days(day) * 86_400 + of_day - minutes * 60;
    let seconds = u64::try_from(seconds).map_err(|_| "the moment of expiry lies before 1970".to_owned())?;
    Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

/// Days from 1970-01-01, in the calendar that counts years from March, so that the leap day is a year's last.
fn days(date: Date) -> i64 {
    let (year, month, day) = (i64::from(date.year), i64::from(date.month), i64::from(date.day));
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> u64 {
        let moment = moment(parse(text).unwrap()).unwrap();
        moment.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
    }

    #[test]
    fn a_moment_is_counted_in_seconds_since_1970() {
        assert_eq!(seconds("1970-01-01T00:00:00Z"), 0);
        assert_eq!(seconds("2000-02-29T12:00:00Z"), 951_825_600);
        assert_eq!(seconds("2000-03-01T00:00:00Z"), 951_868_800);
        assert_eq!(seconds("2027-01-01T00:00:00Z"), 1_798_761_600);
        assert_eq!(seconds("2027-01-01T02:00:00+02:00"), 1_798_761_600);
        assert_eq!(seconds("2100-03-01T00:00:00Z"), 4_107_542_400);
    }

    #[test]
    fn a_date_that_is_no_moment_is_refused() {
        for bad in ["2027-01-01", "2027-01-01T00:00:00", "00:00:00", "tomorrow", "1969-12-31T23:59:59Z"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
