//! What a job says of the labels that are right, as the readers of labels take it.

use crate::planning::truth::PlanTruthError;
use marquetry_labels::{
    AlphaRule, ClassList, ColourTable, IgnoreRule, LabelRules, MapEntry, NodataRule, Others, RunOrder, Target,
};
use marquetry_raster::rle::RleStyle;
use marquetry_spec::{Ignore, JobSpec, LabelAlpha, LabelNodata, RunStart, Truth};
use marquetry_transport::Files;
use marquetry_transport::uri::join;

/// What the job says of labels. A number is the class that it stands for in the job's masks, where the job moves them.
pub(crate) fn rules(
    spec: &JobSpec,
    truth: &Truth,
    (files, base): (&Files, &str),
    classes: &ClassList,
) -> Result<LabelRules, PlanTruthError> {
    let entry = |(from, to): &(String, String)| {
        let to = classes.find(to).map_or(Target::Ignore, Target::Class);
        MapEntry { from: from.clone(), to }
    };
    let mut map: Vec<MapEntry> = truth.map.iter().map(entry).collect();
    let is_moved = spec.labels.iter().enumerate().any(|(class, &value)| class != usize::from(value));
    if is_moved && !map.iter().any(|entry| entry.from.parse::<i32>().is_ok()) {
        let own = spec.labels.iter().enumerate();
        map.extend(
            own.map(|(class, value)| MapEntry { from: value.to_string(), to: Target::Class(class as u16) }),
        );
    }
    let colours = truth.colours.as_ref().map(|path| {
        let file = files.local(&join(base, path), None, None)?;
        Ok::<_, PlanTruthError>(ColourTable::open(file.path())?)
    });
    Ok(LabelRules {
        ignore: match truth.ignore {
            Ignore::Auto => IgnoreRule::Usual,
            Ignore::Nothing => IgnoreRule::Nothing,
            Ignore::Value(value) => IgnoreRule::Value(value),
        },
        map,
        others: match truth.others {
            marquetry_spec::Others::Refuse => Others::Refuse,
            marquetry_spec::Others::Ignore => Others::Ignore,
            marquetry_spec::Others::Background => Others::Background,
        },
        colours: colours.transpose()?,
        alpha: match truth.alpha {
            LabelAlpha::Refuse => AlphaRule::Refuse,
            LabelAlpha::Drop => AlphaRule::Drop,
            LabelAlpha::Missing => AlphaRule::Missing,
            LabelAlpha::Label => AlphaRule::Label,
        },
        array: truth.array.clone(),
        property: truth.property.clone(),
        unnamed: false,
        nodata: match truth.nodata {
            LabelNodata::Refuse => NodataRule::Refuse,
            LabelNodata::Missing => NodataRule::Missing,
            LabelNodata::Value => NodataRule::Value,
        },
        run_order: match truth.run_order {
            marquetry_spec::RunOrder::Columns => RunOrder::Columns,
            marquetry_spec::RunOrder::Rows => RunOrder::Rows,
        },
        run_start: match truth.run_start {
            RunStart::One => RleStyle::Absolute,
            RunStart::Zero => RleStyle::FromZero,
            RunStart::Relative => RleStyle::Relative,
        },
    })
}
