//! Opening what `serve` listens on: TCP on loopback, Unix sockets, and what is left of one.
//!
//! A server that is told to end frees its addresses at once and may take long to finish what runs; the next one needn't
//! wait for that, only for the addresses.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tieline::Address;
use tokio::net::{TcpListener, UnixListener, UnixStream, lookup_host};
use tokio::time::{Instant, sleep};

use crate::exit::{self, Failure};
use crate::terminal::say;
use crate::units::Span;

/// So long may the server that had an address before take to free it; its drain comes behind that.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often it is looked whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Whether addresses that other machines reach are allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Exposure {
    /// Only this machine.
    Loopback,
    /// Whoever reaches the port, without TLS or tokens.
    Anybody,
}

/// A place that is listened on.
pub(super) struct Place {
    /// The socket, for the server.
    pub(super) listener: tieline_server::Listener,
    /// The address, as a client writes it.
    pub(super) shown: Address,
    /// The file of a Unix socket, to be removed at the end.
    pub(super) file: Option<SocketFile>,
}

/// Opens every address. Host names are looked up; a name of several addresses is listened on at all of them.
///
/// # Errors
/// If an address is for others too and that isn't allowed, or can't be listened on.
pub(super) async fn open(addresses: &[Address], exposure: Exposure) -> Result<Vec<Place>, Failure> {
    let mut places = Vec::new();
    for address in addresses {
        let opened = match address {
            Address::Unix(path) => vec![unix(path).await?],
            Address::Tcp { host, port } => tcp(address, host, *port, exposure).await?,
        };
        places.extend(opened);
    }
    Ok(places)
}

async fn tcp(address: &Address, host: &str, port: u16, exposure: Exposure) -> Result<Vec<Place>, Failure> {
    let found: Vec<_> = lookup_host((host, port)).await.map_err(|error| cannot_listen(address, &error))?.collect();
    if let Some(public) = found.iter().find(|found| exposure == Exposure::Loopback && !found.ip().is_loopback()) {
        return Err(Failure::new(exit::CONFIG, format!("{} can be reached from other machines", public.ip()))
            .line("There is no TLS and there are no tokens yet: whoever reaches it could send and receive.")
            .line("If that is meant:  tieline serve --insecure --listen ADDR"));
    }
    let mut places = Vec::new();
    let mut absent = None;
    for found in found {
        match patiently(address, || bind_tcp(found)).await {
            Ok(place) => places.push(place),
            // `localhost` also means ::1 on machines that have no IPv6; one of the addresses is enough.
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => absent = Some(error),
            Err(error) => return Err(cannot_listen(address, &error)),
        }
    }
    match absent {
        Some(error) if places.is_empty() => Err(cannot_listen(address, &error)),
        _ => Ok(places),
    }
}

async fn bind_tcp(address: SocketAddr) -> io::Result<Place> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    let shown = Address::Tcp { host: bound.ip().to_string(), port: bound.port() };
    Ok(Place { listener: listener.into(), shown, file: None })
}

async fn unix(path: &Path) -> Result<Place, Failure> {
    let shown = Address::Unix(path.to_owned());
    let opened = patiently(&shown, || bind_unix(path)).await;
    let (listener, file) = opened.map_err(|error| cannot_listen(&shown, &error))?;
    Ok(Place { listener: listener.into(), shown, file: Some(file) })
}

async fn bind_unix(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            remove_stale(path).await?;
            UnixListener::bind(path)?
        }
        other => other?,
    };
    Ok((listener, SocketFile::at(path)?))
}

/// Opens an address, and waits a moment for one that is in use: whoever has it may be about to go.
async fn patiently<T, F: Future<Output = io::Result<T>>>(address: &Address, open: impl Fn() -> F) -> io::Result<T> {
    let until = Instant::now() + PATIENCE;
    let mut is_told = false;
    loop {
        match open().await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < until => {
                if !std::mem::replace(&mut is_told, true) {
                    say(format!("tieline: {address} is in use; waiting for it for {}", Span(PATIENCE)));
                }
                sleep(LOOK_EVERY).await;
            }
            opened => return opened,
        }
    }
}

/// Removes the socket that a server left behind which was killed. One that somebody listens on, and whatever is no
/// socket, stays.
async fn remove_stale(path: &Path) -> io::Result<()> {
    let gone = |error: io::Error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) };
    match fs::symlink_metadata(path) {
        Ok(about) if !about.file_type().is_socket() => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the file exists, and is no socket"));
        }
        Ok(_) => {}
        // Its server has just removed it.
        Err(error) => return gone(error),
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path).or_else(gone),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        _ => Err(io::Error::new(io::ErrorKind::AddrInUse, "another server listens there")),
    }
}

fn cannot_listen(address: &Address, error: &io::Error) -> Failure {
    Failure::new(exit::CONFIG, format!("can't listen on {address}: {error}"))
}

/// The file of a Unix socket of ours; dropping this removes it, unless somebody has put another in its place.
///
/// To be dropped before its listener: as long as that lives, no other file can have the same identity. Behind that, a
/// successor's may, for file systems use the numbers of removed files again.
pub(super) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn at(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), identity: identity(path)? })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Which file it is, whatever its name.
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let file = fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(port: u16) -> Address {
        Address::Tcp { host: "127.0.0.1".into(), port }
    }

    #[tokio::test]
    async fn port_0_shows_the_real_port() {
        let places = open(&[local(0)], Exposure::Loopback).await.unwrap();
        assert_eq!(places.len(), 1);
        assert!(!places[0].shown.to_string().ends_with(":0"));
    }

    #[tokio::test]
    async fn a_public_address_is_refused_unless_it_is_said_to_be_meant() {
        let public = Address::Tcp { host: "0.0.0.0".into(), port: 0 };
        let failure = open(std::slice::from_ref(&public), Exposure::Loopback).await.err().unwrap();
        assert_eq!(failure.status, exit::CONFIG);
        assert!(failure.words.contains("--insecure"), "{failure}");
        assert_eq!(open(&[public], Exposure::Anybody).await.unwrap().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stale_socket_is_replaced_and_a_live_one_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bus");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let address = [Address::Unix(path.clone())];
        let places = open(&address, Exposure::Loopback).await.unwrap();
        let failure = open(&address, Exposure::Loopback).await.err().unwrap();
        assert!(failure.words.contains("another server"), "{failure}");
        drop(places);
        assert!(!path.exists(), "the socket's file is removed at the end");
    }

    #[tokio::test]
    async fn an_address_that_comes_free_while_it_is_waited_for_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        for address in [local(0), Address::Unix(folder.path().join("bus"))] {
            let mut old = open(std::slice::from_ref(&address), Exposure::Loopback).await.unwrap();
            let address = [old[0].shown.clone()];
            let mut opening = Box::pin(open(&address, Exposure::Loopback));
            let look = std::future::poll_fn(|cx| std::task::Poll::Ready(opening.as_mut().poll(cx).is_pending()));
            assert!(look.await, "it is in use");
            drop(old.pop());
            assert_eq!(opening.await.unwrap().len(), 1);
        }
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_never_removed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let failure = open(&[Address::Unix(file.path().into())], Exposure::Loopback).await.err().unwrap();
        assert!(failure.words.contains("no socket"), "{failure}");
        assert!(file.path().exists());
    }

    #[tokio::test]
    async fn a_successor_keeps_its_socket_when_the_first_server_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bus");
        let first = open(&[Address::Unix(path.clone())], Exposure::Loopback).await.unwrap();
        fs::remove_file(&path).unwrap();
        let _second = open(&[Address::Unix(path.clone())], Exposure::Loopback).await.unwrap();
        drop(first);
        assert!(path.exists());
    }
}
