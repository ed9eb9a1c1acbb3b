//! Our launcher as a child process. It ends what it started when its standard input ends, so that
//! neither orphans nor zombies are left behind, however its owner ends.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::TaskTracker;

/// How often the launcher is looked at while it ends, and how often at most before it is killed.
const LOOK: Duration = Duration::from_millis(5);
const LOOKS: u32 = 1_000;

/// Dropping it reaps the launcher. Drop its standard input before.
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
        // From here on the child is reaped, even if a step below fails.
        let group = Self { child: Some(child), permit: Some(permit), tracker: tracker.clone() };
        let (stdin, stdout) = stdin.zip(stdout).ok_or(io::ErrorKind::BrokenPipe)?;
        let stdin = Sender::from_owned_fd(OwnedFd::from(stdin))?;
        let stdout = Receiver::from_owned_fd(OwnedFd::from(stdout))?;
        Ok(Running { group, stdin, stdout })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let Some(child) = self.child.take() else { return };
        let permit = self.permit.take();
        let reap = move || {
            end(child);
            drop(permit);
        };
        if tokio::runtime::Handle::try_current().is_ok() {
            self.tracker.spawn_blocking(reap);
        } else {
            reap();
        }
    }
}

/// Waits until the launcher has ended its program. It can't hang by its code; if it does all the
/// same, killing it kills the program, by the signal on a parent's death.
fn end(mut child: Child) {
    for _ in 0..LOOKS {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(LOOK);
    }
    drop(child.kill());
    drop(child.wait());
}
