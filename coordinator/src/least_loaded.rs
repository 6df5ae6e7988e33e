//! Which partition the next message goes to.

use std::collections::BTreeSet;

/// What is out in each partition of a topic, as far as this coordinator knows.
///
/// A partition belongs to one worker at a time, and a worker may have several, or be slow. Each message goes where the
/// fewest are out (to the shortest queue): a partition gets the next one when it has done one, so all workers have work,
/// however partitions are shared out among them, and one that has stopped gets no more.
#[derive(Debug)]
pub(crate) struct LeastLoadedPartitions {
    /// By messages out, then by how long ago each was chosen.
    order: BTreeSet<PartitionLoad>,
    /// Of each partition, its load.
    loads: Vec<PartitionLoad>,
    turn: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct PartitionLoad {
    out: u32,
    turn: u64,
    partition: u32,
}

impl LeastLoadedPartitions {
    /// Nothing is out yet. A topic has one partition at least.
    pub(crate) fn new(partitions: u32) -> Self {
        let load = |partition| PartitionLoad { out: 0, turn: 0, partition };
        let loads: Vec<PartitionLoad> = (0..partitions.max(1)).map(load).collect();
        Self { order: loads.iter().copied().collect(), loads, turn: 0 }
    }

    /// The partition for one more message: the least loaded of the most welcome ones. How welcome one is, `rank` says,
    /// from 0 on: any of rank 0 goes before all of rank 1.
    pub(crate) fn choose(&mut self, rank: impl Fn(u32) -> u8) -> u32 {
        let mut best: Option<(u8, u32)> = None;
        for load in &self.order {
            let rank = rank(load.partition);
            if best.is_none_or(|(least, _)| rank < least) {
                best = Some((rank, load.partition));
            }
            if rank == 0 {
                break;
            }
        }
        let partition = best.map_or(0, |(_, partition)| partition);
        self.turn += 1;
        let turn = self.turn;
        self.change(partition, |load| PartitionLoad { out: load.out + 1, turn, ..load });
        partition
    }

    /// A message that was sent to `partition` is done with.
    pub(crate) fn release(&mut self, partition: u32) {
        self.change(partition, |load| PartitionLoad { out: load.out.saturating_sub(1), ..load });
    }

    fn change(&mut self, partition: u32, change: impl Fn(PartitionLoad) -> PartitionLoad) {
        let Some(load) = self.loads.get_mut(partition as usize) else { return };
        self.order.remove(load);
        *load = change(*load);
        self.order.insert(*load);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_get_the_same_and_then_those_that_are_done_first() {
        let mut partitions = LeastLoadedPartitions::new(3);
        let mut first: Vec<u32> = (0..6).map(|_| partitions.choose(|_| 0)).collect();
        first.sort_unstable();
        assert_eq!(first, [0, 0, 1, 1, 2, 2]);
        partitions.release(1);
        partitions.release(1);
        partitions.release(2);
        assert_eq!(partitions.choose(|_| 0), 1);
        let mut next = [partitions.choose(|_| 0), partitions.choose(|_| 0)];
        next.sort_unstable();
        assert_eq!(next, [1, 2]);
    }

    #[test]
    fn another_try_goes_elsewhere_if_there_is_an_elsewhere() {
        let mut partitions = LeastLoadedPartitions::new(2);
        assert_eq!(partitions.choose(|p| u8::from(p == 0)), 1);
        assert_eq!(partitions.choose(|p| u8::from(p == 0)), 1, "though less is out in the other one");
        assert_eq!(LeastLoadedPartitions::new(1).choose(|p| u8::from(p == 0)), 0);
        assert_eq!(LeastLoadedPartitions::new(0).choose(|_| 0), 0);
    }
}
