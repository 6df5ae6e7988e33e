//! Which channels of a member speak for which class of the job.

use crate::planning::activation::channels as counted;
use crate::planning::findings::{Choice, Origin};
use marquetry_ensemble::{ClassMap, Labelling, OutputActivation, Rest};
use marquetry_spec::{JobSpec, OutputSpec, RestSpec};

/// What is to be mapped.
pub(crate) struct Channels<'a> {
    /// Channels of the head.
    pub(crate) count: u32,
    pub(crate) applied: OutputActivation,
    /// The names that the model's own metadata gives them.
    pub(crate) names: Option<&'a [String]>,
    /// The greatest label that was seen, where it says labels.
    pub(crate) label_max: Option<u32>,
}

/// What was settled.
#[derive(Debug, PartialEq)]
pub(crate) struct SettledClasses {
    pub(crate) map: ClassMap,
    pub(crate) choice: Choice<String>,
    /// What is suspicious about it.
    pub(crate) warning: Option<String>,
}

/// Which of a head's channels are which class: as the job says, by the names that the model itself gives them, or one
/// for one.
///
/// # Errors
/// When the channels cannot be the classes, or it cannot be told which they are.
pub(crate) fn settle_classes(
    spec: &JobSpec,
    output: &OutputSpec,
    channels: &Channels<'_>,
) -> Result<SettledClasses, String> {
    let job =
        Job { names: spec.class_names(), background: spec.decide.background, labelling: spec.labelling };
    let mut settled = match (&output.classes, channels.names) {
        (Some(said), names) => {
            let settled = job.said(said, output.rest, channels)?;
            SettledClasses { warning: names.and_then(|names| job.otherwise(said, names)), ..settled }
        }
        (None, Some(names)) => job.named(names, output.rest, channels)?,
        (None, None) => job.by_channel(channels)?,
    };
    job.check_labels(&settled.map, channels)?;
    let first_is_background = spec.background().is_none() && job.background == Some(0);
    let one = channels.count == 1 && output.classes.is_none() && channels.applied != OutputActivation::Labels;
    let first = if !first_is_background {
        None
    } else if one && job.names.len() == 2 {
        Some(job.one_of_two())
    } else {
        job.first_gets_the_rest(&settled.map, output.rest)
    };
    settled.warning = settled.warning.or(first);
    Ok(settled)
}

struct Job {
    names: Vec<String>,
    background: Option<usize>,
    labelling: Labelling,
}

impl Job {
    fn said(
        &self,
        said: &[Vec<u16>],
        rest: Option<RestSpec>,
        channels: &Channels<'_>,
    ) -> Result<SettledClasses, String> {
        let labels = channels.applied == OutputActivation::Labels;
        for (class, own) in said.iter().enumerate() {
            if let Some(channel) = own.iter().find(|&&c| !labels && u32::from(c) >= channels.count) {
                return Err(format!(
                    "output.classes: class `{}` is channel {channel}, and the head has {}, counted from 0{}",
                    self.names[class],
                    counted(channels.count),
                    named_in_words(channels.names),
                ));
            }
        }
        self.settled(said.to_vec(), rest, channels, Origin::Said)
    }

    /// What there is to tell of classes that the job has elsewhere than the model's own names.
    fn otherwise(&self, said: &[Vec<u16>], names: &[String]) -> Option<String> {
        let told =
            self.names.iter().zip(said).filter(|(_, own)| !own.is_empty()).find_map(|(class, own)| {
                let called = |channel: &&u16| names.get(usize::from(**channel)).map_or("", String::as_str);
                let is_another = |channel: &&u16| {
                    let name = key(called(channel));
                    name != key(class) && self.names.iter().any(|other| key(other) == name)
                };
                let another = own.iter().find(is_another);
                let elsewhere = names.iter().position(|name| key(name) == key(class));
                match (another, elsewhere.filter(|&place| !own.contains(&(place as u16)))) {
                    (Some(channel), _) => {
                        Some(format!("`{class}` is channel {channel}, which is `{}`", called(&channel)))
                    }
                    (None, Some(place)) => Some(format!("`{class}` is channel {}, and not {place}", own[0])),
                    (None, None) => None,
                }
            })?;
        Some(format!(
            "output.classes: by the job {told} by the model's own metadata ({}): what the job says counts",
            listed(names)
        ))
    }

    /// By the names that the model gives its channels.
    fn named(
        &self,
        names: &[String],
        rest: Option<RestSpec>,
        channels: &Channels<'_>,
    ) -> Result<SettledClasses, String> {
        let of = |class: &String| -> Vec<u16> {
            let same = names.iter().enumerate().filter(|(_, name)| key(name) == key(class));
            same.map(|(channel, _)| channel as u16).collect()
        };
        let mut own: Vec<Vec<u16>> = self.names.iter().map(of).collect();
        // Where names are counted from 1, what has no name is what is none of them.
        if let (Some(background), [first, ..]) = (self.background, names)
            && first.is_empty()
            && own[background].is_empty()
        {
            own[background].push(0);
        }
        let in_place = own.iter().enumerate().filter(|(class, own)| own[..] == [*class as u16]).count();
        let known = own.iter().filter(|own| !own.is_empty()).count();
        let objects =
            own.iter().enumerate().filter(|(class, own)| Some(*class) != self.background && !own.is_empty());
        let one_for_one = names.len() == self.names.len();
        if known == self.names.len() && in_place == known && one_for_one {
            let value = format!("{known} by name, in the job's order");
            let choice = Choice { value, from: Origin::Metadata };
            return Ok(SettledClasses { map: ClassMap::default(), choice, warning: None });
        }
        if one_for_one && known == in_place {
            // Some or all are called otherwise, and none of them is elsewhere.
            let mut settled = self.by_channel(channels)?;
            settled.warning = (!names.iter().all(|name| is_generic(name))).then(|| {
                format!(
                    "its own metadata calls its classes {}, and the job {}: they are taken one for one; say which are which \
                     with output.classes",
                    listed(names),
                    self.names.join(", ")
                )
            });
            return Ok(settled);
        }
        if one_for_one && known < self.names.len() {
            return Err(format!(
                "its own metadata calls its classes {}, and the job {}: some are the same in another order, and some are \
                 not there; say which are which with output.classes: {{{}: …}}",
                listed(names),
                self.names.join(", "),
                self.names[0],
            ));
        }
        if let (1, 2, Some(background)) = (channels.count, self.names.len(), self.background)
            && channels.applied != OutputActivation::Labels
            && own[background] == [0]
        {
            let (nothing, object) = (&self.names[background], &self.names[1 - background]);
            return Err(format!(
                "its own metadata calls its one channel `{nothing}`, and the job takes one channel for that of `{object}`: say \
                 output.classes: {{{object}: 0}} if it is that of `{object}`, or decide.background: {object} if it is that of \
                 `{nothing}`"
            ));
        }
        if objects.count() == 0 {
            // No name of the job's classes is among them: the number of channels alone must tell.
            return self.by_channel(channels);
        }
        self.settled(own, rest, channels, Origin::Metadata)
    }

    fn by_channel(&self, channels: &Channels<'_>) -> Result<SettledClasses, String> {
        let (count, classes) = (channels.count as usize, self.names.len());
        let exclusive = self.labelling == Labelling::Multiclass;
        let from = Origin::Default;
        let plain = |value: String| SettledClasses {
            map: ClassMap::default(),
            choice: Choice { value, from },
            warning: None,
        };
        if channels.applied == OutputActivation::Labels {
            return Ok(plain(format!("{classes} by label")));
        }
        if count == 1 && classes == 2 && exclusive && channels.applied != OutputActivation::Softmax {
            let object = usize::from(self.background != Some(1));
            let map = if object == 1 { ClassMap::default() } else { ClassMap::object(0) };
            let value = format!("its one channel is `{}`", self.names[object]);
            return Ok(SettledClasses { map, ..plain(value) });
        }
        if count == classes {
            return Ok(plain(format!("{classes} by channel")));
        }
        Err(self.unlike(channels))
    }

    /// The map of channels that are named, and what becomes of the others.
    fn settled(
        &self,
        own: Vec<Vec<u16>>,
        rest: Option<RestSpec>,
        channels: &Channels<'_>,
        from: Origin,
    ) -> Result<SettledClasses, String> {
        let mut map = ClassMap { channels: own, rest: Rest::None };
        map.rest = self.rest(rest, &map, channels)?;
        let value = self.in_words(&map, channels);
        Ok(SettledClasses { map, choice: Choice { value, from }, warning: None })
    }

    fn rest(&self, said: Option<RestSpec>, map: &ClassMap, channels: &Channels<'_>) -> Result<Rest, String> {
        let count = channels.count as usize;
        let labels = channels.applied == OutputActivation::Labels;
        let unnamed = labels || !map.unnamed(count).is_empty();
        let Some(background) = self.background.filter(|_| self.labelling == Labelling::Multiclass) else {
            return Ok(if unnamed { Rest::Dropped } else { Rest::None });
        };
        // Each channel by itself leaves something of 1; those of a softmax only where some are not named.
        let alone = count == 1 || channels.applied == OutputActivation::Sigmoid;
        let has_own = !map.channels[background].is_empty();
        let left = unnamed || (alone && !has_own);
        let classes_named = map.channels.iter().filter(|own| !own.is_empty()).count();
        match said.unwrap_or(RestSpec::Background) {
            RestSpec::Background if left => Ok(Rest::Class(background as u16)),
            RestSpec::Drop if !labels && !alone && classes_named == 1 => Err(format!(
                "output.rest: with rest: drop the named channels share 1 between them, and class `{}` alone would be \
                 certain everywhere: name more classes, or leave rest out",
                self.names[map.channels.iter().position(|own| !own.is_empty()).unwrap_or(0)]
            )),
            RestSpec::Drop if left => Ok(Rest::Dropped),
            RestSpec::Background | RestSpec::Drop => Ok(Rest::None),
        }
    }

    /// What there is to tell of one channel for two classes of which none is called background.
    fn one_of_two(&self) -> String {
        let (first, other) = (&self.names[0], &self.names[1]);
        format!(
            "its one channel is taken for `{other}`, since no class is called background and the first, `{first}`, is taken for it: if the \
             channel is `{first}`, say decide: {{background: {other}}}; else list a class called background"
        )
    }

    /// What there is to tell where the first class gets all that the model knows besides, and is not called background.
    fn first_gets_the_rest(&self, map: &ClassMap, rest: Option<RestSpec>) -> Option<String> {
        let first = &self.names[0];
        // A class without a channel of its own can be nothing else.
        let has_own = map.channels.first().is_some_and(|own| !own.is_empty());
        (map.rest == Rest::Class(0) && has_own && rest.is_none()).then(|| {
            format!(
                "what the model knows besides counts as `{first}`, the first class, since none is called background: say output: {{rest: \
                 drop}} to leave it out, or name a background"
            )
        })
    }

    fn in_words(&self, map: &ClassMap, channels: &Channels<'_>) -> String {
        let labels = channels.applied == OutputActivation::Labels;
        let what = if labels { "label" } else { "channel" };
        let mut words: Vec<String> = Vec::new();
        for (name, own) in self.names.iter().zip(&map.channels).filter(|(_, own)| !own.is_empty()) {
            let numbers = own.iter().map(ToString::to_string).collect::<Vec<_>>().join(" + ");
            words.push(format!("{name} = {what} {numbers}"));
        }
        match map.rest {
            Rest::Class(class) => words.push(format!("{} = the rest", self.names[usize::from(class)])),
            Rest::Dropped => words.push("the rest dropped".to_owned()),
            Rest::None => {}
        }
        let silent: Vec<&str> = (0..self.names.len())
            .filter(|&class| !map.speaks_for(class))
            .map(|class| self.names[class].as_str())
            .collect();
        if !silent.is_empty() {
            words.push(format!("nothing of {}", silent.join(", ")));
        }
        words.join(" · ")
    }

    /// Labels that are no class must be spoken of.
    fn check_labels(&self, map: &ClassMap, channels: &Channels<'_>) -> Result<(), String> {
        let Some(most) = channels.label_max.filter(|_| map.rest == Rest::None) else { return Ok(()) };
        let classes = self.names.len();
        if map.is_by_channel() && most as usize >= classes {
            return Err(format!(
                "it says labels up to {most}, and the job names {classes} classes, whose labels are 0 to {}: say which label \
                 is which class with output.classes: {{{}: …}}{}{}",
                classes - 1,
                self.names[classes - 1],
                named_in_words(channels.names),
                if (128..=255).contains(&most) {
                    "; if they are probabilities times 255 and no labels, have the model divide by 255 and give floats"
                } else {
                    ""
                },
            ));
        }
        Ok(())
    }

    /// How channels are said to be classes, for a model of `count` channels: which is which nobody knows but the user.
    fn example(&self, count: usize) -> String {
        const SHOWN: usize = 3;
        // What too few channels leave out is the background, most likely: it is what is left.
        let without = self.background.filter(|_| count < self.names.len());
        let named = self.names.iter().enumerate().filter(|(class, _)| Some(*class) != without);
        let pairs = named.zip(0..count).map(|((_, name), channel)| format!("{name}: {channel}"));
        let pairs: Vec<_> = pairs.collect();
        let more = if pairs.len() > SHOWN { ", …" } else { "" };
        format!(
            "say of which class each channel is, and leave out classes of which the model knows nothing: if they came in the \
             job's order{}, output: {{classes: {{{}{more}}}}}",
            without.map_or_else(String::new, |class| format!(" without `{}`", self.names[class])),
            pairs[..pairs.len().min(SHOWN)].join(", ")
        )
    }

    fn unlike(&self, channels: &Channels<'_>) -> String {
        let (count, classes) = (channels.count as usize, self.names.len());
        let exclusive = self.labelling == Labelling::Multiclass;
        let advice = match channels.applied {
            OutputActivation::Softmax if count == 1 => {
                "; a softmax over one channel is 1 everywhere".to_owned()
            }
            _ if exclusive && count + 1 == classes => format!(
                "; {}; if the background has no channel, set output.multilabel: true and name the others only",
                self.example(count)
            ),
            _ => format!("; {}", self.example(count)),
        };
        let says =
            format!("it says {} per pixel, and the job names {classes} classes", counted(channels.count));
        format!("{says}{advice}{}", named_in_words(channels.names))
    }
}

/// A name as it is compared.
fn key(name: &str) -> String {
    name.trim().to_lowercase()
}

/// Names in the order of their channels.
pub(crate) fn listed(names: &[String]) -> String {
    let words = names.iter().map(|name| if name.is_empty() { "(no name)" } else { name.as_str() });
    words.collect::<Vec<_>>().join(", ")
}

/// Names that say nothing: `LABEL_0`, `class 3`, `7`.
fn is_generic(name: &str) -> bool {
    let word = name.trim().trim_end_matches(|c: char| c.is_ascii_digit());
    let word = word.trim_end_matches(['_', '-', ' ', '#']).to_lowercase();
    word.is_empty() || ["label", "class", "channel", "c", "cls"].contains(&word.as_str())
}

fn named_in_words(names: Option<&[String]>) -> String {
    const NAMED: usize = 30;
    let Some(names) = names else { return String::new() };
    let named: Vec<String> = names
        .iter()
        .enumerate()
        .filter(|(_, name)| !name.is_empty())
        .take(NAMED)
        .map(|(channel, name)| format!("{channel} {name}"))
        .collect();
    let more = if names.len() > NAMED { ", …" } else { "" };
    format!("; the model's own names are {}{more}", named.join(", "))
}

#[cfg(test)]
#[path = "class_map_tests.rs"]
mod tests;
