//! Images and models that no try can help.

use crate::cluster::job::{IMAGES, alone, model};
use crate::cluster::role::{LOOK_EVERY, Role, until};
use crate::cluster::setup::{Cluster, Kept};
use crate::cluster::view::wait;
use crate::pictures::{png, white};
use marquetry_job::{DeadLetter, message};
use marquetry_model::toy::{Toy, Weights};
use marquetry_transport::{TaskQueue, Topic};
use std::collections::BTreeSet;

#[test]
fn poisoned_images_and_models_take_nothing_along() {
    let Some(mut cluster) = Cluster::start(Kept::InBucket) else { return };
    let mut letters = wait(cluster.queue().follow(Topic::Dead)).expect("a feed");
    let mut next =
        || -> DeadLetter { message::decode(&wait(letters.next()).expect("a letter")).expect("a letter") };
    let mut roles = [cluster.worker(), cluster.worker(), cluster.aggregator()];

    // An image whose header is right and whose pixels are not: planning does not see it.
    let whole = png(200, 200, 3, 9);
    cluster.place.write("images/poison.png", &whole[..whole.len() / 2]);
    let ran = cluster.coordinate("job.yaml").ends_with(1);
    let summary = ran.json();
    assert_eq!((&summary["failed_images"], &summary["whole"]), (&1.into(), &false.into()), "{summary}");
    let letter = next();
    assert_eq!((letter.image_id.as_str(), letter.attempts), ("poison", 1), "{letter:?}");
    assert!(letter.reason.contains("poison.png"), "{letter:?}");
    assert_eq!(cluster.status()[0]["state"], "partial");
    std::fs::remove_file(cluster.place.path("images/poison.png")).expect("the image goes");

    // A model that says NaN, in a job of its own.
    let weights = Weights::Constant(vec![f32::NAN; 12]);
    cluster.place.model("nan.onnx", &Toy { classes: 12, weights, ..Toy::default() });
    let text = std::fs::read_to_string(cluster.place.path("job.yaml")).expect("the job");
    cluster.place.write("nan.yaml", text.replace("one.onnx", "nan.onnx"));
    let summary = cluster.coordinate("nan.yaml").ends_with(1).json();
    assert_eq!(summary["failed_images"], IMAGES, "{summary}");
    let mut lost = BTreeSet::new();
    until("a letter for each image", || {
        let letter = next();
        if letter.image_id != "poison" {
            assert!(letter.reason.contains("nan"), "{letter:?}");
            lost.insert(letter.image_id);
        }
        lost.len() as u64 == IMAGES
    });

    assert!(roles.iter_mut().all(Role::is_running), "nobody has given up");
    cluster.move_to("sound");
    cluster.coordinate("job.yaml").ends_with(0);
    cluster.has_the_same_bytes();
}

/// The worker cannot stop a model that does not come back: it says what it was at, and ends, for whoever watches over it
/// to start it again.
#[test]
fn a_task_that_hangs_is_given_up_and_takes_no_other_along() {
    let Some(mut cluster) = Cluster::start(Kept::InFolder) else { return };
    let mut letters = wait(cluster.queue().follow(Topic::Dead)).expect("a feed");
    cluster.place.write("images/white.png", white(64, 64));
    cluster.place.model("one.onnx", &Toy { hangs: true, ..model(1) });
    cluster.job("job.yaml", "failures: {attempts: 2}\n");
    let deadline = ["--deadline-seconds", "3"];
    let _aggregator = cluster.aggregator();
    let mut job = cluster.coordinator("job.yaml");
    let mut workers = [(); 2].map(|()| cluster.worker_with(&deadline));
    let mut ended = 0;
    while job.is_running() {
        for worker in &mut workers {
            if !worker.is_running() {
                std::mem::replace(worker, cluster.worker_with(&deadline)).end().ends_with(75);
                ended += 1;
            }
        }
        std::thread::sleep(LOOK_EVERY);
    }
    let summary = job.end().ends_with(1).json();
    assert_eq!((&summary["failed_images"], ended >= 2), (&1.into(), true), "{ended} ends: {summary}");
    let letter: DeadLetter = message::decode(&wait(letters.next()).expect("a letter")).expect("a letter");
    assert_eq!((letter.image_id.as_str(), letter.attempts), ("white", 2), "{letter:?}");
    assert!(letter.reason.contains("--deadline-seconds"), "{letter:?}");
    let outputs = cluster.outputs();
    for (name, bytes) in alone().iter().filter(|(name, _)| name.starts_with("masks/")) {
        assert!(outputs.get(name) == Some(bytes), "other bytes in {name}");
    }
}
