//! What stands for TLS where the feature `tls` is off: addresses of TLS are refused with words.

use std::future::{Ready, ready};
use std::io;

use tokio::net::TcpStream;

use crate::error::Error;
use crate::trouble::TlsTrouble;

/// Nothing can be said.
#[derive(Clone, Default, Debug)]
pub(crate) struct TlsOptions(());

/// What would be spoken.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Speech {
    Bus,
}

/// Never made.
#[derive(Clone, Debug)]
pub(crate) struct Connector(());

impl Connector {
    pub(crate) fn new(_: &TlsOptions, _host: &str, _: Speech) -> Result<Self, Error> {
        Err(Error::TlsOptions { reason: "TLS is not built in: turn the feature 'tls' on".to_owned() })
    }

    #[expect(clippy::unused_self, reason = "there is nothing to be used")]
    pub(crate) fn connect(self, _: TcpStream) -> Ready<io::Result<TcpStream>> {
        ready(Err(io::ErrorKind::Unsupported.into()))
    }
}

pub(crate) fn refusal(_: &io::Error, _: Speech) -> Option<(TlsTrouble, String)> {
    None
}
