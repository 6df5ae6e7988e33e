//! Which range samples are brought to: what mean, standard deviation and the model's own input say of it.

use crate::planning::findings::{Choice, Origin};
use crate::planning::seen_range::Expected;
use marquetry_job::{Element, Scale};
use marquetry_model::InsideScaling;
use marquetry_raster::read::Depth;
use marquetry_spec::{InputSpec, Normalise};

/// A full sample this far above 1 shows that mean and deviation of 0..1 are for another range.
const FAR: f64 = 16.0;
/// The same for 16 bits, of which an image may use 8 only: 65535/255 is 257.
const FAR_16: f64 = 300.0;
/// What a full sample becomes must be more than this for a model to see anything.
const NOTHING: f64 = 0.25;
/// A mean and deviation between 1 and this could be of either range.
const UNSURE: f64 = 4.0;

/// The range, and what there is to tell of it.
#[derive(Debug, PartialEq)]
pub(crate) struct SettledScale {
    pub(crate) scale: Scale,
    /// The same in words, and where it came from.
    pub(crate) choice: Choice<String>,
    /// What the job says and what contradicts it.
    pub(crate) warning: Option<String>,
    /// What images are to hold: nothing where the job says the factor, or where the range does not matter.
    pub(crate) expected: Option<Expected>,
}

/// Settles the range for a model that takes `element`, whose graph scales samples itself as `inside` says, and images of these depths.
pub(crate) fn settle_scale(
    input: &InputSpec,
    element: &Element,
    inside: Option<&InsideScaling>,
    depths: &[Depth],
) -> SettledScale {
    let wanted = Wanted::by(input, element, inside);
    let Some(factor) = input.scale else { return wanted.auto(depths) };
    let scale = Scale::Factor(factor);
    let warning =
        depths.iter().find_map(|&depth| wanted.contradicts(factor, depth)).or_else(|| wanted.twice());
    let choice = Choice { value: factor.to_string(), from: Origin::Said };
    SettledScale { scale, choice, warning, expected: None }
}

/// What the model and its mean and deviation say of the range of samples.
struct Wanted<'a> {
    /// The largest mean (either side of 0) and the largest deviation; none where there are none but 0 and 1.
    fixed: Option<(f64, f64)>,
    mean: &'a [f32],
    std: &'a [f32],
    /// Whether the model takes integers.
    integers: bool,
    /// What the graph does to samples of 0 to 255.
    bytes_inside: Option<&'a str>,
    /// What it does to samples as they are stored, which go beyond 255.
    stored_inside: Option<&'a str>,
    /// What it does to samples of 0 to 1.
    unit_inside: Option<&'a str>,
    /// What suggests that it scales samples, where nothing of it could be read.
    unmoved: Option<&'a str>,
    /// Whether mean and deviation are measured: the range then cancels out.
    measured: bool,
}

impl<'a> Wanted<'a> {
    fn by(input: &'a InputSpec, element: &Element, inside: Option<&'a InsideScaling>) -> Self {
        let (mut bytes_inside, mut stored_inside, mut unit_inside, mut unmoved) = (None, None, None, None);
        match inside {
            Some(InsideScaling::Bytes(what)) => bytes_inside = Some(what.as_str()),
            Some(InsideScaling::Stored(what)) => stored_inside = Some(what.as_str()),
            Some(InsideScaling::Unit(what)) => unit_inside = Some(what.as_str()),
            Some(InsideScaling::Unmoved(what)) => unmoved = Some(what.as_str()),
            None => {}
        }
        let (mean, std, measured): (&[f32], &[f32], bool) = match &input.normalise {
            Normalise::Fixed { mean, std } => (mean, std, false),
            Normalise::Measured(_) => (&[], &[], true),
        };
        let largest = |list: &[f32]| list.iter().map(|v| f64::from(v.abs())).fold(0.0, f64::max);
        let said = mean.iter().any(|m| *m != 0.0) || std.iter().any(|s| *s != 1.0);
        let fixed = said.then(|| (largest(mean), largest(std)));
        Self {
            fixed,
            mean,
            std,
            integers: *element == Element::U8,
            bytes_inside,
            stored_inside,
            unit_inside,
            unmoved,
            measured,
        }
    }

    /// The largest number among mean and deviation.
    fn peak(&self) -> f64 {
        self.fixed.map_or(0.0, |(mean, std)| mean.max(std))
    }

    fn auto(&self, depths: &[Depth]) -> SettledScale {
        let settled = |scale, because: Option<(String, Origin)>, warning| {
            let range = range_in_words(scale, depths);
            let choice = match because {
                None => Choice { value: range, from: Origin::Default },
                Some((because, from)) => Choice { value: format!("{range}, since {because}"), from },
            };
            SettledScale { scale, choice, warning, expected: self.expected(scale) }
        };
        if self.measured && !self.integers {
            return settled(Scale::Unit, None, self.twice());
        }
        if self.integers {
            let because = "the model takes integers".to_owned();
            return settled(Scale::Bytes, Some((because, Origin::Metadata)), self.rounded());
        }
        if let Some(warning) = self.two_ranges() {
            let scale =
                if self.fixed.is_some_and(|(mean, _)| mean > 1.0) { Scale::Bytes } else { Scale::Unit };
            return settled(scale, None, Some(warning));
        }
        if self.peak() > 255.0 {
            let because = format!("{} is of samples as they are stored", self.numbers());
            let warning = depths.contains(&Depth::U8).then(|| {
                format!(
                    "input.mean, input.std: {} cannot be of 8-bit samples, which are 0 to 255",
                    self.numbers()
                )
            });
            return settled(
                Scale::Factor(1.0),
                Some((because, Origin::Said)),
                warning.or_else(|| self.twice()),
            );
        }
        if self.peak() > 1.0 {
            let because = format!("{} is of samples of 0 to 255", self.numbers());
            let warning = (self.peak() < UNSURE).then(|| {
                format!(
                    "input.scale: {} is taken for that of samples of 0 to 255; say scale: 1 if so, and for 8-bit samples \
                     of 0 to 1 scale: 0.00392156862745",
                    self.numbers()
                )
            });
            return settled(Scale::Bytes, Some((because, Origin::Said)), self.twice().or(warning));
        }
        if let Some(inside) = self.stored_inside {
            let warning = depths.contains(&Depth::U8).then(|| {
                format!("input.scale: {inside}, which is not for 8-bit samples of 0 to 255: images of another depth, or a scale, are needed")
            });
            return settled(
                Scale::Factor(1.0),
                Some((inside.to_owned(), Origin::Metadata)),
                self.twice().or(warning),
            );
        }
        match (self.bytes_inside, self.fixed) {
            (Some(inside), None) => settled(Scale::Bytes, Some((inside.to_owned(), Origin::Metadata)), None),
            (Some(inside), Some(_)) => {
                let warning = format!(
                    "input.mean, input.std: {} is of samples of 0 to 1, but {inside}: one of the two is too much",
                    self.numbers()
                );
                settled(Scale::Unit, None, Some(warning))
            }
            (None, _) => settled(Scale::Unit, None, self.twice().or_else(|| self.still())),
        }
    }

    /// What images are to hold that come with this scale.
    fn expected(&self, scale: Scale) -> Option<Expected> {
        if self.measured {
            return None;
        }
        let since = |more: Option<&str>| match (self.fixed, more) {
            (Some(_), _) => Some(self.numbers()),
            (None, Some(inside)) => {
                let does = inside.strip_prefix("the graph itself ").unwrap_or(inside);
                Some(format!("a graph that {does} itself"))
            }
            (None, None) => None,
        };
        match scale {
            Scale::Factor(_) => None,
            Scale::Unit if self.bytes_inside.is_some() => None,
            Scale::Unit => Some(Expected { full: 1.0, since: since(self.unit_inside) }),
            Scale::Bytes if self.integers => {
                Some(Expected { full: 255.0, since: Some("a model that takes integers".to_owned()) })
            }
            // Of such a mean it is told already that it could be of either range.
            Scale::Bytes if (1.0..UNSURE).contains(&self.peak()) => None,
            Scale::Bytes => Some(Expected { full: 255.0, since: since(self.bytes_inside) }),
        }
    }

    /// What there is to tell of a mean and a deviation that are not of one range: a mean of 0 to 255 beside a deviation of 0 to 1,
    /// or the other way round.
    fn two_ranges(&self) -> Option<String> {
        let (mean, std) = self.fixed?;
        let differ = (mean > 16.0 && std > 0.0 && std < 1.0) || (mean > 0.0 && mean <= 1.0 && std > 16.0);
        differ.then(|| {
            format!("input.mean, input.std: {} are not of one range: one of samples of 0 to 255, the other of 0 to 1", self.numbers())
        })
    }

    /// What there is to tell of a mean that is taken off by the job and by the graph.
    fn twice(&self) -> Option<String> {
        let inside = self.unit_inside.or(self.bytes_inside).or(self.stored_inside);
        let inside = inside.filter(|_| self.fixed.is_some() || self.measured)?;
        Some(format!("input.mean, input.std, input.normalize: {inside} already: leave them out"))
    }

    /// What there is to tell of a model that samples of 0 to 1 hardly move.
    fn still(&self) -> Option<String> {
        let unmoved = self.unmoved.filter(|_| self.fixed.is_none())?;
        Some(format!(
            "input.scale: {unmoved}: if the graph divides by 255 itself, say scale: 1; if it does not, say \
             scale: 0.00392156862745 and allow this"
        ))
    }

    /// What the model would be shown of integers that mean and deviation were taken off: next to nothing.
    fn rounded(&self) -> Option<String> {
        let shown = match self.fixed {
            Some((mean, std)) if mean > 1.0 || std > 1.0 => {
                format!("{} makes {} of 0 to 255", self.numbers(), self.shown(255.0))
            }
            Some(_) => format!("{} is of samples of 0 to 1", self.numbers()),
            None if self.measured => "normalize makes numbers about 0 of samples".to_owned(),
            None => return None,
        };
        Some(format!(
            "input.mean, input.std, input.normalize: {shown}, and the model takes integers of 0 to 255: what is less \
             than 0 becomes 0, and the rest is rounded; leave them out"
        ))
    }

    /// Why `factor` cannot be what is meant for samples of this depth.
    fn contradicts(&self, factor: f64, depth: Depth) -> Option<String> {
        let (full, far) = match depth {
            Depth::U8 => (255.0, FAR),
            Depth::U16 => (65_535.0, FAR_16),
            Depth::F32 => return None,
        };
        let top = full * factor;
        let bits = if depth == Depth::U8 { 8 } else { 16 };
        let seen = format!(
            "input.scale: {factor} makes {} of {bits}-bit samples",
            if self.fixed.is_some() && !self.integers {
                format!("0 to {}, and mean and std {} of that", number(top), self.shown(top))
            } else {
                format!("0 to {}", number(top))
            }
        );
        if self.integers {
            return (self.rounded())
                .or_else(|| (top < FAR).then(|| format!("{seen}, and the model takes integers of 0 to 255")))
                .or_else(|| {
                    (top > FAR_16).then(|| format!("{seen}, and the model takes integers of 0 to 255"))
                });
        }
        let advice = "leave scale out, or say the one that is meant";
        if let (Some(inside), false) = (self.bytes_inside, self.measured)
            && top < FAR
        {
            return Some(format!("{seen}, but {inside}; {advice}"));
        }
        if let (Some(inside), false, Depth::U16) = (self.stored_inside, self.measured, depth)
            && top < FAR_16
        {
            return Some(format!("{seen}, but {inside}; {advice}"));
        }
        if let (Some(inside), true) = (self.unit_inside, !self.measured && self.fixed.is_none())
            && top > far
        {
            return Some(format!("{seen}, but {inside}, as of samples of 0 to 1; {advice}"));
        }
        if self.fixed.is_none() && !self.measured && top < NOTHING {
            return Some(format!("{seen}, which leaves a model next to nothing; {advice}"));
        }
        let (mean, std) = self.fixed?;
        // A mean of what is never that large, or a deviation.
        let beyond = mean > top.max(1.0) * 1.001 || (std > 1.0 && std > top.max(1.0) * 1.001);
        if beyond {
            let range = if self.peak() > 255.0 { "as they are stored, above 255" } else { "of 0 to 255" };
            return Some(format!("{seen}, but {} is of samples {range}; {advice}", self.numbers()));
        }
        (self.peak() <= 1.0 && top > far)
            .then(|| format!("{seen}, but {} is of samples of 0 to 1; {advice}", self.numbers()))
    }

    /// The least and greatest number that mean and deviation make of 0 to `top`.
    fn shown(&self, top: f64) -> String {
        let of = |list: &[f32], k: usize| list.get(k).or(list.first()).map_or(0.0, |v| f64::from(*v));
        let channels = 0..self.mean.len().max(self.std.len()).max(1);
        let range = |sample: f64| {
            channels
                .clone()
                .map(move |k| (sample - of(self.mean, k)) / of(self.std, k).max(f64::MIN_POSITIVE))
        };
        let low = range(0.0).fold(f64::INFINITY, f64::min);
        let high = range(top).fold(f64::NEG_INFINITY, f64::max);
        format!("{} to {}", number(low), number(high))
    }

    /// The mean, and the deviation where there is one.
    fn numbers(&self) -> String {
        let Some((mean, std)) = self.fixed else { return "no mean".to_owned() };
        if std == 1.0 || std <= 0.0 {
            format!("a mean of {}", number(mean))
        } else {
            format!("a mean of {} and a std of {}", number(mean), number(std))
        }
    }
}

/// What becomes of samples of images of these depths.
fn range_in_words(scale: Scale, depths: &[Depth]) -> String {
    let floats = depths.contains(&Depth::F32);
    let all_floats = floats && depths.iter().all(|depth| *depth == Depth::F32);
    match scale {
        Scale::Factor(_) => "as stored".to_owned(),
        Scale::Unit | Scale::Bytes if all_floats => "as they are (floats)".to_owned(),
        Scale::Unit | Scale::Bytes => {
            let full = if scale == Scale::Unit { 1 } else { 255 };
            format!("0 to {full} by depth{}", if floats { ", floats as they are" } else { "" })
        }
    }
}

/// A number for a sentence: four digits that count.
fn number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let digits = (3 - value.abs().log10().floor() as i32).clamp(0, 6) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
#[path = "scale_tests.rs"]
mod tests;
