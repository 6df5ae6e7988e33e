//! `cargo xtask services`: a real Kafka, a real S3 store and a Toxiproxy on this machine, for the tests.
//!
//! Downloads are kept in `.cache/services/`; what the services write lies in `.cache/services/run-<pid>/` and is deleted
//! when they stop. They listen on loopback only, on ports that were free.

mod apiserver;
mod containers;
mod fetch;
mod kafka;
mod ports;
mod probe;
mod process;
mod programs;
mod store;
mod toxiproxy;

pub(crate) use self::apiserver::ApiServer;
#[cfg(test)]
pub(crate) use self::fetch::{KAFKA, VERSITYGW};
pub(crate) use self::fetch::{go_module, go_program, go_program_with, install_once};
pub(crate) use self::programs::go_is_there;

use self::fetch::Kit;
use self::ports::Ports;
use self::process::{Running, is_alive};
use crate::tools::cache;
use anyhow::{Context, Result};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the services write; deleted with this value.
struct RunFolder(PathBuf);

/// The services, running. They stop when this is dropped, and also when this process dies without dropping it.
pub(crate) struct Services {
    env: Vec<(&'static str, OsString)>,
    // Dropped in this order: first the programs, then what they wrote.
    running: Vec<Running>,
    _folder: RunFolder,
}

impl Services {
    /// Fetches what is missing, starts everything, and returns when all of it answers.
    pub(crate) fn start() -> Result<Self> {
        let kit = Kit::ready()?;
        let folder = RunFolder::new()?;
        let mut ports = Ports::default();
        let (broker, controller) = (ports.take()?, ports.take()?);
        let (s3, proxy) = (ports.take()?, ports.take()?);

        let kafka = kafka::Broker { folder: folder.0.join("kafka"), port: broker, controller };
        let mut env = vec![
            ("MARQUETRY_TEST_KAFKA", format!("127.0.0.1:{broker}").into()),
            ("MARQUETRY_TEST_S3", format!("http://127.0.0.1:{s3}").into()),
            ("MARQUETRY_TEST_BUCKET", store::BUCKET.into()),
            ("AWS_ACCESS_KEY_ID", store::ACCESS_KEY.into()),
            ("AWS_SECRET_ACCESS_KEY", store::SECRET_KEY.into()),
            ("AWS_REGION", store::REGION.into()),
            ("MARQUETRY_TEST_TOXIPROXY", format!("http://127.0.0.1:{proxy}").into()),
        ];
        let s3_folder = folder.0.join("s3");
        let proxy_log = folder.0.join("toxiproxy.log");
        // The store and the proxy are up at once; the broker takes seconds and comes last.
        let running = match kit {
            Kit::Programs(programs) => {
                env.push(("MARQUETRY_TEST_KAFKA_HOME", programs.kafka_home.clone().into()));
                env.push(("MARQUETRY_TEST_VERSITYGW", programs.versitygw.clone().into()));
                env.extend(programs.path_with_java()?.map(|path| ("PATH", path)));
                vec![
                    store::start(&programs.versitygw, &s3_folder, s3)?,
                    toxiproxy::start(&programs.toxiproxy, &proxy_log, proxy)?,
                    kafka.start(&programs.java, &programs.kafka_home)?,
                ]
            }
            Kit::Containers => vec![
                containers::store(&s3_folder, s3)?,
                containers::toxiproxy(&proxy_log, proxy)?,
                containers::kafka(&kafka)?,
            ],
        };
        Ok(Self { env, running, _folder: folder })
    }

    /// The variables by which the tests find the services.
    pub(crate) fn env(&self) -> impl Iterator<Item = (&'static str, &OsString)> {
        self.env.iter().map(|(name, value)| (*name, value))
    }

    /// A command that finds them.
    pub(crate) fn give_to<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.envs(self.env())
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        // All are asked at once and then awaited, since a broker takes a second or two to close its files.
        self.running.iter().for_each(Running::ask_to_stop);
    }
}

impl RunFolder {
    fn new() -> Result<Self> {
        let services = home();
        fs::create_dir_all(&services).with_context(|| format!("cannot make {}", services.display()))?;
        sweep(&services, is_alive);
        let folder = services.join(format!("run-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Deletes what runs and downloads left behind that were killed.
fn sweep(services: &Path, is_alive: impl Fn(i32) -> bool) {
    for entry in fs::read_dir(services).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let pid = name.strip_prefix("run-").or_else(|| Some(name.rsplit_once(fetch::UNFINISHED)?.1));
        if pid.and_then(|pid| pid.parse().ok()).is_some_and(|pid: i32| !is_alive(pid)) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Where downloads and running services live.
fn home() -> PathBuf {
    cache().join("services")
}

/// What is asked of `cargo xtask services`.
#[derive(clap::Args)]
pub(crate) struct ServicesCommand {
    /// Only fetch what the services need.
    #[arg(long)]
    fetch: bool,
}

impl ServicesCommand {
    pub(crate) fn run(&self) -> Result<()> {
        if self.fetch {
            println!("{}", Kit::ready()?);
            return Ok(());
        }
        // From here on a signal ends the wait below, and never this process before its services are stopped.
        let mut signals = signal_hook::iterator::Signals::new([
            signal_hook::consts::SIGINT,
            signal_hook::consts::SIGTERM,
            signal_hook::consts::SIGHUP,
        ])?;
        let services = Services::start()?;
        for (name, value) in services.env() {
            println!("export {name}={}", quoted(&value.to_string_lossy()));
        }
        for running in &services.running {
            eprintln!("{running}");
        }
        eprintln!("Ctrl-C stops them and deletes what they hold.");
        signals.forever().next();
        eprintln!("\nstopping");
        Ok(())
    }
}

/// A word that a shell reads as one.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_dead_runs_left_is_swept_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["run-11", "run-22", "run-x", "kafka-4.4.0", "kafka-4.4.0.unfinished-11"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        sweep(folder.path(), |pid| pid == 22);
        let mut left: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["kafka-4.4.0", "run-22", "run-x"]);
    }

    #[test]
    fn a_quote_in_a_path_does_not_end_the_word() {
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
