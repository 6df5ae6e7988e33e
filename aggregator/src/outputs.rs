//! What a job's outputs are for one image: their sinks, and where their files lie.
//!
//! A new output is a module in `sinks`, a line in [`open`], and, if it has a file for each image, one in [`expected`].

use crate::legend;
use crate::output_file::ScratchFolder;
use crate::sink::{RowSink, SinkError};
use crate::sinks::counts::Counts;
use crate::sinks::optional::Optional;
use crate::sinks::pictures::Pictures;
use crate::sinks::score_files::{ZARR_CHUNK_PX, depth};
use crate::sinks::{
    SinkContext, corrected_labels, evaluation, label_quality, masks, night_labels, polygons, probabilities,
    probes, pseudo_labels, ranking, soft_labels, table_rows, uncertainty,
};
use crate::source_image::SourceImage;
use marquetry_failure::chain;
use marquetry_job::{PlannedImage, key};
use marquetry_raster::write::zarr_files;
use marquetry_spec::{EVALUATION, JobSpec, LABEL_QUALITY, MaskForm, MaskFormat, Output};
use std::collections::HashSet;

/// Ends the folder of an array.
const ARRAY: &str = ".zarr";

/// All that is made of one image.
pub(crate) struct Outputs {
    pub(crate) sinks: Vec<Box<dyn RowSink>>,
    /// What is not as it should be, though the outputs will be whole.
    pub(crate) warnings: Vec<String>,
}

impl Outputs {
    /// Opens what `spec` asks for, whose decisions and outputs are named `outputs`. `picture` says whether the image is one of those in the report; files that are not finished lie in `folder`.
    pub(crate) fn open(
        (spec, outputs): (&JobSpec, &str),
        source: &SourceImage,
        picture: bool,
        folder: &ScratchFolder,
    ) -> Result<Self, SinkError> {
        let mut warnings = Vec::new();
        // A PNG has no place on a map, and to look for one is to read the image once more.
        let wants_geo = |o: &Output| {
            matches!(
                o,
                Output::Masks(MaskForm { format: MaskFormat::Tiff, .. })
                    | Output::Probabilities(_)
                    | Output::Polygons(_)
                    | Output::SoftLabels(_)
                    | Output::PseudoLabels(_)
                    | Output::CorrectedLabels(_)
                    | Output::Uncertainty(_)
            )
        };
        let geo = if spec.outputs.iter().any(wants_geo) {
            source.georeference().unwrap_or_else(|error| {
                let warning = format!("no georeference: {}", chain(&error));
                warnings.push(warning);
                None
            })
        } else {
            None
        };
        let legend = legend::legend(spec)?;
        let context = SinkContext { spec, outputs, image: source.planned(), legend, geo, folder };
        let exclusive = context.is_exclusive();
        let stated = spec.outside_class().or_else(|| spec.background());
        let mut sinks: Vec<Box<dyn RowSink>> =
            vec![Box::new(Counts::new(spec.classes.len(), exclusive, stated))];
        for (at, output) in spec.outputs.iter().enumerate() {
            sinks.push(match output {
                Output::Masks(format) => masks::open(&context, at, output, *format)?,
                Output::Probabilities(format) => probabilities::open(&context, at, output, *format)?,
                Output::KaggleRle(rle) => table_rows::run_lengths(&context, at, rle)?,
                Output::ClassCsv(csv) => table_rows::class_ids(&context, at, csv)?,
                Output::Coco(coco) => table_rows::annotations(&context, at, coco)?,
                Output::Polygons(form) => polygons::open(&context, at, output, *form)?,
                Output::SoftLabels(soft) => soft_labels::open(&context, at, output, *soft)?,
                Output::PseudoLabels(pseudo) => pseudo_labels::open(&context, at, output, pseudo)?,
                Output::Uncertainty(maps) => uncertainty::open(&context, at, output, maps)?,
                Output::Ranking(ranking) => ranking::open(&context, at, ranking),
                Output::Evaluation(evaluation) if source.planned().truth.is_some() => {
                    evaluation::open(&context, source, *evaluation)
                }
                Output::Report if picture => {
                    let pictures = Pictures::new(source.clone(), context.legend.colours(), exclusive);
                    Box::new(Optional::new("no picture", Box::new(pictures)))
                }
                Output::LabelQuality(_) if source.planned().truth.is_some() => {
                    label_quality::open(&context, source, at)
                }
                Output::CorrectedLabels(corrected) if source.planned().truth.is_some() => {
                    corrected_labels::open(&context, at, output, corrected)?
                }
                Output::Probes(of) if source.planned().truth.is_some() => probes::open(&context, output, *of),
                // No place in the report, or no truth to be judged by, or to judge.
                Output::Report
                | Output::Evaluation(_)
                | Output::LabelQuality(_)
                | Output::CorrectedLabels(_)
                | Output::Probes(_) => continue,
            });
        }
        if spec.nights.keep > 0 {
            sinks.push(night_labels::open(&context)?);
        }
        for warning in &warnings {
            tracing::warn!(image = source.planned().id, "{warning}");
        }
        Ok(Self { sinks, warnings })
    }
}

/// Where an output of the image `id` lies below the job's outputs: a file, or a Zarr array's folder. `class` is one of
/// [`class_file_names`], given for masks of classes that share pixels.
pub(crate) fn output_path(output: &Output, id: &str, class: Option<&str>) -> String {
    let pattern = output.path_pattern();
    let (folder, ending) = pattern.split_once('*').unwrap_or((&pattern, ""));
    match class {
        Some(class) => format!("{folder}{}/{class}{ending}", key::output_name(id, "")),
        None => format!("{folder}{}{ending}", key::output_name(id, ending)),
    }
}

/// The names of the classes' files, in the order of classes. A `/` in a class's name becomes `_`; where another class would
/// then have the same file, also on a disk that does not tell `A` from `a`, the later one's name ends in `~` and its label.
pub(crate) fn class_file_names(spec: &JobSpec) -> Vec<String> {
    const LONGEST_ENDING: &str = ".tiff";
    let mut seen = HashSet::new();
    let names = spec.classes.iter().enumerate().map(|(label, class)| {
        let mut text = class.name.replace('/', "_");
        let mut name = key::output_name(&text, LONGEST_ENDING);
        while !seen.insert(name.to_lowercase()) {
            text += &format!("~{label}");
            name = key::output_name(&text, LONGEST_ENDING);
        }
        name
    });
    names.collect()
}

/// Classes whose masks are not called as they are, each with the name of its files; none where classes share no pixels.
pub fn renamed_classes(spec: &JobSpec) -> Vec<(String, String)> {
    let one_each =
        spec.decide.background.is_none() && spec.outputs.iter().any(|o| matches!(o, Output::Masks(_)));
    let names = spec.class_names().into_iter().zip(class_file_names(spec));
    names.filter(|(class, file)| one_each && class != file).collect()
}

/// The paths, below the job's outputs, of what is made of the image `id` alone: files, and folders of arrays or of masks by
/// class.
pub fn image_outputs(spec: &JobSpec, id: &str) -> Vec<String> {
    image_paths(spec, |ending| key::output_name(id, ending))
}

/// Those of [`image_outputs`] that are not called as the image is.
pub fn renamed_outputs(spec: &JobSpec, id: &str) -> Vec<String> {
    let plain = image_paths(spec, |_| id.to_owned());
    image_outputs(spec, id)
        .into_iter()
        .zip(plain)
        .filter(|(path, plain)| path != plain)
        .map(|p| p.0)
        .collect()
}

fn image_paths(spec: &JobSpec, name: impl Fn(&str) -> String) -> Vec<String> {
    let path = |output: &Output| {
        let pattern = output.path_pattern();
        let (folder, ending) = pattern.split_once('*')?;
        let shares_pixels = matches!(output, Output::Masks(_)) && spec.decide.background.is_none();
        let ending = if shares_pixels { "" } else { ending };
        Some(format!("{folder}{}{ending}", name(ending)))
    };
    spec.outputs.iter().filter_map(path).collect()
}

/// Where the probes of the image `id` lie, below the job's outputs; `None` if the job draws none.
pub fn probes_file(spec: &JobSpec, id: &str) -> Option<String> {
    let probes = spec.outputs.iter().find(|output| matches!(output, Output::Probes(_)))?;
    Some(output_path(probes, id, None))
}

/// Where the picture of an evaluated image lies, below the job's outputs.
pub fn evaluation_picture(id: &str) -> String {
    format!("{EVALUATION}/pictures/{}.png", key::output_name(id, ".png"))
}

/// Where the picture of an image whose label is judged lies, below the job's outputs.
pub fn label_quality_picture(id: &str) -> String {
    format!("{LABEL_QUALITY}/pictures/{}.png", key::output_name(id, ".png"))
}

/// The files, below the job's outputs, without which a finished image is not finished any more: those of [`expected`], of arrays all
/// that they are made of, and its labels where the job keeps them. `outputs` names the job's decisions and outputs.
pub fn expected_of(spec: &JobSpec, outputs: &str, image: &PlannedImage) -> Vec<String> {
    let mut files = expected(spec, &image.id, image.truth.is_some());
    for output in &spec.outputs {
        let (planes, dtype) = match output {
            Output::Probabilities(of) => (spec.classes.len(), of.dtype),
            Output::SoftLabels(of) => (of.top.map_or(spec.classes.len(), |top| 2 * top as usize), of.dtype),
            Output::Uncertainty(of) => (of.measures.len(), of.dtype),
            _ => continue,
        };
        let path = output_path(output, &image.id, None);
        if path.ends_with(ARRAY) {
            let array = zarr_files(image.size, planes, depth(dtype), ZARR_CHUNK_PX);
            files.extend(array.into_iter().map(|file| format!("{path}/{file}")));
        }
    }
    if spec.nights.keep > 0 {
        files.push(key::night_labels(outputs, &image.key));
    }
    files
}

/// The files, below the job's outputs, without which a finished image is not finished any more: someone may have
/// cleared away what an earlier run wrote. `has_truth`: whether the labels that are right for it are known.
pub fn expected(spec: &JobSpec, image_id: &str, has_truth: bool) -> Vec<String> {
    let mut files = Vec::new();
    let wants = |is: fn(&Output) -> bool| has_truth && spec.outputs.iter().any(is);
    if wants(|output| matches!(output, Output::Evaluation(_))) {
        files.push(evaluation_picture(image_id));
    }
    if wants(|output| matches!(output, Output::LabelQuality(_))) {
        files.push(label_quality_picture(image_id));
    }
    for output in spec.outputs.iter().filter(|o| o.path_pattern().contains('*')) {
        match output {
            // A first pass counts, and writes no file.
            Output::PseudoLabels(pseudo) if pseudo.needs_counts() => {}
            Output::CorrectedLabels(corrected) if corrected.needs_survey() || !has_truth => {}
            Output::Probes(_) if !has_truth => {}
            Output::Masks(_) if spec.decide.background.is_none() => {
                let names = class_file_names(spec);
                files.extend(names.iter().map(|class| output_path(output, image_id, Some(class))));
            }
            _ => {
                let path = output_path(output, image_id, None);
                files.push(if path.ends_with(ARRAY) { path + "/.zarray" } else { path });
            }
        }
    }
    files
}
