//! VersityGW: S3 on a folder.

use super::probe::answers_http;
use super::process::Running;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

pub(super) const BUCKET: &str = "marquetry-test";
pub(super) const ACCESS_KEY: &str = "marquetry";
pub(super) const SECRET_KEY: &str = "marquetry-secret";
pub(super) const REGION: &str = "us-east-1";

/// Starts the store with its bucket made.
pub(super) fn start(binary: &Path, folder: &Path, port: u16) -> Result<Running> {
    let (data, meta) = make_folders(folder)?;
    let mut command = Command::new(binary);
    command
        .env("ROOT_ACCESS_KEY", ACCESS_KEY)
        .env("ROOT_SECRET_KEY", SECRET_KEY)
        .args(arguments(port))
        .args([&meta, &data]);
    Running::start(what(port), &mut command, &log(folder))?.wait_until(LIMIT, || answers_http(port))
}

pub(super) const LIMIT: Duration = Duration::from_secs(30);

pub(super) fn what(port: u16) -> String {
    format!("VersityGW, S3 on 127.0.0.1:{port}")
}

pub(super) fn log(folder: &Path) -> PathBuf {
    folder.join("s3.log")
}

/// The folders of objects and of what is known about them; a folder below the first is a bucket.
pub(super) fn make_folders(folder: &Path) -> Result<(PathBuf, PathBuf)> {
    let (data, meta) = (folder.join("data"), folder.join("meta"));
    for made in [&data.join(BUCKET), &meta] {
        fs::create_dir_all(made).with_context(|| format!("cannot make {}", made.display()))?;
    }
    Ok((data, meta))
}

/// All but the two folders.
pub(super) fn arguments(port: u16) -> Vec<String> {
    let address = format!("127.0.0.1:{port}");
    ["--port", &address, "--region", REGION, "--quiet", "--keep-alive", "posix", "--sidecar"]
        .map(str::to_owned)
        .into()
}
