//! The services in containers, where their programs cannot be had.
//!
//! They share the host's network, so that ports, addresses and what is written about them are the same.

use super::fetch::{KAFKA, VERSITYGW};
use super::kafka::{Broker, CLUSTER_ID};
use super::probe::answers_http;
use super::process::Running;
use super::programs::says;
use super::{store, toxiproxy};
use anyhow::Result;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The newest that its makers put there; its API is that of later ones.
const TOXIPROXY_IMAGE: &str = "shopify/toxiproxy:2.1.4";

/// Images are fetched by the start itself.
const FETCH: Duration = Duration::from_mins(10);

/// Whether there is a container engine that runs.
pub(super) fn engine_answers() -> bool {
    says("docker", "info").is_some()
}

pub(super) fn kafka(broker: &Broker) -> Result<Running> {
    let config = broker.write_config(&container_properties(broker))?;
    let (name, mut command) = container("kafka");
    command
        .args(["--env", &format!("CLUSTER_ID={CLUSTER_ID}"), "--env", "KAFKA_HEAP_OPTS=-Xmx512m"])
        .arg("--volume")
        .arg(mount(&config, "/mnt/shared/config/server.properties"))
        .arg(format!("apache/kafka:{KAFKA}"));
    Running::start_in(broker.what("Kafka, in a container,"), &mut command, &broker.log(), Some(name))?
        .wait_until(FETCH, || broker.answers())
}

/// The image formats its folder without `--standalone`, and so wants the voters named.
fn container_properties(broker: &Broker) -> String {
    let bootstrap = format!("controller.quorum.bootstrap.servers=127.0.0.1:{}", broker.controller);
    let voters = format!("controller.quorum.voters=1@127.0.0.1:{}", broker.controller);
    broker.properties(Path::new("/tmp/kraft-combined-logs")).replace(&bootstrap, &voters)
}

pub(super) fn store(folder: &Path, port: u16) -> Result<Running> {
    let (data, meta) = store::make_folders(folder)?;
    let (name, mut command) = container("s3");
    // As the user who runs the tests, so that what is written can be deleted again.
    let user = format!("{}:{}", rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    command
        .args(["--user", &user])
        .args(["--env", &format!("ROOT_ACCESS_KEY={}", store::ACCESS_KEY)])
        .args(["--env", &format!("ROOT_SECRET_KEY={}", store::SECRET_KEY)])
        .arg("--volume")
        .arg(mount(&data, "/data"))
        .arg("--volume")
        .arg(mount(&meta, "/meta"))
        .arg(format!("versity/versitygw:{VERSITYGW}"))
        .args(store::arguments(port))
        .args(["/meta", "/data"]);
    Running::start_in(store::what(port), &mut command, &store::log(folder), Some(name))?
        .wait_until(FETCH, || answers_http(port))
}

pub(super) fn toxiproxy(log: &Path, port: u16) -> Result<Running> {
    let (name, mut command) = container("toxiproxy");
    command.args([TOXIPROXY_IMAGE, "-host", "127.0.0.1", "-port", &port.to_string()]);
    Running::start_in(toxiproxy::what(port), &mut command, log, Some(name))?
        .wait_until(FETCH, || answers_http(port))
}

/// The beginning of a command, and the container's name.
fn container(service: &str) -> (String, Command) {
    let name = format!("marquetry-test-{service}-{}", std::process::id());
    let mut command = Command::new("docker");
    command.args(["run", "--rm", "--init", "--network", "host", "--name", &name]);
    (name, command)
}

fn mount(here: &Path, there: &str) -> std::ffi::OsString {
    let mut mount = here.as_os_str().to_owned();
    mount.push(":");
    mount.push(there);
    mount
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_gets_voters_in_place_of_bootstrap_servers() {
        let broker = Broker { folder: "/nowhere".into(), port: 1111, controller: 2222 };
        let text = container_properties(&broker);
        assert!(text.contains("\ncontroller.quorum.voters=1@127.0.0.1:2222\n"));
        assert!(!text.contains("bootstrap.servers"));
    }
}
