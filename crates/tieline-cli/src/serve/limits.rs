//! Values of limits, as people read them.

use std::time::Duration;

use tieline_server::{Limit, Unit};

use crate::units::{Size, Span};

/// A value with its unit.
pub(super) fn show(limit: &Limit, value: u64) -> String {
    match limit.unit {
        Unit::Count => value.to_string(),
        Unit::PerSecond => format!("{value}/s"),
        Unit::Bytes => Size(value).to_string(),
        Unit::Milliseconds => Span(Duration::from_millis(value)).to_string(),
    }
}
