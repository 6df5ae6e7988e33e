//! What a person would otherwise type: `cargo xtask …`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this program talks to people on a terminal")]

mod cases;
mod chaos;
mod chart;
mod checks;
mod deploy;
mod devtools;
mod fuzz;
mod peers;
mod services;
mod simulate;
mod tools;

use anyhow::Result;
use clap::Parser;

#[derive(Parser)]
enum Command {
    /// Run the main job on generated pictures, and print what each step of the ensemble is worth.
    Demo,
    /// Fetch and start what the tests need, and run every one.
    Test,
    /// Start a real Kafka, S3 store and Toxiproxy on this machine, and print how tests find them.
    Services(services::ServicesCommand),
    /// Read the compose files as Docker Compose does; no engine is needed.
    ComposeCheck,
    /// Look at the Helm chart with Helm itself, the schemas of Kubernetes and promtool; no cluster is needed.
    Chart(chart::Chart),
    /// Kill, stop and hold up the roles of clusters at random moments, and see that the outputs stay the same.
    Chaos(chaos::Chaos),
    /// Run Marquetry on inputs that people really have, and look at what came out with other people's libraries.
    Cases(cases::Cases),
    /// Look for bytes that the readers of images, labels, tiles, messages and job files do not survive.
    Fuzz(fuzz::Fuzz),
    /// Format, lints, documentation, licences, tests: all that must hold before a change lands.
    Ci,
    /// Write the pages of docs/ that are made from the code.
    Docs {
        /// Write nothing; fail when a page is not what the code says.
        #[arg(long)]
        check: bool,
    },
    /// Measure marquetry beside a bare ONNX Runtime loop, or (`--peers`) beside what people use instead of it.
    Bench(devtools::Bench),
    /// Drive a real coordinator over a real broker with workers that only pretend to compute.
    Simulate(simulate::Simulate),
    /// Run jobs that could take much memory, and compare what they take with what their limits allow.
    Memory(devtools::Memory),
    /// Make labels of generated pictures wrong, in known ways, and print how well `label_quality` finds them.
    LabelNoise(devtools::LabelNoise),
    /// Draw pictures of marquetry with their masks.
    Scenes(devtools::Scenes),
}

fn main() -> Result<()> {
    match Command::parse() {
        Command::Demo => devtools::demo(),
        Command::Test => checks::test(),
        Command::Services(services) => services.run(),
        Command::ComposeCheck => deploy::check(),
        Command::Chart(chart) => chart.run(),
        Command::Chaos(chaos) => chaos.run(),
        Command::Cases(cases) => cases.run(),
        Command::Fuzz(fuzz) => fuzz.run(),
        Command::Ci => checks::ci(),
        Command::Docs { check } => devtools::docs(check),
        Command::Bench(bench) => bench.run(),
        Command::Simulate(simulate) => simulate.run(),
        Command::Memory(memory) => memory.run(),
        Command::LabelNoise(label_noise) => label_noise.run(),
        Command::Scenes(scenes) => scenes.run(),
    }
}
