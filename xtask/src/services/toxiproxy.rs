//! Toxiproxy: makes a broker or a store slow, flaky or gone without touching it.

use super::probe::answers_http;
use super::process::Running;
use anyhow::Result;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

pub(super) fn start(binary: &Path, log: &Path, port: u16) -> Result<Running> {
    let mut command = Command::new(binary);
    command.args(["-host", "127.0.0.1", "-port", &port.to_string()]);
    Running::start(what(port), &mut command, log)?.wait_until(LIMIT, || answers_http(port))
}

pub(super) const LIMIT: Duration = Duration::from_secs(30);

pub(super) fn what(port: u16) -> String {
    format!("Toxiproxy, its HTTP API on 127.0.0.1:{port}")
}
