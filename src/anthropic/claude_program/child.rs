//! A child process in a group of its own that leaves neither orphans nor zombies behind, however its owner goes.

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
    /// Taken only when it is dropped.
    child: Option<Child>,
    /// Given back when the child is gone, not before: it counts processes.
    permit: Option<OwnedSemaphorePermit>,
    tracker: TaskTracker,
}

/// A running child with its ends of the pipes.
pub(super) struct Running {
    pub(super) group: Group,
    pub(super) stdin: Sender,
    pub(super) stdout: Receiver,
}

impl Group {
    /// Starts the program. What it writes to standard error goes nowhere: it may quote what it was sent.
    pub(super) fn start(
        command: &mut Command,
        permit: OwnedSemaphorePermit,
        tracker: &TaskTracker,
    ) -> io::Result<Running> {
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        // From here on the group ends with this value, whatever goes wrong below.
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
        // Until it is reaped its number belongs to nobody else, so this can't hit a stranger. If the group is gone, all is well.
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
