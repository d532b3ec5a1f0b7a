//! gRPC, by tonic: no broker; each sender is connected with one receiver, which is a server of its own.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as TaskContext, Poll};

use anyhow::Context;
use bytes::Bytes;
use tokio_stream::StreamExt;
use tonic::body::Body as HttpBody;
use tonic::client::Grpc;
use tonic::codegen::{Service, http};
use tonic::server::{ClientStreamingService, NamedService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use super::handler::{Handler, STOPPED};
use super::{Peer, Sender, Task};
use crate::payload::{self, Inspector};
use crate::plan::{CHUNK, Plan};

/// See the module.
#[derive(Debug)]
pub struct GRpc;

/// The only message.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Body {
    /// What it carries.
    #[prost(bytes = "bytes", tag = "1")]
    pub bytes: Bytes,
}

type Codec = ProstCodec<Body, Body>;
type Future<T> = Pin<Box<dyn std::future::Future<Output = T> + Send>>;

const UNARY: &str = "/bench.Bench/Exchange";
const STREAMING: &str = "/bench.Bench/Stream";
const STOPPED_STREAM: &str = "/bench.Bench/Stop";

/// Windows for loopback and fast networks, as tonic's and gRPC's guides advise for large bodies.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// Where the receivers of this process are.
static RECEIVERS: Mutex<Vec<SocketAddr>> = Mutex::new(Vec::new());

/// What a compiler of protobuf would write for the service.
#[derive(Clone, Copy, Debug)]
struct Bench(Handler);

impl NamedService for Bench {
    const NAME: &'static str = "bench.Bench";
}

impl UnaryService<Body> for Bench {
    type Response = Body;
    type Future = Future<Result<Response<Body>, Status>>;

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let handler = self.0;
        Box::pin(async move { Ok(Response::new(Body { bytes: handler.handle(request.into_inner().bytes).await })) })
    }
}

impl ClientStreamingService<Body> for Bench {
    type Response = Body;
    type Future = Future<Result<Response<Body>, Status>>;

    fn call(&mut self, request: Request<Streaming<Body>>) -> Self::Future {
        Box::pin(async move {
            let mut pieces = request.into_inner();
            let mut inspector = Inspector::default();
            while let Some(piece) = pieces.next().await {
                inspector.add(&piece?.bytes);
            }
            Ok(Response::new(Body { bytes: inspector.verdict() }))
        })
    }
}

impl Service<http::Request<HttpBody>> for Bench {
    type Response = http::Response<HttpBody>;
    type Error = Infallible;
    type Future = Future<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<HttpBody>) -> Self::Future {
        let bench = *self;
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(Codec::default());
            if request.uri().path() == STOPPED_STREAM {
                // Its body lives on, unread.
                let _request = request;
                return std::future::pending().await;
            }
            Ok(if request.uri().path() == STREAMING {
                grpc.client_streaming(bench, request).await
            } else {
                grpc.unary(bench, request).await
            })
        })
    }
}

impl Peer for GRpc {
    type Sender = GRpcSender;
    type Receiver = Task;

    async fn receiver(_: &Plan, _: usize, handler: Handler) -> anyhow::Result<Task> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        RECEIVERS.lock().unwrap_or_else(PoisonError::into_inner).push(listener.local_addr()?);
        let serving = Server::builder()
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .add_service(Bench(handler))
            .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)));
        Ok(Task::spawn("grpc", async move { Ok(serving.await?) }))
    }

    async fn sender(_: &Plan, number: usize) -> anyhow::Result<GRpcSender> {
        let address = {
            let receivers = RECEIVERS.lock().unwrap_or_else(PoisonError::into_inner);
            *receivers.get(number % receivers.len().max(1)).context("no receiver")?
        };
        let channel = Endpoint::from_shared(format!("http://{address}"))?
            .tcp_nodelay(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .connect()
            .await?;
        Ok(GRpcSender(channel))
    }
}

/// A sender's connection.
#[derive(Debug)]
pub struct GRpcSender(Channel);

impl GRpcSender {
    async fn ready(&self) -> anyhow::Result<Grpc<Channel>> {
        let mut grpc = Grpc::new(self.0.clone());
        grpc.ready().await?;
        Ok(grpc)
    }
}

impl Sender for GRpcSender {
    async fn exchange(&self, _: usize, body: Bytes) -> anyhow::Result<Bytes> {
        let mut grpc = self.ready().await?;
        let request = Request::new(Body { bytes: body });
        let path = http::uri::PathAndQuery::from_static(UNARY);
        Ok(grpc.unary::<_, Body, _>(request, path, Codec::default()).await?.into_inner().bytes)
    }

    async fn stream(self: Arc<Self>, total: u64, _: usize) -> anyhow::Result<()> {
        let mut grpc = self.ready().await?;
        let piece = Body { bytes: payload::pattern() };
        let pieces = tokio_stream::iter(std::iter::repeat_n(piece, (total / CHUNK as u64) as usize));
        let path = http::uri::PathAndQuery::from_static(STREAMING);
        let verdict = grpc.client_streaming::<_, Body, _, _>(Request::new(pieces), path, Codec::default()).await?;
        payload::verify_verdict(total, &verdict.into_inner().bytes)
    }

    async fn pour(self: Arc<Self>, channel: usize, poured: Arc<AtomicU64>) -> anyhow::Result<()> {
        let mut grpc = self.ready().await?;
        let piece = Body { bytes: payload::pattern() };
        let pieces = tokio_stream::iter(std::iter::repeat(piece)).map(move |piece| {
            poured.fetch_add(CHUNK as u64, Ordering::Relaxed);
            piece
        });
        let path = http::uri::PathAndQuery::from_static(if channel == STOPPED { STOPPED_STREAM } else { STREAMING });
        grpc.client_streaming::<_, Body, _, _>(Request::new(pieces), path, Codec::default()).await?;
        Ok(())
    }
}
