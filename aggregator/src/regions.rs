//! Which parts of an image were computed: of all members, and of those after the first round.

use crate::error::AggregateError;
use crate::image_job::ImageJob;
use crate::image_result::{CascadeCounts, RegionCounts};
use crate::sink::SinkError;
use crate::source_image::SourceImage;
use marquetry_job::{CascadeRule, ImageRegion, PlannedImage, RegionError, key};
use marquetry_region::Region;
use marquetry_scores::{ScoreError, ScoreReader, TileSource, unsure_part};
use marquetry_transport::StoreErrorKind;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How an image was computed in rounds.
pub(crate) struct Rounds {
    /// Where the members after the first round have looked; nothing where they were left out.
    pub(crate) unsure: Option<Arc<Region>>,
    counts: CascadeCounts,
    /// Of the rows that were read last.
    not_looked_at: RefCell<Arc<AtomicU64>>,
}

impl Rounds {
    /// What there is to count, once all rows were read.
    pub(crate) fn counted(&self) -> CascadeCounts {
        CascadeCounts { first_alone: self.not_looked_at.borrow().load(Ordering::Relaxed), ..self.counts }
    }
}

impl ImageJob<'_> {
    /// The part of the image that is computed, and what it leaves of it: the one that is stored, or the same found again.
    pub(crate) fn region(
        &self,
        planned: &PlannedImage,
        source: &SourceImage,
    ) -> Result<Option<(Arc<Region>, RegionCounts)>, AggregateError> {
        let Some(rule) = self.plan.inference.region else { return Ok(None) };
        let key = key::region(&self.plan.job, planned.content_key());
        let ImageRegion { region, finding } = match self.stored(&key, planned.content_key())? {
            Ok(found) => found,
            Err(error) if rule.is_task() => {
                tracing::warn!(image = planned.id, "looking for its region again: {error}");
                let opened = source.open().map_err(SinkError::Image)?;
                let (region, finding) =
                    marquetry_imagery::nonblank(&opened, rule.margin_px()).map_err(SinkError::Image)?;
                ImageRegion { region, finding }
            }
            Err(source) => return Err(AggregateError::StoredRegion { key, source }),
        };
        let region = Arc::new(region);
        let forwards = self.plan.forwards_within(planned, &region);
        Ok(Some((region, RegionCounts { finding, forwards, skipped_pixels: 0, truth: None })))
    }

    /// Where the members after the first round have looked, which is within `region` if that is given: what is stored, or the same
    /// found again. `None` where all that score the image are of one round.
    pub(crate) fn rounds(
        &self,
        planned: &PlannedImage,
        tiles: &TileSource,
        region: Option<&Arc<Region>>,
    ) -> Result<Option<Rounds>, AggregateError> {
        let Some(rule) = self.plan.cascade_of(planned) else { return Ok(None) };
        let key = key::unsure(&self.plan.job, &planned.key);
        let unsure = match self.stored(&key, &planned.key)? {
            Ok(found) => Some(Arc::new(found.region)),
            Err(error) => {
                let found = self.unsure_again(planned, rule, tiles, region)?;
                if found.is_some() {
                    tracing::warn!(image = planned.id, "looked for its unsure pixels again: {error}");
                }
                found
            }
        };
        let nothing = || Arc::new(Region::empty(planned.size));
        let looked_at = unsure.clone().unwrap_or_else(nothing);
        let mut forwards = self.plan.forwards_where_unsure(planned, &looked_at, region);
        if unsure.is_none() {
            // What was left out for a gap is not spared.
            forwards.all = forwards.inside;
        }
        let left_out = unsure.is_none();
        let counts = CascadeCounts { forwards, unsure_pixels: 0, first_alone: 0, left_out, truth: None };
        Ok(Some(Rounds { unsure, counts, not_looked_at: RefCell::default() }))
    }

    /// What is unsure, from the tiles of the first round; nothing where blocks of it were given up, and others have not looked at
    /// anything for that.
    fn unsure_again(
        &self,
        planned: &PlannedImage,
        rule: &CascadeRule,
        tiles: &TileSource,
        region: Option<&Arc<Region>>,
    ) -> Result<Option<Arc<Region>>, AggregateError> {
        let whole = TileSource { may_miss: false, ..tiles.clone() };
        let band_bytes = self.spec.limits.band_bytes();
        match unsure_part(&whole, (self.plan, rule), planned, region.map(|region| &**region), band_bytes) {
            Ok(found) => Ok(Some(Arc::new(found))),
            Err(ScoreError::Damaged { .. }) if self.partial => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// A reader of the image's scores.
    pub(crate) fn scores(
        &self,
        tiles: &TileSource,
        rounds: Option<&Rounds>,
        by_member: bool,
    ) -> Result<ScoreReader, ScoreError> {
        let open = |plan| ScoreReader::open(tiles, plan, self.image);
        let first_round = rounds.and_then(|rounds| Some((rounds, self.plan.first_round()?)));
        let Some((rounds, first)) = first_round else {
            let reader = open(self.plan)?;
            return Ok(if by_member { reader.with_members(self.plan) } else { reader });
        };
        let first = open(&first)?;
        match &rounds.unsure {
            Some(unsure) => {
                let (reader, counter) = open(self.plan)?.where_unsure(first, Arc::clone(unsure));
                *rounds.not_looked_at.borrow_mut() = counter;
                Ok(reader)
            }
            None => Ok(first),
        }
    }

    /// The part of an image that is stored under `key` for what is called `name`, or why it cannot be used.
    fn stored(&self, key: &str, name: &str) -> Result<Result<ImageRegion, RegionError>, AggregateError> {
        match self.runtime.block_on(self.store.get(key)) {
            Ok(stored) => Ok(ImageRegion::from_bytes(&stored, name, self.image.size)),
            Err(error) if error.kind == StoreErrorKind::NotFound => {
                Ok(Err(RegionError::Foreign(name.to_owned())))
            }
            Err(error) => Err(error.into()),
        }
    }
}
