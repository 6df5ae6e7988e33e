//! What the roles tell each other: JSON of a few hundred bytes, ids and never tensors.

use crate::{PlannedImage, TaskId, TaskKind};
use marquetry_failure::FailureClass;
use serde::{Deserialize, Serialize};

/// The version that is written. A reader refuses others rather than guess.
pub const MESSAGE_VERSION: u32 = 6;

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

/// Coordinator to workers: compute this of this image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskMessage {
    /// For which run.
    #[serde(flatten)]
    pub run: RunId,
    /// The hash of the plan ([`crate::key::plan`]).
    pub plan: String,
    /// The image.
    pub image: PlannedImage,
    /// What is computed of it.
    pub task: TaskKind,
    /// 1 for the first try.
    pub attempt: u32,
    /// Whether what is stored is to be replaced, because it was found damaged.
    pub replace: bool,
    /// Whether a worker is to have nothing else in hand meanwhile, because those that began it ended without a word: what
    /// was in hand with it would be blamed too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub alone: bool,
}

impl RunId {
    /// The same life of a coordinator under another name, from which on no message counts that was sent before.
    #[must_use]
    pub fn renewed(&self, times: u32) -> Self {
        Self { run: format!("{}.{times}", self.life()), ..self.clone() }
    }

    /// What all names of one life of a coordinator begin with.
    fn life(&self) -> &str {
        self.run.split('.').next().unwrap_or(&self.run)
    }

    /// Whether `run` names this life of a coordinator, under this name or another.
    pub fn is_life_of(&self, run: &str) -> bool {
        run.strip_prefix(self.life()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

impl TaskMessage {
    /// The task as results name it.
    pub fn id(&self) -> TaskId {
        TaskId { image: self.image.key.clone(), kind: self.task }
    }
}

/// Coordinator to aggregators: put this image together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AggregateMessage {
    /// For which run.
    #[serde(flatten)]
    pub run: RunId,
    /// The hash of the plan ([`crate::key::plan`]).
    pub plan: String,
    /// Names the decisions and outputs that are asked for ([`crate::key::spec`]).
    pub outputs: String,
    /// The image.
    pub image: PlannedImage,
    /// Whether it is one of those whose pictures are in the report.
    pub picture: bool,
    /// 1 for the first try.
    pub attempt: u32,
    /// Whether blocks may be missing, because they were given up; their pixels get the ignore label.
    pub partial: bool,
    /// Whether an aggregator is to have nothing else in hand meanwhile ([`TaskMessage::alone`]).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub alone: bool,
}

/// Coordinator to whoever looks after jobs: this was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// In which run.
    #[serde(flatten)]
    pub run: RunId,
    /// The image's id.
    pub image_id: String,
    /// The image's key.
    pub image: String,
    /// The task, unless the whole image is lost, or pixels alone.
    pub task: Option<TaskKind>,
    /// Whether only pixels are missing, which cannot be read: the image is done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub only_pixels: bool,
    /// Attempts made.
    pub attempts: u32,
    /// Who is to blame for the last one.
    pub class: FailureClass,
    /// Why the last one failed.
    pub reason: String,
    /// The worker or aggregator that said so last; empty where it only follows from other losses.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub from: String,
}

/// Seconds that one task spent in each stage, summed over threads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct StageSeconds {
    /// Reading pixels, and models where they are opened.
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
    /// A worker begins with a task: whether it comes to an end is not known yet. Said before anything of the image is
    /// read, so that what ends the process has a name.
    TaskBegun {
        /// The task.
        task: TaskId,
        /// The attempt that begins.
        attempt: u32,
        /// A number that the process chose when it began. The same message may be heard twice, and a process that has the
        /// same task twice lives: only another process's start tells that this one may be gone.
        #[serde(default)]
        process: u64,
        /// Most pixels of an image that this worker takes, if it has such a limit of its own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        takes: Option<u64>,
    },
    /// A worker gives a task back that it has begun with, and is well enough to say so: it is for another one.
    TaskLeft {
        /// The task.
        task: TaskId,
        /// The attempt that had begun.
        attempt: u32,
        /// The process that had begun with it.
        #[serde(default)]
        process: u64,
    },
    /// What a task computes is stored.
    TaskDone {
        /// The task.
        task: TaskId,
        /// The length of what it stored, bytes.
        stored_bytes: u64,
        /// Model runs it took: windows × members × views.
        forwards: u64,
        /// Where the time went.
        seconds: StageSeconds,
    },
    /// A task failed.
    TaskFailed {
        /// The task.
        task: TaskId,
        /// The attempt that failed.
        attempt: u32,
        /// Why, in one line.
        reason: String,
        /// Who is to blame.
        class: FailureClass,
        /// Tiles found damaged that it hangs on: they are computed again before it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        damaged: Vec<TaskId>,
    },
    /// An aggregator begins with an image: whether that comes to an end is not known yet.
    ImageBegun {
        /// Key of the image.
        image: String,
        /// The attempt that begins.
        attempt: u32,
        /// A number that the process chose when it began.
        #[serde(default)]
        process: u64,
    },
    /// An image's outputs are stored.
    Image {
        /// Key of the image.
        image: String,
        /// Whether it was put together without the blocks that had been given up.
        partial: bool,
        /// How long it took to put together, s.
        seconds: f64,
        /// What cannot be read of its file, in one line, whose pixels are missing in it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unread: Option<String>,
    },
    /// An image could not be put together.
    ImageFailed {
        /// Key of the image.
        image: String,
        /// The attempt that failed.
        attempt: u32,
        /// Why, in one line.
        reason: String,
        /// Tiles found damaged: they are computed again.
        damaged: Vec<TaskId>,
        /// Who is to blame.
        class: FailureClass,
    },
    /// A message was not understood and is kept among the dead letters. Of no run: who has sent it cannot be told.
    Unread {
        /// Why, in one line.
        reason: String,
    },
    /// A person asks for another try of everything that was given up.
    Retry,
}

impl Event {
    /// Whether it only says who has something in hand, or has not any more.
    pub const fn is_of_start(&self) -> bool {
        matches!(self, Self::TaskBegun { .. } | Self::TaskLeft { .. } | Self::ImageBegun { .. })
    }
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

/// The longest message that is read, bytes: others are refused unseen. Brackets nest 128 deep at most, as the parser has it.
pub const MESSAGE_BYTES_MAX: usize = 64 << 10;

/// A message that is not one of ours.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// It is of another version.
    #[error(
        "the message is of version {found}, and this Marquetry speaks version {MESSAGE_VERSION}: coordinators, workers \
         and aggregators of one topic prefix must be of one version; update the older ones, or give them another prefix"
    )]
    Version {
        /// The version that it says.
        found: u32,
    },
    /// It is longer than any message.
    #[error("the message has {bytes} bytes, and at most {MESSAGE_BYTES_MAX} are read")]
    TooLong {
        /// Its length, bytes.
        bytes: usize,
    },
    /// It is no JSON, or of another shape.
    #[error("the message is not one that Marquetry understands")]
    Form(#[from] serde_json::Error),
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
    #[derive(Deserialize)]
    struct Version {
        v: u32,
    }
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(MessageError::TooLong { bytes: bytes.len() });
    }
    // The version first: one of another version may well have another shape.
    let found = serde_json::from_slice::<Version>(bytes)?.v;
    if found != MESSAGE_VERSION {
        return Err(MessageError::Version { found });
    }
    Ok(serde_json::from_slice::<Envelope<T>>(bytes)?.body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use marquetry_geometry::Size;

    fn run() -> RunId {
        RunId { job: "nuclei-01234567".into(), store: "s3://b/p".into(), run: "r1".into() }
    }

    fn image() -> PlannedImage {
        PlannedImage {
            id: "a".into(),
            uri: "s3://b/a.png".into(),
            sidecars: Vec::new(),
            version: String::new(),
            key: "0123456789abcdef".into(),
            content: None,
            size: Size::new(20, 30),
            bands: 3,
            tags: std::collections::BTreeMap::new(),
            members: None,
            truth: None,
        }
    }

    /// The bytes of version 3 stay readable for ever.
    #[test]
    fn version_5_reads_back() {
        let block = TaskKind::Block { group: 1, block: 4_000_000_000 };
        let task = TaskMessage {
            run: run(),
            plan: "p".into(),
            image: image(),
            task: block,
            attempt: 2,
            replace: false,
            alone: false,
        };
        let golden = r#"{"v":6,"job":"nuclei-01234567","store":"s3://b/p","run":"r1","plan":"p","image":{"id":"a","uri":"s3://b/a.png","key":"0123456789abcdef","size":{"height":20,"width":30},"bands":3},"task":{"kind":"block","group":1,"block":4000000000},"attempt":2,"replace":false}"#;
        assert_eq!(String::from_utf8(encode(&task)).unwrap(), golden);
        assert_eq!(decode::<TaskMessage>(golden.as_bytes()).unwrap(), task);
        let result = ResultMessage {
            run: run(),
            from: "w".into(),
            event: Event::TaskFailed {
                task: task.id(),
                attempt: 1,
                reason: "no".into(),
                class: FailureClass::Worker,
                damaged: Vec::new(),
            },
        };
        let golden = r#"{"v":6,"job":"nuclei-01234567","store":"s3://b/p","run":"r1","from":"w","event":"task-failed","task":{"image":"0123456789abcdef","kind":"block","group":1,"block":4000000000},"attempt":1,"reason":"no","class":"worker"}"#;
        assert_eq!(String::from_utf8(encode(&result)).unwrap(), golden);
        assert_eq!(decode::<ResultMessage>(golden.as_bytes()).unwrap(), result);
    }

    #[test]
    fn a_life_of_a_coordinator_has_many_names() {
        let first = run();
        let second = first.renewed(1);
        assert_eq!((second.run.as_str(), second.renewed(2).run.as_str()), ("r1.1", "r1.2"));
        assert!(first.is_life_of("r1.1") && second.is_life_of("r1") && second.is_life_of("r1.2"));
        assert!(!first.is_life_of("r10") && !first.is_life_of("cancelled") && !second.is_life_of("ended r1"));
    }

    #[test]
    fn other_messages_are_refused() {
        let good =
            String::from_utf8(encode(&ResultMessage { run: run(), from: "w".into(), event: Event::Retry }));
        let good = good.unwrap();
        assert!(decode::<ResultMessage>(good.as_bytes()).is_ok());
        assert!(decode::<ResultMessage>(good.replace("retry", "party").as_bytes()).is_err());
        assert!(decode::<TaskMessage>(b"\xff").is_err());
        let long = vec![b' '; MESSAGE_BYTES_MAX + 1];
        assert!(matches!(decode::<TaskMessage>(&long), Err(MessageError::TooLong { .. })));
        let deep = format!("{{\"v\":5,\"job\":{}", "[".repeat(20_000));
        assert!(decode::<TaskMessage>(deep.as_bytes()).is_err());
        let old = br#"{"v":1,"job":"nuclei-01234567","store":"s3://b/p","run":"r1","task":{"image":7,"group":1,"block":0},"attempt":2,"replace":false}"#;
        let error = decode::<TaskMessage>(old).unwrap_err();
        assert!(matches!(error, MessageError::Version { found: 1 }), "{error}");
        assert!(error.to_string().contains("version 1, and this Marquetry speaks version 6"), "{error}");
    }

    #[test]
    fn the_longest_result_is_below_two_kilobytes() {
        let block = TaskKind::Block { group: u32::MAX, block: u32::MAX };
        let long =
            RunId { job: "j".repeat(80), store: format!("s3://{}", "b".repeat(250)), run: "r".repeat(32) };
        let message = ResultMessage {
            run: long,
            from: "a-host-name-of-a-pod-in-some-cluster-1234567890-abcde".into(),
            event: Event::ImageFailed {
                image: "f".repeat(16),
                attempt: u32::MAX,
                reason: short_reason(&"ä\"".repeat(2000)),
                damaged: vec![TaskId { image: "f".repeat(16), kind: block }],
                class: FailureClass::Passing,
            },
        };
        let bytes = encode(&message).len();
        assert!(bytes < 2048, "{bytes} bytes");
    }
}
