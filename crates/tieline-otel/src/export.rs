//! The task that sends spans to the collector, in batches. A batch that can't be sent is gone, and counted: traces are a
//! help for people, and must cost requests nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::client::{Client, LastError};
use crate::options::{Options, OptionsError};
use crate::spans::{Counts, Spans};

/// The task that sends spans. Dropping it ends it, with what it has.
#[derive(Debug)]
pub struct Exporting {
    task: JoinHandle<()>,
    finish: CancellationToken,
}

/// Starts to export; gives where spans are put, and the task that sends them. It must run inside a tokio runtime.
///
/// # Errors
/// If the options can't be, or a file that they name can't be used.
pub fn start(options: Options) -> Result<(Spans, Exporting), OptionsError> {
    let tls = if options.is_tls() { Some(options.trust.config()?) } else { None };
    let (client, last_error) = Client::new(tls);
    let resource = resource(&options.service);
    let mut builder = SpanExporter::builder().with_http().with_http_client(client).with_timeout(options.timeout);
    if let Some(endpoint) = &options.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    let mut exporter = builder.build().map_err(|error| OptionsError::Exporter(error.to_string()))?;
    exporter.set_resource(&resource);
    let (queue, spans) = mpsc::channel(options.queue);
    let counts = Arc::new(Counts::default());
    let finish = CancellationToken::new();
    let spans_out = Spans::new(options.sampler, queue, Arc::clone(&counts));
    let task = Task { options, exporter, spans, counts, last_error, finish: finish.clone(), is_failing: false };
    Ok((spans_out, Exporting { task: tokio::spawn(task.run()), finish }))
}

impl Exporting {
    /// Sends what waits, for so long at most; what comes later is dropped.
    pub async fn finish(mut self, patience: Duration) {
        self.finish.cancel();
        let _ = timeout(patience, &mut self.task).await;
    }
}

impl Drop for Exporting {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// See the module.
struct Task {
    options: Options,
    exporter: SpanExporter,
    spans: mpsc::Receiver<SpanData>,
    counts: Arc<Counts>,
    last_error: LastError,
    finish: CancellationToken,
    is_failing: bool,
}

impl Task {
    async fn run(mut self) {
        loop {
            let mut batch = Vec::new();
            let is_over = self.gather(&mut batch).await;
            if !batch.is_empty() {
                self.export(batch).await;
            } else if is_over {
                return;
            }
        }
    }

    /// Gathers a batch. Whether nothing comes any more but what waits.
    async fn gather(&mut self, batch: &mut Vec<SpanData>) -> bool {
        let most = self.options.batch;
        let mut due = None;
        while batch.len() < most {
            tokio::select! {
                biased;
                () = self.finish.cancelled(), if !self.spans.is_closed() => self.spans.close(),
                more = self.spans.recv_many(batch, most - batch.len()) => {
                    if more == 0 {
                        return true;
                    }
                    due.get_or_insert_with(|| Instant::now() + self.options.delay);
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => return false,
            }
        }
        false
    }

    async fn export(&mut self, batch: Vec<SpanData>) {
        let many = batch.len() as u64;
        let failure = match timeout(self.options.timeout, self.exporter.export(batch)).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(self.last_error.take().unwrap_or_else(|| error.to_string())),
            Err(_) => Some("the collector took too long".to_owned()),
        };
        let count = if failure.is_none() { &self.counts.exported } else { &self.counts.failed };
        count.fetch_add(many, Relaxed);
        let was_failing = std::mem::replace(&mut self.is_failing, failure.is_some());
        // Once, however long it goes on: the metrics count them.
        match failure {
            Some(why) if !was_failing => {
                tracing::error!(why, "traces can't be exported; spans are lost until they can");
            }
            None if was_failing => tracing::info!("traces are exported again"),
            _ => {}
        }
    }
}

/// Who makes the spans: as the environment says, else this service.
fn resource(service: &str) -> Resource {
    let named = Resource::builder().build();
    let is_unknown = named.get(&"service.name".into()).is_none_or(|name| name.as_str().starts_with("unknown_service"));
    let builder = Resource::builder();
    if is_unknown { builder.with_service_name(service.to_owned()).build() } else { builder.build() }
}
