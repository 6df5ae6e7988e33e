//! The checks: what must hold before a change lands.

use crate::services::Services;
use crate::tools::{Python, cargo, openssl, openvino, run, workspace};
use crate::{chart, deploy};
use anyhow::{Context, Result};
use std::process::Command;

/// Every test, with what they need fetched and started first.
pub(crate) fn test() -> Result<()> {
    test_with(cargo().arg("test").args(workspace()))
}

/// Runs tests, with what they need fetched and started first.
pub(crate) fn test_with(tests: &mut Command) -> Result<()> {
    let python = Python::ready()?;
    tests.env("OPENVINO_DYLIB_PATH", openvino()?);
    // The tests of whole jobs run the real binary. With all targets it is built once, with the features the tests need;
    // alone it would be built from the ground up a second time.
    eprintln!("building everything with its tests (the first time seven minutes on two cores)");
    run(cargo().arg("build").args(workspace()).arg("--all-targets"))?;
    let services = Services::start()?;
    run(services.give_to(python.give_to(tests)))
}

/// Format, lints, documentation, licences, compose files, the chart, then every test, one of which compares the generated pages.
pub(crate) fn ci() -> Result<()> {
    run(cargo().args(["fmt", "--all", "--check"]))?;
    run(cargo().arg("clippy").args(workspace()).args(["--all-targets", "--", "-D", "warnings"]))?;
    partial_builds()?;
    run(cargo().arg("doc").args(workspace()).arg("--no-deps").env("RUSTDOCFLAGS", "-D warnings"))?;
    deny()?;
    deploy::check()?;
    chart::check_where_possible()?;
    test()
}

/// The binary without some of its services, or all of them: nothing may be left over that only they need.
fn partial_builds() -> Result<()> {
    for services in ["", "s3", "gpu-metrics", "kafka"] {
        let mut clippy = cargo();
        clippy.args([
            "clippy",
            "--package",
            "marquetry-cli",
            "--no-default-features",
            "--features",
            services,
        ]);
        if services == "kafka" {
            clippy.args(openssl("marquetry-cli"));
        }
        run(clippy.args(["--", "-D", "warnings"]))?;
    }
    Ok(())
}

/// Licences, sources and bans of all dependencies. Advisories need a database from the network and are left to
/// whoever can reach it: `cargo deny check advisories`.
fn deny() -> Result<()> {
    let there = Command::new("cargo-deny").arg("--version").output().is_ok_and(|o| o.status.success());
    if !there {
        eprintln!("installing cargo-deny (once, a few minutes)");
        run(cargo().args(["install", "--locked", "cargo-deny"])).context("cargo-deny is needed")?;
    }
    run(cargo().args(["deny", "--log-level", "error", "check", "bans", "licenses", "sources"]))
}
