//! What settings came to, judged together.

use super::trial::{Outcome, Setting};
use crate::exit::{Exit, Fatal};
use marquetry_coordinator::{Planned, SettingRow, SweepTable};
use marquetry_job::PlannedImage;
use marquetry_tuning::{Metric, Tried, WeightedCounts, trade_off};
use std::collections::BTreeMap;

/// The column of the list of images that says what belongs together.
const GROUP: &str = "group";

/// The images with truth that all settings have labels of, and the others.
pub(super) struct Common<'a> {
    pub(super) images: Vec<&'a PlannedImage>,
    pub(super) without: Vec<&'a str>,
}

impl<'a> Common<'a> {
    pub(super) fn of(planned: &'a Planned, outcomes: &[Outcome]) -> Result<Self, Fatal> {
        let is_counted =
            |image: &&PlannedImage| outcomes.iter().all(|outcome| outcome.counts.contains_key(&image.id));
        let (images, without): (Vec<_>, Vec<_>) = planned.images.iter().partition(is_counted);
        if images.is_empty() {
            let reason = "no image has labels of all settings: each was given up by one of them";
            return Err(Fatal::new(Exit::Failed, reason));
        }
        Ok(Self { images, without: without.into_iter().map(|image| image.id.as_str()).collect() })
    }

    pub(super) fn ids(&self) -> Vec<&'a str> {
        self.images.iter().map(|image| image.id.as_str()).collect()
    }

    /// The table. `megapixels` are those that the seconds of all settings are of.
    pub(super) fn table(
        &self,
        (settings, outcomes): (&[Setting], Vec<Outcome>),
        (seconds, megapixels): (&[f64], f64),
        metric: Metric,
        left_out: Vec<(String, String)>,
    ) -> SweepTable {
        let (units, groups_are_images) = units(&self.images);
        let tried = outcomes.iter().zip(seconds).map(|(outcome, seconds)| Tried {
            counts: units.iter().map(|unit| sum(unit, &outcome.counts)).collect(),
            cost: *seconds,
        });
        let found = trade_off(&tried.collect::<Vec<_>>(), 0, metric);
        let rows = settings.iter().zip(outcomes).zip(found.judged.into_iter().zip(seconds));
        let rows = rows.map(|((setting, outcome), (judged, took))| SettingRow {
            name: setting.name.clone(),
            judged,
            forwards: setting.cost.forwards,
            seconds_per_megapixel: took / megapixels,
            ratio: took / seconds[0],
            evaluation: outcome.folder,
        });
        SweepTable {
            metric,
            images: self.images.len(),
            groups: units.len(),
            groups_are_images,
            settings: rows.collect(),
            best: found.best,
            by_rule: found.by_rule,
            held_out: found.held_out,
            chosen: found.chosen,
            left_out,
        }
    }
}

/// Images that are drawn together: those of one group; where there is one group, each by itself. Whether each is by itself.
fn units<'a>(images: &[&'a PlannedImage]) -> (Vec<Vec<&'a str>>, bool) {
    let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for image in images {
        let own = || format!("image {}", image.id);
        let group = image.tags.get(GROUP).map_or_else(own, |group| format!("group {group}"));
        groups.entry(group).or_default().push(&image.id);
    }
    if groups.len() < 2 || groups.len() == images.len() {
        return (images.iter().map(|image| vec![image.id.as_str()]).collect(), true);
    }
    (groups.into_values().collect(), false)
}

fn sum(images: &[&str], counts: &BTreeMap<String, WeightedCounts>) -> WeightedCounts {
    let classes = counts.values().next().map_or(0, |counts| counts.hits.len());
    let mut sum = WeightedCounts::new(classes);
    images.iter().filter_map(|image| counts.get(*image)).for_each(|own| sum.merge(own));
    sum
}
