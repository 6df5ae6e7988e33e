use super::case::{CASES, thousands};
use super::page;
use super::system::{System, Taken};
use super::table::{Results, Row, median};
use super::venv::{Extra, missing, noted};
use super::{Options, chosen, programs};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

const BARE: System = System::Bare { sessions: 2, threads: 1, batch: 1 };
const OURS: System = System::Marquetry { openvino: false };
const SLOW: System = System::Bare { sessions: 1, threads: 2, batch: 1 };

/// What `measured.py` says of a program that took so long and said this.
fn told(seconds: f64, said: &Value) -> Value {
    json!({"seconds": seconds, "peak_bytes": 2_000_000, "code": 0, "said": said.to_string()})
}

#[test]
fn the_median_is_the_middle() {
    assert_eq!(median([]), None);
    assert_eq!(median([3.0]), Some(3.0));
    assert_eq!(median([9.0, 1.0, 2.0]), Some(2.0));
    assert_eq!(median([9.0, 1.0, 2.0, 4.0]), Some(3.0));
}

#[test]
fn each_program_is_read_as_it_speaks() {
    let loop_said = json!({"seconds": 3.0, "forwards": 8});
    let bare = BARE.read(&told(4.0, &loop_said), 8).unwrap();
    let expected = Taken { seconds: 3.0, start_seconds: None, peak_bytes: 2_000_000, masks: None };
    assert_eq!(bare, expected, "of the bare loop its forwards alone count");
    let plain = System::Plain { workers: 2 }.read(&told(4.0, &loop_said), 8).unwrap();
    assert_eq!(plain, Taken { seconds: 4.0, start_seconds: Some(1.0), ..expected.clone() });
    let summary = json!({"tally": {"forwards": 8}, "wall_seconds": 3.5, "files": [["report", "r.html"], ["masks", "out/masks"]]});
    let ours = OURS.read(&told(4.0, &summary), 8).unwrap();
    assert_eq!(ours, Taken { seconds: 4.0, masks: Some(PathBuf::from("out/masks")), ..expected });
}

#[test]
fn other_work_is_no_measurement() {
    for (system, said) in [
        (BARE, json!({"seconds": 3.0, "forwards": 7})),
        (System::Monai { workers: 1 }, json!({"seconds": 3.0})),
        (OURS, json!({"forwards": 8, "tally": {"forwards": 7}})),
    ] {
        let error = system.read(&told(4.0, &said), 8).unwrap_err().to_string();
        assert!(error.contains("forwards instead of 8"), "{error}");
    }
    let words = json!({"seconds": 1.0, "peak_bytes": 1, "code": 0, "said": "done"});
    assert!(BARE.read(&words, 8).unwrap_err().to_string().contains("no JSON: done"));
    assert!(BARE.read(&json!({"said": "{\"forwards\": 8}"}), 8).is_err(), "no seconds");
}

fn taken(seconds: &[f64], start: Option<f64>, peak: &[u64]) -> Vec<Taken> {
    let one = |(seconds, peak): (&f64, &u64)| Taken {
        seconds: *seconds,
        start_seconds: start,
        peak_bytes: *peak,
        masks: None,
    };
    seconds.iter().zip(peak).map(one).collect()
}

fn results() -> Results {
    let row = |system, taken, unlike| Row { system, taken, unlike };
    let rows = vec![
        row(SLOW, taken(&[5.0, 5.0, 1.0], None, &[1_000_000; 3]), None),
        row(BARE, taken(&[2.0, 9.0, 1.0], None, &[3_000_000, 1_000_000, 1_000_000]), None),
        row(OURS, taken(&[2.5, 2.4, 9.0], None, &[5_000_000; 3]), None),
        row(System::Plain { workers: 1 }, taken(&[4.0, 3.0, 5.0], Some(0.5), &[7_400_000; 3]), Some(1234)),
    ];
    Results { name: "light", about: "a few images".into(), forwards: 8, pixels: 10_000_000, rows }
}

#[test]
fn the_table_has_medians_the_best_bare_loop_and_the_highest_peak() {
    let table = results().markdown();
    let expected = [
        "**light**: a few images.",
        "",
        "|                                            | wall, s | ratio | start, s | peak, MB |    other labels |",
        "| ------------------------------------------ | ------: | ----: | -------: | -------: | --------------: |",
        "| bare loop, 2 sessions of 1 thread, batch 1 |    2.00 |  1.00 |          |        3 |                 |",
        "| marquetry run                              |    2.50 |  0.80 |          |        5 |                 |",
        "| plain loop                                 |    4.00 |  0.50 |     0.50 |        7 | 1,234 (0.012 %) |",
        "",
        "Quicker than `marquetry run`: bare loop, 2 sessions of 1 thread, batch 1. In less memory: bare loop, 2 sessions of 1 thread, batch 1.",
    ];
    assert_eq!(table.lines().collect::<Vec<_>>(), expected);
}

/// Whatever is better is told, and it is told that nothing is.
#[test]
fn what_is_better_is_said() {
    let mut results = results();
    results.rows[3].taken = taken(&[2.4; 3], Some(0.5), &[7_400_000; 3]);
    let bare = "bare loop, 2 sessions of 1 thread, batch 1";
    let said = format!("Quicker than `marquetry run`: {bare}; plain loop. In less memory: {bare}.\n");
    assert!(results.markdown().ends_with(&said), "{}", results.markdown());
    results.rows[2].taken = taken(&[1.0], None, &[1_000]);
    let said = "Quicker than `marquetry run`: nothing. In less memory: nothing.\n";
    assert!(results.markdown().ends_with(said), "{}", results.markdown());
    // Of ours the quickest is the one that is compared.
    results.rows[3].system = System::Marquetry { openvino: true };
    results.rows[3].taken = taken(&[0.5], None, &[2_000]);
    let said = "Quicker than `marquetry run, with OpenVINO`: nothing. In less memory: nothing.\n";
    assert!(results.markdown().ends_with(said), "{}", results.markdown());
}

#[test]
fn all_that_was_measured_is_in_the_json() {
    let all = results().json();
    let systems = all["systems"].as_array().unwrap();
    assert_eq!(systems.len(), 4, "the slower bare loop too");
    assert_eq!(systems[0]["ratio"], 0.4);
    assert_eq!(systems[3]["seconds"], json!([4.0, 3.0, 5.0]));
    assert_eq!((&systems[3]["median_seconds"], &systems[3]["other_labels"]), (&json!(4.0), &json!(1234)));
}

#[test]
fn forwards_are_counted_as_the_programs_count_them() {
    let forwards: Vec<u64> = CASES.iter().map(|case| case.forwards(2)).collect();
    assert_eq!(forwards, [2 * 7 * 7 * 8, 2 * 7 * 7 * 8, 2]);
    assert_eq!([999, 1000, 1_234_567].map(thousands), ["999", "1,000", "1,234,567"]);
}

#[test]
fn a_machine_of_one_processor_has_fewer_ways_to_be_used() {
    let names = |all: Vec<System>| all.into_iter().map(System::name).collect::<Vec<_>>();
    let one = names(System::all(1, 7, &[]));
    assert_eq!(one, ["bare loop, 1 session of 1 thread, batch 1", "marquetry run", "plain loop"]);
    let openvino = names(System::all(1, 7, &[Extra::Openvino]));
    assert_eq!(openvino[1..3], ["bare loop of OpenVINO, f32", "bare loop of OpenVINO, its precision"]);
    assert_eq!(openvino[3..5], ["marquetry run", "marquetry run, with OpenVINO"]);
    let four = names(System::all(4, 8, &[Extra::Monai]));
    assert!(four.contains(&"bare loop, 4 sessions of 1 thread, batch 8".to_owned()), "{four:?}");
    let last = ["plain loop", "plain loop, 4 images at a time", "MONAI", "MONAI, 4 images at a time"];
    assert_eq!(four[four.len() - 4..], last);
}

#[test]
fn cases_are_chosen_by_the_beginnings_of_their_names() {
    let names = |text| chosen(text).map(|cases| cases.iter().map(|case| case.name).collect::<Vec<_>>());
    assert_eq!(names("").unwrap().len(), CASES.len());
    assert_eq!(names("small, he").unwrap(), ["heavy", "small-images"]);
    assert!(names("large").unwrap_err().to_string().contains("light, heavy, small-images"));
}

#[test]
fn another_version_is_installed_anew() {
    assert_eq!(missing(&["a==1", "b==2"], &["a==1", "b==1"]), ["b==2"]);
    assert!(missing(&["a==1"], &["b==2", "a==1"]).is_empty());
    assert_eq!(noted(&["a==1", "b==1", "c==3"], &["a==1", "b==2"]), ["c==3", "a==1", "b==2"]);
}

#[test]
fn a_machine_is_told_by_its_processors() {
    let linux =
        "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: avx avx2 avx512f fma\nmodel name\t: other\n";
    assert_eq!(page::machine(linux, 2), "2 hardware threads of AMD EPYC with AVX-512");
    assert_eq!(page::machine("model name : X\nflags : avx2", 1), "1 hardware thread of X with AVX2");
    assert_eq!(page::machine("", 8), "8 hardware threads");
}

/// The page that is there has a place for figures, and all else in it stays.
#[test]
fn figures_take_the_place_of_those_in_the_page() {
    let page = std::fs::read_to_string(page::path()).unwrap();
    let written = page::replaced(&page, "FIGURES\n").unwrap();
    assert!(written.contains("\n\nFIGURES\n\n"));
    assert_eq!(page::replaced(&written, "FIGURES\n").unwrap(), written);
    let words =
        |text: &str| text.lines().filter(|line| line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(&written), words(&page));
    assert_eq!(page::replaced("a page", "FIGURES\n"), None);
}

#[test]
fn the_page_says_what_was_typed() {
    let figures =
        page::figures("cargo xtask bench --peers", "2 hardware threads", &["numpy==2.4.6"], &[results()]);
    assert!(
        figures
            .starts_with("`cargo xtask bench --peers` on 2 hardware threads, with numpy 2.4.6:\n\n**light**")
    );
    let options = |args: &[&str]| {
        #[derive(clap::Parser)]
        struct Typed {
            #[arg(long)]
            peers: bool,
            #[command(flatten)]
            options: Options,
        }
        let typed = <Typed as clap::Parser>::try_parse_from([&["x"], args].concat()).map_err(|e| e.kind());
        typed.map(|typed| (typed.peers, typed.options.command()))
    };
    assert_eq!(options(&["--peers", "--write"]), Ok((true, "cargo xtask bench --peers".into())));
    let all = ["--peers", "--with", "monai", "--cases", "light", "--images", "1", "--rounds", "5"];
    assert_eq!(options(&all), Ok((true, format!("cargo xtask bench {}", all.join(" ")))));
    assert_eq!(options(&["--rounds", "5"]), Err(clap::error::ErrorKind::MissingRequiredArgument));
}

/// Python tells of what it cannot read only when it runs.
#[test]
fn python_programs_can_be_read() {
    let folders = [programs(), programs().join("peers")];
    let entries = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).filter(is_python).collect();
    assert!(files.len() >= 6, "{files:?}");
    for file in files {
        let program = "import sys; compile(open(sys.argv[1]).read(), sys.argv[1], 'exec')";
        let output = Command::new("python3").args(["-c", program]).arg(&file).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

fn is_python(path: &PathBuf) -> bool {
    Path::new(path).extension().is_some_and(|end| end == "py")
}

/// What a program fails with, and what it had in memory, come out of the one that measures it.
#[test]
fn what_a_program_takes_is_measured() {
    let measured = |program: &str| -> Value {
        let mut command = Command::new("python3");
        let output =
            command.arg(programs().join("peers/measured.py")).args(["python3", "-c", program]).output();
        serde_json::from_slice(&output.unwrap().stdout).unwrap()
    };
    let small = measured("print('here')");
    assert_eq!((&small["code"], &small["said"]), (&json!(0), &json!("here\n")));
    let large = measured("import sys; b'x' * 100_000_000; sys.exit(7)");
    assert_eq!(large["code"], 7);
    let peak = |told: &Value| told["peak_bytes"].as_u64().unwrap();
    assert!(peak(&large) > peak(&small) + 90_000_000, "{large} {small}");
    assert!(small["seconds"].as_f64().unwrap() > 0.0);
}
