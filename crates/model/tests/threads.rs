//! Threads of a session, and that they leave the bits alone. A process of its own, since it counts threads.
#![cfg(target_os = "linux")]

use marquetry_geometry::Size;
use marquetry_model::toy::{Toy, Weights};
use marquetry_model::{
    Activation, InspectOptions, IoRequest, Network, OrtNetwork, Runtime, RuntimeSearch, SessionOptions,
    inspect, resolve,
};

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

#[test]
fn one_thread_makes_no_pool_and_more_threads_give_the_same_bits() {
    let runtime = Runtime::load(&RuntimeSearch::from_process()).unwrap_or_else(|error| panic!("{error}"));
    for (channels, kernel, stride, side) in [(3, 3, 1, 96), (64, 3, 1, 64), (64, 1, 1, 64), (200, 5, 2, 33)] {
        let toy = Toy {
            channels,
            kernel,
            stride,
            classes: 20,
            weights: Weights::Seeded(3),
            activation: Activation::Softmax,
            ..Toy::default()
        };
        let bytes = toy.bytes();
        let size = Size::square(side);
        let options = InspectOptions { size: Some(size), ..InspectOptions::default() };
        let facts = inspect(&runtime, &bytes, &options).unwrap();
        let signature = |batch| {
            let wanted =
                IoRequest { head: None, channels_out: Vec::new(), layout: None, channels: None, size, batch };
            resolve(&facts, &wanted).unwrap().signature
        };
        let input: Vec<f32> = (0..signature(1).input_len()).map(|i| (i as f32 * 0.7).sin()).collect();
        let bits = |batch: u32, intra_threads: usize, pool: usize| {
            let before = threads();
            let options = SessionOptions { intra_threads, ..SessionOptions::default() };
            let mut network = OrtNetwork::open(&runtime, &bytes, &signature(batch), &options).unwrap();
            assert_eq!(threads() - before, pool, "{intra_threads} threads");
            let scores = network.run(&input.repeat(batch as usize)).unwrap();
            scores
                .chunks_exact(scores.len() / batch as usize)
                .flat_map(<[f32]>::to_vec)
                .map(f32::to_bits)
                .collect::<Vec<_>>()
        };
        let one = bits(1, 1, 0);
        for threads in [2, 3, 4] {
            assert!(bits(1, threads, threads - 1) == one, "{threads} threads, {channels} channels");
        }
        assert!(bits(4, 2, 1) == one.repeat(4), "a batch of four, {channels} channels");
    }
}
