//! `docs/metrics.md`, from the table in `crates/telemetry/src/metrics.rs`.

use marquetry_telemetry::{ALL, Description, MetricKind, Values};

const ABOUT: &str = "\
# Metrics

A process that serves metrics answers three questions over HTTP: `/metrics` in Prometheus' text format, `/healthz` (200 as
long as it lives) and `/readyz` (200 when it can work, else 503 with what it waits for, a reason a line). This page is made
by `cargo xtask docs` from `crates/telemetry/src/metrics.rs`.

Counters start at zero with the process, and all their series exist from then on, so that `rate()` sees the first event
too. No job, image, member or worker is a label: which process it was, Prometheus adds itself.
";

/// Questions that an operator has, and expressions that answer them.
const QUESTIONS: [(&str, &str); 17] = [
    (
        "Which part of the job is done?",
        "sum(marquetry_job_tasks{state=\"done\"}) / sum(marquetry_job_tasks{state=\"all\"})",
    ),
    (
        "How many seconds are left, at the pace of the last ten minutes?",
        "(sum(marquetry_job_tasks{state=\"all\"}) - sum(marquetry_job_tasks{state=\"done\"}))
  / sum(rate(marquetry_tasks_total{outcome=\"stored\"}[10m]))",
    ),
    ("Tasks a second, all workers together", "sum(rate(marquetry_tasks_total{outcome=\"stored\"}[5m]))"),
    (
        "Which part of the tasks fails?",
        "sum(rate(marquetry_tasks_total{outcome=\"failed\"}[5m])) / sum(rate(marquetry_tasks_total[5m]))",
    ),
    (
        "What do threads spend their time on? (Threads busy with each stage)",
        "sum by (stage) (rate(marquetry_task_stage_seconds_total[5m]))",
    ),
    (
        "The slowest of twenty tasks takes at least (s)",
        "histogram_quantile(0.95, sum by (le) (rate(marquetry_task_duration_seconds_bucket[5m])))",
    ),
    ("Windows a second through models", "sum(rate(marquetry_inference_batch_windows_sum[5m]))"),
    (
        "Windows in a batch, on average",
        "sum(rate(marquetry_inference_batch_windows_sum[5m])) / sum(rate(marquetry_inference_batch_windows_count[5m]))",
    ),
    (
        "Do workers load models all the time? (Which part of the wall time goes there; more memory for models helps)",
        "sum(rate(marquetry_model_load_duration_seconds_sum[15m])) / count(marquetry_build_info)",
    ),
    ("What waits for workers (messages)", "max(marquetry_queue_lag_messages{topic=\"tasks\"})"),
    (
        "What waits for aggregators (images; more of them help where this grows while workers are done)",
        "max(marquetry_queue_lag_messages{topic=\"aggregate\"})",
    ),
    ("Bytes a second from and to the store", "sum by (direction) (rate(marquetry_store_bytes_total[5m]))"),
    (
        "Requests a second that the store did not serve (alert above zero for minutes)",
        "sum by (operation, outcome) (rate(marquetry_store_requests_total{outcome=~\"refused|full|unavailable\"}[5m]))",
    ),
    (
        "Which part of the models and images comes from the cache?",
        "sum(rate(marquetry_cache_requests_total{outcome=\"hit\"}[1h])) / sum(rate(marquetry_cache_requests_total[1h]))",
    ),
    (
        "Is GPU memory nearly full?",
        "marquetry_gpu_memory_used_bytes / marquetry_gpu_memory_total_bytes > 0.95",
    ),
    (
        "Was anything given up within an hour? (alert)",
        "sum by (kind) (increase(marquetry_dead_letters_total[1h])) > 0",
    ),
    (
        "Seconds since a job last succeeded (none has yet where there is no answer)",
        "time() - max(marquetry_job_last_success_timestamp_seconds > 0)",
    ),
];

/// The whole page.
pub(super) fn page() -> String {
    [ABOUT.to_owned(), overview(), label_values(), buckets(), questions()].join("\n")
}

fn row(cells: &[&str]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

fn table(head: &[&str], rows: impl Iterator<Item = String>) -> String {
    row(head) + &row(&vec!["---"; head.len()]) + &rows.collect::<String>()
}

fn overview() -> String {
    let rows = ALL.iter().map(|metric| {
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{}`", label.name)).collect();
        row(&[
            &format!("`{}`", metric.name),
            &metric.kind.to_string(),
            unit(metric),
            &labels.join(", "),
            metric.help,
        ])
    });
    "## All of them\n\n".to_owned() + &table(&["name", "type", "unit", "labels", "meaning"], rows)
}

/// The unit for people.
fn unit(metric: &Description) -> &'static str {
    match metric.unit() {
        "info" => "none",
        "seconds" if metric.name.ends_with("_timestamp_seconds") => "seconds since 1970",
        unit => unit,
    }
}

fn label_values() -> String {
    let rows = ALL.iter().flat_map(|metric| {
        metric.labels.iter().flat_map(move |label| {
            let of = format!("`{}`", metric.name);
            match label.values {
                Values::Each(values) => values
                    .iter()
                    .map(|(value, meaning)| row(&[&of, label.name, &format!("`{value}`"), meaning]))
                    .collect::<Vec<_>>(),
                Values::Found { meaning, most } => {
                    vec![row(&[&of, label.name, &format!("at most {most} in a process"), meaning])]
                }
            }
        })
    });
    "## Values of labels\n\n".to_owned() + &table(&["name", "label", "value", "meaning"], rows)
}

fn buckets() -> String {
    let rows = ALL.iter().filter(|metric| metric.kind == MetricKind::Histogram).map(|metric| {
        let bounds: Vec<_> = metric.buckets.iter().map(f64::to_string).collect();
        row(&[&format!("`{}`", metric.name), &bounds.join(", ")])
    });
    "## Buckets of histograms\n\nUpper bounds, in the metric's unit.\n\n".to_owned()
        + &table(&["name", "bounds"], rows)
}

fn questions() -> String {
    let each =
        QUESTIONS.iter().map(|(question, answer)| format!("{question}:\n\n```promql\n{answer}\n```\n"));
    "## Questions and expressions\n\n".to_owned() + &each.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words of an expression that start as our metrics do.
    fn names(expression: &str) -> impl Iterator<Item = &str> {
        let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        words.filter(|word| word.starts_with("marquetry_"))
    }

    #[test]
    fn expressions_ask_for_metrics_that_exist() {
        for (_, expression) in QUESTIONS {
            assert!(names(expression).next().is_some(), "{expression}");
            for name in names(expression) {
                let is_it = |metric: &&Description| match metric.kind {
                    MetricKind::Histogram => ["_bucket", "_sum", "_count"]
                        .iter()
                        .any(|suffix| name.strip_suffix(suffix) == Some(metric.name)),
                    _ => name == metric.name,
                };
                assert!(ALL.iter().any(|metric| is_it(&metric)), "{name} is no metric");
            }
        }
    }

    /// `{label="value"}` and `{label=~"one|other"}` match something.
    #[test]
    fn expressions_ask_for_values_that_exist() {
        for (_, expression) in QUESTIONS {
            for (before, after) in expression.split('{').zip(expression.split('{').skip(1)) {
                let metric =
                    ALL.iter().find(|metric| before.ends_with(metric.name)).expect("a metric's name");
                let (label, values) =
                    after.split_once('}').expect("a closing brace").0.split_once('=').expect("=");
                let label = metric.labels.iter().find(|l| l.name == label).expect("a label of the metric");
                let Values::Each(known) = label.values else {
                    panic!("{expression}: values are found at run time")
                };
                for value in values.trim_matches(['~', '"']).split('|') {
                    assert!(known.iter().any(|(known, _)| *known == value), "{expression}: {value}");
                }
            }
        }
    }
}
