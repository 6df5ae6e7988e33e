//! Decoded chunks, shared by threads and bounded in bytes.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Keeps the chunks that were used last, within a budget that also counts those in use and those being decoded.
///
/// Different chunks are decoded at the same time by different threads; a chunk that several want is decoded once.
#[derive(Debug)]
pub(super) struct Chunks {
    budget: u64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    slots: HashMap<u64, CachedChunk>,
    /// Loaded chunks that nobody reads, the longest unused first.
    idle: BTreeMap<u64, u64>,
    /// Counts releases, to give every idle chunk an age.
    clock: u64,
    held_bytes: u64,
    #[cfg(test)]
    decoded: u64,
}

#[derive(Debug)]
struct CachedChunk {
    /// Missing while a thread decodes it.
    data: Option<Arc<Vec<u8>>>,
    bytes: u64,
    readers: u32,
    age: u64,
}

impl Chunks {
    /// No chunk may be larger than `budget` bytes.
    pub(super) fn new(budget: u64) -> Self {
        Self { budget, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Gives chunk `key`, of `bytes` bytes once decoded, to `read`, after `decode` where it is not held. A panic in either
    /// leaves the chunk as it was before, for others.
    pub(super) fn with<R, E>(
        &self,
        key: u64,
        bytes: u64,
        decode: impl FnOnce() -> Result<Vec<u8>, E>,
        read: impl FnOnce(&[u8]) -> R,
    ) -> Result<R, E> {
        let data = if let Some(data) = self.acquire(key, bytes) {
            data
        } else {
            let decoding = Decoding { chunks: self, key };
            let decoded = decode();
            std::mem::forget(decoding);
            self.fill(key, decoded)?
        };
        let reading = Reading { chunks: self, key };
        let result = read(&data);
        // In this order: what may be thrown away must be held by nobody.
        drop(data);
        drop(reading);
        Ok(result)
    }

    /// How many chunks were decoded so far.
    #[cfg(test)]
    pub(super) fn decoded(&self) -> u64 {
        self.lock().decoded
    }

    /// The chunk, or `None` if the caller is the one who is to decode it: room for it is set aside then.
    fn acquire(&self, key: u64, bytes: u64) -> Option<Arc<Vec<u8>>> {
        let mut state = self.lock();
        loop {
            if let Some(slot) = state.slots.get_mut(&key) {
                if let Some(data) = slot.data.clone() {
                    slot.readers += 1;
                    let age = slot.age;
                    state.idle.remove(&age);
                    return Some(data);
                }
            } else if state.make_room(bytes, self.budget) {
                state.slots.insert(key, CachedChunk { data: None, bytes, readers: 1, age: 0 });
                return None;
            }
            // Nobody waits while reading or decoding, so those who hold the room will give it back.
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn fill<E>(&self, key: u64, decoded: Result<Vec<u8>, E>) -> Result<Arc<Vec<u8>>, E> {
        let mut state = self.lock();
        let result = decoded.map(Arc::new);
        match &result {
            Ok(data) => {
                #[cfg(test)]
                {
                    state.decoded += 1;
                }
                if let Some(slot) = state.slots.get_mut(&key) {
                    slot.data = Some(Arc::clone(data));
                }
            }
            Err(_) => state.forget(key),
        }
        self.changed.notify_all();
        result
    }

    fn forget(&self, key: u64) {
        self.lock().forget(key);
        self.changed.notify_all();
    }

    fn release(&self, key: u64) {
        let mut state = self.lock();
        state.clock += 1;
        let age = state.clock;
        if let Some(slot) = state.slots.get_mut(&key) {
            slot.readers -= 1;
            if slot.readers == 0 {
                slot.age = age;
                state.idle.insert(age, key);
            }
        }
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A chunk that is being decoded. It is dropped when that panics: the room that was set aside for it is given back, and
/// whoever waits for it decodes it.
struct Decoding<'a> {
    chunks: &'a Chunks,
    key: u64,
}

impl Drop for Decoding<'_> {
    fn drop(&mut self) {
        self.chunks.forget(self.key);
    }
}

/// A chunk that is being read: it stays until this is dropped.
struct Reading<'a> {
    chunks: &'a Chunks,
    key: u64,
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.chunks.release(self.key);
    }
}

impl State {
    /// Sets `bytes` aside, at the cost of idle chunks. Says whether there was room.
    fn make_room(&mut self, bytes: u64, budget: u64) -> bool {
        while self.held_bytes.saturating_add(bytes) > budget {
            let Some((_, key)) = self.idle.pop_first() else { return false };
            self.forget(key);
        }
        self.held_bytes += bytes;
        true
    }

    fn forget(&mut self, key: u64) {
        if let Some(slot) = self.slots.remove(&key) {
            self.held_bytes -= slot.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::error::ReadFault;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::mpsc;
    use std::time::Duration;

    /// What `work` gives, if it ends at all.
    fn in_time<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
        let (done, result) = mpsc::channel();
        std::thread::spawn(move || done.send(work()));
        result.recv_timeout(Duration::from_secs(20)).expect("nobody waits for ever")
    }

    fn seven(bytes: usize) -> impl FnOnce() -> Result<Vec<u8>, ReadFault> {
        move || Ok(vec![7; bytes])
    }

    #[test]
    fn a_panic_while_decoding_gives_the_room_back_and_others_decode() {
        let chunks = Arc::new(Chunks::new(10));
        let panics = || -> Result<Vec<u8>, ReadFault> { panic!("a strange chunk") };
        let panicked = catch_unwind(AssertUnwindSafe(|| chunks.with(1, 10, panics, <[u8]>::len)));
        assert!(panicked.is_err());
        assert_eq!(chunks.lock().held_bytes, 0);
        let same = Arc::clone(&chunks);
        assert_eq!(in_time(move || same.with(1, 10, seven(10), <[u8]>::len).ok()), Some(10));
        assert_eq!(in_time(move || chunks.with(2, 10, seven(9), <[u8]>::len).ok()), Some(9));
    }

    #[test]
    fn a_panic_while_reading_lets_go_of_the_chunk() {
        let chunks = Arc::new(Chunks::new(10));
        let panicked =
            catch_unwind(AssertUnwindSafe(|| chunks.with(1, 10, seven(10), |_| panic!("a strange row"))));
        assert!(panicked.is_err());
        assert_eq!(chunks.lock().idle.len(), 1, "it may be thrown away");
        // Another chunk takes its room.
        assert_eq!(in_time(move || chunks.with(2, 10, seven(9), <[u8]>::len).ok()), Some(9));
    }
}
