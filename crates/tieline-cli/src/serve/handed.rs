//! Sockets that a service manager opened before this process began, as systemd hands them over: `LISTEN_FDS`.
//!
//! They are listened on in place of the addresses that are configured: those named `http` in place of `http`, the others
//! in place of `listen`. The manager keeps them too, so clients that come while the server is replaced wait in them. The
//! rules for addresses that others reach hold for them as for any.

use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::PathBuf;

use listenfd::ListenFd;
use tieline::Address;
use tieline_server::{Listener, Tls};
use tokio::net::{TcpListener, UnixListener};

use super::http::Door;
use super::listen::Place;
use super::protection::Protection;
use crate::exit::{self, Failure};

/// The variable that holds the sockets' names, with a colon between each two.
const NAMES: &str = "LISTEN_FDNAMES";

/// What was handed over.
pub(super) struct Handed {
    /// For the bus.
    pub(super) places: Vec<Place>,
    /// For HTTP.
    pub(super) door: Door,
}

/// What a socket is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Purpose {
    Bus,
    Http,
}

/// The sockets that were handed over; none, if nobody did.
///
/// # Errors
/// If one is no listening socket, has a name that means nothing, or is for others too and that isn't allowed.
pub(super) fn sockets(protection: Protection, tls: Option<&Tls>) -> Result<Handed, Failure> {
    let names = std::env::var(NAMES).ok();
    let mut sockets = ListenFd::from_env();
    let mut handed = Handed { places: Vec::new(), door: Door::default() };
    for (number, purpose) in purposes(sockets.len(), names.as_deref())?.into_iter().enumerate() {
        match purpose {
            Purpose::Bus => handed.places.push(place(&mut sockets, number, protection, tls)?),
            Purpose::Http => {
                let (listener, bound) = http(&mut sockets, number, protection)?;
                handed.door.add(listener, bound, tls);
            }
        }
    }
    Ok(handed)
}

/// What each of so many sockets is for. Without names, all are for the bus.
fn purposes(sockets: usize, names: Option<&str>) -> Result<Vec<Purpose>, Failure> {
    let Some(names) = names.filter(|names| sockets > 0 && !names.is_empty()) else {
        return Ok(vec![Purpose::Bus; sockets]);
    };
    let names: Vec<_> = names.split(':').collect();
    if names.len() != sockets {
        let words = format!("{sockets} sockets were handed over, and {} names in {NAMES}", names.len());
        return Err(Failure::new(exit::CONFIG, words));
    }
    names.into_iter().enumerate().map(|(number, name)| purpose(number, name)).collect()
}

fn purpose(number: usize, name: &str) -> Result<Purpose, Failure> {
    match name {
        // The last is how systemd calls what has none.
        "tieline" | "" | "unknown" => Ok(Purpose::Bus),
        "http" => Ok(Purpose::Http),
        name => {
            let words = format!("socket {number} of those handed over is named '{name}', which means nothing here");
            Err(Failure::new(exit::CONFIG, words)
                .line("in its unit, for the bus:  FileDescriptorName=tieline")
                .line("for HTTP:  FileDescriptorName=http"))
        }
    }
}

fn wrong(number: usize) -> impl Fn(io::Error) -> Failure {
    move |error| {
        Failure::new(exit::CONFIG, format!("socket {number} of those handed over can't be listened on: {error}"))
    }
}

fn place(handed: &mut ListenFd, number: usize, protection: Protection, tls: Option<&Tls>) -> Result<Place, Failure> {
    let wrong = wrong(number);
    if let Ok(Some(listener)) = handed.take_tcp_listener(number) {
        let bound = allowed(&listener, protection, &wrong)?;
        return tcp(listener, bound, tls).map_err(wrong);
    }
    match handed.take_unix_listener(number) {
        Ok(Some(listener)) => unix(listener).map_err(wrong),
        Ok(None) => Err(wrong(io::ErrorKind::NotFound.into())),
        Err(error) => Err(wrong(error)),
    }
}

fn http(handed: &mut ListenFd, number: usize, protection: Protection) -> Result<(TcpListener, SocketAddr), Failure> {
    let wrong = wrong(number);
    let no_tcp = || Failure::new(exit::CONFIG, format!("socket {number} of those handed over is named 'http'"));
    let listener = handed.take_tcp_listener(number).ok().flatten();
    let listener = listener.ok_or_else(|| no_tcp().line("it is no socket of TCP, over which alone HTTP is spoken"))?;
    let bound = allowed(&listener, protection, &wrong)?;
    listener.set_nonblocking(true).map_err(&wrong)?;
    Ok((TcpListener::from_std(listener).map_err(wrong)?, bound))
}

/// Where it listens, if that may be.
fn allowed(
    listener: &StdTcpListener,
    protection: Protection,
    wrong: impl Fn(io::Error) -> Failure,
) -> Result<SocketAddr, Failure> {
    let bound = listener.local_addr().map_err(wrong)?;
    if protection.is_for_networks() || bound.ip().is_loopback() {
        return Ok(bound);
    }
    let words = format!("{bound}, which was handed over, can be reached from other machines");
    Err(Failure::new(exit::CONFIG, words)
        .line(format!("There would be {}.", protection.lack().unwrap_or_default()))
        .line("If that is meant:  tieline serve --insecure"))
}

fn tcp(listener: StdTcpListener, bound: SocketAddr, tls: Option<&Tls>) -> io::Result<Place> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let (host, port) = (bound.ip().to_string(), bound.port());
    Ok(match tls {
        Some(tls) => {
            Place { listener: Listener::tls(listener, tls.clone()), shown: Address::Tls { host, port }, file: None }
        }
        None => Place { listener: listener.into(), shown: Address::Tcp { host, port }, file: None },
    })
}

fn unix(listener: StdUnixListener) -> io::Result<Place> {
    let path = listener.local_addr()?.as_pathname().map_or_else(|| PathBuf::from("(unnamed)"), PathBuf::from);
    listener.set_nonblocking(true)?;
    // Its file is the manager's.
    Ok(Place { listener: UnixListener::from_std(listener)?.into(), shown: Address::Unix(path), file: None })
}

#[cfg(test)]
mod tests {
    use super::Purpose::{Bus, Http};
    use super::*;

    #[test]
    fn a_name_says_what_a_socket_is_for_and_without_names_all_are_for_the_bus() {
        assert_eq!(purposes(3, Some("tieline:http:unknown")).unwrap(), [Bus, Http, Bus]);
        assert_eq!(purposes(2, None).unwrap(), [Bus, Bus]);
        assert_eq!(purposes(2, Some("")).unwrap(), [Bus, Bus]);
        // The names are somebody else's, as the sockets were.
        assert_eq!(purposes(0, Some("web")).unwrap(), []);
    }

    #[test]
    fn a_name_that_means_nothing_is_refused_with_those_that_do() {
        let failure = purposes(2, Some("tieline:tieline-http.socket")).unwrap_err();
        assert_eq!(failure.status, exit::CONFIG);
        assert!(failure.words.contains("socket 1") && failure.words.contains("'tieline-http.socket'"), "{failure}");
        assert!(failure.words.contains("FileDescriptorName=http"), "{failure}");
        assert!(purposes(2, Some("tieline")).unwrap_err().words.contains("2 sockets"));
    }
}
