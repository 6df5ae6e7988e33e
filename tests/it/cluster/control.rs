//! Jobs that are looked at, cancelled and tried again from anywhere.

use crate::cluster::listen::Listener;
use crate::cluster::role::until;
use crate::cluster::setup::{Cluster, Kept, tally};
use crate::cluster::view::wait;
use marquetry_job::{DeadLetter, message};
use marquetry_transport::{TaskQueue, Topic};

#[test]
fn a_job_is_seen_and_cancelled_from_anywhere_and_goes_on() {
    let Some(mut cluster) = Cluster::start(Kept::InBucket) else { return };
    let heard = Listener::new(&cluster);
    let (worker, aggregator) = (cluster.worker(), cluster.aggregator());
    let slowed = worker.slow_down();
    let job = cluster.coordinator("job.yaml");
    until("the status tells how far it is", || {
        cluster
            .status()
            .first()
            .is_some_and(|s| s["eta_seconds"].is_number() && s["workers"][&worker.name].is_u64())
    });
    let status = cluster.status()[0].clone();
    let id = status["job"].as_str().expect("a name").to_owned();
    assert_eq!((&status["state"], &status["losses"]), (&"running".into(), &0.into()), "{status}");
    assert!(status["forwards_per_second"].as_f64() > Some(0.0), "{status}");
    assert!(status["progress"]["tasks"].as_u64() > status["progress"]["tasks_done"].as_u64(), "{status}");
    let text = cluster.control(&["status", &id]).ends_with(0).stdout;
    for words in [id.as_str(), "running", "forwards/s, eta", &worker.name] {
        assert!(text.contains(words), "`{words}` is not in\n{text}");
    }
    cluster.control(&["status", "nothing"]).ends_with(64).says(&["no job `nothing`", &id]);

    cluster.control(&["cancel", &id]).ends_with(0).says(&["is cancelled"]);
    let told = job.end().ends_with(75).says(&["was cancelled", "the same command goes on"]).json();
    assert_eq!((&told["job"], &told["state"]), (&id.as_str().into(), &"stopped".into()), "{told}");
    assert_eq!((&told["exit"]["code"], &told["exit"]["retry"]), (&75.into(), &true.into()), "{told}");
    assert_eq!(told["tally"]["progress"]["tasks"], status["progress"]["tasks"], "{told}");
    drop(slowed);
    // What is queued is thrown away, and not worked on.
    let queue = cluster.queue();
    until("nothing is queued", || wait(queue.lag(Topic::Tasks, "workers")).expect("a lag") == 0);
    let tiles = heard.tiles();
    assert!(tiles < 50, "{tiles} tiles: the job went on");
    assert_eq!(cluster.status()[0]["state"], "cancelled");
    cluster.control(&["cancel", &id]).ends_with(0).says(&["is not at work"]);
    cluster.control(&["retry", &id]).ends_with(0).says(&["nothing", "was dead-lettered"]);

    let code_of_waiting = |cluster: &Cluster| cluster.control(&["status", "--wait", &id]).code;
    assert_eq!(code_of_waiting(&cluster), Some(75), "it is cancelled");
    let summary = cluster.coordinate("job.yaml").ends_with(0).json();
    assert_eq!(code_of_waiting(&cluster), Some(0));
    assert!(tally(&summary, "tasks_found") + tally(&summary, "images_found") > 0, "{summary}");
    assert_eq!(cluster.status()[0]["state"], "done");
    assert_eq!((&summary["state"], &summary["exit"]["code"]), (&"done".into(), &0.into()), "{summary}");
    assert_eq!(summary["exit"]["retry"], false, "{summary}");
    assert_eq!(summary["outputs"], format!("{}/jobs/{id}/out/", cluster.uri), "{summary}");
    cluster.has_the_same_bytes();
    drop((worker, aggregator));
}

#[test]
fn dead_letters_say_why_and_are_tried_again() {
    let Some(mut cluster) = Cluster::start(Kept::InFolder) else { return };
    let mut letters = wait(cluster.queue().follow(Topic::Dead)).expect("a feed");
    let job = cluster.coordinator("job.yaml");
    until("the job is planned", || !cluster.status().is_empty());
    let (model, away) = (cluster.place.path("two.onnx"), cluster.place.path("away.onnx"));
    std::fs::rename(&model, &away).expect("the model goes");
    let _workers = [cluster.worker(), cluster.worker()];
    until("all blocks are done or given up", || {
        let status = &cluster.status()[0];
        status["losses"].as_u64() > Some(0) && status["progress"]["tasks"] == status["progress"]["tasks_done"]
    });
    let status = cluster.status()[0].clone();
    let id = status["job"].as_str().expect("a name").to_owned();
    for _ in 0..status["losses"].as_u64().expect("a number") {
        let letter: DeadLetter = message::decode(&wait(letters.next()).expect("a letter")).expect("a letter");
        assert_eq!((letter.attempts, letter.image.len()), (3, 16), "{letter:?}");
        assert!(letter.from.starts_with("worker-"), "{letter:?}");
        assert!(letter.task.is_some() && letter.reason.contains("two.onnx"), "{letter:?}");
    }
    let text = cluster.control(&["status", &id]).ends_with(0).stdout;
    assert!(
        text.contains("dead-lettered")
            && text.contains("two.onnx")
            && text.contains("(3 tries, last on worker-"),
        "{text}"
    );

    cluster.control(&["status", "--wait"]).ends_with(64).says(&["JOB"]);
    std::fs::rename(&away, &model).expect("the model is back");
    cluster.control(&["retry", &id]).ends_with(0).says(&["another try"]);
    let _aggregator = cluster.aggregator();
    let summary = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| cluster.control(&["status", "--wait", &id]));
        let summary = job.end().ends_with(0).json();
        waiting.join().expect("a thread").ends_with(0).prints(&["done"]);
        summary
    });
    assert_eq!(summary["whole"], true, "{summary}");
    cluster.has_the_same_bytes();
}
