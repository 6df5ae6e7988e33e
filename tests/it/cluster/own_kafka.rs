//! A broker of a test's own, which may be killed.

use crate::cluster::role::{Guard, Role, until};
use crate::cluster::services::{free_port, kafka_home};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Any id will do: the data it stands for is new.
const CLUSTER_ID: &str = "4L6g3nShT-eMCtK--X86sw";
const KEY_STORE: &str = "of a test";

/// Whom a guarded broker lets in, and by which password.
pub(crate) const USER: (&str, &str) = ("marquetry", "a secret of the tests");

pub(crate) struct OwnKafka {
    home: PathBuf,
    folder: tempfile::TempDir,
    /// The port it listens on.
    pub(crate) port: u16,
    guard: Guard,
    running: Option<Role>,
}

impl OwnKafka {
    /// A broker that is not running yet. Clients are told to come to `advertised`: a proxy before `port`, or `port`
    /// itself.
    pub(crate) fn new(port: u16, advertised: u16) -> Option<Self> {
        Self::with(port, &properties(port, advertised, None), &[])
    }

    /// A broker that speaks TLS on another port and there lets nobody in but [`USER`], by SCRAM; a file with the
    /// certificate that it shows; and that port.
    pub(crate) fn guarded() -> Option<(Self, PathBuf, u16)> {
        let (port, guarded) = (free_port(), free_port());
        let (user, password) = USER;
        let user = format!("SCRAM-SHA-512=[name=\"{user}\",password=\"{password}\"]");
        let own = Self::with(port, &properties(port, port, Some(guarded)), &["--add-scram", &user])?;
        let certificate = own.folder.path().join("broker.pem");
        keytool(
            own.folder.path(),
            &["-genkeypair", "-keyalg", "RSA", "-dname", "CN=a test", "-ext", "SAN=ip:127.0.0.1"],
        );
        keytool(own.folder.path(), &["-exportcert", "-rfc", "-file", "broker.pem"]);
        Some((own, certificate, guarded))
    }

    fn with(port: u16, properties: &str, format_args: &[&str]) -> Option<Self> {
        let home = kafka_home()?;
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("server.properties"), properties).expect("a file");
        let own = Self { home, folder, port, guard: Guard::new(), running: None };
        let mut format = own.java();
        format.args(["kafka.tools.StorageTool", "format", "--standalone", "-t", CLUSTER_ID]);
        let format = format.args(["-c", "server.properties"]).args(format_args).output().expect("java runs");
        assert!(format.status.success(), "{format:?}");
        Some(own)
    }

    fn java(&self) -> Command {
        let folder = |name: &str| self.home.join(name).join("*").display().to_string();
        let mut java = Command::new("java");
        java.current_dir(self.folder.path())
            .args(["-Xmx512m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]);
        java.args(["-cp", &format!("{}:{}", folder("libs"), folder("logging"))]);
        java
    }

    /// Starts it on what it held before, and waits until it answers.
    pub(crate) fn start(&mut self) {
        let mut command = self.java();
        command.args(["kafka.Kafka", "server.properties"]);
        let mut running = Role::start("kafka", &mut command, self.folder.path(), &mut self.guard);
        until("Kafka answers", || {
            assert!(running.is_running(), "Kafka has stopped at once");
            answers(self.port)
        });
        self.running = Some(running);
    }

    /// Kills it as a machine that fails would.
    pub(crate) fn kill9(&mut self) {
        self.running.take().expect("a running broker").kill9();
    }

    /// Stops it in good order.
    pub(crate) fn stop(&mut self) {
        self.running.take().expect("a running broker").drain();
    }
}

/// Whether a request for its metadata is answered (version 4 of it, in Kafka's protocol guide). An open port alone comes
/// earlier than a broker that serves.
fn answers(port: u16) -> bool {
    let ask = || -> std::io::Result<u32> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(std::time::Duration::from_secs(2)))?;
        let request = [0, 0, 0, 15, 0, 3, 0, 4, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0];
        stream.write_all(&request)?;
        // Length, correlation id, throttle time, number of brokers.
        let mut answer = [0; 16];
        stream.read_exact(&mut answer)?;
        Ok(u32::from_be_bytes([answer[12], answer[13], answer[14], answer[15]]))
    };
    ask().is_ok_and(|brokers| brokers > 0)
}

/// Runs Java's own `keytool` on the key store of a guarded broker.
fn keytool(folder: &Path, args: &[&str]) {
    let mut keytool = Command::new("keytool");
    keytool.current_dir(folder).args(args).args(["-alias", "broker", "-keystore", "broker.p12"]);
    let ran = keytool.args(["-storetype", "PKCS12", "-storepass", KEY_STORE]).output().expect("keytool runs");
    assert!(ran.status.success(), "{ran:?}");
}

fn properties(port: u16, advertised: u16, guarded: Option<u16>) -> String {
    let controller = free_port();
    let (guard, door) = guarded.map_or_else(Default::default, |port| {
        let door = format!(
            "\
listener.name.guarded.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.guarded.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.guarded.ssl.keystore.location=broker.p12
listener.name.guarded.ssl.keystore.type=PKCS12
listener.name.guarded.ssl.keystore.password={KEY_STORE}
"
        );
        (format!(",GUARDED://127.0.0.1:{port}"), door)
    });
    format!(
        "\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{guard}
advertised.listeners=PLAINTEXT://127.0.0.1:{advertised}{guard}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,GUARDED:SASL_SSL
log.dirs=data
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
group.consumer.min.session.timeout.ms=1000
group.consumer.session.timeout.ms=6000
group.consumer.min.heartbeat.interval.ms=100
group.consumer.heartbeat.interval.ms=1000
offsets.topic.num.partitions=4
{door}"
    )
}
