//! The programs by which the chart is looked at, as Go's module proxy has them, checked against its sums.

use crate::services::{go_module, go_program, go_program_with};
use crate::tools::succeed;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const HELM: (&str, &str) = ("helm.sh/helm/v4/cmd/helm", "v4.3.1");
const KUBECONFORM: (&str, &str) = ("github.com/yannh/kubeconform/cmd/kubeconform", "v0.8.0");
const PROMTOOL: (&str, &str) = ("github.com/prometheus/prometheus/cmd/promtool", "v0.316.0");
const KUBE_SCORE: (&str, &str) = ("github.com/zegl/kube-score/cmd/kube-score", "v1.20.0");

/// What kube-score asks for and the chart leaves to whoever installs it, with the reason.
const NOT_ASKED: [&str; 3] = [
    // Images are named by version or digest, which do not change.
    "container-image-pull-policy",
    // How much room a cache takes is a value; its volume has a limit.
    "container-ephemeral-storage-request-and-limit",
    // Coordinators and the pods of tests end by themselves; the policy of our own looks at those that live on.
    "pod-probes",
];

/// Modules that carry schemas, with the sums by which they were first fetched.
pub(super) const MODULES: [(&str, &str, &str); 3] = [
    ("k8s.io/kubernetes", "v1.37.2", "h1:A2VDEiObzkYqFTKhSsn0ZEb0RlLEXpHWj93gi2HqEwE="),
    ("github.com/kedacore/keda/v2", "v2.21.0", "h1:R6z2HZvstK4RLUMxroNACzBj74xGxt3kG59b5Xc+Xps="),
    (
        "github.com/prometheus-operator/prometheus-operator",
        "v0.85.0",
        "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
    ),
];

/// The Kubernetes that manifests are rendered and checked for.
pub(super) fn kubernetes() -> &'static str {
    MODULES[0].1.trim_start_matches('v')
}

/// The programs.
pub(super) struct Tools {
    pub(super) helm: PathBuf,
    pub(super) promtool: PathBuf,
    kubeconform: PathBuf,
    kube_score: PathBuf,
}

impl Tools {
    pub(super) fn ready() -> Result<Self> {
        Ok(Self {
            helm: go_program("helm", HELM.0, HELM.1)?,
            kubeconform: go_program("kubeconform", KUBECONFORM.0, KUBECONFORM.1)?,
            kube_score: go_program("kube-score", KUBE_SCORE.0, KUBE_SCORE.1)?,
            // Without the clients of a dozen clouds, which rules need not.
            promtool: go_program_with("promtool", PROMTOOL.0, PROMTOOL.1, "remove_all_sd")?,
        })
    }

    /// The folders of the modules that carry schemas.
    pub(super) fn modules() -> Result<[PathBuf; 3]> {
        let [kubernetes, keda, operator] = MODULES;
        let folder = |(path, version, sum)| go_module(path, version, sum);
        Ok([folder(kubernetes)?, folder(keda)?, folder(operator)?])
    }

    /// Whether manifests are what the schemas say; a kind that has none is an error.
    pub(super) fn conform(&self, schemas: &Path, manifests: &Path) -> Result<()> {
        let place = schemas.join("{{.Group}}-{{.ResourceAPIVersion}}-{{.ResourceKind}}.json");
        succeed(
            Command::new(&self.kubeconform).args(["-strict", "-schema-location"]).arg(place).arg(manifests),
        )
    }

    /// Whether manifests follow what is thought good practice.
    pub(super) fn score(&self, manifests: &Path) -> Result<()> {
        let version = kubernetes();
        let version = version.rsplit_once('.').map_or(version, |(minor, _)| minor);
        let mut command = Command::new(&self.kube_score);
        command.args(["score", "--output-format", "ci", "--ignore-container-cpu-limit"]);
        command.args(["--kubernetes-version", &format!("v{version}")]);
        for test in NOT_ASKED {
            command.args(["--ignore-test", test]);
        }
        // Asked for where there is one: whether it is there is a value.
        if !fs::read_to_string(manifests)?.contains("\nkind: NetworkPolicy\n") {
            command.args(["--ignore-test", "pod-networkpolicy"]);
        }
        let output = command.arg(manifests).output().context("cannot start kube-score")?;
        if !output.status.success() {
            let (out, err) =
                (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            let critical: Vec<&str> = out.lines().filter(|line| line.contains("[CRITICAL]")).collect();
            bail!("kube-score:\n{}{err}", critical.join("\n"));
        }
        Ok(())
    }
}

/// Runs something with a folder that is deleted afterwards.
pub(super) fn in_scratch(work: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let folder = std::env::temp_dir().join(format!("marquetry-chart-{}", std::process::id()));
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let result = work(&folder);
    let _ = fs::remove_dir_all(&folder);
    result
}
