//! What the variables `OTEL_*` say. What they say of the collector's address, headers and time-out is read by
//! `opentelemetry-otlp`; what they say of this service, by `opentelemetry_sdk`.

use std::time::Duration;

use thiserror::Error;

use crate::sampler::{Roots, Sampler};

/// How spans are made and sent.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Options {
    /// What this service is called, unless `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES` say it.
    pub service: String,
    /// Where spans are sent to, with its path; as the environment says unless set.
    pub endpoint: Option<String>,
    /// Which requests get a span.
    pub sampler: Sampler,
    /// Spans that may wait; one more is dropped.
    pub queue: usize,
    /// Spans that are sent at once, at most.
    pub batch: usize,
    /// How long a span waits for others to be sent with.
    pub delay: Duration,
    /// How long sending may take.
    pub timeout: Duration,
}

/// What is wrong with the options.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// A variable says what can't be.
    #[error("{name} is '{value}'; it must be {right}")]
    Variable {
        /// The variable.
        name: &'static str,
        /// What it says.
        value: String,
        /// What would be right.
        right: &'static str,
    },
    /// No exporter can be made of them.
    #[error("traces can't be exported: {0}")]
    Exporter(String),
}

/// What the specification has for them.
const QUEUE: usize = 2048;
const BATCH: usize = 512;
const DELAY: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(10);

impl Options {
    /// The defaults, for a service of this name.
    pub fn new(service: &str, roots: Roots) -> Self {
        let sampler = Sampler { follows_parents: true, roots };
        let service = service.to_owned();
        Self { service, endpoint: None, sampler, queue: QUEUE, batch: BATCH, delay: DELAY, timeout: TIMEOUT }
    }

    /// As the environment says; `None` if it names no endpoint, or wants no traces. Requests that are in no trace do as
    /// `roots` says, unless `OTEL_TRACES_SAMPLER` says otherwise.
    ///
    /// # Errors
    /// If a variable can't be.
    pub fn from_env(service: &str, roots: Roots) -> Result<Option<Self>, OptionsError> {
        Self::from(service, roots, |name| std::env::var(name).ok())
    }

    fn from(
        service: &str,
        roots: Roots,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, OptionsError> {
        // Who sets one to nothing means that it isn't set.
        let get = |name: &'static str| variable(name).filter(|value| !value.trim().is_empty());
        let endpoint = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
        let is_disabled = get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        if is_disabled || endpoint.into_iter().all(|name| get(name).is_none()) {
            return Ok(None);
        }
        let wrong = |name, value: String, right| OptionsError::Variable { name, value, right };
        for name in endpoint {
            let is_url = |value: &String| value.starts_with("http://") || value.starts_with("https://");
            if let Some(value) = get(name).filter(|value| !is_url(value)) {
                return Err(wrong(name, value, "a URL: http://localhost:4318"));
            }
        }
        match get("OTEL_TRACES_EXPORTER").as_deref() {
            None | Some("otlp") => {}
            Some("none") => return Ok(None),
            Some(other) => return Err(wrong("OTEL_TRACES_EXPORTER", other.to_owned(), "otlp or none")),
        }
        for name in ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"] {
            if let Some(value) = get(name) {
                if value != "http/protobuf" {
                    return Err(wrong(
                        name,
                        value,
                        "http/protobuf, the one that there is (port 4318 at most collectors)",
                    ));
                }
                break;
            }
        }
        let mut options = Self::new(service, roots);
        if let Some(name) = get("OTEL_TRACES_SAMPLER") {
            let argument = get("OTEL_TRACES_SAMPLER_ARG");
            options.sampler = Sampler::named(&name, argument.as_deref()).ok_or_else(|| {
                let value = argument.map_or(name.clone(), |argument| format!("{name}, and its argument {argument}"));
                let right =
                    "always_on, always_off, traceidratio, or one of them behind parentbased_; the ratio is from 0 to 1";
                wrong("OTEL_TRACES_SAMPLER", value, right)
            })?;
        }
        let number = |name, otherwise: usize| match get(name) {
            None => Ok(otherwise),
            Some(value) => match value.trim().parse() {
                Ok(number @ 1..=1_000_000) => Ok(number),
                _ => Err(wrong(name, value, "a number from 1 to 1000000")),
            },
        };
        let span = |name, otherwise: Duration| {
            number(name, otherwise.as_millis() as usize).map(|ms| Duration::from_millis(ms as u64))
        };
        options.queue = number("OTEL_BSP_MAX_QUEUE_SIZE", QUEUE)?;
        options.batch = number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", BATCH)?.min(options.queue);
        options.delay = span("OTEL_BSP_SCHEDULE_DELAY", DELAY)?;
        options.timeout = span("OTEL_EXPORTER_OTLP_TIMEOUT", TIMEOUT)?;
        options.timeout = span("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", options.timeout)?;
        Ok(Some(options))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(variables: &[(&str, &str)]) -> Result<Option<Options>, OptionsError> {
        Options::from("tieline", Roots::Never, |name| {
            variables.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
        })
    }

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318");

    #[test]
    fn nothing_is_exported_unless_an_endpoint_is_named() {
        assert_eq!(options(&[]).unwrap(), None);
        assert_eq!(options(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]).unwrap(), None);
        assert_eq!(options(&[ENDPOINT, ("OTEL_SDK_DISABLED", "TRUE")]).unwrap(), None);
        assert_eq!(options(&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")]).unwrap(), None);
        assert_eq!(options(&[ENDPOINT]).unwrap(), Some(Options::new("tieline", Roots::Never)));
        assert!(
            options(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://collector.example/v1/traces")])
                .unwrap()
                .is_some()
        );
    }

    #[test]
    fn the_variables_of_the_specification_set_what_they_name() {
        let set = options(&[
            ENDPOINT,
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1000"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
        ]);
        let set = set.unwrap().unwrap();
        assert_eq!(set.sampler, Sampler { follows_parents: true, roots: Roots::Share(0.25) });
        assert_eq!((set.queue, set.batch), (100, 100));
        assert_eq!((set.delay, set.timeout), (Duration::from_millis(50), Duration::from_secs(1)));
    }

    #[test]
    fn a_variable_that_cannot_be_is_named() {
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "localhost:4318"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("OTEL_TRACES_SAMPLER", "sometimes"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
            ("OTEL_BSP_SCHEDULE_DELAY", "5s"),
        ] {
            let error = options(&[ENDPOINT, (name, value)]).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(value), "{error}");
        }
    }
}
