//! `tieline serve --check`: every setting with its value, where it comes from and what it means, what is fixed, and the
//! memory that all of it adds up to.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::ArgMatches;
use clap::parser::ValueSource;
use tieline::Address;
use tieline_server::{LIMITS, Limit, Transport, fixed, worst_case};

use super::limits::show;
use super::reload::Gathered;
use crate::units::Size;

/// The explanation, in lines.
pub(super) fn explain(gathered: &Gathered, flags: &ArgMatches) -> String {
    let Gathered { file, settings, addresses, config, .. } = gathered;
    let mut text = String::from("the configuration is fine\n");
    let mut row = |key: &str, value: &str, in_file: bool| {
        let _ = writeln!(text, "  {key:<16} {value:<24} {}", origin(key, in_file, flags));
    };
    let listen = addresses.iter().map(Address::to_string).collect::<Vec<_>>().join(" ");
    row("listen", &listen, !file.listen.is_empty());
    let http = gathered.http.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
    row("http", &http, file.http.is_some() || file.no_http.is_some());
    row("http-host", &list(&settings.http_host), !file.http_host.is_empty());
    row("http-origin", &list(&settings.http_origin), !file.http_origin.is_empty());
    row("tls-cert", &path(settings.tls_cert.as_ref()), file.tls_cert.is_some());
    row("tls-key", &path(settings.tls_key.as_ref()), file.tls_key.is_some());
    row("tls-client-ca", &path(settings.tls_client_ca.as_ref()), file.tls_client_ca.is_some());
    let tokens = if config.access.wants_tokens() { format!("{} in all", config.access.len()) } else { "none".into() };
    row("tokens", &tokens, file.tokens.is_some());
    row("threads", &gathered.threads.to_string(), file.threads.is_some());
    for limit in LIMITS {
        row(limit.name, &show(limit, limit.of(config)), file.value(limit.name).is_some());
    }
    text.push_str("what they mean\n");
    for limit in LIMITS {
        meaning(&mut text, limit);
    }
    text.push_str("fixed\n");
    for fixed in fixed() {
        let _ = writeln!(text, "  {:<31} {}\n      {}", fixed.value, fixed.meaning, fixed.reason);
    }
    text.push_str("memory, if everybody does the worst at once\n");
    let transport = if settings.tls_cert.is_some() { Transport::Tls } else { Transport::Plain };
    let rows = worst_case(config, transport);
    for row in &rows {
        let _ = writeln!(text, "  {:<15} {}", Size(row.bytes).to_string(), row.words);
    }
    let all = rows.iter().fold(0, |sum: u64, row| sum.saturating_add(row.bytes));
    let _ = writeln!(text, "  {:<15} in all", Size(all).to_string());
    text
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(" ") }
}

fn path(path: Option<&PathBuf>) -> String {
    path.map_or_else(|| "none".to_owned(), |path| path.display().to_string())
}

fn meaning(text: &mut String, limit: &Limit) {
    let bounds = format!("{} to {}", show(limit, limit.least), show(limit, limit.most));
    let _ = writeln!(text, "  {}: {}", limit.name, limit.meaning);
    let _ = writeln!(text, "      at the limit: {}", limit.consequence);
    let _ = writeln!(text, "      why: {}", limit.reason);
    let _ = writeln!(text, "      may be {bounds}; {}", limit.change.words());
}

/// Where a setting comes from.
fn origin(key: &str, in_file: bool, flags: &ArgMatches) -> &'static str {
    match flags.value_source(&key.replace('-', "_")) {
        Some(ValueSource::CommandLine) => "flag",
        Some(ValueSource::EnvVariable) => "environment",
        _ if in_file => "file",
        _ => "default",
    }
}
