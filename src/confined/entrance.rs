//! The last moment before the foreign program: the process gives up its rights and becomes it.

use super::launch::{Launch, Refusal};
use super::{calls, grants};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Becomes the program that standard input describes. Returns only if that fails.
pub(super) fn run(parent: Option<i32>) -> Refusal {
    become_it(parent).err().unwrap_or(Refusal::Other)
}

fn become_it(parent: Option<i32>) -> Result<(), Refusal> {
    // First the signal, then the question who the parent is: a parent that died before would never
    // be noticed otherwise.
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(io::Error::from)?;
    if getppid().map(Pid::as_raw_pid) != parent || parent.is_none() {
        return Err(Refusal::Other);
    }
    // Without a buffer, which would take some of the program's input.
    let mut stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let launch = Launch::read(&mut stdin)?;
    drop(stdin);
    // The file has no name and no other reader, and is gone with the process. It stays open across
    // the start of the program.
    let file = memfd_create("text", MemfdFlags::empty()).map_err(io::Error::from)?;
    let mut file = File::from(file);
    file.write_all(launch.file.as_bytes())?;
    if launch.landlock {
        grants::restrict_to(&launch.readable, &launch.writable)?;
    }
    give_up_capabilities().map_err(|_| Refusal::Unguarded)?;
    // Last: it allows none of the above.
    calls::restrict()?;
    let error = Command::new(&launch.program)
        .args(&launch.arguments)
        .arg(format!("/proc/self/fd/{}", file.as_raw_fd()))
        .env_clear()
        .envs(launch.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(&launch.directory)
        .exec();
    Err(error.into())
}

/// What root may do beside owning its files. Executing gives nothing back: see `harden` in the
/// supervisor.
fn give_up_capabilities() -> rustix::io::Result<()> {
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
}
