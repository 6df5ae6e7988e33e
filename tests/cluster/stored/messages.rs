//! Messages of every kind.

use crate::Form;
use marquetry_failure::FailureClass;
use marquetry_job::{
    AggregateMessage, DeadLetter, Event, Loss, ResultMessage, RunId, StageSeconds, TaskId, TaskMessage,
    message,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

const TASK: TaskId = TaskId { image: 7, group: 1, block: 4_000_000_000 };

pub(crate) fn all() -> Vec<Form> {
    let mut forms = vec![
        form("task", TaskMessage { run: run(), task: TASK, attempt: 2, replace: true }),
        form(
            "aggregate",
            AggregateMessage {
                run: run(),
                outputs: "0123456789ab".into(),
                image: 7,
                attempt: 1,
                partial: true,
            },
        ),
        form(
            "dead-letter",
            DeadLetter {
                run: run(),
                image_id: "plate 1/ä".into(),
                loss: Loss {
                    image: 7,
                    task: Some(TASK),
                    attempts: 3,
                    reason: "the image is cut off".into(),
                    class: FailureClass::Input,
                },
            },
        ),
    ];
    forms.extend(events().map(|(name, event)| {
        form(&format!("result-{name}"), ResultMessage { run: run(), from: "gpu-1".into(), event })
    }));
    forms
}

fn run() -> RunId {
    RunId {
        job: "nuclei-0123abcd".into(),
        store: "s3://bucket/prefix".into(),
        run: "6566f0c1-0badcafe".into(),
    }
}

fn events() -> [(&'static str, Event); 5] {
    let seconds = StageSeconds { read: 0.5, prepare: 0.25, infer: 4.0, stitch: 1.5, store: 0.125 };
    let reason = "the store does not answer".to_owned();
    let damaged = vec![TASK];
    [
        ("tile", Event::Tile { task: TASK, tile_bytes: 123_456, forwards: 40, seconds }),
        (
            "task-failed",
            Event::TaskFailed { task: TASK, attempt: 2, reason: reason.clone(), class: FailureClass::Worker },
        ),
        ("image", Event::Image { image: 7, partial: false, seconds: 0.5 }),
        (
            "image-failed",
            Event::ImageFailed { image: 7, attempt: 2, reason, damaged, class: FailureClass::Passing },
        ),
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
