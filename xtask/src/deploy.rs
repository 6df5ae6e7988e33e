//! `cargo xtask compose-check`: whether the compose files are what Docker takes, and what we want of them.

use crate::services::{go_is_there, go_program};
use crate::tools::root;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// The library by which Docker Compose reads its files; its command reads, checks and prints one.
const COMPOSE_GO: (&str, &str) = ("github.com/compose-spec/compose-go/v2/cmd", "v2.16.2");

/// The files, as they are given to Docker Compose together.
const PROJECTS: [&[&str]; 2] = [&["docker-compose.yml"], &["docker-compose.yml", "docker-compose.gpu.yml"]];

/// Reads the compose files as Docker Compose does. No engine is needed.
pub(crate) fn check() -> Result<()> {
    if !go_is_there() {
        eprintln!("compose-check: skipped, since there is no Go to build its reader with");
        return Ok(());
    }
    let reader = go_program("cmd", COMPOSE_GO.0, COMPOSE_GO.1)?;
    for files in PROJECTS {
        let shown = files.join(" + ");
        let output = Command::new(&reader)
            .args(["-format", "json"])
            .args(files)
            .current_dir(root())
            .output()
            .with_context(|| format!("cannot start {}", reader.display()))?;
        if !output.status.success() {
            bail!("{shown}: {}", String::from_utf8_lossy(&output.stderr));
        }
        let project: Value = serde_json::from_slice(&output.stdout)?;
        let faults = faults(&project);
        if !faults.is_empty() {
            bail!("{shown}:\n{}", faults.join("\n"));
        }
    }
    Ok(())
}

/// What is wrong with a project that Docker Compose would take.
fn faults(project: &Value) -> Vec<String> {
    let services = project["services"].as_object().into_iter().flatten();
    services
        .flat_map(|(name, service)| service_faults(service).map(move |fault| format!("{name}: {fault}")))
        .collect()
}

fn service_faults(service: &Value) -> impl Iterator<Item = String> {
    let mut faults = Vec::new();
    let image = service["image"].as_str().unwrap_or_default();
    let tag = image.rsplit_once(':').map_or("", |(_, tag)| tag);
    if !tag.contains(|c: char| c.is_ascii_digit()) {
        faults.push(format!("the image `{image}` names no version"));
    }
    let runs_on = matches!(service["restart"].as_str(), Some("always" | "unless-stopped"));
    if runs_on && service["healthcheck"]["test"].is_null() {
        faults.push("it runs on and has no health check".to_owned());
    }
    let list = |key: &str| service[key].as_array().cloned().unwrap_or_default();
    for mount in list("volumes").iter().filter(|mount| mount["type"] == "bind") {
        let source = mount["source"].as_str().unwrap_or_default();
        if !Path::new(source).exists() {
            faults.push(format!("there is no {source} to mount"));
        }
    }
    for port in list("ports").iter().filter(|port| port["host_ip"] != "127.0.0.1") {
        faults.push(format!("port {} is open to others than this machine", port["published"]));
    }
    faults.into_iter()
}

#[cfg(test)]
mod queries;
#[cfg(test)]
pub(crate) use queries::{metric_of, names};
#[cfg(test)]
mod tests;
