//! `/metrics`: the server's figures in the text format of `OpenMetrics`, which Prometheus reads, or in the one before.
//!
//! They are added up over all channels, so an answer has the same few lines however many channels there are; by channel
//! only for those who ask (`?channels=N`), and for the N that want attention the most.

mod classic;
mod document;
mod table;

use std::fmt;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use serde::Deserialize;
use tieline_server::observe::{Observe, PAGE_MAX, Sort};

use crate::api::{Asked, asked};
use crate::refusal::Refusal;
use table::{Figures, Kind, METRICS, Metric, Point, Value};

pub use document::metrics_table;

/// The content type of `OpenMetrics`.
const TEXT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What may be asked for.
#[derive(Deserialize, Default, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ask {
    /// How many channels to show by themselves.
    #[serde(default)]
    channels: usize,
}

/// Answers a scrape.
pub(crate) async fn metrics(
    State(observe): State<Observe>,
    headers: HeaderMap,
    ask: Asked<Ask>,
) -> Result<Response, Refusal> {
    let text = scrape(&observe, asked(ask)?.channels).await.map_err(|error| Refusal::internal(&error))?;
    let (kind, text) =
        if classic::reads_openmetrics(&headers) { (TEXT, text) } else { (classic::TEXT, classic::of(&text)) };
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store"), (header::VARY, "accept")];
    Ok((headers, text).into_response())
}

/// The text, with at most so many channels by themselves.
async fn scrape(observe: &Observe, channels: usize) -> Result<String, fmt::Error> {
    let sample = observe.sample().await;
    let page = sample.page(Sort::Attention, "", None, channels.min(PAGE_MAX));
    let (total, channels) = page.map_or((0, Vec::new()), |page| (page.total, page.channels));
    let figures = Figures {
        totals: observe.totals(),
        overview: observe.overview_of(&sample),
        spans: observe.spans(),
        left_out: total - channels.len(),
        channels,
    };
    let mut registry = Registry::default();
    registry.register_collector(Box::new(figures));
    let mut text = String::new();
    text::encode(&mut text, &registry)?;
    Ok(text)
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        for metric in METRICS {
            write(metric, self, &mut encoder)?;
        }
        Ok(())
    }
}

fn write(metric: &Metric, figures: &Figures, encoder: &mut DescriptorEncoder) -> Result<(), fmt::Error> {
    let points = (metric.read)(figures);
    if points.is_empty() {
        // Of what there isn't, nothing is said.
        return Ok(());
    }
    // The format adds the unit and what belongs to a kind by itself.
    let unit = metric.unit.map(|unit| Unit::Other(unit.to_owned()));
    let (kind, suffix) = match metric.kind {
        Kind::Counter => (MetricType::Counter, "_total"),
        Kind::Gauge => (MetricType::Gauge, ""),
        Kind::Histogram => (MetricType::Histogram, ""),
        Kind::Info => (MetricType::Info, "_info"),
    };
    let name = metric.name.trim_end_matches(suffix);
    let name = metric.unit.map_or(name, |unit| name.trim_end_matches(unit).trim_end_matches('_'));
    let mut encoder = encoder.encode_descriptor(name, metric.meaning, unit.as_ref(), kind)?;
    for Point { label, value } in points {
        match (metric.label, label) {
            (Some(key), Some(label)) => {
                let labels = [(key, escaped(&label))];
                if metric.kind == Kind::Info {
                    encoder.encode_info(&labels)?;
                } else {
                    write_value(metric.kind, &value, &mut encoder.encode_family(&labels)?)?;
                }
            }
            _ => write_value(metric.kind, &value, &mut encoder)?,
        }
    }
    Ok(())
}

fn write_value(kind: Kind, value: &Value, encoder: &mut MetricEncoder) -> Result<(), fmt::Error> {
    match (kind, value) {
        (Kind::Counter, Value::Whole(value)) => encoder.encode_counter::<NoLabelSet, _, f64>(value, None),
        (Kind::Counter, Value::Fraction(value)) => encoder.encode_counter::<NoLabelSet, _, f64>(value, None),
        (_, Value::Whole(value)) => encoder.encode_gauge(value),
        (_, Value::Fraction(value)) => encoder.encode_gauge(value),
        (_, Value::Times(times)) => {
            let buckets = table::buckets(times);
            encoder.encode_histogram::<NoLabelSet>(times.sum().as_secs_f64(), times.count(), &buckets, None)
        }
        (_, Value::Fact) => Ok(()),
    }
}

/// A label's value as the format wants it: a channel's name may hold anything.
fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_cannot_break_out_of_its_quotes() {
        assert_eq!(escaped("a\"} 1\nb\\"), r#"a\"} 1\nb\\"#);
    }

    #[test]
    fn names_end_in_their_unit_and_kind() {
        for metric in METRICS {
            let name = match metric.kind {
                Kind::Counter => metric.name.strip_suffix("_total"),
                Kind::Info => metric.name.strip_suffix("_info"),
                Kind::Gauge | Kind::Histogram => Some(metric.name),
            };
            let name = name.unwrap_or_else(|| panic!("{}", metric.name));
            assert!(metric.unit.is_none_or(|unit| name.ends_with(unit)), "{name}");
            assert!(metric.meaning.ends_with('.'), "{name}");
        }
    }
}
