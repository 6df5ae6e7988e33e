//! The checks: what must hold before a change lands.

use crate::deploy;
use crate::docs::docs;
use crate::services::Services;
use crate::tools::{Python, cargo, run};
use anyhow::{Context, Result};
use std::process::Command;

/// Every test, with what they need fetched and started first.
pub(crate) fn test() -> Result<()> {
    test_with(cargo().args(["test", "--workspace"]))
}

/// Runs tests, with what they need fetched and started first.
pub(crate) fn test_with(tests: &mut Command) -> Result<()> {
    let python = Python::ready()?;
    // The tests of whole jobs run the real binary. With all targets it is built once, with the features the tests need;
    // alone it would be built from the ground up a second time.
    run(cargo().args(["build", "--workspace", "--all-targets"]))?;
    let services = Services::start()?;
    run(services.give_to(python.give_to(tests)))
}

/// Format, generated pages, lints, licences, compose files, then every test.
pub(crate) fn ci() -> Result<()> {
    run(cargo().args(["fmt", "--all", "--check"]))?;
    docs(true)?;
    run(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    run(cargo().args(["doc", "--workspace", "--no-deps", "--quiet"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    deny()?;
    deploy::check()?;
    test()
}

/// Licences, sources and bans of all dependencies. Advisories need a database from the network and are left to
/// whoever can reach it: `cargo deny check advisories`.
fn deny() -> Result<()> {
    let there = Command::new("cargo-deny").arg("--version").output().is_ok_and(|o| o.status.success());
    if !there {
        eprintln!("installing cargo-deny (once, a few minutes)");
        run(cargo().args(["install", "--quiet", "--locked", "cargo-deny"]))
            .context("cargo-deny is needed")?;
    }
    run(cargo().args(["deny", "--log-level", "error", "check", "bans", "licenses", "sources"]))
}
