//! `cargo xtask chart`: whether the Helm chart is what Helm, Kubernetes, KEDA and Prometheus take, and what we want of it.
//! No cluster is needed.

mod page;
mod policy;
mod refused;
mod render;
mod schemas;
mod server;
#[cfg(test)]
mod tests;
mod tools;
mod yaml;

use crate::services::go_is_there;
use crate::tools::{root, succeed};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tools::{Tools, in_scratch};

/// The sets of values that the chart is rendered with: `ci/NAME-values.yaml`, and what comes of it, `ci/NAME.golden.yaml`.
const CASES: [&str; 5] = ["minimal", "gpu-keda", "relabel", "locked-down", "overrides"];
/// The case whose alerts are tested, and that has the dashboard.
const CASE_OF_RULES: &str = "locked-down";
/// The dashboard of the project, and its copy in the chart: a package of Helm holds what lies in the chart's folder.
const DASHBOARD: [&str; 2] =
    ["deploy/grafana/dashboards/marquetry.json", "charts/marquetry/files/dashboard.json"];

/// What is asked of `cargo xtask chart`.
#[derive(clap::Args)]
pub(crate) struct Chart {
    /// Write the rendered manifests, the table of values and the copy of the dashboard anew, before they are looked at.
    #[arg(long)]
    write: bool,
    /// Also install and upgrade it on a real API server, which is built with its etcd first (once, a quarter of an hour).
    #[arg(long)]
    server: bool,
}

impl Chart {
    pub(crate) fn run(&self) -> Result<()> {
        let tools = Tools::ready()?;
        if self.write {
            write(&tools)?;
        }
        check(&tools, &schemas::ready()?)?;
        if self.server {
            server::check(&tools)?;
        }
        Ok(())
    }
}

/// All checks that need no cluster; where their tools cannot be had, it says so: what is kept of the chart is looked at by
/// tests that need none.
pub(crate) fn check_where_possible() -> Result<()> {
    if !go_is_there() {
        eprintln!("chart: skipped, since there is no Go to build its tools with");
        return Ok(());
    }
    let had = Tools::ready().and_then(|tools| Ok((tools, schemas::ready()?)));
    match had {
        Ok((tools, schemas)) => check(&tools, &schemas),
        Err(error) => {
            eprintln!("chart: skipped, since its tools cannot be had: {error:#}");
            Ok(())
        }
    }
}

fn folder() -> PathBuf {
    root().join("charts/marquetry")
}

fn values(case: &str) -> PathBuf {
    folder().join(format!("ci/{case}-values.yaml"))
}

fn golden(case: &str) -> PathBuf {
    folder().join(format!("ci/{case}.golden.yaml"))
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn write(tools: &Tools) -> Result<()> {
    let [dashboard, copy] = DASHBOARD.map(|path| root().join(path));
    fs::copy(&dashboard, &copy).with_context(|| format!("cannot copy {}", dashboard.display()))?;
    let readme = folder().join("README.md");
    fs::write(&readme, page::with_table(&read(&readme)?, &read(&folder().join("values.yaml"))?)?)?;
    for case in CASES {
        fs::write(golden(case), render::shown(&render::template(tools, case)?))?;
    }
    Ok(())
}

fn check(tools: &Tools, schemas: &Path) -> Result<()> {
    for case in CASES {
        let manifests = check_case(tools, schemas, case)
            .with_context(|| format!("charts/marquetry/ci/{case}-values.yaml"))?;
        println!("chart {case}: {manifests} manifests");
    }
    refused::check(tools)?;
    check_dashboard(tools)
}

/// The number of manifests, if nothing is wrong with them.
fn check_case(tools: &Tools, schemas: &Path, case: &str) -> Result<usize> {
    let lint = ["lint", "--strict", "--quiet"];
    succeed(Command::new(&tools.helm).args(lint).arg(folder()).arg("--values").arg(values(case)))?;
    let manifests = render::template(tools, case)?;
    let (kept, shown) = (read(&golden(case))?, render::shown(&manifests));
    if shown != kept {
        bail!(
            "what the chart renders is not charts/marquetry/ci/{case}.golden.yaml:\n{}\nif that is meant, run `cargo xtask chart --write` and look at what git says",
            render::first_difference(&kept, &shown)
        );
    }
    let documents = yaml::documents(&manifests)?;
    let faults = policy::faults(&documents);
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    in_scratch(|scratch| {
        let file = scratch.join("manifests.yaml");
        fs::write(&file, &manifests)?;
        tools.conform(schemas, &file)?;
        tools.score(&file)?;
        render::rules(&manifests).map_or(Ok(()), |rules| check_rules(tools, scratch, &rules, case))
    })?;
    Ok(documents.len())
}

fn check_rules(tools: &Tools, scratch: &Path, rules: &str, case: &str) -> Result<()> {
    fs::write(scratch.join("rules.yaml"), rules)?;
    fs::copy(folder().join("ci/rules_test.yaml"), scratch.join("rules_test.yaml"))?;
    let promtool = |args: [&str; 3]| succeed(Command::new(&tools.promtool).args(args).current_dir(scratch));
    promtool(["check", "rules", "rules.yaml"])?;
    // The tests expect the label that the values of one case add.
    if case == CASE_OF_RULES {
        promtool(["test", "rules", "rules_test.yaml"])?;
    }
    Ok(())
}

/// The dashboard comes through Helm as it is.
fn check_dashboard(tools: &Tools) -> Result<()> {
    let documents = yaml::documents(&render::template(tools, CASE_OF_RULES)?)?;
    let mut texts = documents.iter().filter_map(|object| object["data"]["marquetry.json"].as_str());
    let ours = read(&root().join(DASHBOARD[0]))?;
    if texts.next().map(str::trim_end) != Some(ours.trim_end()) {
        bail!("the dashboard in the ConfigMap is not {}", DASHBOARD[0]);
    }
    Ok(())
}
