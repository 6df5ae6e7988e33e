//! What each member says at some pixels of each image.

use super::kind::{Whole, Words};
use super::output::Output;
use super::read::At;
use super::scope::Scope;
use super::section::{Section, section};

section! {
    /// What each member says at some pixels of each image with truth: what `marquetry tune` fits to, and a table for whoever fits
    /// something else. One safetensors file for each image: `scores` `[P, M, C]` (logarithms of the probabilities of the members that
    /// score it, in the job's order; those that weigh 0 are none), `truth` `[P]`, `weight` `[P]` (pixels that each stands for) and `place` `[P, 2]` (row, column). Pixels are drawn by a
    /// fixed rule from each class of the truth, at its border and inside: small ones whole, large ones thinly.
    pub struct Probes: "probes" (_) derive [Copy, Eq] {
        /// The format.
        constant probes, Words(&[("safetensors", ())]), required = "safetensors";
        /// Most pixels of an image: of each, 2 bytes for every member that scores the image and class.
        pub per_image: u32 = 2000, Whole::<u32>::new(1, 1_000_000);
    }
}

impl Probes {
    pub(super) fn read_checked(at: &At<'_>, scope: &Scope<'_>) -> Option<Output> {
        let probes = Self::read(at, scope)?;
        let at = at.entry("probes")?;
        if scope.background.is_none() {
            at.conflict(
                "classes do not exclude each other (multilabel: true), and a truth has one class for each pixel; leave it out",
            );
        }
        if !scope.probabilities {
            at.conflict(
                "tta.merge makes sums that are no probabilities; merge views by mean, gmean, max or min",
            );
        }
        if !scope.member_tiles {
            at.conflict(
                "what each member says is known where each has tiles of its own; say tiles: {per: member}",
            );
        }
        Some(Output::Probes(probes))
    }
}
