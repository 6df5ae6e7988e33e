//! The kinds of metrics, and how they come to be registered.

use crate::description::{Description, LabelDescription, MetricKind, Values};
use crate::labels::{Device, Labels};
use prometheus::core::Collector;
use prometheus::{GaugeVec, HistogramOpts, IntCounter, Opts, Registry};
use std::marker::PhantomData;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A metric with all of its series, made from its description.
pub(crate) trait Family: Sized {
    const KIND: MetricKind;
    const LABELS: &'static [LabelDescription];

    fn registered(description: &Description, registry: &Registry) -> Self;
}

/// One series of a metric.
pub(crate) trait Series: Sized {
    const KIND: MetricKind;

    fn registered(description: &Description, labels: &[(&str, &str)], registry: &Registry) -> Self;
}

/// A metric without labels is its only series.
impl<S: Series> Family for S {
    const KIND: MetricKind = S::KIND;
    const LABELS: &'static [LabelDescription] = &[];

    fn registered(description: &Description, registry: &Registry) -> Self {
        <S as Series>::registered(description, &[], registry)
    }
}

fn options(description: &Description, labels: &[(&str, &str)]) -> Opts {
    let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Opts::new(description.name, description.help).const_labels(labels.collect())
}

/// Hands what was made from a row of the table to the registry.
fn register<C: Collector + Clone + 'static>(made: prometheus::Result<C>, registry: &Registry) -> C {
    // Every row is tried by the tests, and nothing but rows comes here.
    let collector = made.expect("the table holds valid names");
    registry.register(Box::new(collector.clone())).expect("the table holds a name once");
    collector
}

/// A whole number that only grows.
#[derive(Debug)]
pub struct Counter(IntCounter);

impl Counter {
    /// Counts one more.
    pub fn increment(&self) {
        self.0.inc();
    }

    /// Counts `n` more.
    pub fn add(&self, n: u64) {
        self.0.inc_by(n);
    }
}

impl Series for Counter {
    const KIND: MetricKind = MetricKind::Counter;

    fn registered(description: &Description, labels: &[(&str, &str)], registry: &Registry) -> Self {
        Self(register(IntCounter::with_opts(options(description, labels)), registry))
    }
}

/// A time that only grows.
#[derive(Debug)]
pub struct SecondsCounter(prometheus::Counter);

impl SecondsCounter {
    /// Adds a time.
    pub fn add(&self, time: Duration) {
        self.0.inc_by(time.as_secs_f64());
    }
}

impl Series for SecondsCounter {
    const KIND: MetricKind = MetricKind::Counter;

    fn registered(description: &Description, labels: &[(&str, &str)], registry: &Registry) -> Self {
        Self(register(prometheus::Counter::with_opts(options(description, labels)), registry))
    }
}

/// A number that goes up and down.
#[derive(Debug)]
pub struct Gauge(prometheus::Gauge);

impl Gauge {
    /// What it is now, in the metric's unit.
    pub fn set(&self, value: f64) {
        self.0.set(value);
    }

    /// Sets it to seconds since 1970.
    pub fn set_time(&self, at: SystemTime) {
        self.set(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64());
    }
}

impl Series for Gauge {
    const KIND: MetricKind = MetricKind::Gauge;

    fn registered(description: &Description, labels: &[(&str, &str)], registry: &Registry) -> Self {
        Self(register(prometheus::Gauge::with_opts(options(description, labels)), registry))
    }
}

/// Observations, counted by size.
#[derive(Debug)]
pub struct Histogram(prometheus::Histogram);

impl Histogram {
    /// Counts an observation, in the metric's unit.
    pub fn observe(&self, value: f64) {
        self.0.observe(value);
    }

    /// Counts a time in a metric of seconds.
    pub fn observe_duration(&self, time: Duration) {
        self.observe(time.as_secs_f64());
    }
}

impl Series for Histogram {
    const KIND: MetricKind = MetricKind::Histogram;

    fn registered(description: &Description, labels: &[(&str, &str)], registry: &Registry) -> Self {
        let options = HistogramOpts {
            common_opts: options(description, labels),
            buckets: description.buckets.to_vec(),
        };
        Self(register(prometheus::Histogram::with_opts(options), registry))
    }
}

/// A series for each value of a label. All exist from the start, so that a rate is known from the first event on.
#[derive(Debug)]
pub struct By<L, S> {
    /// By [`Labels::place`]: finding one takes no lock and no hash.
    series: Vec<S>,
    labels: PhantomData<L>,
}

impl<L: Labels, S> By<L, S> {
    /// The series with these values.
    pub fn of(&self, labels: L) -> &S {
        &self.series[labels.flat_index()]
    }
}

impl<L: Labels, S: Series> Family for By<L, S> {
    const KIND: MetricKind = S::KIND;
    const LABELS: &'static [LabelDescription] = L::DESCRIPTIONS;

    fn registered(description: &Description, registry: &Registry) -> Self {
        let all = combinations(L::DESCRIPTIONS);
        let series = all.iter().map(|labels| S::registered(description, labels, registry)).collect();
        Self { series, labels: PhantomData }
    }
}

/// All combinations of the labels' values, the last label changing fastest.
fn combinations(labels: &[LabelDescription]) -> Vec<Vec<(&'static str, &'static str)>> {
    let mut all = vec![Vec::new()];
    for label in labels {
        let Values::Each(values) = label.values else { continue };
        all = all
            .iter()
            .flat_map(|before| {
                values.iter().map(move |(value, _)| [&before[..], &[(label.name, *value)]].concat())
            })
            .collect();
    }
    all
}

/// A gauge for each GPU that was found.
#[derive(Debug)]
pub struct PerDevice(GaugeVec);

impl PerDevice {
    /// What it is now for this GPU, in the metric's unit.
    pub fn set(&self, device: Device, value: f64) {
        self.0.with_label_values(&[device.name()]).set(value);
    }

    /// Says nothing more about this GPU.
    pub fn forget(&self, device: Device) {
        // It may never have been there.
        let _ = self.0.remove_label_values(&[device.name()]);
    }
}

impl Family for PerDevice {
    const KIND: MetricKind = MetricKind::Gauge;
    const LABELS: &'static [LabelDescription] = Device::DESCRIPTIONS;

    fn registered(description: &Description, registry: &Registry) -> Self {
        let labels: Vec<_> = Self::LABELS.iter().map(|label| label.name).collect();
        Self(register(GaugeVec::new(options(description, &[]), &labels), registry))
    }
}

/// Always 1; what it says is in its label.
#[derive(Debug)]
pub struct BuildInfo(());

impl Family for BuildInfo {
    const KIND: MetricKind = MetricKind::Gauge;
    const LABELS: &'static [LabelDescription] = &[LabelDescription {
        name: "version",
        values: Values::Found { meaning: "The version of the program, such as 1.2.3.", most: 1 },
    }];

    fn registered(description: &Description, registry: &Registry) -> Self {
        let version = &[(Self::LABELS[0].name, env!("CARGO_PKG_VERSION"))];
        <Gauge as Series>::registered(description, version, registry).set(1.0);
        Self(())
    }
}
