//! What is kept of each run of a job that runs again and again.

use super::kind::Whole;
use super::section::section;

section! {
    /// A job that runs again, as every night over images that have become more. Only images, labels and members whose content is
    /// new are computed, whatever is said here.
    pub struct Nights: "nights" (_) derive [Copy, Eq] {
        /// Of so many runs it is kept what they had: `nights/<name>/<date>.json` in the store, and the labels of each image, which
        /// `marquetry diff` compares. 0 keeps nothing. Labels take about as much room as a mask, once for each image and
        /// again whenever they are made anew.
        pub keep: u32 = 0, Whole::<u32>::new(0, 10_000);
    }
}
