//! A user's folder: images, models and a job file made in code, and the real binary run on them.

use marquetry_model::toy::Toy;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// The binary under test: `MARQUETRY_BIN`, or what `cargo build` puts two folders above this test.
pub(crate) fn binary() -> PathBuf {
    let path = std::env::var_os("MARQUETRY_BIN").map_or_else(
        || {
            let test = std::env::current_exe().expect("this test is a file");
            let target = test.parent().and_then(Path::parent).expect("tests lie in target/…/deps");
            target.join("marquetry").with_extension(std::env::consts::EXE_EXTENSION)
        },
        PathBuf::from,
    );
    assert!(
        path.is_file(),
        "{} is not there: run `cargo build -p marquetry-cli` first, or all tests with `cargo xtask test`",
        path.display()
    );
    path
}

/// A temporary folder in which a user works.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> &Self {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, bytes).expect("a file");
        self
    }

    pub(crate) fn model(&self, name: &str, toy: &Toy) -> &Self {
        self.write(name, toy.bytes())
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(args).current_dir(self.0.path()).env_remove("RUST_LOG");
        // Tests are of ONNX Runtime, unless they say otherwise, whatever this machine has.
        command.env("OPENVINO_DYLIB_PATH", "");
        command
    }

    /// Runs the binary to its end.
    pub(crate) fn marquetry(&self, args: &[&str]) -> Ran {
        Ran::of(&self.command(args).output().expect("the binary runs"))
    }

    /// `marquetry run` of a job file, with the summary as JSON.
    pub(crate) fn run(&self, job: &str) -> Ran {
        self.marquetry(&["run", job, "--format", "json"])
    }

    /// Starts the binary, with nobody listening.
    pub(crate) fn start(&self, args: &[&str]) -> Child {
        let mut command = self.command(args);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary starts")
    }

    /// Starts a job again and again, and kills it after so many ms each time.
    pub(crate) fn run_killed(&self, job: &str, after_ms: &[u64]) {
        for ms in after_ms {
            let mut child = self.start(&["run", job, "--lanes", "2"]);
            std::thread::sleep(std::time::Duration::from_millis(*ms));
            child.kill().expect("a process");
            child.wait().expect("a process");
        }
    }

    /// Everything below `folder`, by path, but the reports: these tell how long things took.
    pub(crate) fn files(&self, folder: &str) -> BTreeMap<String, Vec<u8>> {
        let root = self.path(folder);
        let read = |path: PathBuf| {
            let name = path.strip_prefix(&root).expect("below the folder").to_string_lossy().into_owned();
            (!name.ends_with("report.html")).then(|| (name, std::fs::read(&path).expect("a file")))
        };
        below(&root).into_iter().filter_map(read).collect()
    }

    /// The folder of the one job in `store`: `store/jobs/<name>-<hash>`.
    pub(crate) fn job_folder(&self, store: &str) -> String {
        let jobs = std::fs::read_dir(self.path(store).join("jobs")).expect("a store with jobs");
        let names: Vec<_> =
            jobs.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        assert_eq!(names.len(), 1, "one job was run in {store}: {names:?}");
        format!("{store}/jobs/{}", names[0])
    }

    /// The outputs of the one job in `store`.
    pub(crate) fn outputs(&self, store: &str) -> BTreeMap<String, Vec<u8>> {
        let files = self.files(&format!("{}/out", self.job_folder(store)));
        assert!(!files.is_empty(), "the job in {store} left outputs");
        files
    }
}

/// All files below a folder, in ascending order.
pub(crate) fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.expect("an entry").path();
        if path.is_dir() { found.extend(below(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// What a run of the binary came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("the binary prints UTF-8");
        Self { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// Fails the test unless the exit code is `code`.
    #[track_caller]
    pub(crate) fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Fails the test unless all of `words` were printed to standard error.
    #[track_caller]
    pub(crate) fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.stderr.contains(word), "`{word}` is not in\n{}", self.stderr);
        }
        self
    }

    /// Fails the test unless all of `words` were printed to standard output.
    #[track_caller]
    pub(crate) fn prints(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.stdout.contains(word), "`{word}` is not in\n{}", self.stdout);
        }
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}\n{}", self.stdout, self.stderr))
    }
}

/// Fails the test unless two sets of files are the same, byte for byte; says which are not.
#[track_caller]
pub(crate) fn same_files(a: &BTreeMap<String, Vec<u8>>, b: &BTreeMap<String, Vec<u8>>) {
    let only = |of: &BTreeMap<String, Vec<u8>>, other: &BTreeMap<String, Vec<u8>>| -> Vec<String> {
        of.keys().filter(|name| !other.contains_key(*name)).cloned().collect()
    };
    let (missing, more) = (only(a, b), only(b, a));
    assert!(missing.is_empty() && more.is_empty(), "there is no {missing:?}, and there is {more:?}");
    let unlike: Vec<_> = a.keys().filter(|name| a[*name] != b[*name]).collect();
    assert!(unlike.is_empty(), "other bytes in {unlike:?}");
}
