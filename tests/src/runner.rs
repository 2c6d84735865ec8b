//! Running memtrace and the workloads as a user would, as programs.

use std::{
    env,
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use serde::{Deserialize, de::DeserializeOwned};

use crate::{report::Report, sys, truth};

/// Where cargo puts what it builds for this test: the workloads lie here.
fn profile_dir() -> PathBuf {
    let test = env::current_exe().expect("the test's own path");
    // target/PROFILE/deps/TEST
    test.ancestors()
        .nth(2)
        .expect("a test lies in target/PROFILE/deps")
        .to_owned()
}

/// Path of a workload.
pub fn workload(name: &str) -> String {
    let path = profile_dir().join(name);
    assert!(
        path.is_file(),
        "{}: not built; run the tests through cargo",
        path.display()
    );
    path.into_os_string()
        .into_string()
        .expect("a path in UTF-8")
}

/// Path of memtrace: `MEMTRACE`, else what cargo builds from this workspace now.
///
/// Cargo is asked every time, because a binary that lies there may be older than the source.
pub fn memtrace() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| match env::var_os("MEMTRACE") {
        Some(path) => path.into(),
        None => build(),
    })
}

/// The name that memtrace's processes have: what fits of that of its file.
pub fn memtrace_comm() -> String {
    const MOST: usize = 15;
    let name = memtrace().file_name().expect("a program has a name");
    name.to_string_lossy().chars().take(MOST).collect()
}

fn build() -> PathBuf {
    #[derive(Deserialize)]
    struct Message {
        executable: Option<PathBuf>,
    }

    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(&cargo)
        .args([
            "build",
            "--release",
            "--package",
            "tracer",
            "--message-format",
            "json",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()
        .unwrap_or_else(|error| panic!("{cargo:?}: {error}; set MEMTRACE to a built memtrace"));
    assert!(output.status.success(), "memtrace does not build");
    let lines = String::from_utf8(output.stdout).expect("cargo speaks UTF-8");
    let messages = lines
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok());
    messages
        .filter_map(|message| message.executable)
        .next_back()
        .expect("cargo built a binary")
}

/// A directory of one test, on the disk that cargo builds on; removed when dropped.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Default for Scratch {
    fn default() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = profile_dir().with_file_name("tmp").join(name);
        fs::create_dir_all(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self(path)
    }
}

impl Scratch {
    /// Path of a file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The same as text, for an argument.
    pub fn arg(&self, name: &str) -> String {
        self.path(name)
            .into_os_string()
            .into_string()
            .expect("a path in UTF-8")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What a failed test leaves here is small, and its absence proves nothing.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A program that runs, with its three standard streams in hand. Killed if dropped unfinished.
#[derive(Debug)]
pub struct Program {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    stderr: Option<thread::JoinHandle<String>>,
    finished: bool,
}

impl Program {
    /// Starts a command.
    pub fn start(command: &mut Command) -> Self {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut stderr = child.stderr.take().expect("piped");
        let stderr = thread::spawn(move || {
            let mut bytes = Vec::new();
            stderr.read_to_end(&mut bytes).expect("reading a pipe");
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let stdin = child.stdin.take();
        Self {
            child,
            stdin,
            stdout,
            stderr: Some(stderr),
            finished: false,
        }
    }

    /// Starts a workload, not traced by anything.
    pub fn workload(name: &str, args: &[&str]) -> Self {
        Self::start(Command::new(workload(name)).args(args))
    }

    /// PID.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child
            .try_wait()
            .expect("waiting for a child")
            .is_some()
    }

    /// Reads the next line of its stdout.
    pub fn hear(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("a line of UTF-8");
        line.trim_end().to_owned()
    }

    /// Reads a line, which must begin like this, and returns what follows.
    #[track_caller]
    pub fn hear_after(&mut self, expected: &str) -> String {
        let line = self.hear();
        let rest = line.strip_prefix(expected);
        rest.unwrap_or_else(|| panic!("expected {expected:?}, heard {line:?}"))
            .to_owned()
    }

    /// Sends it an empty line.
    pub fn nudge(&mut self) {
        self.stdin
            .as_mut()
            .expect("not finished")
            .write_all(b"\n")
            .expect("writing to a pipe");
    }

    /// Waits for its end with all its streams left open: others may hold them too.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("waiting for a child")
    }

    /// Closes its stdin, reads all that it and its heirs say, and waits for its end.
    pub fn finish(mut self) -> Outcome {
        self.stdin = None;
        let mut stdout = Vec::new();
        self.stdout
            .read_to_end(&mut stdout)
            .expect("reading a pipe");
        let status = self.wait();
        self.finished = true;
        let stderr = self
            .stderr
            .take()
            .map(|reader| reader.join().expect("the reader"));
        Outcome {
            status,
            stdout,
            stderr: stderr.unwrap_or_default(),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if !self.finished {
            // It may have ended by itself; a test that failed has said so already.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// How a program ended and what it said.
#[derive(Debug)]
pub struct Outcome {
    /// Wait status.
    pub status: ExitStatus,
    /// All of its stdout that was not read before.
    pub stdout: Vec<u8>,
    /// All of its stderr.
    pub stderr: String,
}

impl Outcome {
    /// Exit code as a shell shows it.
    pub fn code(&self) -> i32 {
        self.status
            .code()
            .or(self.status.signal().map(|signal| 128 + signal))
            .expect("it ended")
    }

    /// It must have ended with this code.
    #[track_caller]
    pub fn assert_code(&self, code: i32) {
        assert_eq!(self.code(), code, "stderr:\n{}", self.stderr);
    }

    /// It must have refused with one line that names all of `words`, and with this code.
    #[track_caller]
    pub fn assert_refusal(&self, code: i32, words: &[&str]) {
        self.assert_code(code);
        assert_eq!(
            self.stderr.lines().count(),
            1,
            "not one line:\n{}",
            self.stderr
        );
        for word in words {
            assert!(
                self.stderr.contains(word),
                "does not say {word}: {}",
                self.stderr
            );
        }
        assert!(self.stdout.is_empty(), "a refusal does not go to stdout");
    }
}

/// A run of memtrace in the making.
#[derive(Debug)]
pub struct Memtrace {
    /// The command, without what `run` and `start` add.
    pub command: Command,
    /// Files of this run.
    pub scratch: Scratch,
}

impl Default for Memtrace {
    fn default() -> Self {
        assert!(
            sys::process::is_root(),
            "the live tests need root; run `cargo xtask test`"
        );
        let mut command = Command::new(memtrace());
        // Whoever elevated the test must not decide as whom the workloads run.
        let sudo = ["SUDO_UID", "SUDO_GID", "SUDO_USER"];
        let own = ["MEMTRACE_BPF_OBJECT", "MEMTRACE_WITHOUT"];
        for name in sudo.iter().chain(&own) {
            command.env_remove(name);
        }
        if let Some(object) = env::var_os("MEMTRACE_TEST_OBJECT") {
            command.env("MEMTRACE_BPF_OBJECT", object);
        }
        Self {
            command,
            scratch: Scratch::default(),
        }
    }
}

impl Memtrace {
    /// One that leaves a JSON report.
    pub fn with_json() -> Self {
        let mut memtrace = Self::default();
        let json = memtrace.scratch.path("report.json");
        memtrace.command.arg("--json").arg(json);
        memtrace
    }

    /// Adds options.
    pub fn options<S: AsRef<OsStr>>(mut self, options: &[S]) -> Self {
        self.command.args(options);
        self
    }

    /// As on a kernel without these tracepoints.
    pub fn without(mut self, tracepoints: &[&str]) -> Self {
        self.command.env("MEMTRACE_WITHOUT", tracepoints.join(","));
        self
    }

    /// Starts it on a command.
    pub fn start<S: AsRef<OsStr>>(mut self, argv: &[S]) -> (Program, Scratch) {
        self.command.arg("--").args(argv);
        self.start_as_is()
    }

    /// Starts it on running processes.
    pub fn attach(mut self, pids: &[u32]) -> (Program, Scratch) {
        let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
        self.command.arg("--pid").arg(pids.join(","));
        self.start_as_is()
    }

    /// Starts it with what was given so far.
    pub fn start_as_is(mut self) -> (Program, Scratch) {
        (Program::start(&mut self.command), self.scratch)
    }

    /// Runs it on a command.
    pub fn run<S: AsRef<OsStr>>(self, argv: &[S]) -> (Outcome, Scratch) {
        let (program, scratch) = self.start(argv);
        (program.finish(), scratch)
    }
}

/// The report that a run left.
#[track_caller]
pub fn report(outcome: &Outcome, scratch: &Scratch) -> Report {
    let path = scratch.path("report.json");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!(
            "no report: {error}; memtrace ended with {} and said:\n{}",
            outcome.code(),
            outcome.stderr
        )
    });
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in the report:\n{text}"))
}

/// Traces a command that must succeed.
#[track_caller]
pub fn trace_command<S: AsRef<OsStr>>(argv: &[S]) -> Report {
    let (outcome, scratch) = Memtrace::with_json().run(argv);
    outcome.assert_code(0);
    report(&outcome, &scratch)
}

/// Traces a workload and returns what memtrace and the workload itself say.
#[track_caller]
pub fn trace<T: DeserializeOwned>(name: &str, args: &[&str]) -> (Report, T) {
    trace_with(Memtrace::with_json(), name, args)
}

/// The same with a memtrace that has options.
#[track_caller]
pub fn trace_with<T: DeserializeOwned>(
    memtrace: Memtrace,
    name: &str,
    args: &[&str],
) -> (Report, T) {
    let mut argv = vec![
        workload(name),
        "--truth".to_owned(),
        memtrace.scratch.arg("truth.json"),
    ];
    argv.extend(args.iter().map(|arg| (*arg).to_owned()));
    let (outcome, scratch) = memtrace.run(&argv);
    outcome.assert_code(0);
    (
        report(&outcome, &scratch),
        truth::read(&scratch.path("truth.json")),
    )
}
