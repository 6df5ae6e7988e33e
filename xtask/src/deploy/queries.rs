//! Which metrics a query of Prometheus asks for.

use marquetry_telemetry::{ALL, Description, MetricKind};

/// The names in a query, each with what follows it.
pub(crate) fn names(query: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = query;
    while let Some(at) = rest.find("marquetry_") {
        let end =
            rest[at..].find(|c: char| !c.is_ascii_alphanumeric() && c != '_').map_or(rest.len(), |e| at + e);
        found.push((rest[at..end].to_owned(), rest[end..].to_owned()));
        rest = &rest[end..];
    }
    found
}

/// The metric that a name in a query belongs to: a histogram only by its `_bucket`, `_sum` and `_count`.
pub(crate) fn metric_of(name: &str) -> Option<&'static Description> {
    ALL.iter().find(|metric| {
        name.strip_prefix(metric.name).is_some_and(|end| match metric.kind {
            MetricKind::Histogram => ["_bucket", "_sum", "_count"].contains(&end),
            MetricKind::Counter | MetricKind::Gauge => end.is_empty(),
        })
    })
}
