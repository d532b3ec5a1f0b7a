//! Sockets that a service manager opened before this process began, as systemd hands them over: `LISTEN_FDS`.
//!
//! They are listened on in place of the addresses that are configured. The manager keeps them too, so clients that come
//! while the server is replaced wait in them. The rules for addresses that others reach hold for them as for any.

use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::PathBuf;

use listenfd::ListenFd;
use tieline::Address;
use tieline_server::{Listener, Tls};
use tokio::net::{TcpListener, UnixListener};

use super::listen::Place;
use super::protection::Protection;
use crate::exit::{self, Failure};

/// The sockets that were handed over; none, if nobody did.
///
/// # Errors
/// If one is no listening socket, or is for others too and that isn't allowed.
pub(super) fn sockets(protection: Protection, tls: Option<&Tls>) -> Result<Vec<Place>, Failure> {
    let mut handed = ListenFd::from_env();
    (0..handed.len()).map(|number| place(&mut handed, number, protection, tls)).collect()
}

fn place(handed: &mut ListenFd, number: usize, protection: Protection, tls: Option<&Tls>) -> Result<Place, Failure> {
    let wrong = |error: io::Error| {
        Failure::new(exit::CONFIG, format!("socket {number} of those handed over can't be listened on: {error}"))
    };
    if let Ok(Some(listener)) = handed.take_tcp_listener(number) {
        let bound = listener.local_addr().map_err(wrong)?;
        if !protection.is_for_networks() && !bound.ip().is_loopback() {
            let words = format!("{bound}, which was handed over, can be reached from other machines");
            return Err(Failure::new(exit::CONFIG, words)
                .line(format!("There would be {}.", protection.lack().unwrap_or_default()))
                .line("If that is meant:  tieline serve --insecure"));
        }
        return tcp(listener, bound, tls).map_err(wrong);
    }
    match handed.take_unix_listener(number) {
        Ok(Some(listener)) => unix(listener).map_err(wrong),
        Ok(None) => Err(wrong(io::ErrorKind::NotFound.into())),
        Err(error) => Err(wrong(error)),
    }
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
