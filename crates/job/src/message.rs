//! What the roles tell each other: JSON of a few hundred bytes, ids and never tensors.

use serde::{Deserialize, Serialize};

/// The version that is written. A reader refuses others rather than guess.
pub const MESSAGE_VERSION: u32 = 1;

/// One block of one image for one group of members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TaskId {
    /// Place of the image in the plan.
    pub image: u32,
    /// Place of the group in the plan.
    pub group: u32,
    /// Place of the block in the group's grid over this image, row-major.
    pub block: u32,
}

impl std::fmt::Display for TaskId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "image {} group {} block {}", self.image, self.group, self.block)
    }
}

/// Coordinator to workers: compute this block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskMessage {
    /// The job.
    pub job: String,
    /// The block.
    pub task: TaskId,
    /// 1 for the first try.
    pub attempt: u32,
}

/// Coordinator to aggregators: put this image together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AggregateMessage {
    /// The job.
    pub job: String,
    /// Names the decisions and outputs that are asked for ([`crate::key::spec`]).
    pub outputs: String,
    /// Place of the image in the plan.
    pub image: u32,
    /// 1 for the first try.
    pub attempt: u32,
    /// Whether blocks may be missing, because they were given up; their pixels get the ignore label.
    pub partial: bool,
}

/// Seconds that one task spent in each stage, summed over threads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct StageSeconds {
    /// Reading pixels.
    pub read: f64,
    /// Making model inputs: normalising, padding, views.
    pub prepare: f64,
    /// Inside the model runtime.
    pub infer: f64,
    /// Activation, inverse views, merging, adding to the canvas.
    pub stitch: f64,
    /// Encoding and storing.
    pub store: f64,
}

impl std::ops::AddAssign for StageSeconds {
    fn add_assign(&mut self, other: Self) {
        self.read += other.read;
        self.prepare += other.prepare;
        self.infer += other.infer;
        self.stitch += other.stitch;
        self.store += other.store;
    }
}

/// Anyone to the coordinator: what happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum ResultMessage {
    /// A tile is stored.
    Tile {
        /// Which.
        task: TaskId,
        /// Its length in the store, bytes.
        tile_bytes: u64,
        /// Model runs it took: windows × members × views.
        forwards: u64,
        /// Where the time went.
        seconds: StageSeconds,
    },
    /// A task failed.
    TaskFailed {
        /// Which.
        task: TaskId,
        /// The attempt that failed.
        attempt: u32,
        /// Why, in one line.
        reason: String,
        /// Whether another attempt could go better.
        retry: bool,
    },
    /// An image's outputs are stored.
    Image {
        /// Which.
        image: u32,
        /// How long it took to put together, s.
        seconds: f64,
    },
    /// An image could not be put together.
    ImageFailed {
        /// Which.
        image: u32,
        /// The attempt that failed.
        attempt: u32,
        /// Why, in one line.
        reason: String,
        /// Tiles found damaged: they are computed again.
        damaged: Vec<TaskId>,
        /// Whether another attempt could go better.
        retry: bool,
    },
}

/// A message that is not one of ours.
#[derive(Debug, thiserror::Error)]
#[error("the message is not one that this version of Marquetry understands: {reason}")]
pub struct MessageError {
    /// What was found.
    pub reason: String,
}

#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    v: u32,
    #[serde(flatten)]
    body: T,
}

/// The bytes of a message.
///
/// # Panics
/// Never: messages are plain structs of numbers and strings, which JSON can hold.
pub fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    serde_json::to_vec(&Envelope { v: MESSAGE_VERSION, body: message }).expect("plain structs become JSON")
}

/// The message in `bytes`.
///
/// # Errors
/// When it is no JSON, of another version, or of another shape.
pub fn decode<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<T, MessageError> {
    let failed = |reason: String| MessageError { reason };
    let envelope: Envelope<T> = serde_json::from_slice(bytes).map_err(|e| failed(e.to_string()))?;
    if envelope.v == MESSAGE_VERSION {
        Ok(envelope.body)
    } else {
        Err(failed(format!("its version is {}, this one is {MESSAGE_VERSION}", envelope.v)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of version 1 stay readable for ever.
    #[test]
    fn version_1_reads_back() {
        let task = TaskMessage {
            job: "nuclei-0123456789ab".into(),
            task: TaskId { image: 7, group: 1, block: 4_000_000_000 },
            attempt: 2,
        };
        let golden = br#"{"v":1,"job":"nuclei-0123456789ab","task":{"image":7,"group":1,"block":4000000000},"attempt":2}"#;
        assert_eq!(encode(&task), golden);
        assert_eq!(decode::<TaskMessage>(golden).unwrap(), task);
        let golden = br#"{"v":1,"event":"image","image":3,"seconds":0.5}"#;
        assert_eq!(decode::<ResultMessage>(golden).unwrap(), ResultMessage::Image { image: 3, seconds: 0.5 });
    }

    #[test]
    fn other_messages_are_refused() {
        assert!(
            decode::<TaskMessage>(br#"{"v":2,"job":"a","task":{"image":0,"group":0,"block":0},"attempt":1}"#)
                .is_err()
        );
        assert!(decode::<TaskMessage>(b"\xff").is_err());
        assert!(decode::<ResultMessage>(br#"{"v":1,"event":"party"}"#).is_err());
    }
}
