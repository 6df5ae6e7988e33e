//! Masks: an image of labels, or one for each class where classes share pixels.

use super::SinkContext;
use super::label_files::LabelFiles;
use crate::output_file::OutputFile;
use crate::outputs::{class_file_names, output_path};
use crate::sink::{RowSink, SinkError};
use marquetry_raster::write::{LabelSink, Legend, MaskPng, MaskTiff, Split, TiffOptions};
use marquetry_spec::{MaskForm, MaskFormat, MaskLook, Output};

/// The mask of output `number`.
pub(crate) fn open(
    context: &SinkContext<'_>,
    number: usize,
    output: &Output,
    form: MaskForm,
) -> Result<Box<dyn RowSink>, SinkError> {
    let size = context.image.size;
    let mut files = Vec::new();
    let mut encoder = |place: String, name: &str, legend: &Legend| -> Result<Box<dyn LabelSink>, SinkError> {
        let (file, encoder) = self::encoder(context, form, place, name, legend)?;
        files.push(file);
        Ok(encoder)
    };
    let (id, legend) = (&context.image.id, &context.legend);
    let encoder = if context.is_exclusive() {
        encoder(output_path(output, id, None), &format!("mask-{number}"), legend)?
    } else {
        let mut planes = Vec::new();
        for (class, name) in class_file_names(context.spec).iter().enumerate() {
            let place = output_path(output, id, Some(name));
            planes.push(encoder(place, &format!("mask-{number}-{class}"), &legend.plane(class))?);
        }
        Box::new(Split::new(size, legend, planes)?)
    };
    Ok(Box::new(LabelFiles { encoder, files }))
}

/// Writes one image of labels that will lie at `place`; `name` tells its file from the others of the image.
pub(super) fn encoder(
    context: &SinkContext<'_>,
    form: MaskForm,
    place: String,
    name: &str,
    legend: &Legend,
) -> Result<(OutputFile, Box<dyn LabelSink>), SinkError> {
    let (size, geo) = (context.image.size, context.geo.clone());
    let (file, out) = context.new_file(place, name);
    let tiff = |out| MaskTiff::new(out, size, legend, geo, TiffOptions::default());
    let encoder: Box<dyn LabelSink> = match (form.format, form.look) {
        (MaskFormat::Png, MaskLook::Palette) => Box::new(MaskPng::new(out, size, legend)?),
        (MaskFormat::Png, MaskLook::Grey) => Box::new(MaskPng::grey(out, size, legend)?),
        (MaskFormat::Tiff, MaskLook::Palette) => Box::new(tiff(out)?),
        (MaskFormat::Tiff, MaskLook::Grey) => Box::new(tiff(out)?.grey()),
    };
    Ok((file, encoder))
}
