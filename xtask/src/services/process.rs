//! One running service, which never outlives this process.

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a service may take to close its files before it is killed.
const GRACE: Duration = Duration::from_secs(10);
const STEP: Duration = Duration::from_millis(50);

/// Waits until the pipe from its parent closes, which the system does however the parent ends, then stops the process
/// group it was given.
const GUARD: &str = r#"
read -r _
kill -s TERM -- "-$1" 2>/dev/null || exit 0
tries=0
while [ $tries -lt 100 ] && kill -s 0 -- "-$1" 2>/dev/null; do sleep 0.1; tries=$((tries + 1)); done
kill -s KILL -- "-$1" 2>/dev/null
[ -z "$2" ] || docker rm --force "$2"
"#;

/// A started service. Its process group is its own, so that a Ctrl-C in the terminal reaches it through this process
/// alone.
pub(super) struct Running {
    what: String,
    log: PathBuf,
    child: Child,
    guard: Child,
    container: Option<String>,
}

impl Running {
    /// Starts a program whose output goes to a log file. `what` says what it is and where, for people.
    pub(super) fn start(what: String, command: &mut Command, log: &Path) -> Result<Self> {
        Self::start_in(what, command, log, None)
    }

    /// As [`Self::start`], for a client of a container engine; the container goes when it does.
    pub(super) fn start_in(
        what: String,
        command: &mut Command,
        log: &Path,
        container: Option<String>,
    ) -> Result<Self> {
        use std::os::unix::process::CommandExt as _;
        let file = fs::File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {what}: {command:?}"))?;
        let guard = Command::new("sh")
            .args(["-c", GUARD, "guard", &child.id().to_string(), container.as_deref().unwrap_or_default()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        let guard = match guard {
            Ok(guard) => guard,
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(error).context("cannot start sh, which looks after the services");
            }
        };
        Ok(Self { what, log: log.to_path_buf(), child, guard, container })
    }

    /// Waits until it answers; an error, with the end of its log, if it stops or does not answer in time.
    pub(super) fn wait_until(mut self, limit: Duration, mut answers: impl FnMut() -> bool) -> Result<Self> {
        let start = Instant::now();
        while !answers() {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} stopped at once ({status}):\n{}", self.what, self.log_end());
            }
            if start.elapsed() > limit {
                bail!("{} does not answer after {limit:?}:\n{}", self.what, self.log_end());
            }
            std::thread::sleep(STEP);
        }
        Ok(self)
    }

    /// Sends SIGTERM, and does not wait.
    pub(super) fn ask_to_stop(&self) {
        self.signal(Signal::TERM);
    }

    /// The child has not been waited for when this is called, so that its id cannot be another process's by now.
    fn signal(&self, signal: Signal) {
        if let Some(group) = Pid::from_raw(self.child.id() as i32) {
            let _ = kill_process_group(group, signal);
        }
    }

    fn log_end(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    fn has_stopped(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.has_stopped() {
            self.ask_to_stop();
            let start = Instant::now();
            while !self.has_stopped() && start.elapsed() < GRACE {
                std::thread::sleep(STEP);
            }
            if !self.has_stopped() {
                self.signal(Signal::KILL);
                let _ = self.child.wait();
            }
        }
        // The guard goes last and by force: it must not see its pipe close and signal a group that is no more.
        let _ = self.guard.kill();
        let _ = self.guard.wait();
        if let Some(name) = &self.container {
            let _ = Command::new("docker").args(["rm", "--force", name]).output();
        }
    }
}

impl std::fmt::Display for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (process {}, log {})", self.what, self.child.id(), self.log.display())
    }
}

/// Whether there is a process of this id.
pub(super) fn is_alive(pid: i32) -> bool {
    Pid::from_raw(pid).is_some_and(|pid| test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(folder: &Path, script: &str) -> Result<Running> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Running::start("a sleeper".to_owned(), &mut command, &folder.join("log"))
    }

    fn ends_soon(pid: i32) -> bool {
        (0..200).any(|_| {
            std::thread::sleep(STEP);
            !is_alive(pid)
        })
    }

    #[test]
    fn a_service_and_its_children_stop_on_drop() {
        let folder = tempfile::tempdir().unwrap();
        let pid_file = folder.path().join("pid");
        let script = format!("sleep 600 & echo $! > {0}.new; mv {0}.new {0}; wait", pid_file.display());
        let running = sleeper(folder.path(), &script).unwrap();
        let running = running.wait_until(Duration::from_secs(20), || pid_file.is_file()).unwrap();
        let grandchild: i32 = fs::read_to_string(&pid_file).unwrap().trim().parse().unwrap();
        let child = running.child.id() as i32;
        assert!(is_alive(child) && is_alive(grandchild));
        drop(running);
        assert!(!is_alive(child) && ends_soon(grandchild));
    }

    /// What happens to the guard when this process is killed: its pipe closes.
    #[test]
    fn a_service_stops_when_nobody_is_left_to_stop_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut running = sleeper(folder.path(), "exec sleep 600").unwrap();
        drop(running.guard.stdin.take());
        let stopped = (0..200).any(|_| {
            std::thread::sleep(STEP);
            running.has_stopped()
        });
        assert!(stopped);
    }

    #[test]
    fn a_service_that_ends_at_once_shows_why() {
        let folder = tempfile::tempdir().unwrap();
        let running = sleeper(folder.path(), "echo the port is taken >&2; exit 3").unwrap();
        let error = running.wait_until(Duration::from_secs(20), || false).err().unwrap().to_string();
        assert!(error.contains("the port is taken") && error.contains("stopped at once"), "{error}");
    }
}
