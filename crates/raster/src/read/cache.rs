//! Decoded chunks, shared by threads and bounded in bytes.

use super::error::Fault;
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

    /// Gives chunk `key`, of `bytes` bytes once decoded, to `read`, after `decode` where it is not held.
    pub(super) fn with<R>(
        &self,
        key: u64,
        bytes: u64,
        decode: impl FnOnce() -> Result<Vec<u8>, Fault>,
        read: impl FnOnce(&[u8]) -> R,
    ) -> Result<R, Fault> {
        let data = match self.acquire(key, bytes) {
            Some(data) => data,
            None => self.fill(key, decode())?,
        };
        let result = read(&data);
        drop(data);
        self.release(key);
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

    fn fill(&self, key: u64, decoded: Result<Vec<u8>, Fault>) -> Result<Arc<Vec<u8>>, Fault> {
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
