//! One Kafka broker in KRaft mode, set up so that tests see a dead worker soon.

use super::probe::brokers_named_by;
use super::process::Running;
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Any id will do: the data it stands for is new on every start.
pub(super) const CLUSTER_ID: &str = "4L6g3nShT-eMCtK--X86sw";

/// A broker to be started.
pub(super) struct Broker {
    /// For its data, configuration and log.
    pub(super) folder: PathBuf,
    /// The port of clients.
    pub(super) port: u16,
    /// The port of its own controller.
    pub(super) controller: u16,
}

impl Broker {
    /// Formats the folder, starts the broker, and returns when it answers a request for metadata.
    pub(super) fn start(&self, java: &Path, kafka_home: &Path) -> Result<Running> {
        let config = self.write_config(&self.properties(&self.folder.join("data")))?;
        let format = self
            .java(java, kafka_home)
            .args(["kafka.tools.StorageTool", "format", "--standalone", "-t", CLUSTER_ID, "-c"])
            .arg(&config)
            .output()
            .with_context(|| format!("cannot start {}", java.display()))?;
        if !format.status.success() {
            let (out, err) =
                (String::from_utf8_lossy(&format.stdout), String::from_utf8_lossy(&format.stderr));
            bail!("Kafka could not format {} ({}):\n{out}{err}", self.folder.display(), format.status);
        }
        let mut command = self.java(java, kafka_home);
        command.arg("kafka.Kafka").arg(&config);
        Running::start(self.what("Kafka"), &mut command, &self.log())?
            .wait_until(Self::LIMIT, || self.answers())
    }

    /// A loaded machine of two cores takes half a minute.
    pub(super) const LIMIT: Duration = Duration::from_mins(2);

    pub(super) fn what(&self, name: &str) -> String {
        format!("{name} on 127.0.0.1:{}", self.port)
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("kafka.log")
    }

    /// Writes `server.properties`, and says where.
    pub(super) fn write_config(&self, properties: &str) -> Result<PathBuf> {
        fs::create_dir_all(&self.folder).with_context(|| format!("cannot make {}", self.folder.display()))?;
        let config = self.folder.join("server.properties");
        fs::write(&config, properties)?;
        Ok(config)
    }

    fn java(&self, java: &Path, kafka_home: &Path) -> Command {
        let mut classes = OsString::from(kafka_home.join("libs").join("*"));
        classes.push(":");
        classes.push(kafka_home.join("logging").join("*"));
        let mut command = Command::new(java);
        command
            .current_dir(&self.folder)
            .args(["-Xmx512m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"])
            .args([
                "-Dorg.slf4j.simpleLogger.log.kafka.server=info",
                "-Dorg.slf4j.simpleLogger.showDateTime=true",
            ])
            .arg("-cp")
            .arg(classes);
        command
    }

    /// The text of `server.properties`.
    pub(super) fn properties(&self, data: &Path) -> String {
        let Self { port, controller, .. } = self;
        format!(
            "\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}

# A cluster of one.
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1

# A topic that nobody made is a mistake that a test should see.
auto.create.topics.enable=false

# A worker that was killed is noticed soon, under both group protocols.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
group.consumer.min.session.timeout.ms=1000
group.consumer.session.timeout.ms=6000
group.consumer.min.heartbeat.interval.ms=100
group.consumer.heartbeat.interval.ms=1000

# Hundreds of partitions come and go: little is set aside for each.
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4
share.coordinator.state.topic.num.partitions=4
log.segment.bytes=16777216
log.index.size.max.bytes=262144
log.cleaner.dedupe.buffer.size=16777216
",
            data = data.display()
        )
    }

    /// Whether it names itself when it is asked for its metadata.
    pub(super) fn answers(&self) -> bool {
        brokers_named_by(self.port).is_ok_and(|brokers| brokers > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn the_properties_are_what_the_tests_rely_on() {
        let broker = Broker { folder: "/nowhere".into(), port: 1111, controller: 2222 };
        let text = broker.properties(Path::new("/nowhere/data"));
        let mut found = HashMap::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("no value: {line}"));
            assert!(found.insert(key, value).is_none(), "twice: {key}");
        }
        for (key, value) in [
            ("listeners", "PLAINTEXT://127.0.0.1:1111,CONTROLLER://127.0.0.1:2222"),
            ("advertised.listeners", "PLAINTEXT://127.0.0.1:1111"),
            ("controller.quorum.bootstrap.servers", "127.0.0.1:2222"),
            ("log.dirs", "/nowhere/data"),
            ("auto.create.topics.enable", "false"),
            ("group.consumer.session.timeout.ms", "6000"),
        ] {
            assert_eq!(found.get(key), Some(&value), "{key}");
        }
        // `format --standalone` refuses a folder whose configuration names the voters.
        assert!(!found.contains_key("controller.quorum.voters"));
        let number = |key: &str| found[key].parse::<u32>().unwrap();
        let least = number("group.consumer.min.session.timeout.ms");
        assert!(least <= number("group.consumer.session.timeout.ms"));
        let least = number("group.consumer.min.heartbeat.interval.ms");
        assert!(least <= number("group.consumer.heartbeat.interval.ms"));
    }
}
