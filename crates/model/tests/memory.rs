//! Sessions share one arena. A process of its own, since it looks at the memory of the whole process.
#![cfg(target_os = "linux")]

use marquetry_geometry::Size;
use marquetry_model::toy::{Toy, Weights};
use marquetry_model::{
    InspectOptions, IoRequest, Network, OrtNetwork, Runtime, RuntimeSearch, SessionOptions, inspect, resolve,
};

/// Memory in use by this process, MB.
fn resident_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

#[test]
fn six_sessions_take_little_more_memory_than_one() {
    let runtime = Runtime::load(&RuntimeSearch::from_process()).unwrap_or_else(|error| panic!("{error}"));
    let size = Size::square(512);
    // The trial runs on a small window, so that the arena is still small when the measuring begins.
    let plain = Toy { classes: 64, weights: Weights::Seeded(1), kernel: 3, ..Toy::default() };
    let options = InspectOptions { size: Some(Size::square(32)), ..InspectOptions::default() };
    let facts = inspect(&runtime, &plain.bytes(), &options).unwrap();
    let wanted =
        IoRequest { head: None, channels_out: Vec::new(), layout: None, channels: None, size, batch: 1 };
    let mut signature = resolve(&facts, &wanted).unwrap().signature;
    // 64 MiB of scores are made and averaged away in each run, so what a session keeps is its arena alone.
    signature.output_size = Size::square(1);
    let bytes = Toy { pooled: true, ..plain }.bytes();
    let input = vec![0.5; signature.input_len()];

    let before = resident_mb();
    let mut networks = Vec::new();
    let mut grown = Vec::new();
    for _ in 0..6 {
        let mut network = OrtNetwork::open(&runtime, &bytes, &signature, &SessionOptions::default()).unwrap();
        network.run(&input).unwrap();
        networks.push(network);
        grown.push(resident_mb() - before);
    }
    assert!(grown[0] > 50.0, "one session should take its scores at least: {grown:?}");
    assert!(grown[5] < 1.5 * grown[0], "{grown:?}");
}
