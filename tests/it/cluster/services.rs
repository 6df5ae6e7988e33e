//! Where the services are that `cargo xtask test` has started.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};

/// What `cargo xtask test` tells of its services.
pub(crate) struct Services {
    /// `host:port`.
    pub(crate) kafka: String,
    /// `http://host:port`.
    pub(crate) s3: String,
    pub(crate) bucket: String,
    /// `host:port` of its HTTP interface.
    pub(crate) toxiproxy: String,
}

impl Services {
    /// `None`, and a line that says so, where there are none.
    pub(crate) fn find() -> Option<Self> {
        let found = || {
            Some(Self {
                kafka: variable("MARQUETRY_TEST_KAFKA")?,
                s3: variable("MARQUETRY_TEST_S3")?,
                bucket: variable("MARQUETRY_TEST_BUCKET")?,
                toxiproxy: host(&variable("MARQUETRY_TEST_TOXIPROXY")?).to_owned(),
            })
        };
        let found = found();
        if found.is_none() {
            eprintln!("skipped: no services; `cargo xtask test` starts them, or `cargo xtask services`");
        }
        found
    }
}

/// The `host:port` of an `http://` URL.
pub(crate) fn host(url: &str) -> &str {
    url.trim_start_matches("http://").trim_end_matches('/')
}

/// A folder with the `libs` of a Kafka, for tests that stop their broker; there is none where services are containers.
pub(crate) fn kafka_home() -> Option<PathBuf> {
    program("MARQUETRY_TEST_KAFKA_HOME")
}

/// The program of an S3 store, for tests that stop it.
pub(crate) fn versitygw() -> Option<PathBuf> {
    program("MARQUETRY_TEST_VERSITYGW")
}

/// A port that nothing listens on, given once. Below those that systems hand to outgoing connections, so that a service
/// which was stopped finds its port still free when it is started again.
pub(crate) fn free_port() -> u16 {
    const FIRST: u16 = 30_000;
    const SPAN: u16 = 2_700;
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    // Two runs at once seldom look at the same port.
    let own = (std::process::id() as u16).wrapping_mul(37);
    let mut next = || FIRST + own.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)) % SPAN;
    std::iter::repeat_with(&mut next)
        .take(SPAN.into())
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
}

fn program(name: &str) -> Option<PathBuf> {
    let found = variable(name).map(PathBuf::from);
    if found.is_none() {
        eprintln!(
            "skipped: {name} is not set; `cargo xtask test` sets it where it can start services without containers"
        );
    }
    found
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
