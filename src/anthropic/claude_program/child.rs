//! A child process in its own process group, which leaves neither orphans nor zombies behind,
//! however its owner ends.

use rustix::process::{Pid, Signal, kill_process_group};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::TaskTracker;

/// Dropping it kills the whole group and reaps the child.
#[derive(Debug)]
pub(super) struct Group {
    /// Taken only on drop.
    child: Option<Child>,
    /// Released only when the child is reaped: it counts processes.
    permit: Option<OwnedSemaphorePermit>,
    tracker: TaskTracker,
}

/// A running child with our ends of its pipes.
pub(super) struct Running {
    pub(super) group: Group,
    pub(super) stdin: Sender,
    pub(super) stdout: Receiver,
}

impl Group {
    /// Starts the program. Its standard error is discarded: it may quote the input.
    pub(super) fn start(
        command: &mut Command,
        permit: OwnedSemaphorePermit,
        tracker: &TaskTracker,
    ) -> io::Result<Running> {
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        // From here on, dropping this value ends the group, even if a step below fails.
        let group = Self { child: Some(child), permit: Some(permit), tracker: tracker.clone() };
        let (stdin, stdout) = stdin.zip(stdout).ok_or(io::ErrorKind::BrokenPipe)?;
        let stdin = Sender::from_owned_fd(OwnedFd::from(stdin))?;
        let stdout = Receiver::from_owned_fd(OwnedFd::from(stdout))?;
        Ok(Running { group, stdin, stdout })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        // Until the child is reaped, its process id cannot belong to another process. If the group
        // is already gone, nothing is left to kill.
        if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(pid, Signal::KILL);
        }
        let permit = self.permit.take();
        let reap = move || {
            drop(child.wait());
            drop(permit);
        };
        if tokio::runtime::Handle::try_current().is_ok() {
            self.tracker.spawn_blocking(reap);
        } else {
            reap();
        }
    }
}
