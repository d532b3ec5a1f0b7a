//! `tieline serve --check`: every setting with its value and where it comes from, and the memory it adds up to.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::ArgMatches;
use clap::parser::ValueSource;
use tieline_protocol::limits::REFUSALS_MAX;
use tieline_server::{ADMISSION, Config, TLS_MOST};

use super::settings::Settings;
use crate::units::{Size, Span};
use tieline::Address;

/// The explanation, in lines.
pub(super) fn explain(
    addresses: &[Address],
    config: &Config,
    settings: &Settings,
    file: &Settings,
    flags: &ArgMatches,
) -> String {
    let limits = &config.limits;
    let listen = addresses.iter().map(Address::to_string).collect::<Vec<_>>().join(" ");
    let rows = [
        ("listen", listen, !file.listen.is_empty()),
        ("tls-cert", path(settings.tls_cert.as_ref()), file.tls_cert.is_some()),
        ("tls-key", path(settings.tls_key.as_ref()), file.tls_key.is_some()),
        ("tls-client-ca", path(settings.tls_client_ca.as_ref()), file.tls_client_ca.is_some()),
        ("memory", Size(config.memory).to_string(), file.memory.is_some()),
        ("channel-places", config.channel_places.to_string(), file.channel_places.is_some()),
        ("connections", config.connections.to_string(), file.connections.is_some()),
        ("requests", limits.requests.to_string(), file.requests.is_some()),
        ("receives", limits.receives.to_string(), file.receives.is_some()),
        ("payload", Size(limits.payload.into()).to_string(), file.payload.is_some()),
        ("window", Size(limits.window).to_string(), file.window.is_some()),
        ("deadline", Span(limits.deadline).to_string(), file.deadline.is_some()),
        ("ping", Span(limits.ping).to_string(), file.ping.is_some()),
        ("drain", Span(config.drain).to_string(), file.drain.is_some()),
    ];
    let mut text = String::from("the configuration is fine\n");
    for (key, value, in_file) in rows {
        let _ = writeln!(text, "  {key:<15} {value:<24} {}", origin(key, in_file, flags));
    }
    text.push_str(&memory(config, settings.tls_cert.is_some()));
    text
}

fn path(path: Option<&PathBuf>) -> String {
    path.map_or_else(|| "none".to_owned(), |path| path.display().to_string())
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

/// What the limits add up to, in the worst case.
fn memory(config: &Config, is_tls: bool) -> String {
    let bodies = config.memory.saturating_mul(2);
    let tls = if is_tls { TLS_MOST } else { 0 };
    let each = REFUSALS_MAX as u64 + u64::from(config.limits.payload) + tls;
    let connections = each.saturating_mul(config.connections as u64);
    let mut text = String::from("memory, if everybody does the worst at once\n");
    let mut row = |bytes: u64, words: String| {
        let _ = writeln!(text, "  {:<15} {words}", Size(bytes).to_string());
    };
    row(
        bodies,
        format!(
            "bodies: {} promised at most (enough to admit {} requests at once), twice that where chunks are tiny",
            Size(config.memory),
            config.memory / ADMISSION
        ),
    );
    row(
        connections,
        format!(
            "{} connections: {} each, for a frame on its way, refusals{}",
            config.connections,
            Size(each),
            if is_tls { " and TLS" } else { "" }
        ),
    );
    row(bodies.saturating_add(connections), "in all".to_owned());
    text
}
