//! A part of a job: a sample of its images.

use crate::planning::images::Found;
use marquetry_job::hash;
use marquetry_spec::Subset;
use std::collections::{BTreeMap, HashSet};

/// The images of the sample and the others, in their order, and what there is to tell.
///
/// # Errors
/// When no image has the column that is to be stratified by: in words.
pub(crate) fn sample(found: Vec<Found>, subset: &Subset) -> Result<(Sampled, Option<String>), String> {
    if subset.sample >= 1.0 {
        return Ok((Sampled { taken: found, others: Vec::new() }, None));
    }
    let mut strata: BTreeMap<&str, Vec<(String, usize)>> = BTreeMap::new();
    for (place, image) in found.iter().enumerate() {
        let value = subset.stratify.as_ref().map(|column| image.tags.get(column).map_or("", String::as_str));
        let named = hash(&[subset.seed.to_string().as_bytes(), b"\n", image.id.as_bytes()]);
        strata.entry(value.unwrap_or("")).or_default().push((named, place));
    }
    if let Some(column) = &subset.stratify
        && strata.keys().all(|value| value.is_empty())
    {
        return Err(format!("subset.stratify: no image has the column `{column}`"));
    }
    let mut taken = HashSet::new();
    let number = strata.len();
    for mut of_value in strata.into_values() {
        of_value.sort_unstable();
        let count = ((of_value.len() as f64 * subset.sample).round() as usize).max(1);
        taken.extend(of_value.into_iter().take(count).map(|(_, place)| place));
    }
    let all = found.len();
    let (sampled, others): (Vec<_>, Vec<_>) =
        found.into_iter().enumerate().partition(|(place, _)| taken.contains(place));
    let images = |of: Vec<(usize, Found)>| of.into_iter().map(|(_, image)| image).collect();
    let sampled = Sampled { taken: images(sampled), others: images(others) };
    let by = subset
        .stratify
        .as_ref()
        .map_or_else(String::new, |column| format!(" ({number} values of `{column}`)"));
    let told = format!("subset: {} of {all} images{by}", sampled.taken.len());
    Ok((sampled, Some(told)))
}

/// The images that are found, in two parts.
pub(crate) struct Sampled {
    /// Those of the sample.
    pub(crate) taken: Vec<Found>,
    pub(crate) others: Vec<Found>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use marquetry_spec::JobSpec;

    fn images(count: usize) -> Vec<Found> {
        let of = |n: usize| Found {
            id: format!("image {n}"),
            uri: String::new(),
            tags: BTreeMap::from([(
                "site".to_owned(),
                if n.is_multiple_of(10) { "rare" } else { "usual" }.to_owned(),
            )]),
            stat: None,
        };
        (0..count).map(of).collect()
    }

    fn ids(count: usize, subset: &str) -> Vec<String> {
        let job = format!(
            "version: 1\nimages: i\nclasses: [a, b]\nmembers: [{{onnx: m.onnx}}]\noutputs: [{{masks: png}}]\nsubset: {subset}"
        );
        let (sampled, _) = sample(images(count), &JobSpec::parse(&job).unwrap().subset).unwrap();
        assert_eq!(sampled.taken.len() + sampled.others.len(), count);
        sampled.taken.into_iter().map(|image| image.id).collect()
    }

    #[test]
    fn a_sample_is_the_same_every_time_and_part_of_a_larger_one() {
        let some = ids(200, "{sample: 0.1}");
        assert_eq!((some.len(), &some), (20, &ids(200, "{sample: 0.1}")));
        let more: HashSet<String> = ids(200, "{sample: 0.3}").into_iter().collect();
        assert!(more.len() == 60 && some.iter().all(|id| more.contains(id)));
        assert_ne!(some, ids(200, "{sample: 0.1, seed: 1}"));
        assert_eq!((ids(200, "{sample: 1}").len(), ids(3, "{sample: 0.01}").len()), (200, 1));
    }

    #[test]
    fn each_value_of_a_column_has_its_share() {
        let some = ids(200, "{sample: 0.1, stratify: site}");
        let rare = images(200).into_iter().filter(|image| image.tags["site"] == "rare");
        assert_eq!(rare.filter(|image| some.contains(&image.id)).count(), 2);
        assert_eq!(some.len(), 20);
        assert_eq!(ids(20, "{sample: 0.01, stratify: site}").len(), 2, "one of each at least");
    }
}
