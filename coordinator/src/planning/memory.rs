//! What earlier plannings saw of files: one that has not changed since is not read again.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read, Write};
use std::sync::{Mutex, PoisonError};

/// The first line of a stored memory. Counted up whenever anything would be seen otherwise of the same file.
const FORM: &str = "marquetry memory 1";
/// Most bytes of a stored memory, unpacked: what is larger is forgotten.
const BYTES_MAX: u64 = 4 << 30;
/// What is remembered is alike: the fastest level comes near the best one.
const LEVEL: i32 = 1;

/// How names begin of what was measured on a machine: another time it would come out otherwise, and jobs hang on it, so it is kept though a
/// run with other options has not asked for it.
const MEASURED: [&str; 3] = ["rates ", "precision ", "openvino "];

/// What was seen of things, by their names. Each thing has a stamp, which is another one as soon as the thing is; what was
/// seen under another stamp is forgotten. Only what planning asked for, and what was measured, is
/// stored again, so a memory is as large as its job.
#[derive(Debug, Default)]
pub struct PlanMemory {
    /// What was stored, by name: stamp and value.
    known: Mutex<HashMap<String, Entry>>,
    /// What was asked for or added since.
    seen: Mutex<BTreeMap<String, Entry>>,
}

/// A stamp, and a value as JSON.
type Entry = (String, String);

impl PlanMemory {
    /// The memory in `stored`; an empty one where that is damaged or of another version: it only spares work.
    pub fn from_bytes(stored: &[u8]) -> Self {
        Self { known: Mutex::new(read(stored).unwrap_or_default()), seen: Mutex::default() }
    }

    /// The bytes that are stored: what was asked for or added. `was_cut_short`: planning has not come to its end, and would have
    /// asked for more, so nothing is forgotten yet.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn to_bytes(&self, was_cut_short: bool) -> io::Result<Bytes> {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), LEVEL)?;
        encoder.include_checksum(true)?;
        writeln!(encoder, "{FORM}")?;
        let mut write = |name: &str, (stamp, value): &Entry| {
            writeln!(encoder, "{}\t{}\t{value}", serde_json::json!(name), serde_json::json!(stamp))
        };
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().try_for_each(|(name, entry)| write(name, entry))?;
        let stays = |name: &str| was_cut_short || MEASURED.iter().any(|what| name.starts_with(what));
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .iter()
            .filter(|(name, _)| !seen.contains_key(*name) && stays(name))
            .try_for_each(|(name, entry)| write(name, entry))?;

        encoder.finish().map(Bytes::from)
    }

    /// What was seen of the thing called `name` when its stamp was `stamp`.
    pub(crate) fn recall<T: DeserializeOwned>(&self, name: &str, stamp: &str) -> Option<T> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.contains_key(name) {
            let entry = self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(name)?;
            if entry.0 == stamp {
                seen.insert(name.to_owned(), entry);
            }
        }
        let value = seen.get(name).filter(|entry| entry.0 == stamp)?.1.clone();
        drop(seen);
        serde_json::from_str(&value).ok()
    }

    /// Remembers what is seen of the thing called `name`, whose stamp is `stamp`.
    pub(crate) fn remember<T: Serialize>(&self, name: &str, stamp: &str, value: &T) {
        if let Ok(value) = serde_json::to_string(value) {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.insert(name.to_owned(), (stamp.to_owned(), value));
        }
    }

    /// What was seen of a thing, or what `look` sees of it now.
    ///
    /// # Errors
    /// Those of `look`.
    pub(crate) fn seen<T: Serialize + DeserializeOwned, E>(
        &self,
        name: &str,
        stamp: &str,
        look: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        if let Some(value) = self.recall(name, stamp) {
            return Ok(value);
        }
        let value = look()?;
        self.remember(name, stamp, &value);
        Ok(value)
    }
}

fn read(stored: &[u8]) -> io::Result<HashMap<String, Entry>> {
    let (mut text, decoder) = (String::new(), zstd::stream::read::Decoder::with_buffer(stored)?);
    decoder.take(BYTES_MAX).read_to_string(&mut text)?;
    let mut lines = text.lines();
    if lines.next() != Some(FORM) {
        return Ok(HashMap::new());
    }
    let entry = |line: &str| {
        let mut parts = line.splitn(3, '\t');
        let (name, stamp) =
            (serde_json::from_str(parts.next()?).ok()?, serde_json::from_str(parts.next()?).ok()?);
        Some((name, (stamp, parts.next()?.to_owned())))
    };
    Ok(lines.filter_map(entry).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_not_changed_is_remembered_and_the_rest_forgotten() {
        let memory = PlanMemory::default();
        memory.remember("a\tb\n", "1", &(1, "ä"));
        memory.remember("gone", "1", &2);
        memory.remember("changed", "1", &3);
        let later = PlanMemory::from_bytes(&memory.to_bytes(false).unwrap());
        assert_eq!(later.recall("a\tb\n", "1"), Some((1, "ä".to_owned())));
        assert_eq!(later.recall::<u32>("changed", "2"), None);
        assert_eq!(later.recall::<u32>("changed", "1"), None, "what it was once it may not be again");
        assert_eq!(later.recall::<String>("a\tb\n", "1"), None, "a value of another form");
        let last = PlanMemory::from_bytes(&later.to_bytes(false).unwrap());
        assert_eq!(last.recall::<u32>("gone", "1"), None, "nobody asked for it");
        let unfinished = PlanMemory::from_bytes(&later.to_bytes(false).unwrap());
        let again = PlanMemory::from_bytes(&unfinished.to_bytes(true).unwrap());
        assert_eq!(
            again.recall("a\tb\n", "1"),
            Some((1, "ä".to_owned())),
            "it was cut short before it asked"
        );
    }

    #[test]
    fn what_is_damaged_is_forgotten() {
        let memory = PlanMemory::default();
        memory.remember("a", "1", &1);
        let stored = memory.to_bytes(false).unwrap();
        for at in 0..stored.len() {
            let mut bytes = stored.to_vec();
            bytes[at] ^= 0x20;
            let found = PlanMemory::from_bytes(&bytes).recall::<u32>("a", "1");
            assert!(matches!(found, None | Some(1)), "byte {at}: {found:?}");
            assert_eq!(PlanMemory::from_bytes(&stored[..at]).recall::<u32>("a", "1"), None);
        }
    }
}
