//! What changed between two nights.

use crate::flips::Flips;
use crate::night::{Came, Night, NightClass, NightImage};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// So many flips of one class into another are listed.
const FLIPS_LISTED: usize = 100;

/// What becomes of an image between two nights.
#[derive(Debug, Clone, Copy)]
pub enum Pair<'a> {
    /// It has the same result.
    Same,
    /// Only the later night has it.
    Came(&'a NightImage),
    /// Only the earlier night has it.
    Gone(&'a NightImage),
    /// It has another result: then, and now.
    Changed(&'a NightImage, &'a NightImage),
}

/// What becomes of each image, in the order of the later night; those that are gone come last.
pub fn pairs<'a>(before: &'a Night, after: &'a Night) -> Vec<Pair<'a>> {
    let mut known: BTreeMap<&str, &NightImage> =
        before.images.iter().map(|image| (image.id.as_str(), image)).collect();
    let mut pairs = Vec::with_capacity(after.images.len());
    for image in &after.images {
        pairs.push(match known.remove(image.id.as_str()) {
            None => Pair::Came(image),
            Some(earlier) => {
                let result = |image: &NightImage| (image.class_pixels.clone(), image.missing_pixels);
                let is_kept = before.labels_key(earlier) == after.labels_key(image);
                if is_kept && result(earlier) == result(image) {
                    Pair::Same
                } else {
                    Pair::Changed(earlier, image)
                }
            }
        });
    }
    pairs.extend(known.into_values().map(Pair::Gone));
    pairs
}

/// What changed between two nights.
#[derive(Debug, Serialize)]
pub struct Difference {
    /// The earlier night.
    pub before: Head,
    /// The later one.
    pub after: Head,
    /// How many images became what: `same`, `came`, `gone`, `changed`; `unchanged` of these were made anew and have the labels
    /// that they had.
    pub images: Counted,
    /// Of images that both nights have: pixels whose label is another one, and all that were compared.
    pub changed_pixels: u64,
    /// All that were compared; of images that have the same result, every pixel.
    pub compared_pixels: u64,
    /// Each class of either night.
    pub classes: Vec<ClassDifference>,
    /// Which class became which, the most pixels first.
    pub flips: Vec<Flip>,
    /// Members that only one night has.
    pub members: Members,
    /// Images that came, went or changed: those of which most changed first.
    pub listed: Vec<ImageDifference>,
}

/// A night, in a few words.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Head {
    /// When it ended.
    pub at: String,
    /// The job.
    pub job: String,
    /// Images with a result.
    pub images: u64,
    /// Images without one.
    pub lost: u64,
    /// The mean IoU over the data set, where the job evaluates.
    pub mean_iou: Option<f64>,
}

/// How many images became what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// They have the same result.
    pub same: u64,
    /// Only the later night has them.
    pub came: u64,
    /// Only the earlier night has them.
    pub gone: u64,
    /// They have another result.
    pub changed: u64,
    /// Of those, every pixel has the label that it had.
    pub unchanged: u64,
    /// Of those, labels could not be compared.
    pub not_compared: u64,
}

/// A class then and now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassDifference {
    /// Its name.
    pub name: String,
    /// Its colour: red, green, blue.
    pub colour: [u8; 3],
    /// Pixels of all images of the earlier night.
    pub before: u64,
    /// Pixels of all images of the later night.
    pub after: u64,
    /// Of images that both have: pixels that became it.
    pub gained: u64,
    /// Of images that both have: pixels that ceased to be it.
    pub lost: u64,
}

/// Pixels of one class that became another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flip {
    /// What they were.
    pub from: String,
    /// What they are.
    pub to: String,
    /// How many.
    pub pixels: u64,
}

/// Members that only one night has, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Members {
    /// Only the later one.
    pub came: Vec<String>,
    /// Only the earlier one.
    pub gone: Vec<String>,
    /// Both have one of this name, and it is another model.
    pub replaced: Vec<String>,
}

/// An image that came, went or changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImageDifference {
    /// Its id.
    pub id: String,
    /// `came`, `gone` or `changed`.
    pub what: &'static str,
    /// Why it has another result, as the later night has it.
    pub why: Option<Came>,
    /// Pixels whose label is another one; nothing where they were not compared.
    pub changed_pixels: Option<u64>,
    /// Their share of all, 0 to 1.
    pub share: Option<f64>,
    /// What most of them were and are.
    pub most: Option<Flip>,
    /// Why labels were not compared.
    pub reason: Option<String>,
}

/// The classes of two nights, matched by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllClasses {
    /// All of them, those of the later night first.
    pub list: Vec<NightClass>,
    /// Where each class of the earlier night, and of the later one, is among them.
    pub places: [Vec<usize>; 2],
}

impl Night {
    /// The classes of this night and an earlier one.
    pub fn classes_with(&self, before: &Self) -> AllClasses {
        let mut list: Vec<NightClass> = Vec::new();
        let mut places = |night: &Self| {
            let place = |class: &NightClass| {
                list.iter().position(|known| known.name == class.name).unwrap_or_else(|| {
                    list.push(class.clone());
                    list.len() - 1
                })
            };
            night.classes.iter().map(place).collect::<Vec<_>>()
        };
        let now = places(self);
        let then = places(before);
        AllClasses { list, places: [then, now] }
    }
}

/// What changed between two nights, by what was counted of those images that have another result: `compared` has, by id, what
/// became of their pixels, or why that is not known.
pub fn difference(
    before: &Night,
    after: &Night,
    compared: &BTreeMap<String, Result<Flips, String>>,
) -> Difference {
    let AllClasses { list: classes, places } = after.classes_with(before);
    let (mut images, mut listed, mut all) = (Counted::default(), Vec::new(), Flips::new(classes.len()));
    let mut same_pixels = 0;
    let name =
        |class: usize| classes.get(class).map_or_else(|| "no label".to_owned(), |class| class.name.clone());
    for pair in pairs(before, after) {
        match pair {
            Pair::Same => images.same += 1,
            Pair::Came(image) => {
                images.came += 1;
                listed.push(ImageDifference::of(&image.id, "came", Some(image.came)));
            }
            Pair::Gone(image) => {
                images.gone += 1;
                listed.push(ImageDifference::of(&image.id, "gone", None));
            }
            Pair::Changed(_, image) => {
                images.changed += 1;
                let mut one = ImageDifference::of(&image.id, "changed", Some(image.came));
                match compared.get(&image.id) {
                    Some(Ok(flips)) => {
                        all.add(flips);
                        images.unchanged += u64::from(flips.changed() == 0);
                        one.changed_pixels = Some(flips.changed());
                        one.share = Some(flips.changed() as f64 / flips.all().max(1) as f64);
                        one.most = largest(flips, classes.len(), 1, &name).pop();
                    }
                    other => {
                        images.not_compared += 1;
                        let unknown = "its labels were not compared".to_owned();
                        one.reason = Some(other.and_then(|found| found.clone().err()).unwrap_or(unknown));
                    }
                }
                listed.push(one);
            }
        }
    }
    for (pair, image) in pairs(before, after).iter().zip(&after.images) {
        if matches!(pair, Pair::Same) {
            let pixels: u64 = image.class_pixels.iter().sum();
            same_pixels += pixels + image.missing_pixels;
        }
    }
    listed.sort_by_key(|image| {
        let order = ["changed", "came", "gone"].iter().position(|what| *what == image.what);
        // What could not be compared comes first: nobody knows how much it is.
        (order, image.changed_pixels.is_some(), Reverse(image.share.map(f64::to_bits)), image.id.clone())
    });
    let sums = |night: &Night, places: &[usize], class: usize| -> u64 {
        let place = places.iter().position(|place| *place == class);
        place.map_or(0, |place| night.images.iter().filter_map(|i| i.class_pixels.get(place)).sum())
    };
    let of_class = |(class, NightClass { name, colour }): (usize, &NightClass)| {
        let [was, is, both] = all.class(class);
        ClassDifference {
            name: name.clone(),
            colour: *colour,
            before: sums(before, &places[0], class),
            after: sums(after, &places[1], class),
            gained: is - both,
            lost: was - both,
        }
    };
    Difference {
        before: Head::of(before),
        after: Head::of(after),
        images,
        changed_pixels: all.changed(),
        compared_pixels: all.all() + same_pixels,
        classes: classes.iter().enumerate().map(of_class).collect(),
        flips: largest(&all, classes.len(), FLIPS_LISTED, &name),
        members: members(before, after),
        listed,
    }
}

/// The largest flips, the most pixels first.
fn largest(flips: &Flips, classes: usize, most: usize, name: &impl Fn(usize) -> String) -> Vec<Flip> {
    let all = (0..=classes).flat_map(|from| (0..=classes).map(move |to| (from, to)));
    let all = all.filter(|(from, to)| from != to).map(|(from, to)| (flips.of(from, to), from, to));
    let mut found: Vec<(u64, usize, usize)> = all.filter(|(pixels, ..)| *pixels > 0).collect();
    found.sort_by_key(|&(pixels, from, to)| (Reverse(pixels), from, to));
    found.truncate(most);
    found.into_iter().map(|(pixels, from, to)| Flip { from: name(from), to: name(to), pixels }).collect()
}

fn members(before: &Night, after: &Night) -> Members {
    let of = |night: &Night| -> BTreeMap<String, String> {
        night.members.iter().map(|member| (member.name.clone(), member.sha256.clone())).collect()
    };
    let (then, now) = (of(before), of(after));
    let without = |own: &BTreeMap<String, String>, other: &BTreeMap<String, String>| {
        own.keys().filter(|name| !other.contains_key(*name)).cloned().collect()
    };
    let replaced = now.iter().filter(|(name, sha256)| then.get(*name).is_some_and(|other| other != *sha256));
    Members {
        came: without(&now, &then),
        gone: without(&then, &now),
        replaced: replaced.map(|(name, _)| name.clone()).collect(),
    }
}

impl Head {
    fn of(night: &Night) -> Self {
        let (images, lost) = (night.images.len() as u64, night.lost.len() as u64);
        Self { at: night.at.clone(), job: night.job.clone(), images, lost, mean_iou: night.mean_iou }
    }
}

impl ImageDifference {
    fn of(id: &str, what: &'static str, why: Option<Came>) -> Self {
        let id = id.to_owned();
        Self { id, what, why, changed_pixels: None, share: None, most: None, reason: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flips::compare_labels;
    use crate::night::NightMember;
    use crate::night::tests::{image, night};
    use marquetry_geometry::Size;
    use marquetry_job::TruthLabels;

    #[test]
    fn what_came_went_and_changed_is_listed_and_adds_up() {
        let mut before =
            night("1", "j", ["same", "a", "b", "c", "gone"].map(|id| image(id, id, [3, 3])).into());
        let member = |name: &str, sha256: &str| NightMember { name: name.into(), sha256: sha256.into() };
        before.members = vec![member("m", "1"), member("old", "2")];
        let mut after =
            night("2", "j", ["new", "same", "a", "b", "c"].map(|id| image(id, id, [3, 3])).into());
        after.members = vec![member("m", "9"), member("young", "2")];
        after.classes.push(NightClass { name: "c".into(), colour: [0; 3] });
        for image in &mut after.images[2..] {
            image.key += "2";
            image.class_pixels = vec![2, 3, 1];
        }
        after.follow(Some(&before));
        let size = Size::new(2, 3);
        let labels = |labels: [u16; 6]| TruthLabels::encode(size, &labels).unwrap();
        let AllClasses { list: classes, places } = after.classes_with(&before);
        let compare = |now: [u16; 6]| {
            let stored = [labels([0, 0, 0, 1, 1, 1]), labels(now)];
            compare_labels(stored, [&places[0], &places[1]], (classes.len(), true), None).unwrap().0
        };
        let compared = BTreeMap::from([
            ("a".to_owned(), Ok(compare([0, 0, 2, 1, 1, 1]))),
            ("b".to_owned(), Ok(compare([0, 0, 2, 2, 1, 1]))),
            ("c".to_owned(), Err("it is away".to_owned())),
        ]);
        let found = difference(&before, &after, &compared);
        let ids: Vec<&str> = found.listed.iter().map(|image| image.id.as_str()).collect();
        assert_eq!(ids, ["c", "b", "a", "new", "gone"]);
        let counted = Counted { same: 1, came: 1, gone: 1, changed: 3, unchanged: 0, not_compared: 1 };
        assert_eq!(found.images, counted);
        assert_eq!((found.changed_pixels, found.compared_pixels), (3, 18));
        let flip = |from: &str, to: &str, pixels| Flip { from: from.into(), to: to.into(), pixels };
        assert_eq!(found.flips, [flip("a", "c", 2), flip("b", "c", 1)]);
        let class = |at: usize| {
            (
                found.classes[at].before,
                found.classes[at].after,
                found.classes[at].gained,
                found.classes[at].lost,
            )
        };
        assert_eq!([class(0), class(1), class(2)], [(15, 12, 0, 2), (15, 15, 0, 1), (0, 3, 3, 0)]);
        let members =
            Members { came: vec!["young".into()], gone: vec!["old".into()], replaced: vec!["m".into()] };
        assert_eq!(found.members, members);
        assert_eq!(found.listed[1].most, Some(flip("a", "c", 1)));
        assert_eq!(found.listed[0].reason.as_deref(), Some("it is away"));
    }
}
