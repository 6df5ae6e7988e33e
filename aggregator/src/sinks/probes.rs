//! What each member says at some pixels.

use super::SinkContext;
use crate::output_file::OutputFile;
use crate::outputs::output_path;
use crate::row::Row;
use crate::sink::{FinishedImage, RowSink, SinkError};
use marquetry_spec::{Output, Probes};
use marquetry_tuning::{ProbeSampler, probes_to_bytes};

/// The probes of the context's image.
pub(crate) fn open(context: &SinkContext<'_>, output: &Output, probes: Probes) -> Box<dyn RowSink> {
    // The same pixels of the same image, whoever scores it.
    let seed = u64::from_str_radix(context.image.content_key(), 16).unwrap_or(0);
    let place = output_path(output, &context.image.id, None);
    Box::new(Drawing { probes, seed, classes: context.spec.classes.len(), place, sampler: None })
}

struct Drawing {
    probes: Probes,
    seed: u64,
    classes: usize,
    /// Where the file goes.
    place: String,
    /// Since the first row, which says how many members there are.
    sampler: Option<ProbeSampler>,
}

impl RowSink for Drawing {
    fn row(&mut self, row: &Row<'_>) -> Result<(), SinkError> {
        let (Some(_), Some(truth)) = (row.scores(), row.truth()) else { return Ok(()) };
        let members: Vec<&[f32]> = row.members().iter().map(|member| member.probabilities).collect();
        let (classes, count, seed) = (self.classes, self.probes.per_image as usize, self.seed);
        let sampler =
            self.sampler.get_or_insert_with(|| ProbeSampler::new(classes, members.len(), count, seed));
        sampler.row(row.y(), truth, &members, &row.unscored());
        Ok(())
    }

    fn needs_members(&self) -> bool {
        true
    }

    fn finish(self: Box<Self>, image: &mut FinishedImage) -> Result<(), SinkError> {
        let none = || ProbeSampler::new(self.classes, 0, 0, 0);
        let probes = self.sampler.unwrap_or_else(none).finish();
        let bytes = probes_to_bytes(&probes).map_err(std::io::Error::other)?;
        image.files.push(OutputFile::of_bytes(self.place, bytes));
        Ok(())
    }
}
