//! Opening what `serve` listens on: TCP with and without TLS, Unix sockets, and what is left of one.
//!
//! A server that is told to end frees its addresses at once and may take long to finish what runs; the next one needn't
//! wait for that, only for the addresses.

use std::fmt::Display;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tieline::Address;
use tieline_server::{Listener, Tls};
use tokio::net::{TcpListener, UnixListener, UnixStream, lookup_host};
use tokio::time::{Instant, sleep};

use super::protection::Protection;
use crate::exit::{self, Failure};
use crate::terminal::say;
use crate::units::Span;

/// So long may the server that had an address before take to free it; its drain comes behind that.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often it is looked whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A place that is listened on.
pub(super) struct Place {
    /// The socket, for the server.
    pub(super) listener: Listener,
    /// The address, as a client writes it.
    pub(super) shown: Address,
    /// The file of a Unix socket, to be removed at the end.
    pub(super) file: Option<SocketFile>,
}

/// Opens every address. Host names are looked up; a name of several addresses is listened on at all of them.
///
/// With `tls`, all but Unix sockets speak it.
///
/// # Errors
/// If an address is for others too and that isn't allowed, can't be listened on, or wants TLS and there is none.
pub(super) async fn open(
    addresses: &[Address],
    protection: Protection,
    tls: Option<&Tls>,
) -> Result<Vec<Place>, Failure> {
    let mut places = Vec::new();
    for address in addresses {
        let opened = match address {
            Address::Unix(path) => vec![unix(path).await?],
            Address::Tls { .. } if tls.is_none() => {
                return Err(Failure::new(exit::CONFIG, format!("{address} needs a certificate and its private key"))
                    .line("give them:  tieline serve --tls-cert FILE --tls-key FILE")
                    .line("make some for development:  tieline cert dev"));
            }
            Address::Tcp { host, port } | Address::Tls { host, port } => {
                tcp(address, (host, *port), protection, tls).await?
            }
        };
        places.extend(opened);
    }
    Ok(places)
}

async fn tcp(
    address: &Address,
    place: (&str, u16),
    protection: Protection,
    tls: Option<&Tls>,
) -> Result<Vec<Place>, Failure> {
    let sockets = sockets(address, place, protection).await?;
    let place = |(listener, bound): (TcpListener, SocketAddr)| {
        let (host, port) = (bound.ip().to_string(), bound.port());
        let (listener, shown) = match tls {
            Some(tls) => (Listener::tls(listener, tls.clone()), Address::Tls { host, port }),
            None => (listener.into(), Address::Tcp { host, port }),
        };
        Place { listener, shown, file: None }
    };
    Ok(sockets.into_iter().map(place).collect())
}

/// Opens all addresses of a host. `named` is what people call it.
///
/// # Errors
/// If an address is for others too and that isn't allowed, or can't be listened on.
pub(super) async fn sockets(
    named: &impl Display,
    place: (&str, u16),
    protection: Protection,
) -> Result<Vec<(TcpListener, SocketAddr)>, Failure> {
    let found: Vec<_> = lookup_host(place).await.map_err(|error| cannot_listen(named, &error))?.collect();
    if let Some(public) = found.iter().find(|found| !protection.is_for_networks() && !found.ip().is_loopback()) {
        return Err(Failure::new(exit::CONFIG, format!("{} can be reached from other machines", public.ip()))
            .line(format!("There would be {}.", protection.lack().unwrap_or_default()))
            .line("If that is meant:  tieline serve --insecure --listen ADDR"));
    }
    let mut sockets = Vec::new();
    let mut absent = None;
    for found in found {
        match patiently(named, || bind_tcp(found)).await {
            Ok(socket) => sockets.push(socket),
            // `localhost` also means ::1 on machines that have no IPv6; one of the addresses is enough.
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => absent = Some(error),
            Err(error) => return Err(cannot_listen(named, &error)),
        }
    }
    match absent {
        Some(error) if sockets.is_empty() => Err(cannot_listen(named, &error)),
        _ => Ok(sockets),
    }
}

async fn bind_tcp(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
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
async fn patiently<T, F: Future<Output = io::Result<T>>>(
    address: &impl Display,
    open: impl Fn() -> F,
) -> io::Result<T> {
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

fn cannot_listen(address: &impl Display, error: &io::Error) -> Failure {
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
        let places = open(&[local(0)], Protection::default(), None).await.unwrap();
        assert_eq!(places.len(), 1);
        assert!(!places[0].shown.to_string().ends_with(":0"));
    }

    #[tokio::test]
    async fn a_public_address_is_refused_unless_it_is_said_to_be_meant() {
        let public = Address::Tcp { host: "0.0.0.0".into(), port: 0 };
        let failure = open(std::slice::from_ref(&public), Protection::default(), None).await.err().unwrap();
        assert_eq!(failure.status, exit::CONFIG);
        assert!(failure.words.contains("--insecure") && failure.words.contains("no TLS, no tokens"), "{failure}");
        for (tls, tokens, lacks) in [(true, false, "no tokens:"), (false, true, "no TLS:")] {
            let half = Protection { tls, tokens, insecure: false };
            let failure = open(std::slice::from_ref(&public), half, None).await.err().unwrap();
            assert!(failure.words.contains(lacks), "{failure}");
        }
        let both = Protection { tls: true, tokens: true, insecure: false };
        assert_eq!(open(std::slice::from_ref(&public), both, None).await.unwrap().len(), 1);
        let meant = Protection { insecure: true, ..Protection::default() };
        assert_eq!(open(&[public], meant, None).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn an_address_of_tls_without_a_certificate_is_refused_with_the_command_that_makes_one() {
        let address = [Address::Tls { host: "127.0.0.1".into(), port: 0 }];
        let failure = open(&address, Protection::default(), None).await.err().unwrap();
        assert!(failure.words.contains("tieline cert dev"), "{failure}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stale_socket_is_replaced_and_a_live_one_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bus");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let address = [Address::Unix(path.clone())];
        let places = open(&address, Protection::default(), None).await.unwrap();
        let failure = open(&address, Protection::default(), None).await.err().unwrap();
        assert!(failure.words.contains("another server"), "{failure}");
        drop(places);
        assert!(!path.exists(), "the socket's file is removed at the end");
    }

    #[tokio::test]
    async fn an_address_that_comes_free_while_it_is_waited_for_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        for address in [local(0), Address::Unix(folder.path().join("bus"))] {
            let mut old = open(std::slice::from_ref(&address), Protection::default(), None).await.unwrap();
            let address = [old[0].shown.clone()];
            let mut opening = Box::pin(open(&address, Protection::default(), None));
            let look = std::future::poll_fn(|cx| std::task::Poll::Ready(opening.as_mut().poll(cx).is_pending()));
            assert!(look.await, "it is in use");
            drop(old.pop());
            assert_eq!(opening.await.unwrap().len(), 1);
        }
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_never_removed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let failure = open(&[Address::Unix(file.path().into())], Protection::default(), None).await.err().unwrap();
        assert!(failure.words.contains("no socket"), "{failure}");
        assert!(file.path().exists());
    }

    #[tokio::test]
    async fn a_successor_keeps_its_socket_when_the_first_server_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bus");
        let first = open(&[Address::Unix(path.clone())], Protection::default(), None).await.unwrap();
        fs::remove_file(&path).unwrap();
        let _second = open(&[Address::Unix(path.clone())], Protection::default(), None).await.unwrap();
        drop(first);
        assert!(path.exists());
    }
}
