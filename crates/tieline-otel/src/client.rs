//! HTTP for the exporter: a connection for each batch, over TCP or TLS. Batches are seconds apart, so none is kept.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Uri;
use hyper::header::{HOST, HeaderValue};
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, Error as TlsError};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// What is read of a collector's answer, at most, in bytes.
const ANSWER_MAX: usize = 64 * 1024;

/// See the module.
pub(crate) struct Client {
    /// There if the endpoint says `https`.
    tls: Option<Arc<ClientConfig>>,
    last_error: LastError,
}

/// What went wrong last, in words: the exporter has none for it.
#[derive(Clone, Default, Debug)]
pub(crate) struct LastError(Arc<Mutex<Option<String>>>);

impl LastError {
    pub(crate) fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, words: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(words);
    }
}

impl Client {
    pub(crate) fn new(tls: Option<Arc<ClientConfig>>) -> (Self, LastError) {
        let last_error = LastError::default();
        (Self { tls, last_error: last_error.clone() }, last_error)
    }

    async fn post(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let uri = request.uri().clone();
        let host = uri.host().ok_or("the endpoint names no host")?;
        let is_tls = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        request.headers_mut().insert(HOST, HeaderValue::from_str(authority(&uri))?);
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = path.parse()?;
        let request = request.map(Full::new);
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect((name, port)).await?;
        if !is_tls {
            return exchange(TokioIo::new(stream), request).await;
        }
        let tls = self.tls.clone().ok_or("the endpoint wants TLS, and there are no settings for it")?;
        let stream = TlsConnector::from(tls).connect(ServerName::try_from(name.to_owned())?, stream).await?;
        exchange(TokioIo::new(stream), request).await
    }
}

/// Who the collector is, without who we are.
fn authority(uri: &Uri) -> &str {
    uri.authority().and_then(|authority| authority.as_str().rsplit('@').next()).unwrap_or_default()
}

/// An address for people: what may be a secret in it is left out.
fn shown(uri: &Uri) -> String {
    format!("{}://{}{}", uri.scheme_str().unwrap_or_default(), authority(uri), uri.path())
}

/// One request and its answer, on a connection of its own.
async fn exchange<S>(io: S, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, HttpError>
where
    S: Read + Write + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
    let answering = async move {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, ANSWER_MAX).collect().await?.to_bytes();
        Ok(Response::from_parts(head, body))
    };
    let mut connection = std::pin::pin!(connection);
    let mut answering = std::pin::pin!(answering);
    let mut is_open = true;
    loop {
        tokio::select! {
            answer = &mut answering => return answer,
            // Its end is told to whoever waits for the answer.
            _ = &mut connection, if is_open => is_open = false,
        }
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let place = shown(request.uri());
        let answer = self.post(request).await;
        match &answer {
            Ok(answer) if answer.status().is_success() => {}
            Ok(answer) => self.last_error.set(format!("{place} answered {}", answer.status())),
            Err(error) => self.last_error.set(format!("{place}: {}", words(error.as_ref()))),
        }
        answer
    }
}

/// An error with its causes; of a certificate that isn't accepted, what would help.
fn words(error: &(dyn Error + 'static)) -> String {
    let certificate = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref).and_then(|error| match error
        .downcast_ref::<TlsError>(
    )? {
        TlsError::InvalidCertificate(error) => Some(error),
        _ => None,
    });
    // Another authority of the same name signs wrongly, as this side sees it.
    if let Some(CertificateError::UnknownIssuer | CertificateError::BadSignature) = certificate {
        return "its certificate is signed by no authority that is trusted here; OTEL_EXPORTER_OTLP_CERTIFICATE names a \
                file with another"
            .to_owned();
    }
    let (mut words, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        let _ = write!(words, ": {error}");
        cause = error.source();
    }
    words
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_secrets() {
        let uri: Uri = "https://me:secret@collector.example:4318/v1/traces?key=secret".parse().unwrap();
        assert_eq!(shown(&uri), "https://collector.example:4318/v1/traces");
        assert_eq!(authority(&uri), "collector.example:4318");
    }
}
