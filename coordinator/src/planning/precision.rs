//! In which precision a model runs, where the job wants it quick: the quickest that gives the same labels.

use crate::planning::memory::PlanMemory;
use marquetry_ensemble::{LabelAgreement, LabelRule};
use marquetry_job::{Backend, IoContract, Precision, hash};
use marquetry_model::{
    HALF_PRECISION_MAGNITUDE_MAX, ModelError, ModelFiles, Runtime, SessionOptions, half_precision_magnitude,
    open_network, rate,
};
use serde::{Deserialize, Serialize};

/// So large a share of labels must be the same.
const AGREE_MIN: f64 = 0.995;
/// So much quicker must it be, or it is not worth other bits.
const GAIN_MIN: f64 = 1.05;
/// Counted up whenever something else would be found.
const PRECISION_FORMAT: u32 = 2;

/// What was found of one precision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tried {
    /// It, and whose kernels compute in it.
    pub(crate) backend: Backend,
    /// How many times as fast as single precision.
    pub(crate) gain: f64,
    /// Share of labels that are the same.
    pub(crate) same: f64,
    /// Why it is out of question whatever these are.
    pub(crate) refusal: Option<String>,
}

impl Tried {
    /// Why it is not taken; none where it may be.
    fn why_not(&self) -> Option<String> {
        if let Some(refusal) = &self.refusal {
            return Some(refusal.clone());
        }
        if self.same < AGREE_MIN {
            let needed = AGREE_MIN * 100.0;
            return Some(format!(
                "{:.3} % of labels are the same, and {needed} % are needed",
                floor_percent(self.same)
            ));
        }
        (self.gain < GAIN_MIN).then(|| format!("{:.2} times as fast", self.gain))
    }
}

/// Not rounded up to all of them.
fn floor_percent(share: f64) -> f64 {
    (share * 1e5).floor() / 1e3
}

/// The quickest of those that may be taken.
pub(crate) fn quickest(tried: &[Tried]) -> Option<&Tried> {
    let good = tried.iter().filter(|tried| tried.why_not().is_none());
    good.max_by(|a, b| a.gain.total_cmp(&b.gain))
}

/// A model on its device, and windows of the job's images.
pub(crate) struct PrecisionTrial<'a> {
    pub(crate) runtime: &'a Runtime,
    pub(crate) model: &'a ModelFiles,
    /// Names its content.
    pub(crate) content: &'a str,
    /// Names all but its weights: what is quick for one is quick for all.
    pub(crate) architecture: &'a str,
    /// In single precision.
    pub(crate) contract: &'a IoContract,
    /// The same at its smallest batch.
    pub(crate) one: &'a IoContract,
    /// What is tried.
    pub(crate) others: &'a [Backend],
    pub(crate) options: SessionOptions,
    /// Sessions side by side, by which rates are measured.
    pub(crate) sessions: usize,
    pub(crate) rule: LabelRule,
    /// Each `[channels, H, W]`, as the model sees them.
    pub(crate) windows: &'a [Vec<f32>],
    /// Names windows and machine.
    pub(crate) shown: &'a str,
    /// Names the machine alone.
    pub(crate) machine: &'a str,
}

impl PrecisionTrial<'_> {
    /// What comes of each.
    ///
    /// # Errors
    /// When the model does not run in single precision.
    pub(crate) fn all(&self, memory: Option<&PlanMemory>) -> Result<Vec<Tried>, ModelError> {
        let asked = (PRECISION_FORMAT, self.runtime.version(), self.content, self.contract, self.rule);
        let asked = format!("{:?}", (asked, self.options, self.sessions, self.others, self.shown));
        let look = || {
            let exact = self.said(self.contract)?;
            let rate = self.rate(self.contract, memory)?;
            let mut tried: Vec<Tried> =
                self.others.iter().map(|backend| self.tried(*backend, (&exact, rate), memory)).collect();
            // It takes longer than all else, so only what would be taken is looked into.
            let half = quickest(&tried).map(|quickest| quickest.backend);
            if let Some(half) = half.filter(|backend| backend.precision == Precision::F16)
                && let Some(tried) = tried.iter_mut().find(|tried| tried.backend == half)
            {
                tried.refusal = self.too_large().unwrap_or_else(|error| Some(error.to_string()));
            }
            Ok(tried)
        };
        match memory {
            Some(memory) => memory.seen(&format!("precision {}", hash(&[asked.as_bytes()])), "", look),
            None => look(),
        }
    }

    fn tried(&self, backend: Backend, exact: (&[Vec<f32>], f64), memory: Option<&PlanMemory>) -> Tried {
        let refused = |why: String| Tried { backend, gain: 0.0, same: 0.0, refusal: Some(why) };
        self.compared(backend, exact, memory).unwrap_or_else(|error| refused(error.to_string()))
    }

    fn compared(
        &self,
        backend: Backend,
        (exact, rate): (&[Vec<f32>], f64),
        memory: Option<&PlanMemory>,
    ) -> Result<Tried, ModelError> {
        let contract = IoContract { backend, ..self.contract.clone() };
        let said = self.said(&contract)?;
        let channels = contract.classes as usize;
        let of = |(exact, said): (&Vec<f32>, &Vec<f32>)| LabelAgreement::of(self.rule, exact, said, channels);
        let counts = exact.iter().zip(&said).map(of).fold(LabelAgreement::default(), LabelAgreement::joined);
        let refusal = (counts.not_finite > 0)
            .then(|| format!("{} of its scores are no numbers, or infinite", counts.not_finite));
        Ok(Tried { backend, gain: self.rate(&contract, memory)? / rate, same: counts.share(), refusal })
    }

    /// Why values inside of the model may not fit into half precision, if they may not.
    fn too_large(&self) -> Result<Option<String>, ModelError> {
        let Self { runtime, model, options, .. } = self;
        let batches = self.batches(self.one);
        let most = half_precision_magnitude(runtime, model, self.one, options, &batches)?;
        Ok((most > HALF_PRECISION_MAGNITUDE_MAX)
            .then(|| format!("values reach {most:.3e}, and f16 ends at 65,504")))
    }

    fn rate(&self, contract: &IoContract, memory: Option<&PlanMemory>) -> Result<f64, ModelError> {
        let look = || rate(self.runtime, self.model, contract, &self.options, self.sessions);
        let asked = (PRECISION_FORMAT, self.runtime.version(), self.architecture, contract);
        let asked = format!("{:?}", (asked, self.options, self.sessions, self.machine));
        match memory {
            Some(memory) => memory.seen(&format!("rates one {}", hash(&[asked.as_bytes()])), "", look),
            None => look(),
        }
    }

    /// Windows as batches, the last one filled up with the first.
    fn batches(&self, contract: &IoContract) -> Vec<Vec<f32>> {
        let batch = contract.batch as usize;
        let filled = self.windows.chunks(batch).map(|windows| {
            let more = std::iter::repeat_n(&self.windows[0], batch - windows.len());
            windows.iter().chain(more).flatten().copied().collect()
        });
        filled.collect()
    }

    /// What the model says of each window, `[channels, h, w]`.
    fn said(&self, contract: &IoContract) -> Result<Vec<Vec<f32>>, ModelError> {
        let mut network = open_network(self.runtime, self.model, contract, &self.options)?;
        let each = contract.output_len() / contract.batch.max(1) as usize;
        let mut said = Vec::new();
        for batch in self.batches(contract) {
            said.extend(network.run(&batch)?.chunks(each.max(1)).map(<[f32]>::to_vec));
        }
        said.truncate(self.windows.len());
        Ok(said)
    }
}

/// What there is to tell: how many members run in which precision, how far their labels agree at worst, and why others do not.
pub(crate) fn told(members: &[(String, Vec<Tried>)]) -> Vec<String> {
    let mut lines = Vec::new();
    for precision in [Precision::F16, Precision::Bf16, Precision::Tf32] {
        let of = |(_, tried): &&(String, Vec<Tried>)| {
            quickest(tried).is_some_and(|quickest| quickest.backend.precision == precision)
        };
        let taken: Vec<&Tried> = members.iter().filter(of).filter_map(|(_, tried)| quickest(tried)).collect();
        let (Some(first), Some(same)) =
            (members.iter().find(of), taken.iter().map(|tried| tried.same).reduce(f64::min))
        else {
            continue;
        };
        let gain = taken.iter().map(|tried| tried.gain).sum::<f64>() / taken.len() as f64;
        let others = others(&first.0, taken.len());
        lines.push(format!(
            "precision: {others}: {precision}, {:.3} % of labels as in f32 on windows of the first images, {gain:.2} times as fast",
            floor_percent(same)
        ));
    }
    let exact: Vec<_> = members.iter().filter(|(_, tried)| quickest(tried).is_none()).collect();
    if let Some((name, tried)) = exact.first() {
        let why = |tried: &Tried| Some(format!("{}: {}", tried.backend.precision, tried.why_not()?));
        let why = tried.iter().filter_map(why).collect::<Vec<_>>().join("; ");
        let why = if why.is_empty() { "no window could be compared".to_owned() } else { why };
        lines.push(format!("precision: {}: f32 ({why})", others(name, exact.len())));
    }
    lines
}

fn others(first: &str, count: usize) -> String {
    if count == 1 { first.to_owned() } else { format!("{first} and {} more", count - 1) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use marquetry_geometry::Size;
    use marquetry_job::Provider;
    use marquetry_model::toy::{Toy, Weights};
    use marquetry_model::{InspectOptions, IoRequest, RuntimeSearch, inspect, resolve};

    fn tried(precision: Precision, gain: f64, same: f64) -> Tried {
        let backend = Backend { provider: Provider::Cuda, precision };
        Tried { backend, gain, same, refusal: None }
    }

    #[test]
    fn the_quickest_that_gives_the_same_labels_is_taken() {
        let both = [tried(Precision::Tf32, 1.5, 0.999), tried(Precision::F16, 2.5, 0.996)];
        assert_eq!(quickest(&both).map(|t| t.backend.precision), Some(Precision::F16));
        let worse = [tried(Precision::Tf32, 1.5, 0.999), tried(Precision::F16, 2.5, 0.9949)];
        assert_eq!(quickest(&worse).map(|t| t.backend.precision), Some(Precision::Tf32));
        assert_eq!(quickest(&[tried(Precision::Tf32, 1.04, 1.0)]), None, "hardly quicker");
        let overflow = Tried { refusal: Some("values".into()), ..tried(Precision::F16, 9.0, 1.0) };
        assert_eq!(quickest(&[overflow]), None);
    }

    /// On the processor, which rounds to half precision as the file says.
    #[test]
    fn each_precision_is_compared_with_single_on_all_windows() {
        let runtime = Runtime::load(&RuntimeSearch::from_process()).unwrap();
        let of = |weights| {
            let toy = Toy { channels: 16, classes: 16, kernel: 3, weights, ..Toy::default() };
            let model = ModelFiles { onnx: toy.bytes(), external: Vec::new() };
            let facts = inspect(&runtime, &model, &InspectOptions::default()).unwrap();
            let wanted = IoRequest {
                head: None,
                channels_out: Vec::new(),
                layout: None,
                channels: None,
                size: Size::square(16),
                batch: 2,
            };
            (model, resolve(&facts, &wanted).unwrap().signature)
        };
        let window = |seed: u32| (0..16 * 256).map(|n| (n * seed % 251) as f32 / 100.0 - 1.2).collect();
        let windows = [window(7), window(31), window(101)];
        let tried = |weights| {
            let (model, contract) = of(weights);
            let any = |precision| Backend { provider: Provider::Any, precision };
            let trial = PrecisionTrial {
                others: &[any(Precision::Tf32), any(Precision::F16)],
                sessions: 1,
                runtime: &runtime,
                model: &model,
                content: "a model",
                contract: &contract,
                one: &contract,
                options: SessionOptions::default(),
                rule: LabelRule::Greatest,
                windows: &windows,
                shown: "three windows",
                machine: "a machine",
                architecture: "a network",
            };
            let said = trial.said(&contract).unwrap();
            assert_eq!(said.iter().map(Vec::len).collect::<Vec<_>>(), [16 * 256; 3]);
            trial.all(None).unwrap()
        };
        let [tf32, half] = tried(Weights::Seeded(5)).try_into().unwrap();
        // The processor computes in single whatever it is asked for but files in half precision.
        assert_eq!((tf32.same, tf32.refusal), (1.0, None));
        assert!(half.same > 0.99 && half.gain > 0.0 && half.refusal.is_none(), "{half:?}");
    }

    #[test]
    fn what_was_found_is_told_of_all_members_together() {
        let good = vec![tried(Precision::Tf32, 1.5, 0.9999), tried(Precision::F16, 2.0, 0.999_999)];
        let worse = vec![tried(Precision::Tf32, 1.5, 0.9999), tried(Precision::F16, 3.0, 0.997)];
        let bad = vec![tried(Precision::Tf32, 1.5, 0.990_01), tried(Precision::F16, 1.0, 1.0)];
        let members = [("a", good), ("b", worse), ("c", bad)].map(|(name, tried)| (name.to_owned(), tried));
        assert_eq!(
            told(&members),
            [
                "precision: a and 1 more: f16, 99.700 % of labels as in f32 on windows of the first images, 2.50 times as fast",
                "precision: c: f32 (tf32: 99.001 % of labels are the same, and 99.5 % are needed; f16: 1.00 times as fast)"
            ]
        );
        assert_eq!(
            told(&[("d".to_owned(), Vec::new())]),
            ["precision: d: f32 (no window could be compared)"]
        );
    }
}
