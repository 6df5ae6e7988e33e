//! Which messages of a partition are finished: offsets are committed as one number, so only a prefix counts.

use std::collections::BTreeSet;

/// The messages of one partition that were received and are not finished.
///
/// Offsets may have gaps; those that are received must ascend.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    open: BTreeSet<i64>,
    /// The highest offset received.
    seen: Option<i64>,
    /// The last of the finished prefix that was told.
    told: Option<i64>,
}

impl Tracker {
    /// Notes a message; false when it was received before.
    pub(super) fn receive(&mut self, offset: i64) -> bool {
        if self.seen.is_some_and(|seen| offset <= seen) {
            return false;
        }
        self.seen = Some(offset);
        self.open.insert(offset)
    }

    /// Notes that a message is finished; the end of the finished prefix, when that moved.
    pub(super) fn finish(&mut self, offset: i64) -> Option<i64> {
        if !self.open.remove(&offset) {
            return None;
        }
        let prefix = match self.open.first() {
            Some(open) => *open - 1,
            None => self.seen?,
        };
        // Below the first message that was ever received lies nothing that is ours to tell.
        let moved = offset <= prefix && self.told.is_none_or(|told| told < prefix);
        if moved {
            self.told = Some(prefix);
        }
        moved.then_some(prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::Tracker;

    fn received(offsets: &[i64]) -> Tracker {
        let mut tracker = Tracker::default();
        assert!(offsets.iter().all(|o| tracker.receive(*o)));
        tracker
    }

    #[test]
    fn only_the_finished_prefix_is_told() {
        let mut tracker = received(&[5, 6, 7, 9]);
        assert_eq!(tracker.finish(7), None);
        assert_eq!(tracker.finish(9), None);
        assert_eq!(tracker.finish(5), Some(5));
        assert_eq!(tracker.finish(6), Some(9), "over the gap at 8, which is no message of ours");
        assert_eq!(tracker.finish(6), None, "twice is harmless");
        assert!(tracker.receive(10));
        assert_eq!(tracker.finish(10), Some(10));
    }

    #[test]
    fn messages_fetched_again_are_not_new() {
        let mut tracker = received(&[3, 4]);
        assert!(!tracker.receive(4) && !tracker.receive(3));
        assert_eq!(tracker.finish(3), Some(3));
        assert!(!tracker.receive(3));
        assert_eq!(tracker.finish(4), Some(4));
    }

    #[test]
    fn whatever_the_order_the_end_is_told_last_and_never_goes_back() {
        for seed in 0..200_u64 {
            let mut dice = fastrand::Rng::with_seed(seed);
            let mut offsets: Vec<i64> = (100..130).filter(|_| dice.bool()).collect();
            offsets.push(130);
            let mut tracker = received(&offsets);
            dice.shuffle(&mut offsets);
            let mut finished = std::collections::BTreeSet::new();
            let (mut told, all) = (i64::MIN, offsets.clone());
            for offset in offsets {
                finished.insert(offset);
                if let Some(prefix) = tracker.finish(offset) {
                    assert!(prefix > told, "seed {seed}");
                    assert!(all.iter().all(|o| *o > prefix || finished.contains(o)), "seed {seed}");
                    told = prefix;
                }
            }
            assert_eq!(told, 130, "seed {seed}");
        }
    }
}
