//! What stands between a role and a service and makes it worse: Toxiproxy, for connections.

use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;

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
