//! What stands between a role and a service and makes it worse: Toxiproxy for connections, and a proxy of our own for
//! requests.

use crate::cluster::services::host;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A proxy in Toxiproxy, gone when it is dropped.
pub(crate) struct Toxic {
    /// `host:port` of Toxiproxy.
    toxiproxy: String,
    name: String,
    pub(crate) port: u16,
}

impl Toxic {
    /// A proxy named `name` before `upstream`, `host:port`, which does nothing yet.
    pub(crate) fn new(toxiproxy: &str, name: &str, upstream: &str) -> Self {
        let wanted = json!({"name": name, "listen": "127.0.0.1:0", "upstream": upstream, "enabled": true});
        let made = ask(toxiproxy, "POST", "/proxies", &wanted);
        let listen = made["listen"].as_str().unwrap_or_else(|| panic!("no proxy was made: {made}"));
        let port = listen.rsplit(':').next().and_then(|p| p.parse().ok()).expect("a port");
        Self { toxiproxy: toxiproxy.to_owned(), name: name.to_owned(), port }
    }

    /// Every answer comes later by `delay_ms`, give or take `jitter_ms`.
    pub(crate) fn delay(&self, delay_ms: u32, jitter_ms: u32) {
        let attributes = json!({"latency": delay_ms, "jitter": jitter_ms});
        self.poison("latency", 1.0, &attributes);
    }

    /// A share of all connections is reset by the peer after a moment.
    pub(crate) fn reset(&self, share: f64) {
        self.poison("reset_peer", share, &json!({"timeout": 100}));
    }

    fn poison(&self, kind: &str, toxicity: f64, attributes: &Value) {
        let toxic =
            json!({"type": kind, "stream": "downstream", "toxicity": toxicity, "attributes": attributes});
        ask(&self.toxiproxy, "POST", &format!("/proxies/{}/toxics", self.name), &toxic);
    }

    /// Cuts all connections and lets none in, or lets them in again.
    pub(crate) fn enable(&self, enabled: bool) {
        ask(&self.toxiproxy, "POST", &format!("/proxies/{}", self.name), &json!({"enabled": enabled}));
    }

    /// Takes all that was added away.
    pub(crate) fn heal(&self) {
        let path = format!("/proxies/{}/toxics", self.name);
        let toxics = ask(&self.toxiproxy, "GET", &path, &Value::Null);
        for toxic in toxics.as_array().into_iter().flatten() {
            let name = toxic["name"].as_str().expect("a name");
            ask(&self.toxiproxy, "DELETE", &format!("{path}/{name}"), &Value::Null);
        }
    }
}

impl Drop for Toxic {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            ask(&self.toxiproxy, "DELETE", &format!("/proxies/{}", self.name), &Value::Null);
        }
    }
}

fn ask(host: &str, method: &str, path: &str, body: &Value) -> Value {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let mut stream = TcpStream::connect(host).expect("Toxiproxy listens");
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: it\r\nConnection: close\r\n");
    write!(stream, "{head}Content-Length: {length}\r\n\r\n{body}").expect("Toxiproxy reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("Toxiproxy answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    assert!(head.contains(" 20"), "{method} {path}: {answer}");
    if body.trim().is_empty() { Value::Null } else { serde_json::from_str(body).expect("JSON") }
}

/// An HTTP proxy that answers each tenth request with `503 Slow Down`, and leaves the server out of it.
pub(crate) struct Flaky {
    pub(crate) url: String,
    refused: Arc<AtomicU64>,
}

impl Flaky {
    /// A proxy before the server at `url`. It lives as long as the test's process.
    pub(crate) fn new(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let own = format!("http://{}", listener.local_addr().expect("an address"));
        let (upstream, refused) = (host(url).to_owned(), Arc::new(AtomicU64::new(0)));
        let (asked, counted) = (Arc::new(AtomicU64::new(0)), Arc::clone(&refused));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (upstream, counted) = (upstream.clone(), Arc::clone(&counted));
                let refuse = asked.fetch_add(1, Ordering::Relaxed) % 10 == 9;
                std::thread::spawn(move || {
                    // A client that went away is a client that asks again.
                    if relay(client, &upstream, refuse).is_ok() && refuse {
                        counted.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        Self { url: own, refused }
    }

    /// How many requests were refused so far.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

/// Passes one request and its answer; both ends close then, so that no length of an answer need be known.
fn relay(mut client: TcpStream, upstream: &str, refuse: bool) -> std::io::Result<()> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if client.read(&mut byte)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        head.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    let mut body = vec![0; length.unwrap_or(0)];
    client.read_exact(&mut body)?;
    if refuse {
        let why = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";
        let head = "HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nConnection: close\r\n";
        return write!(client, "{head}Content-Length: {}\r\n\r\n{why}", why.len());
    }
    let mut server = TcpStream::connect(upstream)?;
    let (first, rest) = text.split_once("\r\n").unwrap_or((&text, "\r\n"));
    write!(server, "{first}\r\nConnection: close\r\n{rest}")?;
    server.write_all(&body)?;
    std::io::copy(&mut server, &mut client).map(|_| ())
}
