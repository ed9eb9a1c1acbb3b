//! The programs under measurement: processes of their own, each on a core that it shares with no
//! client.

use crate::error::BenchError;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;
use tokio_util::task::TaskTracker;

/// The cores reserved for servers and clients; `None` leaves the choice to the system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cores {
    /// The measured server.
    pub server: Option<usize>,
    /// The clients, including attackers.
    pub client: Option<usize>,
}

impl Cores {
    /// Two of the cores this process may use, if it has two.
    pub fn apart() -> Self {
        let mut usable = usable();
        match (usable.next(), usable.next()) {
            (Some(server), Some(client)) => Self { server: Some(server), client: Some(client) },
            _ => Self::default(),
        }
    }

    /// Moves all threads of this process to the clients' core.
    pub fn settle(self) {
        let Some(core) = self.client else { return };
        let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return };
        for thread in threads.flatten() {
            let id = thread.file_name().to_string_lossy().parse().ok().and_then(Pid::from_raw);
            pin(id, core);
        }
    }
}

#[cfg(target_os = "linux")]
fn usable() -> impl Iterator<Item = usize> {
    use rustix::thread::{CpuSet, sched_getaffinity};
    let set = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
    (0..CpuSet::MAX_CPU).filter(move |core| set.is_set(*core))
}

#[cfg(not(target_os = "linux"))]
fn usable() -> impl Iterator<Item = usize> {
    std::iter::empty()
}

/// Pins a thread; `None` for the current one.
#[cfg(target_os = "linux")]
fn pin(thread: Option<Pid>, core: usize) {
    use rustix::thread::{CpuSet, sched_setaffinity};
    let mut set = CpuSet::new();
    set.set(core);
    if sched_setaffinity(thread, &set).is_err() {
        tracing::warn!(core, "cannot pin a thread to a core: the figures are less steady");
    }
}

#[cfg(not(target_os = "linux"))]
fn pin(_thread: Option<Pid>, _core: usize) {}

/// A running program that has reported its address. Killed when dropped.
#[derive(Debug)]
pub(super) struct Subject {
    child: Child,
    /// Kept open: the program could fail if nobody read its output.
    _words: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Subject {
    /// Starts a program on a core.
    pub(super) async fn start(command: Command, core: Option<usize>) -> Result<Self, BenchError> {
        let starting = TaskTracker::new().spawn_blocking(move || begin(command, core));
        starting.await.map_err(|_| BenchError::Lost)?
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Resident memory, in KiB.
    pub(super) fn memory_kib(&self) -> Result<u64, BenchError> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.trim()
            .trim_end_matches(" kB")
            .parse()
            .map_err(|_| BenchError::Subject("cannot read its memory"))
    }

    /// Processor time so far, user and kernel.
    pub(super) fn worked(&self) -> Result<Duration, BenchError> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name, in parentheses, may contain anything; the 12th and 13th fields after it are the
        // times.
        let fields = stat.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
        let ticks: u64 = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<u64>().ok())
            .sum();
        Ok(Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second()))
    }

    /// Kills it, as `kill -9` does.
    pub(super) fn kill(&mut self) -> Result<(), BenchError> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Shuts it down in order.
    pub(super) async fn stop(mut self) -> Result<(), BenchError> {
        let id = Pid::from_child(&self.child);
        kill_process(id, Signal::TERM).map_err(std::io::Error::from)?;
        let ending = TaskTracker::new().spawn_blocking(move || self.child.wait());
        ending.await.map_err(|_| BenchError::Lost)??;
        Ok(())
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn begin(mut command: Command, core: Option<usize>) -> Result<Subject, BenchError> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    // A child inherits the core of the thread that starts it. Starting it in a thread of its own
    // moves no other thread.
    let spawning = std::thread::spawn(move || {
        if let Some(core) = core {
            pin(None, core);
        }
        command.spawn()
    });
    let mut child = spawning.join().map_err(|_| BenchError::Lost)??;
    let words = child.stdout.take().ok_or(BenchError::Lost)?;
    let mut words = BufReader::new(words);
    let mut line = String::new();
    words.read_line(&mut line)?;
    if let Some(address) =
        line.trim().rsplit_once("http://").and_then(|(_, address)| address.parse().ok())
    {
        return Ok(Subject { child, _words: words, address });
    }
    drop(child.kill());
    drop(child.wait());
    Err(BenchError::Subject("it did not start: see the output of `claviger serve`"))
}

/// A directory that is removed when dropped.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn beneath(dir: &Path, name: &str) -> Self {
        Self(dir.join(name))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// `claviger serve` on an embedded store in a directory, with only these variables in its
/// environment.
pub(super) fn serve(program: &Path, data_dir: &Path, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(program);
    command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(data_dir);
    // Keeps it from reading a configuration file in the directory where the measurement was
    // started.
    command.env_clear().current_dir("/").envs(variables.iter().copied());
    command
        .env("CLAVIGER_LOG", "error")
        .env("CLAVIGER_REGISTRATION", "open")
        .env("CLAVIGER_DRAIN_MS", "2000");
    command
}

/// One of this program's own baselines.
pub(super) fn part(parts: &Path, name: &str) -> Command {
    let mut command = Command::new(parts);
    command.args(["part", name]).env_clear().current_dir("/").env("CLAVIGER_LOG", "error");
    command
}
