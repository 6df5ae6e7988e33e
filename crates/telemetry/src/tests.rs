//! The names, and what a scrape reads.

use crate::{ALL, Description, MetricKind, Metrics, Operation, RequestOutcome, Stage, TaskOutcome, Values};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

/// What the last word of a name may be, `_total` apart.
const UNITS: [&str; 11] = [
    "seconds", "bytes", "messages", "windows", "tasks", "images", "tiles", "retries", "letters", "requests",
    "info",
];

/// Series of one metric in one process, at most.
const SERIES_MOST: usize = 50;

/// Names that hold a label's name although that says things twice. Dashboards ask for them.
const TWICE: [&str; 1] = ["marquetry_task_stage_seconds_total"];

fn is_snake_case(name: &str) -> bool {
    let word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    name.split('_').all(word)
}

fn is_sentence(text: &str) -> bool {
    text.starts_with(char::is_uppercase)
        && text.ends_with('.')
        && !text.contains(['\n', '\\', '"', '|'])
        && !text.contains("  ")
}

#[test]
fn names_keep_the_conventions() {
    for metric in ALL {
        let name = metric.name;
        assert!(name.starts_with("marquetry_"), "{name}: one prefix for all");
        assert!(is_snake_case(name), "{name}: lowercase words");
        assert!(UNITS.contains(&metric.unit()), "{name}: ends in no unit");
        assert_eq!(
            name.ends_with("_total"),
            metric.kind == MetricKind::Counter,
            "{name}: _total is for counters"
        );
        assert_eq!(
            metric.buckets.is_empty(),
            metric.kind != MetricKind::Histogram,
            "{name}: buckets are for histograms"
        );
        assert!(metric.buckets.is_sorted_by(|a, b| a < b), "{name}: buckets ascend");
        for reserved in ["_count", "_sum", "_bucket"] {
            assert!(!name.ends_with(reserved), "{name}: Prometheus adds {reserved} itself");
        }
        assert!(is_sentence(metric.help), "{name}: {:?} is no sentence", metric.help);
    }
    let names: BTreeSet<_> = ALL.iter().map(|metric| metric.name).collect();
    assert_eq!(names.len(), ALL.len(), "a name twice");
}

#[test]
fn labels_are_few_and_named_once() {
    for metric in ALL {
        let most = metric.series_most();
        assert!(most < SERIES_MOST, "{}: {most} series", metric.name);
        for label in metric.labels {
            assert!(is_snake_case(label.name) && !["le", "quantile"].contains(&label.name), "{}", label.name);
            let said = metric.name.split('_').any(|word| word == label.name);
            assert_eq!(said, TWICE.contains(&metric.name), "{}: {} is in the label", metric.name, label.name);
            match label.values {
                Values::Found { meaning, .. } => assert!(is_sentence(meaning), "{meaning}"),
                Values::Each(values) => {
                    let different: BTreeSet<_> = values.iter().map(|(value, _)| value).collect();
                    assert_eq!(different.len(), values.len(), "{}: a value twice", metric.name);
                    for (value, meaning) in values {
                        assert!(is_snake_case(value), "{}: {value}", metric.name);
                        assert!(is_sentence(meaning), "{}: {meaning:?} is no sentence", metric.name);
                    }
                }
            }
        }
    }
}

/// One line of the exposition: name, labels, value.
type Sample<'t> = (&'t str, BTreeMap<&'t str, &'t str>, f64);

/// Reads a sample as Prometheus' text format has it. Values of ours hold no quote, comma or backslash.
fn sample(line: &str) -> Option<Sample<'_>> {
    let (series, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let Some((name, labels)) = series.split_once('{') else { return Some((series, BTreeMap::new(), value)) };
    let labels = labels.strip_suffix('}')?.split(',').map(|label| {
        let (name, value) = label.split_once('=')?;
        Some((name, value.strip_prefix('"')?.strip_suffix('"')?))
    });
    Some((name, labels.collect::<Option<_>>()?, value))
}

/// The samples of each metric, after checking that `# HELP` and `# TYPE` come once, before them.
fn parsed(text: &str) -> BTreeMap<&str, (&str, Vec<Sample<'_>>)> {
    let mut families: BTreeMap<&str, (&str, Vec<Sample<'_>>)> = BTreeMap::new();
    let mut lines = text.lines();
    let mut current = "";
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            current = help.split_once(' ').expect("a help text").0;
            let kind = lines.next().and_then(|line| line.strip_prefix("# TYPE ")?.strip_prefix(current));
            let kind = kind.expect("a type after the help").trim_start();
            assert!(families.insert(current, (kind, Vec::new())).is_none(), "{current} twice");
        } else {
            let sample = sample(line).unwrap_or_else(|| panic!("cannot read {line:?}"));
            assert!(sample.0.starts_with(current), "{line:?} below {current}");
            families.get_mut(current).expect("a family before its samples").1.push(sample);
        }
    }
    families
}

/// A metric whose series come only when there is a device.
fn waits_for_devices(metric: &Description) -> bool {
    metric.labels.iter().any(|label| label.name == "device")
}

#[test]
fn a_fresh_registry_shows_all_series() {
    let text = Metrics::new().exposition();
    let families = parsed(&text);
    for metric in ALL.iter().filter(|metric| !waits_for_devices(metric)) {
        let (kind, samples) = &families[metric.name];
        assert_eq!(*kind, metric.kind.to_string(), "{}", metric.name);
        // Each bucket, the last one without bound, sum and count.
        let per_series = if metric.kind == MetricKind::Histogram { metric.buckets.len() + 3 } else { 1 };
        assert_eq!(samples.len(), metric.series_most() * per_series, "{}", metric.name);
        for (_, labels, value) in samples {
            let names: BTreeSet<_> = labels.keys().copied().filter(|name| *name != "le").collect();
            assert_eq!(names, metric.labels.iter().map(|label| label.name).collect(), "{}", metric.name);
            assert_eq!(*value, f64::from(metric.name == "marquetry_build_info"), "{}", metric.name);
        }
    }
    assert_eq!(families.len(), ALL.iter().filter(|metric| !waits_for_devices(metric)).count());
}

#[test]
fn what_is_counted_is_shown() {
    let metrics = Metrics::new();
    let elsewhere = metrics.clone();
    elsewhere.tasks.of(TaskOutcome::Found).increment();
    elsewhere.tasks.of(TaskOutcome::Failed).add(3);
    metrics.task_stage.of(Stage::Infer).add(Duration::from_millis(1250));
    metrics.store_requests.of((Operation::GetRange, RequestOutcome::NotFound)).increment();
    metrics.job_last_success.set_time(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    let text = metrics.exposition();
    let tasks = "# HELP marquetry_tasks_total Tasks that a worker is done with.\n\
        # TYPE marquetry_tasks_total counter\n\
        marquetry_tasks_total{outcome=\"abandoned\"} 0\n\
        marquetry_tasks_total{outcome=\"failed\"} 3\n\
        marquetry_tasks_total{outcome=\"found\"} 1\n\
        marquetry_tasks_total{outcome=\"stored\"} 0\n";
    for part in [
        tasks,
        "\nmarquetry_task_stage_seconds_total{stage=\"infer\"} 1.25\n",
        "\nmarquetry_store_requests_total{operation=\"get_range\",outcome=\"not_found\"} 1\n",
        "\nmarquetry_job_last_success_timestamp_seconds 1700000000\n",
    ] {
        assert!(text.contains(part), "no {part} in:\n{text}");
    }
    let ones = parsed(&text)["marquetry_store_requests_total"].1.iter().filter(|s| s.2 > 0.0).count();
    assert_eq!(ones, 1, "another series was counted too");
}

#[test]
fn observations_fall_into_their_buckets() {
    let metrics = Metrics::new();
    let duration = metrics.store_request_duration.of(Operation::Put);
    for seconds in [0.0005, 0.3, 0.4, 1000.0] {
        duration.observe(seconds);
    }
    let text = metrics.exposition();
    let name = "marquetry_store_request_duration_seconds";
    let samples = &parsed(&text)[name].1;
    let put = |suffix: &str, le: Option<&str>| {
        let wanted = |s: &&Sample<'_>| {
            s.0 == format!("{name}{suffix}") && s.1["operation"] == "put" && s.1.get("le").copied() == le
        };
        samples.iter().find(wanted).map(|s| s.2)
    };
    assert_eq!(put("_bucket", Some("0.001")), Some(1.0));
    assert_eq!(put("_bucket", Some("0.25")), Some(1.0));
    assert_eq!(put("_bucket", Some("0.5")), Some(3.0));
    assert_eq!(put("_bucket", Some("60")), Some(3.0));
    assert_eq!(put("_bucket", Some("+Inf")), Some(4.0));
    assert_eq!(put("_count", None), Some(4.0));
    assert!((put("_sum", None).expect("a sum") - 1000.7005).abs() < 1e-9);
}

#[test]
fn registries_are_apart() {
    let (one, other) = (Metrics::new(), Metrics::new());
    one.tile_bytes.add(5);
    assert!(one.exposition().contains("\nmarquetry_tile_bytes_total 5\n"));
    assert!(other.exposition().contains("\nmarquetry_tile_bytes_total 0\n"));
}
