//! What the roles tell each other: JSON of a few hundred bytes, ids and never tensors.

use marquetry_failure::FailureClass;
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

/// Which run of which job a message belongs to.
///
/// A *run* is one life of a coordinator. The store says which run counts ([`crate::key::run`]): messages of another are
/// left over and not worked on. That is how a job is cancelled, and why nothing that a dead coordinator sent is done
/// twice.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RunId {
    /// The job.
    pub job: String,
    /// Where it is stored: a folder or `s3://bucket/prefix`.
    pub store: String,
    /// Names the run; unique.
    pub run: String,
}

/// Coordinator to workers: compute this block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskMessage {
    /// For which run.
    #[serde(flatten)]
    pub run: RunId,
    /// The block.
    pub task: TaskId,
    /// 1 for the first try.
    pub attempt: u32,
    /// Whether a tile that is there is to be replaced, because it was found damaged.
    pub replace: bool,
}

/// Coordinator to aggregators: put this image together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AggregateMessage {
    /// For which run.
    #[serde(flatten)]
    pub run: RunId,
    /// Names the decisions and outputs that are asked for ([`crate::key::spec`]).
    pub outputs: String,
    /// Place of the image in the plan.
    pub image: u32,
    /// 1 for the first try.
    pub attempt: u32,
    /// Whether blocks may be missing, because they were given up; their pixels get the ignore label.
    pub partial: bool,
}

/// Coordinator to whoever looks after jobs: this was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// In which run.
    #[serde(flatten)]
    pub run: RunId,
    /// The image's id.
    pub image_id: String,
    /// What, after how many tries, and why.
    pub loss: crate::Loss,
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

/// Anyone to the coordinator: what happened, and who says so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResultMessage {
    /// The run that asked for it.
    #[serde(flatten)]
    pub run: RunId,
    /// The worker or aggregator.
    pub from: String,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A tile is stored.
    Tile {
        /// The block that it holds.
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
        /// The block.
        task: TaskId,
        /// The attempt that failed.
        attempt: u32,
        /// Why, in one line.
        reason: String,
        /// Who is to blame.
        class: FailureClass,
    },
    /// An image's outputs are stored.
    Image {
        /// Place of the image in the plan.
        image: u32,
        /// Whether it was put together without the blocks that had been given up.
        partial: bool,
        /// How long it took to put together, s.
        seconds: f64,
    },
    /// An image could not be put together.
    ImageFailed {
        /// Place of the image in the plan.
        image: u32,
        /// The attempt that failed.
        attempt: u32,
        /// Why, in one line.
        reason: String,
        /// Tiles found damaged: they are computed again.
        damaged: Vec<TaskId>,
        /// Who is to blame.
        class: FailureClass,
    },
    /// A person asks for another try of everything that was given up.
    Retry,
}

/// The longest reason that is sent, in bytes: messages stay below 2 KB.
const REASON_MAX: usize = 900;

/// A reason of any length, cut where it must be to fit into a message.
pub fn short_reason(reason: &str) -> String {
    shortened(reason, REASON_MAX)
}

/// The first `bytes_max` bytes of a text, with a sign where something was cut off.
pub(crate) fn shortened(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let end = (0..=bytes_max).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    format!("{} …", &text[..end])
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

    fn run() -> RunId {
        RunId { job: "nuclei-0123456789ab".into(), store: "s3://b/p".into(), run: "r1".into() }
    }

    /// The bytes of version 1 stay readable for ever.
    #[test]
    fn version_1_reads_back() {
        let task = TaskMessage {
            run: run(),
            task: TaskId { image: 7, group: 1, block: 4_000_000_000 },
            attempt: 2,
            replace: false,
        };
        let golden = br#"{"v":1,"job":"nuclei-0123456789ab","store":"s3://b/p","run":"r1","task":{"image":7,"group":1,"block":4000000000},"attempt":2,"replace":false}"#;
        assert_eq!(String::from_utf8(encode(&task)).unwrap(), String::from_utf8_lossy(golden));
        assert_eq!(decode::<TaskMessage>(golden).unwrap(), task);
        let result = ResultMessage {
            run: run(),
            from: "w".into(),
            event: Event::Image { image: 3, partial: false, seconds: 0.5 },
        };
        let golden = br#"{"v":1,"job":"nuclei-0123456789ab","store":"s3://b/p","run":"r1","from":"w","event":"image","image":3,"partial":false,"seconds":0.5}"#;
        assert_eq!(String::from_utf8(encode(&result)).unwrap(), String::from_utf8_lossy(golden));
        assert_eq!(decode::<ResultMessage>(golden).unwrap(), result);
    }

    #[test]
    fn other_messages_are_refused() {
        let good =
            String::from_utf8(encode(&ResultMessage { run: run(), from: "w".into(), event: Event::Retry }));
        let good = good.unwrap();
        assert!(decode::<ResultMessage>(good.as_bytes()).is_ok());
        assert!(decode::<ResultMessage>(good.replace("\"v\":1", "\"v\":2").as_bytes()).is_err());
        assert!(decode::<ResultMessage>(good.replace("retry", "party").as_bytes()).is_err());
        assert!(decode::<TaskMessage>(b"\xff").is_err());
    }

    #[test]
    fn the_longest_message_is_below_two_kilobytes() {
        let id = TaskId { image: u32::MAX, group: u32::MAX, block: u32::MAX };
        let long =
            RunId { job: "j".repeat(80), store: format!("s3://{}", "b".repeat(250)), run: "r".repeat(32) };
        let message = ResultMessage {
            run: long,
            from: "a-host-name-of-a-pod-in-some-cluster-1234567890-abcde".into(),
            event: Event::ImageFailed {
                image: u32::MAX,
                attempt: u32::MAX,
                reason: short_reason(&"ä\"".repeat(2000)),
                damaged: vec![id],
                class: FailureClass::Passing,
            },
        };
        let bytes = encode(&message).len();
        assert!(bytes < 2048, "{bytes} bytes");
    }
}
