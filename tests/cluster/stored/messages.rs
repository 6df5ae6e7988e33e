//! Messages of every kind.

use crate::{Form, plans};
use marquetry_failure::FailureClass;
use marquetry_job::{
    AggregateMessage, DeadLetter, Event, PlannedImage, ResultMessage, RunId, StageSeconds, TaskId, TaskKind,
    TaskMessage, message,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

const BLOCK: TaskKind = TaskKind::Block { group: 1, block: 4_000_000_000 };
/// What version 1 wrote: nobody writes it any more.
const TASK_OF_VERSION_1: &str = r#"{"v":1,"job":"nuclei-0123abcd","store":"s3://bucket/prefix","run":"6566f0c1-0badcafe","task":{"image":7,"group":1,"block":4000000000},"attempt":2,"replace":true}"#;

pub(crate) fn all() -> Vec<Form> {
    let (tagged, scored_by_some) = (plans::tagged_image, plans::scored_by_some);
    let mut forms = vec![
        form("task-block", task(scored_by_some(), BLOCK)),
        form("task-statistics", task(tagged(), TaskKind::Statistics)),
        form("task-region", task(tagged(), TaskKind::Region)),
        form("task-gate", task(tagged(), TaskKind::Gate)),
        form("task-unsure", task(tagged(), TaskKind::Unsure)),
        form("task-alone", TaskMessage { alone: true, ..task(tagged(), BLOCK) }),
        form("task-sidecars", task(plans::with_sidecars(), BLOCK)),
        form("aggregate", aggregate(false)),
        form("aggregate-alone", aggregate(true)),
        form("dead-letter-block", dead_letter(Some(BLOCK))),
        form("dead-letter-image", dead_letter(None)),
        of_version_1(),
    ];
    forms.extend(events().map(|(name, event)| {
        form(&format!("result-{name}"), ResultMessage { run: run(), from: "gpu-1".into(), event })
    }));
    forms
}

fn task(image: PlannedImage, task: TaskKind) -> TaskMessage {
    TaskMessage {
        run: run(),
        plan: "0123456789abcdef".into(),
        image,
        task,
        attempt: 2,
        replace: true,
        alone: false,
    }
}

fn dead_letter(task: Option<TaskKind>) -> DeadLetter {
    DeadLetter {
        run: run(),
        image_id: "plate 1/ä".into(),
        image: "fedcba9876543210".into(),
        task,
        only_pixels: false,
        attempts: 3,
        class: FailureClass::Input,
        reason: "the image is cut off".into(),
        from: if task.is_some() { "gpu-1".into() } else { String::new() },
    }
}

/// A message that is refused, in words that name both versions and say what to do.
fn of_version_1() -> Form {
    let read = |bytes: &[u8]| {
        let said = match message::decode::<TaskMessage>(bytes) {
            Ok(task) => return Err(format!("it was read as {task:?}")),
            Err(error) => error.to_string(),
        };
        let words = ["version 1", "version 6", "update the older ones"];
        match words.iter().find(|words| !said.contains(**words)) {
            Some(words) => Err(format!("`{words}` is not in: {said}")),
            None if said.contains('\n') => Err(format!("these are several lines: {said}")),
            None => Ok(()),
        }
    };
    let written = TASK_OF_VERSION_1.as_bytes().to_vec();
    Form { file: "message-task-version-1.json".to_owned(), written, read: Box::new(read) }
}

fn run() -> RunId {
    RunId {
        job: "nuclei-0123abcd".into(),
        store: "s3://bucket/prefix".into(),
        run: "6566f0c1-0badcafe".into(),
    }
}

fn aggregate(alone: bool) -> AggregateMessage {
    AggregateMessage {
        run: run(),
        plan: "0123456789abcdef".into(),
        outputs: "0123456789ab".into(),
        image: plans::scored_by_some(),
        picture: true,
        attempt: 1,
        partial: true,
        alone,
    }
}

fn events() -> [(&'static str, Event); 13] {
    let seconds = StageSeconds { read: 0.5, prepare: 0.25, infer: 4.0, stitch: 1.5, store: 0.125 };
    let image = "fedcba9876543210".to_owned();
    let of = |kind| TaskId { image: "fedcba9876543210".to_owned(), kind };
    let reason = "the store does not answer".to_owned();
    let (damaged, class) = (vec![of(BLOCK)], FailureClass::Passing);
    let said = "a.tif: cannot be read: tile 4 (16 × 16 px at row 16, column 16): no zlib stream".to_owned();
    let lacks_pixels =
        Event::Image { image: image.clone(), partial: false, seconds: 0.5, unread: Some(said) };
    let failed = Event::TaskFailed {
        task: of(BLOCK),
        attempt: 2,
        reason: reason.clone(),
        class: FailureClass::Worker,
        damaged: Vec::new(),
    };
    let hangs_on_damage = Event::TaskFailed {
        task: of(TaskKind::Unsure),
        attempt: 2,
        reason: reason.clone(),
        class: FailureClass::Passing,
        damaged: damaged.clone(),
    };
    [
        ("task-failed-by-damage", hangs_on_damage),
        ("unread", Event::Unread { reason: "the message is of version 1".into() }),
        ("task-left", Event::TaskLeft { task: of(BLOCK), attempt: 2, process: 7 }),
        ("task-begun", Event::TaskBegun { task: of(BLOCK), attempt: 2, process: 7, takes: None }),
        (
            "task-begun-takes",
            Event::TaskBegun { task: of(BLOCK), attempt: 2, process: 7, takes: Some(20_000_000_000) },
        ),
        ("block-done", Event::TaskDone { task: of(BLOCK), stored_bytes: 123_456, forwards: 40, seconds }),
        (
            "statistics-done",
            Event::TaskDone { task: of(TaskKind::Statistics), stored_bytes: 123, forwards: 0, seconds },
        ),
        ("task-failed", failed),
        ("image-begun", Event::ImageBegun { image: image.clone(), attempt: 2, process: 7 }),
        ("image", Event::Image { image: image.clone(), partial: false, seconds: 0.5, unread: None }),
        ("image-unread", lacks_pixels),
        ("image-failed", Event::ImageFailed { image, attempt: 2, reason, damaged, class }),
        ("retry", Event::Retry),
    ]
}

fn form<T>(name: &str, value: T) -> Form
where
    T: Serialize + DeserializeOwned + PartialEq + Debug + 'static,
{
    let written = message::encode(&value);
    let read = move |bytes: &[u8]| {
        let stored: T = message::decode(bytes).map_err(|error| error.to_string())?;
        if stored == value { Ok(()) } else { Err(format!("{stored:?}")) }
    };
    Form { file: format!("message-{name}.json"), written, read: Box::new(read) }
}
