//! What a job's outputs are for one image: their sinks, and where their files lie.
//!
//! A new output is a module in `sinks`, a line in [`open`], and, if it has a file for each image, one in [`expected`].

use crate::legend;
use crate::sink::{RowSink, SinkError};
use crate::sinks::counts::Counts;
use crate::sinks::optional::Optional;
use crate::sinks::pictures::Pictures;
use crate::sinks::{SinkContext, masks, polygons, probabilities, table_rows};
use crate::source_image::SourceImage;
use marquetry_failure::chain;
use marquetry_job::key;
use marquetry_spec::{JobSpec, Output, ScoreFormat};
use std::path::Path;

/// All that is made of one image.
pub(crate) struct Outputs {
    pub(crate) sinks: Vec<Box<dyn RowSink>>,
    /// What is not as it should be, though the outputs will be whole.
    pub(crate) warnings: Vec<String>,
}

impl Outputs {
    /// Opens what `spec` asks for. `picture` says whether the image is one of those in the report; files that are not finished lie in `folder`.
    pub(crate) fn open(
        spec: &JobSpec,
        source: &SourceImage,
        picture: bool,
        folder: &Path,
    ) -> Result<Self, SinkError> {
        let mut warnings = Vec::new();
        let wants_geo =
            |o: &Output| matches!(o, Output::Masks(_) | Output::Probabilities(_) | Output::Polygons);
        let geo = if spec.outputs.iter().any(wants_geo) {
            source.georeference().unwrap_or_else(|error| {
                let warning = format!("no georeference: {}", chain(&error));
                tracing::warn!(image = source.planned().id, "{warning}");
                warnings.push(warning);
                None
            })
        } else {
            None
        };
        let legend = legend::legend(spec)?;
        let context = SinkContext { spec, image: source.planned(), legend, geo, folder };
        let exclusive = context.is_exclusive();
        let mut sinks: Vec<Box<dyn RowSink>> = vec![Box::new(Counts::new(spec.classes.len(), exclusive))];
        for (at, output) in spec.outputs.iter().enumerate() {
            sinks.push(match output {
                Output::Masks(format) => masks::open(&context, at, output, *format)?,
                Output::Probabilities(format) => probabilities::open(&context, at, output, *format)?,
                Output::KaggleRle(rle) => table_rows::run_lengths(&context, at, rle)?,
                Output::ClassCsv(csv) => table_rows::class_ids(&context, at, csv)?,
                Output::Coco(coco) => table_rows::annotations(&context, at, coco)?,
                Output::Polygons => polygons::open(&context, at, output)?,
                Output::Report if picture => {
                    let pictures = Pictures::new(source.clone(), context.legend.colours(), exclusive);
                    Box::new(Optional::new("no picture", Box::new(pictures)))
                }
                Output::Report => continue,
            });
        }
        Ok(Self { sinks, warnings })
    }
}

/// Where an output of the image `id` lies below the job's outputs: a file, or a Zarr array's folder. `class` is one of
/// [`class_file_names`], given for masks of classes that share pixels.
pub(crate) fn output_path(output: &Output, id: &str, class: Option<&str>) -> String {
    let safe = key::safe_id(id);
    let name = class.map_or_else(|| safe.clone(), |class| format!("{safe}/{class}"));
    output.path_pattern().replacen('*', &name, 1)
}

/// The names of the classes' files, in the order of classes. A `/` in a class's name becomes `_`, or `%2F` where another
/// class would then have the same file.
pub(crate) fn class_file_names(spec: &JobSpec) -> Vec<String> {
    let plain = |name: &str| key::safe_id(&name.replace('/', "_"));
    let names = spec.classes.iter().map(|class| plain(&class.name));
    let names: Vec<String> = names.collect();
    let is_shared = |name: &String| names.iter().filter(|other| *other == name).count() > 1;
    let distinct = spec.classes.iter().zip(&names).map(|(class, name)| {
        if class.name.contains('/') && is_shared(name) {
            class.name.split('/').map(plain).collect::<Vec<_>>().join("%2F")
        } else {
            name.clone()
        }
    });
    distinct.collect()
}

/// The files, below the job's outputs, without which a finished image is not finished any more: someone may have
/// cleared away what an earlier run wrote.
pub fn expected(spec: &JobSpec, image_id: &str) -> Vec<String> {
    let mut files = Vec::new();
    for output in spec.outputs.iter().filter(|o| o.path_pattern().contains('*')) {
        match output {
            Output::Masks(_) if spec.decide.background.is_none() => {
                let names = class_file_names(spec);
                files.extend(names.iter().map(|class| output_path(output, image_id, Some(class))));
            }
            Output::Probabilities(p) if p.format == ScoreFormat::Zarr => {
                files.push(output_path(output, image_id, None) + "/.zarray");
            }
            _ => files.push(output_path(output, image_id, None)),
        }
    }
    files
}
