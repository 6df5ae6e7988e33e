//! Under a limit on threads a run works, or says that it cannot.

use crate::fixture::{Place, Ran, binary};
use crate::pictures::bmp;
use marquetry_model::toy::{Toy, Weights};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const JOB: &str = "
version: 1
images: img
classes: [a, b]
members: [{onnx: m.onnx, window: {size: 64}}]
outputs: [{masks: png}]
store: store
";
/// More than any of these runs takes; only a hang takes so long.
const PATIENCE: Duration = Duration::from_mins(2);

/// `marquetry` as a user who has nothing else running and may have `limit` threads.
fn limited(place: &Place, user: u32, limit: u32, args: &[&str]) -> Ran {
    let (user, limit) = (user.to_string(), format!("--nproc={limit}"));
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &user, "--regid", &user, "--clear-groups", "prlimit", &limit]).arg(binary());
    command.args(args).current_dir(place.path("")).env_remove("RUST_LOG");
    let mut child =
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("setpriv was there before");
    let started = Instant::now();
    let code = loop {
        match child.try_wait().expect("a child") {
            Some(status) => break status.code(),
            None if started.elapsed() > PATIENCE => {
                child.kill().expect("SIGKILL");
                break None;
            }
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    let mut stderr = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut stderr).expect("text");
    child.wait().expect("a child that ended");
    Ran { code, stdout: String::new(), stderr }
}

/// A folder in which anybody may work, and a user of its own; `None`, and a line that says so, where that cannot be had.
#[expect(clippy::print_stderr, reason = "who reads the log shall see what was not tested")]
fn place() -> Option<(Place, u32)> {
    let place = Place::new();
    let toy = Toy { classes: 2, kernel: 3, weights: Weights::Seeded(1), ..Toy::default() };
    place.model("m.onnx", &toy).write("job.yaml", JOB);
    for n in 0..3 {
        place.write(&format!("img/{n}.bmp"), bmp(90, 130, n));
    }
    std::fs::set_permissions(place.path(""), std::fs::Permissions::from_mode(0o777)).expect("our folder");
    let user = 1_000_000 + std::process::id();
    let id = user.to_string();
    let mut probe = Command::new("setpriv");
    probe.args(["--reuid", &id, "--regid", &id, "--clear-groups", "prlimit", "--nproc=500"]);
    let tried = probe.arg(binary()).args(["run", "job.yaml"]).current_dir(place.path("")).output();
    if tried.is_ok_and(|ran| ran.status.code() == Some(0)) {
        return Some((place, user));
    }
    eprintln!(
        "skipped: another user cannot be had here (root, setpriv and prlimit are needed), or cannot run the binary"
    );
    None
}

#[test]
fn a_run_with_too_few_threads_says_so() {
    let Some((place, user)) = place() else { return };
    // More than any machine has left of so low a limit.
    for limit in 2..=20 {
        let args = ["run", "job.yaml", "--lanes", "4", "--threads", "4"];
        let ran = limited(&place, user, limit, &args).ends_with(69).says(&["cannot start", "ulimit -u"]);
        assert!(!ran.stderr.contains("panicked"), "limit {limit}: {}", ran.stderr);
    }
}

#[test]
fn a_run_under_any_limit_works_or_says_that_it_cannot() {
    let Some((place, user)) = place() else { return };
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as u32;
    let mut codes = Vec::new();
    for limit in (2..cores * 3 + 40).step_by(2) {
        let _ = std::fs::remove_dir_all(place.path("store"));
        let ran = limited(&place, user, limit, &["run", "job.yaml", "--lanes", "3", "--threads", "3"]);
        let well = ran.code == Some(0) || ran.code == Some(69) && ran.stderr.contains("cannot start");
        assert!(well && !ran.stderr.contains("panicked"), "limit {limit}: {:?}\n{}", ran.code, ran.stderr);
        codes.push(ran.code);
    }
    assert_eq!((codes.first(), codes.last()), (Some(&Some(69)), Some(&Some(0))), "{codes:?}");
}
