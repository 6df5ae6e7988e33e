//! Looking at many files at once: each mostly waits, or keeps one core busy.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Does `work` on each of `items`, by at most `threads` threads, in order. No item is begun any more after a result of
/// which `stops` is true. The results by the items' places; `None` for those that were not begun.
pub(crate) fn parallel_map<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> R + Sync,
    stops: impl Fn(&R) -> bool + Sync,
) -> Vec<Option<R>> {
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let slots: Vec<Mutex<Option<R>>> = items.iter().map(|_| Mutex::new(None)).collect();
    std::thread::scope(|scope| {
        for _ in 0..threads.min(items.len()) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed)
                    && let at = next.fetch_add(1, Ordering::Relaxed)
                    && let Some((item, slot)) = items.get(at).zip(slots.get(at))
                {
                    let result = work(item);
                    if stops(&result) {
                        stop.store(true, Ordering::Relaxed);
                    }
                    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
                }
            });
        }
    });
    slots.into_iter().map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner)).collect()
}

#[cfg(test)]
mod tests {
    use super::parallel_map;

    #[test]
    fn results_keep_their_places_and_nothing_is_begun_after_the_end() {
        let items: Vec<usize> = (0..100).collect();
        let doubled = parallel_map(&items, 7, |n| n * 2, |_| false);
        assert_eq!(doubled, items.iter().map(|n| Some(n * 2)).collect::<Vec<_>>());
        let stopped = parallel_map(&items, 3, |n| *n, |n| *n == 10);
        assert!(stopped[..=10].iter().all(Option::is_some), "those before it were begun before it");
        assert!(
            stopped.iter().flatten().count() < 20,
            "at most one more for each thread, if these are quick"
        );
        assert!(parallel_map(&[(); 0], 3, |()| (), |()| false).is_empty());
    }
}
