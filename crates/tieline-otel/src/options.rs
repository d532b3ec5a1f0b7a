//! What the variables `OTEL_*` say. What they say of headers for the collector is read by `opentelemetry-otlp`; what they
//! say of this service, by `opentelemetry_sdk`; of TLS, by [`trust`](crate::trust).

use std::path::PathBuf;
use std::time::Duration;

use hyper::Uri;
use thiserror::Error;

use crate::sampler::{Roots, Sampler};
use crate::trust::Trust;

/// How spans are made and sent.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Options {
    /// What this service is called, unless `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES` say it.
    pub service: String,
    /// Where spans are sent to, with its path; unless set, as OpenTelemetry has it.
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
    /// Over TLS: whom to trust, and what to show.
    pub trust: Trust,
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
    /// A file that a variable names can't be used.
    #[error("{name} names {}, which can't be used: {reason}", path.display())]
    File {
        /// The variable.
        name: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
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

/// The variables that name the collector, the one that comes first before the other; and what is added to their address.
const ENDPOINTS: [(&str, &str); 2] =
    [("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", ""), ("OTEL_EXPORTER_OTLP_ENDPOINT", "v1/traces")];

/// Whether something can be posted there.
fn is_url(text: &str) -> bool {
    let is_http = |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
    text.parse().as_ref().is_ok_and(is_http)
}

impl Options {
    /// The defaults, for a service of this name.
    pub fn new(service: &str, roots: Roots) -> Self {
        let sampler = Sampler { follows_parents: true, roots };
        let service = service.to_owned();
        Self {
            service,
            endpoint: None,
            sampler,
            queue: QUEUE,
            batch: BATCH,
            delay: DELAY,
            timeout: TIMEOUT,
            trust: Trust::default(),
        }
    }

    /// Whether spans may go over TLS.
    pub(crate) fn is_tls(&self) -> bool {
        let uri = self.endpoint.as_ref().and_then(|endpoint| endpoint.parse::<Uri>().ok());
        uri.is_none_or(|uri| uri.scheme_str() != Some("http"))
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
        let is_disabled = get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let named = ENDPOINTS.into_iter().find_map(|(name, path)| Some((name, get(name)?, path)));
        let Some((name, endpoint, path)) = named.filter(|_| !is_disabled) else { return Ok(None) };
        let wrong = |name, value: String, right| OptionsError::Variable { name, value, right };
        if !is_url(&endpoint) {
            return Err(wrong(name, endpoint, "a URL: http://localhost:4318"));
        }
        // The one for traces is the whole address; the other is that of all that OTLP carries.
        let endpoint = match path {
            "" => endpoint,
            path => format!("{}/{path}", endpoint.trim_end_matches('/')),
        };
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
        let mut options = Self { endpoint: Some(endpoint), ..Self::new(service, roots) };
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
        options.trust = Trust::from(get)?;
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
        let defaults = Options::new("tieline", Roots::Never);
        let endpoint = Some("http://localhost:4318/v1/traces".to_owned());
        assert_eq!(options(&[ENDPOINT]).unwrap(), Some(Options { endpoint, ..defaults }));
    }

    #[test]
    fn the_endpoint_of_traces_is_the_whole_address_and_comes_first() {
        let traces = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://collector.example/here");
        for (variables, endpoint) in [
            (&[ENDPOINT, traces][..], "https://collector.example/here"),
            (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.example/")], "https://collector.example/v1/traces"),
        ] {
            let options = options(variables).unwrap().unwrap();
            assert_eq!(options.endpoint.as_deref(), Some(endpoint));
            assert!(options.is_tls());
        }
    }

    #[test]
    fn files_for_tls_are_named_for_traces_alone_or_for_all_and_certificates_have_keys() {
        let all = ("OTEL_EXPORTER_OTLP_CERTIFICATE", "all.pem");
        let set = options(&[ENDPOINT, all, ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "traces.pem")]).unwrap().unwrap();
        assert_eq!(set.trust, Trust { authority: Some("traces.pem".into()), identity: None });
        let error = options(&[ENDPOINT, ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "own.pem")]).unwrap_err().to_string();
        assert!(error.contains("own.pem") && error.contains("set OTEL_EXPORTER_OTLP_CLIENT_KEY too"), "{error}");
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
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://collector .example/"),
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
