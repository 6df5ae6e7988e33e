//! Images of more pixels than any worker takes that was heard of.

use marquetry_job::PlannedImage;
use std::collections::BTreeMap;

/// What workers take, and the largest image that there is.
#[derive(Debug)]
pub(crate) struct TooLarge {
    /// Id and pixels of the largest image.
    largest: Option<(String, u64)>,
    /// Most pixels of an image that each worker takes; for ever, since one that has gone is started again alike.
    takes: BTreeMap<String, Option<u64>>,
    has_told: bool,
}

impl TooLarge {
    pub(crate) fn new(images: &[PlannedImage]) -> Self {
        let largest = images.iter().max_by_key(|image| image.size.area());
        let largest = largest.map(|image| (image.id.clone(), image.size.area()));
        Self { largest, takes: BTreeMap::new(), has_told: false }
    }

    /// `from` begins with a task and takes images of so many pixels, or of any number. Says it once if nobody takes the
    /// largest image.
    pub(crate) fn note(&mut self, from: &str, takes: Option<u64>) {
        if self.takes.get(from) != Some(&takes) {
            self.takes.insert(from.to_owned(), takes);
        }
        if !self.has_told
            && let Some(words) = self.words()
        {
            self.has_told = true;
            tracing::warn!("{words}");
        }
    }

    /// What there is to say while nobody was heard of that takes the largest image.
    pub(crate) fn words(&self) -> Option<String> {
        const MILLION: u64 = 1_000_000;
        let (id, pixels) = self.largest.as_ref()?;
        // One without a limit takes it.
        let takes: Option<Vec<u64>> = self.takes.values().copied().collect();
        let most = takes?.into_iter().max().filter(|most| most < pixels)?;
        let megapixels = pixels.div_ceil(MILLION);
        Some(format!(
            "no worker takes images of {megapixels} megapixels, such as {id}: those that were heard of ({}) take at most {}; \
             start workers with --image-megapixels {megapixels} (MARQUETRY_IMAGE_MEGAPIXELS)",
            self.takes.len(),
            most / MILLION
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::TooLarge;
    use marquetry_geometry::Size;
    use marquetry_job::PlannedImage;

    fn image(id: &str, side: u32) -> PlannedImage {
        PlannedImage {
            id: id.into(),
            uri: format!("{id}.png"),
            sidecars: Vec::new(),
            version: String::new(),
            key: id.into(),
            content: None,
            size: Size::new(side, side),
            bands: 3,
            tags: std::collections::BTreeMap::new(),
            members: None,
            truth: None,
        }
    }

    #[test]
    fn it_is_said_as_long_as_nobody_takes_the_largest_image() {
        let mut limits = TooLarge::new(&[image("small", 10), image("large", 3000), image("less", 2000)]);
        assert_eq!(limits.words(), None, "nobody was heard of");
        limits.note("a", Some(4_000_000));
        limits.note("b", Some(8_999_999));
        let words = limits.words().unwrap();
        assert!(
            words.contains("9 megapixels, such as large: those that were heard of (2) take at most 8"),
            "{words}"
        );
        assert!(words.contains("start workers with --image-megapixels 9 "), "{words}");
        limits.note("c", Some(9_000_000));
        assert_eq!(limits.words(), None);
        limits.note("c", Some(5));
        assert!(limits.words().is_some(), "it was started again with less");
        limits.note("c", None);
        assert_eq!(limits.words(), None, "it has no limit");
        assert_eq!(TooLarge::new(&[]).words(), None);
    }
}
