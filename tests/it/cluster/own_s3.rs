//! An S3 store of a test's own, which may be killed.

use crate::cluster::role::{Guard, Role, until};
use crate::cluster::services::{free_port, versitygw};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

pub(crate) struct OwnS3 {
    program: PathBuf,
    folder: tempfile::TempDir,
    port: u16,
    guard: Guard,
    running: Option<Role>,
}

impl OwnS3 {
    /// A store with the bucket `bucket`, running.
    pub(crate) fn start(bucket: &str) -> Option<Self> {
        let program = versitygw()?;
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["meta", &format!("data/{bucket}")] {
            std::fs::create_dir_all(folder.path().join(name)).expect("a folder");
        }
        let mut own = Self { program, folder, port: free_port(), guard: Guard::new(), running: None };
        own.start_again();
        Some(own)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Starts it on what it held before, and waits until it listens.
    pub(crate) fn start_again(&mut self) {
        let key = |name: &str| std::env::var(name).expect("the services' keys");
        let mut command = Command::new(&self.program);
        command
            .env("ROOT_ACCESS_KEY", key("AWS_ACCESS_KEY_ID"))
            .env("ROOT_SECRET_KEY", key("AWS_SECRET_ACCESS_KEY"))
            .args(["--port", &format!("127.0.0.1:{}", self.port), "--region", &key("AWS_REGION")])
            .args(["--quiet", "--keep-alive", "posix", "--sidecar"])
            .args([self.folder.path().join("meta"), self.folder.path().join("data")]);
        let mut running = Role::start("s3", &mut command, self.folder.path(), &mut self.guard);
        until("the store listens", || {
            assert!(running.is_running(), "the store has stopped at once");
            TcpStream::connect(("127.0.0.1", self.port)).is_ok()
        });
        self.running = Some(running);
    }

    /// Kills it as a machine that fails would.
    pub(crate) fn kill9(&mut self) {
        self.running.take().expect("a running store").kill9();
    }
}
