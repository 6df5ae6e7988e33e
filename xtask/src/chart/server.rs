//! The chart on a real API server: it refuses what no schema knows of, such as fields that do not go together, or fields
//! that an upgrade must not change.

use super::tools::{MODULES, Tools, in_scratch};
use super::{CASES, folder, render, values};
use crate::services::ApiServer;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Where everything is installed. Whatever does not keep to the strictest of Kubernetes' standards for pods is said there,
/// and a pod that does not is refused.
const NAMESPACE: &str = "checked";

/// The kinds of others that the chart makes, by the files that define them.
const DEFINITIONS: [(usize, &str); 3] = [
    (1, "config/crd/bases/keda.sh_scaledobjects.yaml"),
    (2, "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml"),
    (2, "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml"),
];

struct Helm<'a> {
    program: &'a Path,
    scratch: &'a Path,
    options: Vec<String>,
}

/// Installs each case, as a dry run and for good, then upgrades one release through all of them.
pub(super) fn check(tools: &Tools) -> Result<()> {
    in_scratch(|scratch| {
        let helm = |options: &[String]| Helm { program: &tools.helm, scratch, options: options.to_vec() };
        let (_, version, sum) = MODULES[0];
        let server = ApiServer::start(scratch, (version, sum), |options| {
            helm(options).run(&["list"]).is_ok_and(|o| o.status.success())
        })?;
        let helm = helm(&server.options());
        helm.succeed(&["install", "ground", &shown(&ground(scratch)?)])?;
        for case in CASES {
            let values = format!("--values={}", values(case).display());
            let install = ["install", case, &shown(&folder()), &values, "--namespace", NAMESPACE];
            helm.succeed(&[&install[..], &["--dry-run=server"]].concat())?;
            helm.succeed(&install)?;
            helm.succeed(&["upgrade", CASES[0], &shown(&folder()), &values, "--namespace", NAMESPACE])?;
            if let Some(pods) = test_pods(tools, scratch, case)? {
                let release = format!("{case}-test");
                helm.succeed(&["install", &release, &shown(&pods), "--namespace", NAMESPACE])?;
                // They are called alike in all cases.
                helm.succeed(&["uninstall", &release, "--namespace", NAMESPACE])?;
            }
            println!("chart {case}: installed on an API server {version}");
        }
        one_job_more(&helm, scratch)?;
        helm.succeed(&["uninstall", CASES[0], "--namespace", NAMESPACE])
    })
}

/// A job is added to a release, and taken away again, as the README says; all else stays as it was set.
fn one_job_more(helm: &Helm<'_>, scratch: &Path) -> Result<()> {
    let file = scratch.join("added.yaml");
    fs::write(&file, "version: 1\n")?;
    let jobs = || -> Result<Vec<String>> {
        let output = helm.run(&["get", "manifest", CASES[0], "--namespace", NAMESPACE])?;
        let manifests = super::yaml::documents(&String::from_utf8(output.stdout)?)?;
        let jobs = manifests.iter().filter(|object| object["kind"] == "Job" || object["kind"] == "CronJob");
        Ok(jobs.map(|job| job["metadata"]["labels"]["marquetry/job"].to_string()).collect())
    };
    let upgrade =
        ["upgrade", CASES[0], &shown(&folder()), "--namespace", NAMESPACE, "--reset-then-reuse-values"];
    let before = jobs()?;
    helm.succeed(&[&upgrade[..], &[&format!("--set-file=jobs.added.file={}", file.display())]].concat())?;
    let more = jobs()?;
    helm.succeed(&[&upgrade[..], &["--set=jobs.added=null"]].concat())?;
    let after = jobs()?;
    if before.is_empty() || more.len() != before.len() + 1 || after != before {
        bail!("a job was added to {before:?}: {more:?}; and taken away again: {after:?}");
    }
    println!("chart: a job is added to a release, and taken away");
    Ok(())
}

impl Helm<'_> {
    fn run(&self, arguments: &[&str]) -> Result<Output> {
        // Nothing of the user's own is read or changed.
        let own = ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"]
            .map(|name| (name, self.scratch.join("helm")));
        let mut command = Command::new(self.program);
        command.args(arguments).args(&self.options).envs(own).env_remove("KUBECONFIG");
        command.output().context("cannot start helm")
    }

    /// Runs it; what the server only warns of is an error too.
    fn succeed(&self, arguments: &[&str]) -> Result<()> {
        let output = self.run(arguments)?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() || said.contains("Warning:") {
            bail!("helm {}:\n{said}", arguments.join(" "));
        }
        Ok(())
    }
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn empty_chart(scratch: &Path, name: &str) -> Result<PathBuf> {
    let chart = scratch.join(name);
    fs::create_dir_all(chart.join("templates"))?;
    fs::write(chart.join("Chart.yaml"), format!("apiVersion: v2\nname: {name}\nversion: 0.0.1\n"))?;
    Ok(chart)
}

/// A chart of what the chart needs: the kinds of others, and a strict namespace.
fn ground(scratch: &Path) -> Result<PathBuf> {
    let chart = empty_chart(scratch, "ground")?;
    let modules = Tools::modules()?;
    fs::create_dir(chart.join("crds"))?;
    for (number, (module, path)) in DEFINITIONS.into_iter().enumerate() {
        let text =
            fs::read_to_string(modules[module].join(path)).with_context(|| format!("cannot read {path}"))?;
        fs::write(chart.join(format!("crds/{number}.yaml")), text)?;
    }
    let level = "pod-security.kubernetes.io";
    let labels = format!("{{{level}/enforce: restricted, {level}/warn: restricted}}");
    let namespace =
        format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {NAMESPACE}, labels: {labels}}}\n");
    fs::write(chart.join("templates/namespace.yaml"), namespace)?;
    Ok(chart)
}

/// A chart of the pods that `helm test` would make one after the other: on this server none of them would ever end.
fn test_pods(tools: &Tools, scratch: &Path, case: &str) -> Result<Option<PathBuf>> {
    let manifests = render::template(tools, case)?;
    let pods: String = manifests
        .split("---\n")
        .filter(|document| document.contains("\nkind: Pod\n"))
        .flat_map(|document| document.lines().chain(["---"]))
        .filter(|line| !line.contains("helm.sh/hook"))
        .map(|line| line.to_owned() + "\n")
        .collect();
    if pods.is_empty() {
        return Ok(None);
    }
    let chart = empty_chart(scratch, "pods")?;
    fs::write(chart.join("templates/pods.yaml"), pods)?;
    Ok(Some(chart))
}
