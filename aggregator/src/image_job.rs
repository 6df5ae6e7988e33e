//! One image from its tiles to its outputs.

use crate::error::AggregateError;
use crate::gate::Denied;
use crate::image_result::ImageResult;
use crate::output_file::ScratchFolder;
use crate::outputs::Outputs;
use crate::outside::Outside;
use crate::row_passes::RowPasses;
use crate::sink::FinishedImage;
use crate::sinks::gate_truth::GateTruth;
use crate::sinks::sure_counts::SureCounts;
use crate::source_image::SourceImage;
use crate::{AggregatorOptions, RUN_BELIEVED};
use bytes::Bytes;
use futures_util::future::try_join_all;
use futures_util::{StreamExt, TryStreamExt, stream};
use marquetry_job::{Plan, PlannedImage, RunId, TruthLabels, UnreadPart, key};
use marquetry_raster::read::Limits;
use marquetry_scores::{KnownGroups, TileSource, UnreadParts};
use marquetry_spec::JobSpec;
use marquetry_transport::{Content, ObjectStore, Seen, StoreErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// How often storing an image is begun that finds something newer each time, or is said to.
const CONFLICTS_MAX: u32 = 9;

/// Files of an image that are on their way to the store at the same time.
const PUTS_MAX: usize = 8;

/// What became of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ImageFate {
    /// All of it is stored.
    Whole,
    /// It is stored, without what is missing: blocks that were given up, and what cannot be read of its file.
    Incomplete {
        /// What cannot be read, in one line.
        unread: Option<String>,
    },
    /// Nothing: its run does not count any more.
    Abandoned,
}

/// What putting an image together needs.
pub(crate) struct ImageJob<'a> {
    pub(crate) run: &'a RunId,
    pub(crate) store: &'a Arc<dyn ObjectStore>,
    pub(crate) runtime: &'a Handle,
    pub(crate) plan: &'a Plan,
    pub(crate) known: &'a Arc<KnownGroups>,
    pub(crate) spec: &'a JobSpec,
    /// Names the decisions and outputs.
    pub(crate) outputs: &'a str,
    pub(crate) image: &'a PlannedImage,
    /// Whether its pictures are in the report.
    pub(crate) picture: bool,
    /// Whether blocks of it were given up.
    pub(crate) partial: bool,
    pub(crate) options: &'a AggregatorOptions,
    /// When its run was found to count.
    pub(crate) counted_at: Instant,
}

impl ImageJob<'_> {
    /// Merges the image's tiles, decides, tidies up, writes every output and, last of all, the image's result: an image
    /// whose result is stored is finished.
    ///
    /// An image that is finished and complete stays as it is, and its tiles may be gone: whoever wants it again, or
    /// incomplete, has not heard of it yet.
    pub(crate) fn run(&self) -> Result<ImageFate, AggregateError> {
        let planned = self.image;
        if self.is_whole(planned)? {
            return Ok(ImageFate::Whole);
        }
        let folder = ScratchFolder::new(&self.options.temp_dir);
        let (image, unread) = self.make(planned, &folder)?;
        let fate = match unread {
            None if !self.partial => ImageFate::Whole,
            unread => ImageFate::Incomplete { unread },
        };
        let mut conflicts = 0;
        loop {
            match self.store_image(planned, &image, &fate) {
                // An earlier try of ours, another aggregator of this run, or another run: all is looked at anew. Stores also say so of
                // what others are writing at the moment.
                Err(error) if error.is_conflict() && conflicts < CONFLICTS_MAX => {
                    conflicts += 1;
                    std::thread::sleep(Duration::from_millis(10 << conflicts));
                }
                stored => return stored.map(|settled| settled.unwrap_or(fate)),
            }
        }
    }

    /// Stores the outputs of an image and its result, unless there is nothing to store any more: then what became of it.
    ///
    /// Making them may have taken long, and others were at work too: what they wrote for a later run, or of all tiles where some
    /// were missing here, is not written over, however long a write is on its way. So what stands there is looked at first, then
    /// whether the run counts, and what was written since is not touched.
    fn store_image(
        &self,
        planned: &PlannedImage,
        image: &FinishedImage,
        fate: &ImageFate,
    ) -> Result<Option<ImageFate>, AggregateError> {
        let (job, name) = (&self.plan.job, planned.result_name());
        let (part, gaps) = (key::part(job, self.outputs, &name), key::gaps(job, self.outputs, &name));
        let look = |key: String| async { self.store.look(&key).await.map(|seen| (key, seen)) };
        let files = image.files.iter().map(|file| look(key::out(job, &file.place)));
        let looks = async { tokio::try_join!(look(part), look(gaps), try_join_all(files)) };
        let (part, gaps, files) = self.runtime.block_on(looks)?;
        // Where nobody else writes, what was found a moment ago is as good.
        let is_fresh = part.1 == Seen::Untold && self.counted_at.elapsed() < RUN_BELIEVED;
        if !is_fresh && !self.counts()? {
            return Ok(Some(ImageFate::Abandoned));
        }
        if part.1 != Seen::Absent && self.is_whole(planned)? {
            return Ok(Some(ImageFate::Whole));
        }
        let put = |(key, seen): (String, Seen), content: Content| async move {
            self.store.put_over(&key, &content, &seen).await.map_err(AggregateError::from)
        };
        let puts = image
            .files
            .iter()
            .zip(files)
            .map(|(file, place)| async move { put(place, file.content()?).await });
        self.runtime.block_on(stream::iter(puts).buffer_unordered(PUTS_MAX).try_collect::<()>())?;
        // That an image is incomplete is written before its result, and taken back after a complete one: who dies in between
        // leaves an image that is made again.
        let is_incomplete = *fate != ImageFate::Whole;
        if is_incomplete {
            self.runtime.block_on(put(gaps.clone(), Content::Bytes(Bytes::new())))?;
        }
        self.runtime.block_on(put(part, Content::Bytes(image.result.to_bytes().into())))?;
        // Looked for first: whoever may not delete has mostly nothing to delete here.
        if !is_incomplete && self.is_there(&gaps.0)? {
            self.runtime.block_on(self.store.delete(&gaps.0))?;
        }
        Ok(None)
    }

    /// Makes every output, in `folder`; and says what cannot be read of the image.
    fn make(
        &self,
        planned: &PlannedImage,
        folder: &ScratchFolder,
    ) -> Result<(FinishedImage, Option<String>), AggregateError> {
        let scratch = self.options.temp_dir.as_path();
        let limits = Limits {
            pixels_max: self.spec.limits.image_pixels,
            memory_bytes: self.spec.limits.image_bytes(),
            scratch_dir: scratch.to_path_buf(),
        };
        let (reading, files) = (self.plan.inference.reading.clone(), self.options.files.clone());
        let source = SourceImage::new(planned.clone(), reading, files, limits, self.options.planned_here);
        let Outputs { mut sinks, warnings } =
            Outputs::open((self.spec, self.outputs), &source, self.picture, folder)?;
        let tiles = TileSource {
            store: Arc::clone(self.store),
            runtime: self.runtime.clone(),
            may_miss: self.partial,
            unread: UnreadParts::default(),
            known: Arc::clone(self.known),
        };
        let truth = self.truth(planned)?;
        let region = self.region(planned, &source)?;
        let class = self.spec.outside_class();
        let outside = region.as_ref().map(|(region, _)| Outside { region: Arc::clone(region), class });
        let passes = RowPasses::new(self.spec, self.plan.merge.space, scratch, truth.as_ref());
        let passes = passes.outside(outside.as_ref());
        let gate = self.gate(planned)?;
        let denied = gate.as_ref().and_then(|gate| Denied::new(&gate.denied, self.spec.decide.background));
        let passes = passes.denied(denied.as_ref());
        if gate.is_some() && truth.is_some() {
            sinks.push(Box::new(GateTruth::new(self.spec.classes.len())));
        }
        let rounds = self.rounds(planned, &tiles, region.as_ref().map(|(region, _)| region))?;
        if let Some(unsure) = rounds.as_ref().and_then(|rounds| rounds.unsure.clone()) {
            sinks.push(Box::new(SureCounts::new(unsure)));
        }
        passes.run(|by_member| self.scores(&tiles, rounds.as_ref(), by_member), &mut sinks)?;
        let mut image = FinishedImage { result: ImageResult::new(&planned.id), files: Vec::new() };
        image.result.warnings = warnings;
        image.result.region = region.map(|(_, counts)| counts);
        image.result.cascade = rounds.map(|rounds| rounds.counted());
        image.result.gate = gate;
        sinks.into_iter().try_for_each(|sink| sink.finish(&mut image))?;
        let follows = "these pixels are missing, and the rest is done";
        Ok((image, UnreadPart::in_words(&tiles.unread.joined(), &planned.uri, follows)))
    }

    /// The labels that are right, as the coordinator has stored them.
    fn truth(&self, planned: &PlannedImage) -> Result<Option<TruthLabels>, AggregateError> {
        let Some(name) = &planned.truth else { return Ok(None) };
        let key = key::truth(&self.plan.job, name);
        let stored = self.runtime.block_on(self.store.get(&key))?;
        let opened = TruthLabels::open(stored.into(), planned.size);
        opened.map(Some).map_err(|source| AggregateError::StoredTruth { key, source })
    }

    /// Whether the run is still the one that counts, as it is where none is named.
    fn counts(&self) -> Result<bool, AggregateError> {
        match self.runtime.block_on(self.store.get(&key::run(&self.run.job))) {
            Ok(run) => Ok(run == self.run.run.as_bytes()),
            Err(error) if error.kind == StoreErrorKind::NotFound => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the image's result is stored, and complete.
    fn is_whole(&self, planned: &PlannedImage) -> Result<bool, AggregateError> {
        let (job, image) = (&self.plan.job, planned.result_name());
        let gaps = key::gaps(job, self.outputs, &image);
        Ok(self.is_there(&key::part(job, self.outputs, &image))? && !self.is_there(&gaps)?)
    }

    fn is_there(&self, key: &str) -> Result<bool, AggregateError> {
        match self.runtime.block_on(self.store.head(key)) {
            Ok(_) => Ok(true),
            Err(error) if error.kind == StoreErrorKind::NotFound => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
#[path = "image_job_tests.rs"]
mod tests;
