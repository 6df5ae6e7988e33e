use super::*;
use proptest::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// Terms whose sum depends on their order in almost every permutation.
fn term(seq: u64) -> f32 {
    ((seq * 2_654_435_761) % 1000) as f32 * [1e-4, 1.0, 3e4, 7e-2][(seq % 4) as usize]
}

fn sum_in_order(items: u64) -> f32 {
    (0..items).map(term).fold(0.0, |sum, x| sum + x)
}

#[expect(clippy::ptr_arg, reason = "what an accumulator of vectors gives")]
fn add(total: &mut (f32, Vec<u64>), seq: u64, values: &mut Vec<f32>) {
    total.0 += values[0];
    total.1.push(seq);
}

type Sum = OrderedAccumulator<(f32, Vec<u64>), Vec<f32>>;

fn accumulator(items: u64, pending_max: usize) -> Sum {
    OrderedAccumulator::new((0.0, Vec::new()), items, pending_max)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// With room for all of them, one thread can bring them in any order at all.
    #[test]
    fn any_order_of_arrival_gives_the_sum_in_order(order in Just((0..24_u64).collect::<Vec<_>>()).prop_shuffle()) {
        let sum = accumulator(24, 24);
        let mut memory = Vec::new();
        for &seq in &order {
            prop_assert!(!sum.is_over());
            memory.clear();
            memory.push(term(seq));
            memory = sum.ticket(seq).submit(memory, add);
        }
        prop_assert!(sum.is_over());
        let (total, added) = &*sum.total();
        prop_assert_eq!(total.to_bits(), sum_in_order(24).to_bits());
        prop_assert!(added.iter().copied().eq(0..24));
    }

    #[test]
    fn any_number_of_threads_gives_the_sum_in_order(
        threads in 1..6_usize,
        pending_max in 0..4_usize,
        pauses in proptest::collection::vec(0..300_u64, 40),
        in_place in proptest::collection::vec(any::<bool>(), 40),
    ) {
        let sum = accumulator(40, pending_max);
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= 40 {
                        break;
                    }
                    let ticket = sum.ticket(at as u64);
                    thread::sleep(Duration::from_micros(pauses[at]));
                    let entered = if in_place[at] { ticket.try_enter() } else { None };
                    let there = entered.map(|mut total| add(&mut total, at as u64, &mut vec![term(at as u64)]));
                    let values = if there.is_some() { Vec::new() } else { vec![term(at as u64)] };
                    ticket.submit(values, |total, seq, values| {
                        if !values.is_empty() {
                            add(total, seq, values);
                        }
                    });
                });
            }
        });
        prop_assert!(sum.is_over());
        let (total, added) = &*sum.total();
        prop_assert_eq!(total.to_bits(), sum_in_order(40).to_bits());
        prop_assert!(added.iter().copied().eq(0..40));
    }
}

#[test]
fn the_terms_of_these_tests_depend_on_their_order() {
    let backwards = (0..24).rev().map(term).fold(0.0, |sum: f32, x| sum + x);
    assert_ne!(backwards.to_bits(), sum_in_order(24).to_bits());
}

/// Submits items 1 and up, each from a thread of its own.
fn start_early<'scope>(scope: &'scope thread::Scope<'scope, '_>, sum: &'scope Sum, items: u64) {
    for seq in 1..items {
        scope.spawn(move || sum.ticket(seq).submit(vec![term(seq)], add));
    }
}

fn until(condition: impl Fn() -> bool) {
    for _ in 0..5000 {
        if condition() {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("it does not come to pass");
}

#[test]
fn no_more_is_handed_over_than_there_is_room_for() {
    let sum = accumulator(6, 2);
    thread::scope(|scope| {
        start_early(scope, &sum, 6);
        until(|| sum.queue().returned == 2);
        // The other three have nowhere to put their values.
        thread::sleep(Duration::from_millis(20));
        assert_eq!(sum.queue().pending.len(), 2);
        sum.ticket(0).submit(vec![term(0)], add);
    });
    assert!(sum.is_over());
    assert_eq!(sum.total().0.to_bits(), sum_in_order(6).to_bits());
}

#[test]
fn memory_goes_round() {
    let sum = accumulator(4, 2);
    assert!(
        sum.ticket(2).submit(vec![2.0], add).is_empty(),
        "nothing was added yet: there is no memory to give"
    );
    assert!(sum.ticket(1).submit(vec![1.0], add).is_empty());
    assert_eq!(sum.ticket(0).submit(vec![0.0], add), [2.0], "the last one that was added");
    assert_eq!(sum.queue().spent.len(), 2, "memory of the other two, for those to come");
}

#[test]
fn only_the_first_that_is_missing_may_enter() {
    let sum = accumulator(3, 3);
    let (first, second) = (sum.ticket(0), sum.ticket(1));
    assert!(second.try_enter().is_none());
    assert!(first.try_enter().is_some());
    first.submit(Vec::new(), |_, _, _| {});
    assert!(second.try_enter().is_some());
    sum.abort();
    assert!(second.try_enter().is_none(), "nothing is added to what is given up");
}

#[test]
fn an_item_that_fails_frees_those_who_wait_for_it() {
    let sum = accumulator(6, 2);
    thread::scope(|scope| {
        start_early(scope, &sum, 6);
        until(|| sum.queue().returned == 2);
        drop(sum.ticket(0));
    });
    assert!(sum.is_over());
    assert!(sum.total().1.is_empty(), "nothing is added after an item failed");
    assert!(sum.queue().pending.is_empty(), "values that nobody will add take no memory");
}

#[test]
fn giving_up_frees_those_who_wait() {
    let sum = accumulator(4, 0);
    thread::scope(|scope| {
        start_early(scope, &sum, 4);
        thread::sleep(Duration::from_millis(5));
        assert_eq!(sum.queue().returned, 0);
        sum.abort();
        until(|| sum.queue().returned == 3);
        assert!(!sum.is_over(), "the first is still at work");
        drop(sum.ticket(0));
    });
    assert!(sum.is_over());
}

#[test]
fn a_panic_while_adding_frees_the_others() {
    for (place, panics_at) in [("for itself", 0), ("for one that waits", 1), ("in place", 9)] {
        let sum = &accumulator(6, 2);
        sum.ticket(1).submit(vec![term(1)], add);
        thread::scope(|scope| {
            for seq in 2..6 {
                scope.spawn(move || sum.ticket(seq).submit(vec![term(seq)], add));
            }
            until(|| sum.queue().pending.len() == 2);
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                let ticket = sum.ticket(0);
                let entered = ticket.try_enter().unwrap();
                assert!(panics_at != 9, "while it holds the total");
                drop(entered);
                ticket.submit(vec![term(0)], |total, seq, values| {
                    assert!(seq != panics_at, "while it adds");
                    add(total, seq, values);
                });
            }));
            assert!(panicked.is_err(), "{place}");
        });
        assert!(sum.is_over(), "{place}");
        let added: Vec<u64> = (0..panics_at % 9).collect();
        assert_eq!(sum.total().1, added, "{place}");
    }
}
