//! libFuzzer over the target that `MARQUETRY_FUZZ` names; `list` prints their names. With `MARQUETRY_FUZZ_SEEDS` the
//! target's seeds are written to that folder, and nothing else is done.

#![no_main]
#![expect(
    clippy::print_stdout,
    clippy::exit,
    reason = "a program for `cargo xtask fuzz`, whose `main` is libFuzzer's"
)]

use marquetry_fuzz::{TARGETS, Target};
use std::path::Path;
use std::process::exit;
use std::sync::OnceLock;

static TARGET: OnceLock<&Target> = OnceLock::new();

/// Chooses the target, or does what else was asked for.
fn start() {
    let name = std::env::var("MARQUETRY_FUZZ").unwrap_or_default();
    if name == "list" {
        TARGETS.iter().for_each(|target| println!("{}", target.name));
        exit(0);
    }
    let known = TARGETS.iter().find(|target| target.name == name);
    let target = known.expect("MARQUETRY_FUZZ names a target; `list` names them all");
    if let Some(folder) = std::env::var_os("MARQUETRY_FUZZ_SEEDS") {
        for (index, seed) in (target.seeds)().iter().enumerate() {
            std::fs::write(Path::new(&folder).join(format!("seed-{index}")), seed)
                .expect("a folder to write to");
        }
        exit(0);
    }
    TARGET.get_or_init(|| target);
    // libFuzzer's hook ends the process. A third party's decoder may panic: its reader says that the file is damaged.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !marquetry_raster::read::is_decoder_panic(panic) {
            report(panic);
        }
    }));
}

libfuzzer_sys::fuzz_target!(init: start(), |bytes: &[u8]| {
    let target = TARGET.get().expect("chosen at the start");
    (target.run)(bytes);
});
