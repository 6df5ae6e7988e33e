//! Values that the chart must not take, and what it has to say of each.

use super::tools::Tools;
use super::{folder, values};
use anyhow::{Context, Result, bail};
use std::process::Command;

/// What is set beside the least that is needed, and words of the answer.
const REFUSED: [(&str, &str); 14] = [
    ("kafka.brokers=", "kafka.brokers is needed"),
    ("kafka.broker=x:9092", "'broker' not allowed"),
    ("kafka.topicPrefix=a b", "does not match pattern"),
    // Secrets come by reference only.
    ("kafka.settings.sasl\\.password=x", "sasl.password"),
    ("s3.secretAccessKey=x", "'secretAccessKey' not allowed"),
    ("s3.pathStyle=maybe", "must be one of"),
    ("image.digest=sha256:12", "does not match pattern"),
    ("workers.gpu.devic=cuda", "'devic' not allowed"),
    ("workers.gpu.device=gpu", "does not match pattern"),
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
    ("jobs.a.uri=s3://b/j,jobs.a.concurrencyPolicy=never", "must be one of"),
];

/// Sees that each is refused, and why.
pub(super) fn check(tools: &Tools) -> Result<()> {
    for (set, words) in REFUSED {
        let output = Command::new(&tools.helm)
            .args(["template", "marquetry"])
            .arg(folder())
            .arg("--values")
            .arg(values("minimal"))
            .args(["--set", set])
            .output()
            .context("cannot start helm")?;
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            bail!("the chart takes `{set}`");
        }
        if !said.contains(words) {
            bail!("of `{set}` it should be said that {words}:\n{said}");
        }
    }
    println!("chart: {} wrong values are refused", REFUSED.len());
    Ok(())
}
