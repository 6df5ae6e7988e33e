//! One process of a cluster.

use crate::fixture::Ran;
pub(crate) use rustix::process::Signal;
use rustix::process::{Pid, kill_process};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a test waits for anything before it fails: only a hang takes so long, also on a machine with much to do.
pub(crate) const PATIENCE: Duration = Duration::from_mins(3);
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Waits until `is_so`; fails the test with `what` when it never is.
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// A running role. It is killed when this is dropped, and if the test has failed, the end of its log is shown.
pub(crate) struct Role {
    pub(crate) name: String,
    child: Child,
    logs: PathBuf,
    ended: Option<std::process::ExitStatus>,
}

impl Role {
    /// Starts `command`, with its output in files named `name` below `logs`.
    pub(crate) fn start(name: &str, command: &mut Command, logs: &Path, guard: &mut Guard) -> Self {
        std::fs::create_dir_all(logs).expect("a folder for logs");
        let file = |end: &str| File::create(logs.join(format!("{name}.{end}"))).expect("a log");
        let child = command.stdin(Stdio::null()).stdout(file("out")).stderr(file("err")).spawn();
        let child = child.unwrap_or_else(|e| panic!("{command:?}: {e}"));
        guard.watch(child.id());
        Self { name: name.to_owned(), child, logs: logs.to_path_buf(), ended: None }
    }

    fn text(&self, end: &str) -> String {
        let bytes = std::fs::read(self.logs.join(format!("{}.{end}", self.name))).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// What it has written to standard error so far.
    pub(crate) fn said(&self) -> String {
        self.text("err")
    }

    /// Whether it is still there.
    pub(crate) fn is_running(&mut self) -> bool {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("a child");
        }
        self.ended.is_none()
    }

    /// What it has ended with; `None` while it is running, and if a signal has ended it.
    pub(crate) fn code(&self) -> Option<i32> {
        self.ended.and_then(|status| status.code())
    }

    /// Sends a signal.
    pub(crate) fn signal(&mut self, signal: Signal) {
        // One that was not waited for keeps its number.
        if self.is_running() {
            kill_process(pid(&self.child), signal).expect("a signal is sent");
        }
    }

    /// Holds it up again and again until what is returned is dropped. It must outlive that.
    pub(crate) fn slow_down(&self) -> Slowed {
        let (pid, stop) = (pid(&self.child), Arc::new(AtomicBool::new(false)));
        let stopped = Arc::clone(&stop);
        let slowing = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                for (signal, pause_ms) in [(Signal::STOP, 150), (Signal::CONT, 25)] {
                    let _ = kill_process(pid, signal);
                    std::thread::sleep(Duration::from_millis(pause_ms));
                }
            }
        });
        Slowed { stop, slowing: Some(slowing) }
    }

    /// Kills it as a machine that fails would.
    pub(crate) fn kill9(&mut self) {
        if self.is_running() {
            self.child.kill().expect("SIGKILL");
            self.child.wait().expect("a child that ended");
        }
    }

    /// Asks it to stop, and waits until it has.
    #[track_caller]
    pub(crate) fn drain(mut self) -> Ran {
        self.signal(Signal::TERM);
        self.end()
    }

    #[track_caller]
    pub(crate) fn until_it_ends(&mut self) {
        let what = format!("{} ends", self.name);
        until(&what, || !self.is_running());
    }

    /// Waits until it has ended; what it came to.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ran {
        self.until_it_ends();
        Ran { code: self.code(), stdout: self.text("out"), stderr: self.text("err") }
    }

    /// Waits until it has written `words` to standard error.
    #[track_caller]
    pub(crate) fn until_it_says(&mut self, words: &str) {
        let what = format!("{} says `{words}`", self.name);
        until(&what, || {
            let said = self.said().contains(words);
            assert!(said || self.is_running(), "{} has ended, and never said `{words}`", self.name);
            said
        });
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let text = self.said();
            let lines: Vec<&str> = text.lines().collect();
            eprintln!("--- {} ({:?})", self.name, self.ended);
            lines[lines.len().saturating_sub(40)..].iter().for_each(|line| eprintln!("{line}"));
        }
        if self.ended.is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id() as i32).expect("a process has a number")
}

/// A process that is slow while this lives.
pub(crate) struct Slowed {
    stop: Arc<AtomicBool>,
    slowing: Option<JoinHandle<()>>,
}

impl Drop for Slowed {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.slowing.take().map(JoinHandle::join);
    }
}

/// Kills processes whose test was itself killed: its pipe closes, however the test ends.
pub(crate) struct Guard {
    shell: Child,
    pipe: Option<ChildStdin>,
}

impl Guard {
    pub(crate) fn new() -> Self {
        let script = r#"while read -r pid; do all="$all $pid"; done; kill -s KILL $all 2>/dev/null"#;
        let mut shell = Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).spawn().expect("sh");
        let pipe = shell.stdin.take();
        Self { shell, pipe }
    }

    fn watch(&mut self, pid: u32) {
        let pipe = self.pipe.as_mut().expect("a pipe");
        writeln!(pipe, "{pid}").expect("sh reads");
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // By force and before its pipe closes: those it watched have ended, and their numbers may be others' by now.
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}
