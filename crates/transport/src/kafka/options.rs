//! How a broker is reached.

use std::path::Path;

/// Settings that delivery hangs on; they are not for users to change.
const OURS: [&str; 8] = [
    "group.id",
    "group.instance.id",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "auto.offset.reset",
    "bootstrap.servers",
    "group.protocol",
];

/// How members of a group agree on who reads what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GroupProtocol {
    /// The broker's own (KIP-848) where it has it, else classic.
    #[default]
    Auto,
    /// KIP-848: the broker assigns.
    Consumer,
    /// A member assigns, cooperative and sticky.
    Classic,
}

/// Where the broker is and what it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaOptions {
    /// `host:port`, several with commas between.
    pub brokers: String,
    /// What the names of topics and groups begin with.
    pub prefix: String,
    /// Partitions of topics that are made: no more workers than this are busy at a time.
    pub partitions: i32,
    /// Replicas of topics that are made; -1 is the broker's own default.
    pub replication: i32,
    /// How groups agree.
    pub protocol: GroupProtocol,
    /// Settings of librdkafka, by its names.
    pub settings: Vec<(String, String)>,
    /// How long to wait for a broker at the start, s.
    pub connect_seconds: u64,
}

impl KafkaOptions {
    /// The defaults for a broker.
    pub fn new(brokers: &str) -> Self {
        Self {
            brokers: brokers.to_owned(),
            prefix: "marquetry".into(),
            partitions: 64,
            replication: -1,
            protocol: GroupProtocol::Auto,
            settings: Vec::new(),
            connect_seconds: 60,
        }
    }

    /// Adds a setting of librdkafka.
    ///
    /// # Errors
    /// When it is one that delivery hangs on.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let name = name.trim();
        if OURS.contains(&name) {
            return Err(format!("the Kafka setting `{name}` is Marquetry's own and cannot be changed"));
        }
        self.settings.push((name.to_owned(), value.trim().to_owned()));
        Ok(())
    }

    /// Adds the settings of a file of `name=value` lines, as Kafka's own tools take them; `#` begins a comment.
    ///
    /// # Errors
    /// When it cannot be read, or a line is no setting.
    pub fn set_from_file(&mut self, path: &Path) -> Result<(), String> {
        let shown = path.display();
        let text = std::fs::read_to_string(path).map_err(|e| format!("cannot read {shown}: {e}"))?;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            // The line itself is not shown: it may hold a password.
            let (name, value) = line
                .split_once('=')
                .ok_or_else(|| format!("{shown}, line {}: a setting is `name=value`", number + 1))?;
            self.set(name, value).map_err(|e| format!("{shown}, line {}: {e}", number + 1))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::KafkaOptions;

    #[test]
    fn settings_come_from_files_as_kafkas_own_tools_read_them() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "# how to get in\nsecurity.protocol = SASL_SSL\n\nsasl.password=a=b\n")
            .unwrap();
        let mut options = KafkaOptions::new("b:9092");
        options.set_from_file(file.path()).unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(options.settings, [pair("security.protocol", "SASL_SSL"), pair("sasl.password", "a=b")]);

        std::fs::write(file.path(), "security.protocol=SSL\nsecret\n").unwrap();
        let error = options.set_from_file(file.path()).unwrap_err();
        assert!(error.contains("line 2") && !error.contains("secret"), "{error}");
        let error = options.set("enable.auto.commit", "true").unwrap_err();
        assert!(error.contains("`enable.auto.commit` is Marquetry's own"), "{error}");
    }
}
