//! What is known of a metric before anything is counted: the rows of the table in `metrics.rs`.

use std::fmt;

/// One metric.
#[derive(Debug, Clone, Copy)]
pub struct Description {
    /// Its whole name, `marquetry_…`.
    pub name: &'static str,
    /// What it counts, as sentences.
    pub help: &'static str,
    /// How its values behave.
    pub kind: MetricKind,
    /// What tells its series apart.
    pub labels: &'static [LabelDescription],
    /// Upper bounds of a histogram's buckets, ascending, in its unit; empty for other kinds.
    pub buckets: &'static [f64],
}

/// How a metric's values behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows while the process lives.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations by size.
    Histogram,
}

impl fmt::Display for MetricKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        })
    }
}

/// One label of a metric.
#[derive(Debug, Clone, Copy)]
pub struct LabelDescription {
    /// Its name.
    pub name: &'static str,
    /// The values it takes.
    pub values: Values,
}

/// The values of a label: always few, since each is a series that a server keeps for weeks.
#[derive(Debug, Clone, Copy)]
pub enum Values {
    /// Exactly these, each with its meaning. Their series exist from the start.
    Each(&'static [(&'static str, &'static str)]),
    /// What is found at run time, at most so many.
    Found {
        /// What a value says.
        meaning: &'static str,
        /// How many there can be in one process.
        most: usize,
    },
}

impl Values {
    /// How many there can be.
    pub const fn most(&self) -> usize {
        match self {
            Self::Each(values) => values.len(),
            Self::Found { most, .. } => *most,
        }
    }
}

impl Description {
    /// What its values are measured in: the last word of the name, `_total` apart.
    ///
    /// ```
    /// let tile_bytes = marquetry_telemetry::ALL.iter().find(|m| m.name == "marquetry_tile_bytes_total");
    /// assert_eq!(tile_bytes.map(|m| m.unit()), Some("bytes"));
    /// ```
    pub fn unit(&self) -> &'static str {
        let name = self.name.strip_suffix("_total").unwrap_or(self.name);
        name.rsplit('_').next().unwrap_or(name)
    }

    /// How many series it can have in one process, the buckets of a histogram apart.
    pub fn series_most(&self) -> usize {
        self.labels.iter().map(|label| label.values.most()).product()
    }
}
