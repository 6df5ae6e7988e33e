//! Law 5: kills, restarts, threads and damaged tiles change no byte of what comes out.

use crate::fixture::{Place, below, same_files};
use crate::pictures::{Dice, bmp, seed};
use marquetry_model::toy::{Toy, Weights};
use std::time::{Duration, Instant};

const JOB: &str = "
version: 1
images: images
classes: [ground, a, b, c, d, e, f, g, h, i, j, k]
defaults: {window: {size: 64}}
members:
  - {onnx: one.onnx}
  - {onnx: two.onnx, scale: 0.5, weight: 0.5}
tta: {views: [hflip]}
decide: {min_area: 6}
limits: {block_mb: 1}
outputs:
  - {masks: png}
  - {probabilities: zarr}
  - {submission: kaggle-rle}
  - {coco: rle}
  - {report: html}
";

/// A folder with `images` images and a job whose forward passes take a few milliseconds each.
fn place(images: u64, kernel: u32) -> Place {
    let place = Place::new();
    for seed in 0..images {
        let (height, width) = (180 + 20 * seed as usize, 330 - 10 * seed as usize);
        place.write(&format!("images/{seed}.bmp"), bmp(height, width, seed));
    }
    for (name, seed) in [("one", 1), ("two", 2)] {
        let weights = Weights::Seeded(seed);
        place.model(&format!("{name}.onnx"), &Toy { classes: 12, kernel, weights, ..Toy::default() });
    }
    place
}

fn number(summary: &serde_json::Value, key: &str) -> u64 {
    summary["tally"][key].as_u64().unwrap_or_else(|| panic!("tally.{key} is a number in {summary}"))
}

#[test]
fn killed_jobs_go_on_where_they_stopped() {
    let seed = seed();
    eprintln!("the kills of this run: MARQUETRY_SEED={seed}");
    let mut dice = Dice::new(seed);
    // Long enough that what waits in memory reaches the disk before a kill.
    let place = place(5, 41);
    place
        .write("calm.yaml", format!("{JOB}store: calm\n"))
        .write("storm.yaml", format!("{JOB}store: storm\n"));

    let plan = place.marquetry(&["plan", "calm.yaml", "--format", "json"]).ends_with(0).json();
    let forwards = plan["cost"]["forwards"].as_u64().expect("the plan counts forwards");
    let start = Instant::now();
    let calm = place.run("calm.yaml").ends_with(0).json();
    let alone = start.elapsed();
    assert_eq!((number(&calm, "forwards"), number(&calm, "forwards_found")), (forwards, 0));

    let mut kills = 0;
    for _ in 0..6 {
        let mut run = place.start(&["run", "storm.yaml"]);
        std::thread::sleep(alone.mul_f64(dice.between(0.5, 0.9)));
        if run.try_wait().expect("a child").is_some() {
            break;
        }
        run.kill().expect("SIGKILL");
        run.wait().expect("a child that ended");
        kills += 1;
    }
    assert!(kills > 0, "no run was interrupted");
    let storm = place.run("storm.yaml").ends_with(0).json();
    assert!(number(&storm, "forwards_found") > 0, "after {kills} kills nothing was kept: {storm}");
    assert_eq!(number(&storm, "forwards") + number(&storm, "forwards_found"), forwards, "{storm}");
    same_files(&place.outputs("calm"), &place.outputs("storm"));

    let again = place.run("storm.yaml").ends_with(0).json();
    assert_eq!((number(&again, "forwards"), number(&again, "forwards_found")), (0, forwards));
    same_files(&place.outputs("calm"), &place.outputs("storm"));
}

#[test]
fn threads_change_no_byte() {
    let place = place(3, 3);
    let mut first = None;
    for (lanes, threads) in [("1", "1"), ("2", "1"), ("3", "2"), ("1", "2")] {
        let (job, store) = (format!("job-{lanes}-{threads}.yaml"), format!("store-{lanes}-{threads}"));
        place.write(&job, format!("{JOB}store: {store}\ntiles: {{dtype: f32}}\n"));
        place.marquetry(&["run", &job, "--lanes", lanes, "--threads", threads]).ends_with(0);
        let files = place.outputs(&store);
        same_files(first.get_or_insert_with(|| files.clone()), &files);
    }
}

#[test]
fn damaged_tiles_are_computed_again() {
    let place = place(2, 3);
    place.write("job.yaml", format!("{JOB}store: store\ntiles: {{keep: true}}\n"));
    let first = place.run("job.yaml").ends_with(0).json();
    let files = place.outputs("store");
    let folder = place.job_folder("store");
    let mut tiles = below(&place.path("store/tiles"));
    assert_eq!(tiles.len() as u64, number(&first, "tasks_computed"));
    // By name: the tiles of one image come together, so that one image has more damage than it has tries.
    tiles.sort_by_key(|path| path.file_name().map(ToOwned::to_owned));
    assert!(tiles.len() > 4, "more tiles than are damaged: {tiles:?}");
    let whole = place.files("store/tiles");

    std::fs::remove_dir_all(place.path(&format!("{folder}/parts"))).expect("parts of finished images");
    let bytes = |n: usize| std::fs::read(&tiles[n]).expect("a tile");
    std::fs::write(&tiles[0], &bytes(0)[..bytes(0).len() / 2]).expect("a shorter tile");
    let mut flipped = bytes(1);
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x10;
    std::fs::write(&tiles[1], flipped).expect("another tile");
    std::fs::remove_file(&tiles[2]).expect("a tile that goes");
    std::fs::write(&tiles[3], []).expect("an empty tile");

    let again = place.run("job.yaml").ends_with(0).json();
    assert_eq!(number(&again, "tasks_computed"), 4, "{again}");
    same_files(&files, &place.outputs("store"));
    same_files(&whole, &place.files("store/tiles"));
}

#[test]
fn other_decisions_use_the_same_tiles_and_a_new_image_gets_its_own() {
    let place = place(2, 3);
    let keep = "tiles: {keep: true}\n";
    place.write("first.yaml", format!("{JOB}store: store\n{keep}"));
    let first = place.run("first.yaml").ends_with(0).json();

    let files = place.outputs("store");
    let other = JOB.replace("min_area: 6", "min_area: 60, fill_holes: true");
    place.write("other.yaml", format!("{other}store: store\n{keep}"));
    place.write("fresh.yaml", format!("{other}store: fresh\n{keep}"));
    let second = place.run("other.yaml").ends_with(0).json();
    assert_eq!(second["job"], first["job"]);
    assert_eq!((number(&second, "forwards"), number(&second, "images_found")), (0, 0), "{second}");
    place.run("fresh.yaml").ends_with(0);
    same_files(&place.outputs("fresh"), &place.outputs("store"));

    // Back again: what lies in `out/` is of the job that was run last, masks and tables alike.
    let back = place.run("first.yaml").ends_with(0).json();
    assert_eq!(number(&back, "forwards"), 0, "{back}");
    same_files(&files, &place.outputs("store"));
    place.run("other.yaml").ends_with(0);

    place.write("images/1.bmp", bmp(150, 210, 77));
    let third = place.run("other.yaml").ends_with(0).json();
    assert_eq!(number(&third, "images_found"), 1, "the image that stayed is not looked at again: {third}");
    assert!(number(&third, "forwards") > 0, "{third}");
    std::fs::remove_dir_all(place.path("fresh")).expect("a store");
    place.run("fresh.yaml").ends_with(0);
    same_files(&place.outputs("fresh"), &place.outputs("store"));
}

#[test]
fn a_job_is_the_same_from_wherever_it_is_started_and_wherever_its_models_are() {
    let place = place(2, 3);
    place.write("job.yaml", format!("{JOB}store: store\n"));
    let first = place.run("job.yaml").ends_with(0).json();
    let is_found = |summary: &serde_json::Value| {
        assert_eq!(summary["job"], first["job"]);
        assert_eq!((number(summary, "images_found"), number(summary, "forwards")), (2, 0), "{summary}");
    };
    let mut elsewhere = place.command(&["run", "../job.yaml", "--format", "json"]);
    let ran = elsewhere.current_dir(place.path("images")).output().expect("the binary runs");
    is_found(&crate::fixture::Ran::of(&ran).ends_with(0).json());

    std::fs::create_dir(place.path("models")).expect("a folder");
    std::fs::rename(place.path("one.onnx"), place.path("models/one.onnx")).expect("moved");
    place.write("job.yaml", format!("{}store: store\n", JOB.replace("one.onnx", "models/one.onnx")));
    is_found(&place.run("job.yaml").ends_with(0).json());
}

#[test]
fn a_run_that_is_asked_to_stop_says_how_to_go_on() {
    let place = place(4, 15);
    place.write("job.yaml", format!("{JOB}store: store\n"));
    let mut command = place.command(&["run", "job.yaml", "--lanes", "1"]);
    let mut run = command.stderr(std::process::Stdio::piped()).spawn().expect("the binary starts");
    let start = Instant::now();
    while !place.path("store/jobs").exists() && start.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(5));
    }
    // Not at once: it must have come to where it listens.
    std::thread::sleep(Duration::from_millis(200));
    assert!(run.try_wait().expect("a child").is_none(), "the run was over too early to tell");
    let id = run.id().to_string();
    let asked = std::process::Command::new("kill").args(["-TERM", &id]).status().expect("kill runs");
    assert!(asked.success());
    let said = run.wait_with_output().expect("a child that ended");
    let text = String::from_utf8_lossy(&said.stderr);
    assert_eq!(said.status.code(), Some(75), "{text}");
    assert!(text.contains("the same command goes on"), "{text}");
    place.run("job.yaml").ends_with(0);
}

/// A reader takes a chunk that is not there for zeros, and nobody can read an empty mask.
#[test]
fn outputs_that_are_cut_off_or_lack_a_part_are_made_anew() {
    let place = place(2, 3);
    place.write("job.yaml", format!("{JOB}store: store\n"));
    place.run("job.yaml").ends_with(0);
    let whole = place.outputs("store");
    let out = format!("{}/out", place.job_folder("store"));
    std::fs::remove_file(place.path(&format!("{out}/probabilities/0.zarr/0/0/0"))).expect("a chunk");
    std::fs::write(place.path(&format!("{out}/masks/1.png")), "").expect("a mask");
    let again = place.run("job.yaml").ends_with(0).json();
    assert_eq!(number(&again, "images_found"), 0, "{again}");
    same_files(&place.outputs("store"), &whole);
}

#[test]
fn a_job_whose_folder_is_deleted_while_it_runs_comes_to_its_end() {
    let place = place(12, 15);
    place.write("job.yaml", format!("{JOB}store: store\n"));
    place.write("left_alone.yaml", format!("{JOB}store: left_alone\n"));
    let mut run = place.start(&["run", "job.yaml", "--lanes", "1"]);
    let start = Instant::now();
    while !place.path("store/jobs").exists() && start.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(5));
    }
    // Who runs is believed for a second, so it must go on for longer than that.
    let mut deleted = 0;
    let code = loop {
        if let Some(status) = run.try_wait().expect("a child") {
            break status.code();
        }
        assert!(start.elapsed() < Duration::from_mins(3), "it waits for what nobody does any more");
        deleted += usize::from(std::fs::remove_dir_all(place.path("store/jobs")).is_ok());
        std::thread::sleep(Duration::from_millis(700));
    };
    assert!(deleted > 0, "the run was over too early to tell");
    // Whatever it says: what was deleted is made anew by the next.
    assert!(code.is_some(), "no signal ended it");
    place.run("job.yaml").ends_with(0);
    place.run("left_alone.yaml").ends_with(0);
    same_files(&place.outputs("left_alone"), &place.outputs("store"));
}

/// Time enough for a slow machine to start; the two runs are told apart by who holds the store.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn two_runs_do_not_share_a_store() {
    let place = place(6, 21);
    place.write("job.yaml", format!("{JOB}store: store\n"));
    let mut first = place.start(&["run", "job.yaml", "--lanes", "1"]);
    let start = Instant::now();
    while !place.path("store/.lock").exists() && start.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(5));
    }
    // The lock is taken as soon as its file is there.
    std::thread::sleep(Duration::from_millis(50));
    place.run("job.yaml").ends_with(75).says(&["another run is at work in", "store"]);
    assert!(first.try_wait().expect("a child").is_none(), "the first run was over too early to tell");
    first.kill().expect("SIGKILL");
    first.wait().expect("a child that ended");
    place.run("job.yaml").ends_with(0);
}
