//! Adding in one order what many threads compute in any order.
//!
//! Sums of floats hang on their order: `(a + b) + c` and `a + (b + c)` differ in their last bits. The bytes of a
//! submission must be the same for any number of lanes, so everything that goes into a canvas has a number, `seq`, which
//! follows from the plan alone, and is added in the order of these numbers. Lanes take numbers in that order too, but
//! they end in any: one window meets a cold cache, another model is larger.
//!
//! Three things can happen to a lane that comes with item `seq` while item `next` is the first that is not yet added:
//!
//! - **It is its turn** (`seq == next`). It adds, and then adds for the others whatever waits behind it.
//! - **It is early, and there is room.** It hands its values over and goes on to its next item at once. Whoever adds the
//!   item before will add this one too. In exchange for the memory it gave away it gets that of an item that was added.
//! - **It is early, and there is no room.** It waits until it is its turn, or until there is room.
//!
//! An example: three lanes, items 0 to 4, room for one that waits.
//!
//! | what happens | added | waiting |
//! |---|---|---|
//! | lanes A, B, C take 0, 1, 2 | | |
//! | C ends 2: early, hands it over, takes 3 | | 2 |
//! | C ends 3: early, no room, waits | | 2 |
//! | B ends 1: early, no room, waits | | 2 |
//! | A ends 0: its turn; 1 is not handed over, so A is done, and takes 4 | 0 | 2 |
//! | B wakes: its turn; adds 1, and then 2, which waited | 0 1 2 | |
//! | C wakes while B adds 2: there is room, so it hands 3 over and is done | 0 1 2 | 3 |
//! | B has added 2 and finds 3 waiting; adds it | 0 1 2 3 | |
//! | A ends 4: its turn | 0 1 2 3 4 | |
//!
//! Nobody waits for ever. Numbers are taken in order, so the lane with the least number in hand has nothing before it
//! that is not added or handed over: it never waits, and by and by everyone becomes that lane. That holds as long as
//! every number that was taken comes back. So a lane holds a [`Ticket`] for it, and one that is dropped without values
//! (the item failed, or the lane panicked, be it in the middle of adding) *aborts* the whole sum: what waits is thrown
//! away, those who wait go on, nothing is added any more. The sum of a block without one of its windows is of no use.
//!
//! Whose turn it is may also add before it has ended, row by row as scores come from the model
//! ([`Ticket::try_enter`]): its own values then take no memory, and no second walk through it.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A total `A`, to which values `T` are added in the order of their numbers, by any number of threads.
#[derive(Debug)]
pub(crate) struct OrderedAccumulator<A, T> {
    items: u64,
    pending_max: usize,
    queue: Mutex<Queue<T>>,
    /// Another item's turn has come, or none will come any more.
    turn_changed: Condvar,
    /// Only the item whose turn it is adds to it: nobody waits for this lock.
    total: Mutex<A>,
}

#[derive(Debug)]
struct Queue<T> {
    /// The first item that is not yet added.
    next: u64,
    /// Items whose ticket came back.
    returned: u64,
    aborted: bool,
    /// Values that came before their turn, by number.
    pending: BTreeMap<u64, T>,
    /// Values that were added, for those who want their memory.
    spent: Vec<T>,
}

/// The right to add item number `seq`. When it is dropped without values, nothing is added any more.
#[derive(Debug)]
pub(crate) struct Ticket<'a, A, T> {
    accumulator: &'a OrderedAccumulator<A, T>,
    seq: u64,
    submitted: bool,
}

impl<A, T: Default> OrderedAccumulator<A, T> {
    /// For `items` items, numbered from 0. At most `pending_max` values wait for their turn; whoever has more waits.
    pub(crate) fn new(total: A, items: u64, pending_max: usize) -> Self {
        let (pending, spent) = (BTreeMap::new(), Vec::new());
        let queue = Mutex::new(Queue { next: 0, returned: 0, aborted: false, pending, spent });
        Self { items, pending_max, queue, turn_changed: Condvar::new(), total: Mutex::new(total) }
    }

    /// The ticket of item `seq`, for the one thread that computes it. Tickets must be taken in order and each once:
    /// otherwise threads wait for ever.
    pub(crate) fn ticket(&self, seq: u64) -> Ticket<'_, A, T> {
        Ticket { accumulator: self, seq, submitted: false }
    }

    /// Ends the sum before it is whole: whoever waits goes on, and nothing is added any more.
    pub(crate) fn abort(&self) {
        self.queue().abort();
        self.turn_changed.notify_all();
    }

    /// Whether every item's ticket came back, with values or without.
    pub(crate) fn is_over(&self) -> bool {
        self.queue().returned == self.items
    }

    // A thread that panicked while it held a lock aborts the sum when its ticket is dropped: what it left half-done is
    // not looked at, and the others must be able to go on.
    fn queue(&self) -> MutexGuard<'_, Queue<T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn total(&self) -> MutexGuard<'_, A> {
        self.total.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Queue<T> {
    fn abort(&mut self) {
        self.aborted = true;
        self.pending.clear();
        self.spent.clear();
    }
}

impl<'a, A, T: Default> Ticket<'a, A, T> {
    /// The total, if all items before this one were added. It stays its turn until the ticket comes back. The guard
    /// must be gone before [`submit`](Self::submit).
    pub(crate) fn try_enter(&self) -> Option<MutexGuard<'a, A>> {
        let queue = self.accumulator.queue();
        let its_turn = queue.next == self.seq && !queue.aborted;
        drop(queue);
        its_turn.then(|| self.accumulator.total())
    }

    /// Gives the item's values: `add` is called with the total, the number and the values of each item whose turn has
    /// come, in order. Waits only where too much waits already. Returns values that nobody needs any more, for their
    /// memory.
    pub(crate) fn submit(mut self, mut values: T, mut add: impl FnMut(&mut A, u64, &mut T)) -> T {
        let accumulator = self.accumulator;
        let mut queue = accumulator.queue();
        while queue.next != self.seq && !queue.aborted {
            if queue.pending.len() < accumulator.pending_max {
                queue.pending.insert(self.seq, values);
                let spent = queue.spent.pop().unwrap_or_default();
                self.give_back(&mut queue);
                return spent;
            }
            queue = accumulator.turn_changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        let mut seq = self.seq;
        while !queue.aborted {
            drop(queue);
            add(&mut accumulator.total(), seq, &mut values);
            queue = accumulator.queue();
            queue.next += 1;
            // There may be room for someone who waits.
            accumulator.turn_changed.notify_all();
            seq = queue.next;
            let Some(next) = queue.pending.remove(&seq) else { break };
            queue.spent.push(std::mem::replace(&mut values, next));
        }
        self.give_back(&mut queue);
        values
    }

    fn give_back(&mut self, queue: &mut Queue<T>) {
        self.submitted = true;
        queue.returned += 1;
    }
}

impl<A, T> Drop for Ticket<'_, A, T> {
    fn drop(&mut self) {
        if self.submitted {
            return;
        }
        let mut queue = self.accumulator.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.returned += 1;
        queue.abort();
        drop(queue);
        self.accumulator.turn_changed.notify_all();
    }
}

#[cfg(test)]
#[path = "ordered_tests.rs"]
mod tests;
