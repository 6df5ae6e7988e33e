//! Values that the chart must not take, and what it has to say of each.

use super::tools::Tools;
use super::{folder, values};
use anyhow::{Context, Result, bail};
use std::process::Command;

/// What is set beside the least that is needed, and words of the answer.
const REFUSED: [(&str, &str); 28] = [
    ("kafka.brokers=", "kafka.brokers is needed"),
    ("kafka.broker=x:9092", "'broker' not allowed"),
    ("kafka.topicPrefix=a b", "does not match pattern"),
    // KEDA takes neither a space nor a broker without its port.
    ("kafka.brokers=a:9092\\, b:9092", "does not match pattern"),
    ("kafka.brokers=a", "does not match pattern"),
    // A certificate for a connection that is not encrypted would do nothing.
    ("kafka.tls.secretName=ca", "kafka.tls counts only where"),
    (
        "kafka.tls.secretName=ca,kafka.settings.security\\.protocol=SASL_PLAINTEXT",
        "kafka.tls counts only where",
    ),
    ("fullnameOverride=My_Name", "does not match pattern"),
    ("nameOverride=a.b", "does not match pattern"),
    // What pods are selected by is the chart's.
    ("workers.cpu.podLabels.app\\.kubernetes\\.io/component=x", "invalid propertyName"),
    ("commonLabels.marquetry/pool=x", "invalid propertyName"),
    ("aggregator.extraEnv[0].value=x", "missing property 'name'"),
    // Pods would be killed before they have ended, or probed where nobody listens: there are values for these.
    ("aggregator.extraEnv[0].name=MARQUETRY_GRACE_SECONDS", "/aggregator/extraEnv/0/name"),
    ("aggregator.extraArgs[0]=--metrics=0.0.0.0:1", "/aggregator/extraArgs/0"),
    // Secrets come by reference only.
    ("kafka.settings.sasl\\.password=x", "sasl.password"),
    ("s3.secretAccessKey=x", "'secretAccessKey' not allowed"),
    ("s3.pathStyle=maybe", "must be one of"),
    ("image.digest=sha256:12", "does not match pattern"),
    ("workers.gpu.devic=cuda", "'devic' not allowed"),
    ("workers.gpu.device=gpu", "does not match pattern"),
    // A GPU that nothing would be computed on.
    ("workers.cpu.resources.limits.nvidia\\.com/gpu=1", "set device to cuda"),
    // With more than a coordinator has out for each worker, a pool would never grow.
    ("workers.cpu.autoscaling.keda.lagThreshold=16", "want 15"),
    (
        "workers.cpu.autoscaling.kind=keda,workers.cpu.autoscaling.minReplicas=9",
        "minReplicas is 9, and maxReplicas 8",
    ),
    (
        "jobs.a.schedule=@daily",
        "jobs.a: one of file, configMap.name and uri says what the job is; 0 are given",
    ),
    ("jobs.a.file=x,jobs.a.uri=s3://b/j", "2 are given"),
    ("jobs.nuclei.schedule=nightly", "does not match pattern"),
    // Two coordinators of one job would take it from each other without end.
    ("jobs.nuclei.concurrencyPolicy=Allow", "must be one of"),
    ("jobs.a.uri=s3://b/j,jobs.a.concurrencyPolicy=never", "must be one of"),
];

/// Sees that each is refused, and why.
pub(super) fn check(tools: &Tools) -> Result<()> {
    for (set, words) in REFUSED {
        expect_refusal(tools, "marquetry", set, words)?;
    }
    // Many a Kubernetes has no Service of such a name.
    expect_refusal(tools, "2026", "logFormat=text", "names of Services begin with a letter")?;
    println!("chart: {} wrong values are refused", REFUSED.len() + 1);
    Ok(())
}

fn expect_refusal(tools: &Tools, release: &str, set: &str, words: &str) -> Result<()> {
    let output = Command::new(&tools.helm)
        .args(["template", release])
        .arg(folder())
        .arg("--values")
        .arg(values("minimal"))
        .args(["--set", set])
        .output()
        .context("cannot start helm")?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        bail!("the chart takes `{set}` for a release `{release}`");
    }
    if !said.contains(words) {
        bail!("of `{set}` it should be said that {words}:\n{said}");
    }
    Ok(())
}
