//! What a cluster asks a process over HTTP: `/metrics`, `/healthz`, `/readyz`.

#[cfg(feature = "gpu-metrics")]
use crate::gpu::GpuMemory;
use crate::health::Health;
use crate::metrics::Metrics;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// Prometheus' text format, as its own client libraries announce it.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How long [`Server::stop`] waits for answers under way.
const STOP_PATIENCE: Duration = Duration::from_secs(1);

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot serve metrics and health on `{address}`: {source}; choose an address of this machine and a free port, such as 0.0.0.0:9464"
)]
pub struct ServeError {
    /// The address that was asked for.
    pub address: String,
    /// What the system said.
    pub source: std::io::Error,
}

/// A server at work. Dropped, it stops soon; to know that it has, call [`stop`](Self::stop).
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
    scraped: watch::Receiver<Option<Instant>>,
}

impl Server {
    /// Where it listens: the real port where port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until someone has read the metrics as they are now, or later.
    pub async fn next_scrape(&self) {
        let (since, mut scraped) = (Instant::now(), self.scraped.clone());
        if scraped.wait_for(|begun| begun.is_some_and(|begun| begun >= since)).await.is_err() {
            // Nothing is served any more, and so nobody will.
            std::future::pending::<()>().await;
        }
    }

    /// Takes no more connections, and waits a second at most for answers under way.
    pub async fn stop(self) {
        let Self { stop, mut running, .. } = self;
        drop(stop);
        // A client that never ends its request would be waited for without end.
        if tokio::time::timeout(STOP_PATIENCE, &mut running).await.is_err() {
            running.abort();
        }
    }
}

#[derive(Clone)]
struct Shown {
    metrics: Metrics,
    health: Health,
    #[cfg(feature = "gpu-metrics")]
    gpus: GpuMemory,
    /// When the last answered scrape had begun.
    scraped: watch::Sender<Option<Instant>>,
}

/// Serves at `address` (`host:port`; port 0 for any free one) until the returned server is stopped or dropped:
/// - `/metrics`: all metrics in Prometheus' text format;
/// - `/healthz`: 200 as long as the process answers;
/// - `/readyz`: 200 when all components are well, else 503 with a reason a line.
///
/// # Errors
/// When the address is none, or taken.
pub async fn serve(address: &str, metrics: Metrics, health: Health) -> Result<Server, ServeError> {
    let refused = |source| ServeError { address: address.to_owned(), source };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let (scrapes, scraped) = watch::channel(None);
    let routes = Router::new()
        .route("/metrics", get(metrics_page))
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(ready_page))
        .with_state(Shown {
            metrics,
            health,
            #[cfg(feature = "gpu-metrics")]
            gpus: GpuMemory::new(),
            scraped: scrapes,
        });
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(async move {
        let serving = axum::serve(listener, routes).with_graceful_shutdown(async {
            // Dropping the sender is the signal.
            let _ = stopped.await;
        });
        if let Err(reason) = serving.await {
            tracing::error!(%reason, "metrics and health are no longer served");
        }
    });
    Ok(Server { address, stop, running, scraped })
}

async fn metrics_page(State(shown): State<Shown>) -> impl IntoResponse {
    let begun = Instant::now();
    #[cfg(feature = "gpu-metrics")]
    shown.gpus.sample_in_time(&shown.metrics).await;
    let text = shown.metrics.exposition();
    shown.scraped.send_replace(Some(begun));
    ([(header::CONTENT_TYPE, TEXT_FORMAT)], text)
}

async fn ready_page(State(shown): State<Shown>) -> (StatusCode, String) {
    match shown.health.ready() {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(reasons) => (StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    async fn ask(server: &Server, path: &str) -> String {
        let mut stream = TcpStream::connect(server.address()).await.expect("the server listens");
        let request = format!("GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("it answers");
        answer
    }

    async fn started(health: Health) -> Server {
        serve("127.0.0.1:0", Metrics::new(), health).await.expect("there is a free port")
    }

    #[tokio::test]
    async fn metrics_are_text() {
        let metrics = Metrics::new();
        let server = serve("127.0.0.1:0", metrics.clone(), Health::new()).await.expect("a free port");
        metrics.tile_bytes.add(17);
        let answer = ask(&server, "/metrics").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{answer}");
        assert!(answer.contains("\nmarquetry_tile_bytes_total 17\n"), "{answer}");
        server.stop().await;
    }

    #[tokio::test]
    async fn a_scrape_is_waited_for() {
        let server = started(Health::new()).await;
        ask(&server, "/metrics").await;
        let soon = Duration::from_millis(50);
        assert!(tokio::time::timeout(soon, server.next_scrape()).await.is_err(), "that one was earlier");
        let ((), answer) = tokio::join!(server.next_scrape(), ask(&server, "/metrics"));
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    }

    #[tokio::test]
    async fn readiness_says_what_is_waited_for() {
        let health = Health::new();
        health.set("queue", Err("waiting for Kafka".into()));
        health.set("store", Err("waiting for the store".into()));
        let server = started(health.clone()).await;
        let answer = ask(&server, "/readyz").await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.contains("content-type: text/plain"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nwaiting for Kafka\nwaiting for the store\n"), "{answer}");
        assert!(ask(&server, "/healthz").await.starts_with("HTTP/1.1 200 "));
        health.set("queue", Ok(()));
        health.set("store", Ok(()));
        assert!(ask(&server, "/readyz").await.starts_with("HTTP/1.1 200 "));
    }

    #[tokio::test]
    async fn nothing_else_is_there() {
        let server = started(Health::new()).await;
        for path in ["/", "/metrics/", "/Metrics", "/../etc/passwd", "/debug"] {
            assert!(ask(&server, path).await.starts_with("HTTP/1.1 404 "), "{path}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_bound_is_named() {
        let server = started(Health::new()).await;
        let taken = server.address().to_string();
        for address in [&*taken, "nowhere", "300.1.1.1:80"] {
            let error = serve(address, Metrics::new(), Health::new()).await.expect_err("no such place");
            assert!(error.to_string().contains(&format!("on `{address}`: ")), "{error}");
        }
    }

    #[tokio::test]
    async fn stopping_takes_a_moment_whoever_is_connected() {
        let server = started(Health::new()).await;
        let address = server.address();
        let _silent = TcpStream::connect(address).await.expect("the server listens");
        let mut slow = TcpStream::connect(address).await.expect("the server listens");
        slow.write_all(b"GET /metrics HTTP/1.1\r\nHost:").await.expect("it reads");
        // Another answer, so that the half request was read too.
        ask(&server, "/healthz").await;
        let stopped = tokio::time::timeout(10 * STOP_PATIENCE, server.stop()).await;
        assert!(stopped.is_ok(), "a client held it up");
        TcpListener::bind(address).await.expect("the port is free again");
    }

    #[tokio::test]
    async fn a_dropped_server_stops() {
        let server = started(Health::new()).await;
        let address = server.address();
        drop(server);
        for _ in 0..100 {
            if TcpStream::connect(address).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("still listening on {address}");
    }
}
