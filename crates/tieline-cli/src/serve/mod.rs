//! `tieline serve`: the server as a process of its own.
//!
//! [`settings`] are what flags, environment and [`file`] may say; [`config`] makes the server's configuration of
//! them and [`check`] explains it; [`http`] is the door for HTTP; [`tls`] reads certificates; [`listen`] opens the
//! sockets that [`protection`] allows, [`handed`] takes those that a service manager opened, [`manager`] tells it how far
//! the server is, [`descriptors`] sees to it that there may be enough; [`reload`] gathers all settings, and again on
//! SIGHUP. The serving
//! itself is the crate `tieline-server`.

mod args;
mod check;
pub(crate) mod config;
mod descriptors;
pub(crate) mod file;
mod handed;
mod http;
mod limits;
mod listen;
mod manager;
mod protection;
mod reload;
pub(crate) mod settings;
mod tls;

use std::convert::Infallible;
use std::io;

use clap::ArgMatches;
use tieline_http::Gateway;
use tieline_server::{Control, Server, Stop, Tls};
use tokio::runtime::Builder;
use tokio::signal::unix::Signal;

pub(crate) use self::args::Args;
use self::handed::Handed;
use self::listen::{Place, SocketFile};
use self::protection::Protection;
use self::reload::{Gathered, Reload};
use crate::block_on;
use crate::exit::{self, Failure};
use crate::otel;
use crate::signals::EndSignals;
use crate::terminal::say;
use crate::units::Span;

/// Serves until it is told to end.
///
/// # Errors
/// If the configuration is wrong, an address can't be listened on, or the server itself fails.
pub(crate) fn run(args: Args, flags: &ArgMatches) -> Result<(), Failure> {
    let gathered = reload::gather(&args)?;
    if args.check {
        say(check::explain(&gathered, flags).trim_end());
        return Ok(());
    }
    block_on(Builder::new_multi_thread().worker_threads(gathered.threads), serve_as(gathered, args))
}

async fn serve_as(gathered: Gathered, args: Args) -> Result<(), Failure> {
    let Gathered { addresses, threads, mut config, tls, http, settings, .. } = gathered;
    let (otel, exporting) = otel::of_server()?;
    config.tracer = otel.tracer();
    let tls = tls.map(|(_, config)| Tls::new(config));
    let protection = Protection { tls: tls.is_some(), tokens: config.access.wants_tokens(), insecure: args.insecure };
    // Before the sockets: a socket's file must not be left behind by a signal that comes early.
    let internal = |error: io::Error| Failure::new(exit::INTERNAL, error.to_string());
    let mut signals = EndSignals::listen().map_err(internal)?;
    let hangups = reload::listen().map_err(internal)?;
    if let Some(note) = descriptors::raise_limit(config.connections.saturating_add(config.http_connections)) {
        say(format!("tieline: {note}"));
    }
    let opening = async {
        let Handed { mut places, mut door } = handed::sockets(protection, tls.as_ref())?;
        if places.is_empty() {
            places = listen::open(&addresses, protection, tls.as_ref()).await?;
        }
        if door.is_empty() {
            door = http::open(http.as_ref(), protection, tls.as_ref()).await?;
        } else if http.is_none() {
            let words = "a socket for HTTP was handed over, and the settings say that HTTP isn't to be spoken";
            return Err(Failure::new(exit::CONFIG, words).line("leave out the one, or the other: no-http"));
        }
        Ok((places, door))
    };
    let (places, door) = tokio::select! {
        opened = opening => opened?,
        // An address was waited for.
        () = signals.next() => return Ok(()),
    };
    let stop = Stop::new();
    let access = config.access.clone();
    let server = Server::new(config, stop.clone()).map_err(|error| Failure::new(exit::INTERNAL, error.to_string()))?;
    let gateway = Gateway::new(&server, stop.clone(), http::config(&settings, &door));
    say(banner(&places, &door.shown, protection).trim_end());
    manager::ready(&places, &door);
    let reload =
        Reload { args, control: server.control(), access, tls, addresses, threads, http: settings.http_settings() };
    let (listeners, files) = places.into_iter().map(|place| (place.listener, place.file)).unzip();
    let serving = async { tokio::join!(server.run(listeners), gateway.run(door.listeners)) };
    serve(serving, files, reload, hangups, signals, stop).await;
    exporting.finish().await;
    Ok(())
}

async fn serve<T>(
    serving: impl Future<Output = T>,
    files: Vec<Option<SocketFile>>,
    reload: Reload,
    hangups: Signal,
    signals: EndSignals,
    stop: Stop,
) {
    let control = reload.control.clone();
    tokio::select! {
        biased;
        never = stop_on_signals(signals, files, stop, control) => match never {},
        () = reload.at_each(hangups) => {}
        _ = serving => {}
    }
}

/// The first signal drains, the second ends at once.
async fn stop_on_signals(
    mut signals: EndSignals,
    files: Vec<Option<SocketFile>>,
    stop: Stop,
    control: Control,
) -> Infallible {
    signals.next().await;
    manager::stopping();
    let drain = control.config().drain;
    say(format!("tieline: ending; running requests have {} more, a second signal ends them", Span(drain)));
    // While their sockets are open, so that no successor's can be meant.
    drop(files);
    stop.drain();
    signals.next().await;
    stop.now();
    std::future::pending().await
}

/// What is said once all addresses are open.
fn banner(places: &[Place], http: &[String], protection: Protection) -> String {
    let mut lines = vec![format!("tieline {}", env!("CARGO_PKG_VERSION"))];
    for place in places {
        lines.push(format!("  bus        {}", place.shown));
    }
    for address in http {
        lines.push(format!("  http       {address}/c/CHANNEL"));
    }
    // One page, whichever way it is reached by.
    lines.extend(http.first().map(|address| format!("  dashboard  {address}/")));
    let note = match protection.lack() {
        None => "for networks: TLS, and tokens",
        Some(lack) if protection.insecure => lack,
        Some(_) if protection.tokens => "loopback only, with tokens",
        Some(_) => "loopback only, no tokens",
    };
    lines.push(format!("  note       {note}"));
    lines.join("\n")
}
