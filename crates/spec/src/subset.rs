//! A part of a job, for an experiment.

use super::kind::{Double, Maybe, Text, Whole};
use super::member::Tags;
use super::section::section;
use super::table::Bounds;
use std::collections::BTreeMap;

section! {
    /// A part of the job, for an experiment: members of some tags, a sample of the images. `--members`, `--sample`, `--stratify` and
    /// `--seed` of every command say the same. Results of the other images stay; tables and pages are those of the part.
    pub struct Subset: "subset" (_) derive [] {
        /// Members of these tags alone: `{fold: 0, seed: 1|2}`, with `|` between values of which any will do. With `folds:
        /// out_of_fold` images that no member is left for are left out.
        pub members: BTreeMap<String, String> = BTreeMap::new(), Tags;
        /// Share of the images, at least one: those of the smallest hashes of their ids, so that a larger share has the images of
        /// a smaller one, and a list that grows keeps them.
        pub sample: f64 = 1.0, Double(SHARE);
        /// A column of the list of images, of each value of which that share is taken, at least one image.
        pub stratify: Option<String> = None, Maybe(Text::not_blank("a column of the list of images")), unset = "all images are one";
        /// Another number draws another sample.
        pub seed: u64 = 0, Whole::<u64>::new(0, u64::MAX);
    }
}

const SHARE: Bounds = Bounds { min: Some(1e-6), max: Some(1.0), ..Bounds::any("a share above 0, at most 1") };

impl Subset {
    /// Whether the job is whole.
    pub fn is_all(&self) -> bool {
        self.members.is_empty() && self.sample >= 1.0
    }

    /// Whether a member of these tags is one of it.
    pub fn takes(&self, tags: &BTreeMap<String, String>) -> bool {
        have(&self.members, tags)
    }
}

/// Whether `tags` have all that is `wanted`: for each tag one of the values between which `|` stands.
pub(super) fn have(wanted: &BTreeMap<String, String>, tags: &BTreeMap<String, String>) -> bool {
    wanted.iter().all(|(tag, values)| {
        tags.get(tag).is_some_and(|own| values.split('|').any(|value| same(value.trim(), own)))
    })
}

/// Whether two values of a tag are one: numbers by their value, as names write them with leading zeros.
fn same(value: &str, own: &str) -> bool {
    let number = |text: &str| text.parse::<u64>().ok();
    value == own || (number(value).is_some() && number(value) == number(own))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::JobSpec;

    fn subset(text: &str) -> Subset {
        let job = format!(
            "version: 1\nimages: i\nclasses: [a, b]\nmembers: [{{onnx: m.onnx}}]\noutputs: [{{masks: png}}]\n{text}"
        );
        JobSpec::parse(&job).unwrap().subset
    }

    #[test]
    fn members_are_taken_by_all_of_their_tags() {
        let tags = |fold: &str, seed: &str| {
            BTreeMap::from([("fold".into(), fold.into()), ("seed".into(), seed.into())])
        };
        let some = subset("subset: {members: {fold: 0, seed: 1|2}, sample: 0.5}");
        assert!(some.takes(&tags("0", "1")) && some.takes(&tags("00", "2")) && !some.takes(&tags("0", "3")));
        assert!(!some.takes(&tags("1", "1")) && !some.takes(&BTreeMap::new()) && !some.is_all());
        assert!(subset("").is_all() && subset("").takes(&BTreeMap::new()));
    }
}
