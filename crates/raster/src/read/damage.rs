//! Strips and tiles of a file that cannot be read, while all others can.

use super::error::ReadFault;
use marquetry_geometry::Rect;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A strip or tile that cannot be read: its pixels are missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedPart {
    /// The pixels of the image that it stands for.
    pub rect: Rect,
    /// What the file calls it: `strip` or `tile`.
    pub unit: &'static str,
    /// Its number in the file, counted from 0.
    pub number: u64,
    /// What was found.
    pub reason: String,
}

/// Why a chunk is not there.
#[derive(Debug)]
pub(super) enum ChunkFault {
    /// Its bytes are there, and make no sense.
    Damaged(ReadFault),
    /// Its bytes cannot be had, or there is no room for it.
    Other(ReadFault),
}

impl ChunkFault {
    pub(super) fn into_fault(self) -> ReadFault {
        match self {
            Self::Damaged(fault) | Self::Other(fault) => fault,
        }
    }
}

/// What was found damaged so far, by the chunk's number among those of all pages.
#[derive(Debug, Default)]
pub(super) struct DamageLog(Mutex<BTreeMap<u64, DamagedPart>>);

impl DamageLog {
    pub(super) fn note(&self, key: u64, part: impl FnOnce() -> DamagedPart) {
        self.lock().entry(key).or_insert_with(part);
    }

    /// The parts that reach into `rect`; of those that stand for the same pixels the first.
    pub(super) fn within(&self, rect: Rect) -> Vec<DamagedPart> {
        let mut found: Vec<DamagedPart> = Vec::new();
        for part in self.lock().values().filter(|part| !part.rect.intersect(rect).size.is_empty()) {
            if found.iter().all(|known| known.rect != part.rect) {
                found.push(part.clone());
            }
        }
        found
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, DamagedPart>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
