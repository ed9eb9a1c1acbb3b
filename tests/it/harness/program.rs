//! The program as an operator runs it: its own process, signals, standard streams, a data
//! directory.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;

/// How long a line of a log is awaited before the test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_claviger");

/// Starts a command whose outputs are read here.
pub(crate) fn spawned(command: &mut Command, stdin: Stdio) -> Child {
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// A data directory with the logs of its processes, removed when dropped.
pub(crate) struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("work")).unwrap();
        Self { dir }
    }

    /// The data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The working directory of the programs: it has no `claviger.toml` but a test's own.
    pub(crate) fn work(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    /// What all servers of this home wrote to standard error.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// A command with this data directory, and nothing else of our environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .args(arguments)
            .env_clear()
            .env("CLAVIGER_DATA_DIR", self.data())
            .current_dir(self.work());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments), b"")
    }

    /// Runs a command that reads a secret.
    pub(crate) fn run_with(&self, arguments: &[&str], stdin: &str) -> Ran {
        Ran::of(self.command(arguments), stdin.as_bytes())
    }

    /// `claviger verify --json` on a store that nobody serves; fails the test if anything is wrong.
    pub(crate) fn verified(&self) -> Value {
        let ran = self.run(&["verify", "--json"]);
        ran.assert_code(0);
        let report = ran.json();
        assert_eq!(report["problem_count"], 0, "{report}");
        report
    }

    /// The server, ready.
    pub(crate) fn serve(&self, upstream: &str) -> Server {
        self.serve_with(upstream, |_| {})
    }

    /// The server, ready, with other arguments or variables.
    pub(crate) fn serve_with(&self, upstream: &str, change: impl FnOnce(&mut Command)) -> Server {
        let mut command =
            self.command(&["serve", "--listen", "127.0.0.1:0", "--anthropic-base-url", upstream]);
        // A test's one user does more than any person would.
        command
            .env("CLAVIGER_KEY_COMMANDS_PER_MINUTE", "0")
            .env("CLAVIGER_KEY_TESTS_PER_MINUTE", "0");
        change(&mut command);
        let mut child = spawned(&mut command, Stdio::null());
        let log = Log::follow(child.stderr.take().unwrap(), &self.log_file());
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let Some(url) = line.trim().strip_prefix("claviger listens on ") else {
            child.wait().unwrap();
            log.ended();
            panic!("the server did not start: {line:?} {}", self.log());
        };
        Server { url: url.to_owned(), child, stdout, log: Some(log) }
    }
}

/// What a server writes to standard error: kept in a file, and awaited.
struct Log {
    lines: watch::Receiver<String>,
    copier: JoinHandle<()>,
}

impl Log {
    fn follow(stderr: ChildStderr, file: &Path) -> Self {
        let mut file = OpenOptions::new().create(true).append(true).open(file).unwrap();
        let (sender, lines) = watch::channel(String::new());
        let copier = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                writeln!(file, "{line}").unwrap();
                sender.send_modify(|text| text.push_str(&line));
            }
        });
        Self { lines, copier }
    }

    /// Everything is in the file.
    fn ended(self) {
        self.copier.join().unwrap();
    }
}

/// A server that listens. Killed when dropped.
pub(crate) struct Server {
    url: String,
    child: Child,
    stdout: BufReader<ChildStdout>,
    log: Option<Log>,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Mostly it has ended long ago; then both fail.
        drop(self.child.kill());
        drop(self.child.wait());
        if let Some(log) = self.log.take() {
            log.ended();
        }
    }
}

impl Server {
    /// Where it answers.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        if let Some(log) = self.log.take() {
            log.ended();
        }
    }

    /// Waits until its log contains this.
    pub(crate) async fn logged(&self, words: &str) {
        self.logged_times(words, 1).await;
    }

    /// Waits until its log contains this `times` times.
    pub(crate) async fn logged_times(&self, words: &str, times: usize) {
        let mut lines = self.log.as_ref().unwrap().lines.clone();
        let said = lines.wait_for(|text| text.matches(words).count() >= times);
        let said = tokio::time::timeout(PATIENCE, said).await;
        assert!(
            said.is_ok_and(|said| said.is_ok()),
            "the log never contains {words:?} {times} times"
        );
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end; what it wrote to standard output after its first line.
    pub(crate) async fn ended(mut self) -> (ExitStatus, String) {
        let waiting = tokio::task::spawn_blocking(move || {
            let mut rest = String::new();
            self.stdout.read_to_string(&mut rest).unwrap();
            (self.child.wait().unwrap(), rest)
        });
        waiting.await.unwrap()
    }

    /// SIGTERM; it must end in order.
    pub(crate) async fn stop(self) {
        self.signal(Signal::TERM);
        let (status, rest) = self.ended().await;
        assert_eq!((status.code(), rest.as_str()), (Some(0), ""));
    }

    /// The memory that it has now, in kibibytes; 0 where the system doesn't report it.
    pub(crate) fn memory_kib(&self) -> u64 {
        self.status_kib("VmRSS:")
    }

    /// The most memory that it ever had, in kibibytes; 0 where the system doesn't report it.
    pub(crate) fn peak_memory_kib(&self) -> u64 {
        self.status_kib("VmHWM:")
    }

    fn status_kib(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0)
    }
}

/// A command that ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(mut command: Command, stdin: &[u8]) -> Self {
        let mut child = spawned(&mut command, Stdio::piped());
        // A command that reads nothing may be gone already.
        drop(child.stdin.take().unwrap().write_all(stdin));
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let ran = Self { code: status.code(), stdout: text(stdout), stderr: text(stderr) };
        assert!(!ran.stderr.contains("panicked"), "{ran:?}");
        ran
    }

    #[track_caller]
    pub(crate) fn assert_code(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// Refused: this exit code, nothing on standard output, all of these words on standard error.
    #[track_caller]
    pub(crate) fn assert_refused(&self, code: i32, words: &[&str]) {
        self.assert_code(code);
        assert_eq!(self.stdout, "");
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not in {:?}", self.stderr);
        }
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }
}

/// A command that runs beside the test.
pub(crate) struct Going {
    child: Child,
    stdout: BufReader<ChildStdout>,
    seen: String,
}

impl Going {
    pub(crate) fn of(mut command: Command) -> Self {
        let mut child = spawned(&mut command, Stdio::null());
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout, seen: String::new() }
    }

    /// Waits for a line with these words on standard output.
    pub(crate) async fn says(mut self, words: &'static str) -> Self {
        let reading = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            while !line.contains(words) {
                line.clear();
                assert!(
                    self.stdout.read_line(&mut line).unwrap() > 0,
                    "it never says {words:?}: {}",
                    self.seen
                );
                self.seen.push_str(&line);
            }
            self
        });
        reading.await.unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Reads nothing more, as `head` does, and waits for its end.
    pub(crate) fn unread(self) -> impl Future<Output = Ran> {
        let Self { mut child, stdout, seen } = self;
        drop(stdout);
        let waiting = tokio::task::spawn_blocking(move || {
            let mut stderr = String::new();
            child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
            Ran { code: child.wait().unwrap().code(), stdout: seen, stderr }
        });
        async { waiting.await.unwrap() }
    }

    /// Waits for its end.
    pub(crate) async fn ended(mut self) -> Ran {
        let waiting = tokio::task::spawn_blocking(move || {
            self.stdout.read_to_string(&mut self.seen).unwrap();
            let mut stderr = String::new();
            self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
            Ran { code: self.child.wait().unwrap().code(), stdout: self.seen, stderr }
        });
        waiting.await.unwrap()
    }
}

/// Every file of a directory with its bytes.
pub(crate) fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let read = |path: &Path| {
        let mut bytes = Vec::new();
        File::open(path).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    };
    let entries =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let mut files: Vec<_> = entries
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), read(&path)))
        .collect();
    files.sort();
    files
}
