//! The same figures in the format of text that was there before `OpenMetrics`, for whoever doesn't ask for that: promtool
//! and many that gather metrics read nothing else.

use axum::http::{HeaderMap, header};

/// Its content type.
pub(super) const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Whether whoever asks can read `OpenMetrics`.
pub(super) fn reads_openmetrics(headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.any(|value| value.contains("application/openmetrics-text"))
}

/// What was written as `OpenMetrics`, in the older format. Samples are the same in both; what is said of them names the
/// samples, not their family, knows no units and no kind for facts, and there is no mark at the end.
pub(super) fn of(open: &str) -> String {
    let mut text = String::with_capacity(open.len() + 256);
    let mut family = Family::default();
    for line in open.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("HELP"), Some(name), help) => family = Family { name, help: help.unwrap_or_default() },
            (Some("#"), Some("TYPE"), Some(_), Some(kind)) => text += &family.described(kind),
            (Some("#"), ..) => {}
            _ => {
                text += line;
                text.push('\n');
            }
        }
    }
    text
}

/// What is said of some samples, before their kind is known.
#[derive(Default)]
struct Family<'a> {
    name: &'a str,
    help: &'a str,
}

impl Family<'_> {
    fn described(&self, kind: &str) -> String {
        let Self { name, help } = self;
        let (suffix, kind) = match kind {
            "counter" => ("_total", "counter"),
            "info" => ("_info", "gauge"),
            kind => ("", kind),
        };
        format!("# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_stay_and_what_is_said_of_them_names_them() {
        let open = "# HELP a_requests How many.\n# TYPE a_requests counter\na_requests_total{x=\"#\"} 1\n\
                    # HELP a_seconds How long.\n# TYPE a_seconds gauge\n# UNIT a_seconds seconds\na_seconds 2\n\
                    # HELP a_build Which.\n# TYPE a_build info\na_build_info{v=\"1\"} 1\n# EOF\n";
        let classic = "# HELP a_requests_total How many.\n# TYPE a_requests_total counter\na_requests_total{x=\"#\"} 1\n\
                       # HELP a_seconds How long.\n# TYPE a_seconds gauge\na_seconds 2\n\
                       # HELP a_build_info Which.\n# TYPE a_build_info gauge\na_build_info{v=\"1\"} 1\n";
        assert_eq!(of(open), classic);
    }

    #[test]
    fn who_names_openmetrics_gets_it_and_nobody_else() {
        let reads =
            |accept: &str| reads_openmetrics(&HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]));
        assert!(reads("application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"));
        assert!(!reads("text/plain;version=0.0.4") && !reads("*/*") && !reads_openmetrics(&HeaderMap::new()));
    }
}
