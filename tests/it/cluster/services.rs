//! Where the services are that `cargo xtask test` has started.

use std::path::PathBuf;

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

fn program(name: &str) -> Option<PathBuf> {
    let found = variable(name).map(PathBuf::from);
    if found.is_none() {
        eprintln!("skipped: {name} is not set; `cargo xtask test` sets it where it can start services without containers");
    }
    found
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
