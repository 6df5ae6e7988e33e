//! Which channel of a gate's model speaks of which class of the job.

use crate::planning::activation::channels as counted;
use crate::planning::findings::{Choice, Origin};
use marquetry_ensemble::OutputActivation;

/// What is known of a model's channels.
pub(crate) struct GateChannels<'a> {
    pub(crate) count: u32,
    /// What the graph applies.
    pub(crate) applied: OutputActivation,
    /// Their names in the model's own metadata, as many as there are.
    pub(crate) names: Option<&'a [String]>,
}

/// For each class its channel, and how that was settled.
#[derive(Debug, PartialEq)]
pub(crate) struct SettledGate {
    pub(crate) channels: Vec<Option<u16>>,
    pub(crate) choice: Choice<String>,
    /// Whether one of two channels is the background, and the other everything else.
    pub(crate) is_background_and_rest: bool,
    pub(crate) warning: Option<String>,
}

/// Settles the channels of a job of these `classes`: as is `said`, by the names in the model's metadata, or by their number.
///
/// # Errors
/// When neither tells it.
pub(crate) fn settle(
    said: Option<&[Option<u16>]>,
    classes: &[String],
    background: Option<usize>,
    of: &GateChannels<'_>,
) -> Result<SettledGate, String> {
    let settled = |channels, value: String, from, is_background_and_rest, warning| {
        Ok(SettledGate { channels, choice: Choice { value, from }, is_background_and_rest, warning })
    };
    if let Some(said) = said {
        if let Some(channel) = said.iter().flatten().find(|channel| u32::from(**channel) >= of.count) {
            return Err(format!(
                "classes: there is no channel {channel}, since the output has {}, counted from 0",
                counted(of.count)
            ));
        }
        let rest = said.iter().flatten().all(|channel| *channel == 1) && of.count == 2;
        return settled(said.to_vec(), in_words(said, classes), Origin::Said, rest, None);
    }
    let objects = || (0..classes.len()).filter(|class| Some(*class) != background);
    let each = |channel: &dyn Fn(usize) -> u16| -> Vec<Option<u16>> {
        (0..classes.len()).map(|class| (Some(class) != background).then(|| channel(class))).collect()
    };
    if let Some(names) = of.names {
        let place = |class: usize| names.iter().position(|name| *name == classes[class]);
        if objects().all(|class| place(class).is_some()) {
            let channels = each(&|class| place(class).unwrap_or(0) as u16);
            let value = in_words(&channels, classes);
            return settled(channels, value, Origin::Metadata, false, None);
        }
    }
    let count = of.count as usize;
    let (channels, value, rest) = if count == classes.len() {
        let is_pair = count == 2 && background.is_some();
        (each(&|class| class as u16), "channels in the order of classes".to_owned(), is_pair)
    } else if background.is_some() && count == 1 {
        (each(&|_| 0), "one channel: whether anything but the background is there".to_owned(), false)
    } else if background.is_some()
        && count == 2
        && (classes.len() > 3 || of.applied == OutputActivation::Softmax)
    {
        (each(&|_| 1), "the second channel: whether anything but the background is there".to_owned(), true)
    } else if background.is_some() && count + 1 == classes.len() && of.applied != OutputActivation::Softmax {
        let rank = |class: usize| objects().position(|other| other == class).unwrap_or(0) as u16;
        (each(&rank), "channels in the order of classes without the background".to_owned(), false)
    } else {
        return Err(format!(
            "its {} cannot be told to be the job's {} classes: say which is which with classes: {{{}: CHANNEL}}",
            counted(of.count),
            classes.len(),
            objects().next().map_or("NAME", |class| &classes[class])
        ));
    };
    let warning = of.names.filter(|names| names.iter().any(|name| !name.is_empty())).map(|names| {
        format!(
            "its own metadata names its channels {}, which are not the job's classes, so the names are not used and {value}: say which \
             are which with classes if that is not so",
            names.join(", ")
        )
    });
    settled(channels, value, Origin::Default, rest, warning)
}

fn in_words(channels: &[Option<u16>], classes: &[String]) -> String {
    let pairs = classes.iter().zip(channels);
    let named = pairs.filter_map(|(class, channel)| Some(format!("{class} is channel {}", (*channel)?)));
    named.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channels(
        names: &[&str],
        background: Option<usize>,
        count: u32,
        applied: OutputActivation,
        own: Option<&[&str]>,
    ) -> Result<Vec<Option<u16>>, String> {
        let classes: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let own: Option<Vec<String>> = own.map(|own| own.iter().map(|name| (*name).to_owned()).collect());
        let of = GateChannels { count, applied, names: own.as_deref() };
        settle(None, &classes, background, &of).map(|settled| settled.channels)
    }

    #[test]
    fn numbers_of_channels_tell_what_they_are() {
        use OutputActivation::{None as Logits, Sigmoid, Softmax};
        let job = ["background", "a", "b"];
        let of = |count, applied| channels(&job, Some(0), count, applied, None);
        assert_eq!(of(3, Softmax), Ok(vec![None, Some(1), Some(2)]));
        assert_eq!(of(1, Sigmoid), Ok(vec![None, Some(0), Some(0)]));
        assert_eq!(of(2, Sigmoid), Ok(vec![None, Some(0), Some(1)]));
        assert_eq!(of(2, Logits), Ok(vec![None, Some(0), Some(1)]));
        assert_eq!(
            of(2, Softmax),
            Ok(vec![None, Some(1), Some(1)]),
            "of two that exclude each other one is neither"
        );
        assert!(of(5, Sigmoid).unwrap_err().contains("classes: {a: CHANNEL}"));
        assert_eq!(channels(&["bg", "a"], Some(0), 2, Softmax, None), Ok(vec![None, Some(1)]));
        assert_eq!(channels(&["bg", "a"], Some(0), 1, Sigmoid, None), Ok(vec![None, Some(0)]));
        assert_eq!(channels(&["a", "b"], None, 2, Sigmoid, None), Ok(vec![Some(0), Some(1)]));
        assert!(channels(&["a", "b"], None, 1, Sigmoid, None).is_err(), "of which of the two?");
        assert_eq!(channels(&["a", "bg"], Some(1), 2, Softmax, None), Ok(vec![Some(0), None]));
    }

    #[test]
    fn names_come_before_numbers() {
        let job = ["background", "a", "b"];
        let of = |names: &[&str]| channels(&job, Some(0), 3, OutputActivation::Sigmoid, Some(names));
        assert_eq!(of(&["b", "none", "a"]), Ok(vec![None, Some(2), Some(0)]));
        assert_eq!(of(&["x", "y", "z"]), Ok(vec![None, Some(1), Some(2)]));
    }
}
