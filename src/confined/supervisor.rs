//! The process between the server and the foreign program: it ends the program, and every process
//! that the program started, when the program ends or the server is gone.
//!
//! Its lifeline is its standard input: the kernel closes the other end when the server dies, however
//! it dies. A signal on the parent's death (`PR_SET_PDEATHSIG`) would reach one process only, and
//! is bound to the *thread* that started it. The program gets that signal as well, in case this
//! process dies.

use super::launch::{Launch, Refusal};
use super::{COMMAND, ITSELF, grants};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{
    DumpableBehavior, Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions, getpid, getppid,
    getrlimit, kill_process, kill_process_group, set_child_subreaper, set_dumpable_behavior,
    setrlimit, test_kill_process, umask, waitid,
};
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Starts what standard input says and returns once it has ended.
pub(super) fn run() -> Result<(), Refusal> {
    harden().map_err(|_| Refusal::Unguarded)?;
    // Before there is another thread, which it would not hold. Asked twice: without the fence, the
    // sweep would end everything of this user.
    let fenced = grants::fence() && getppid().map(test_kill_process) == Some(Err(Errno::PERM));
    let mut stdin = io::stdin().lock();
    let launch = Launch::read(&mut stdin)?;
    let mut input = Vec::new();
    stdin.by_ref().take(launch.input_bytes).read_to_end(&mut input)?;
    drop(stdin);
    if u64::try_from(input.len()).ok() != Some(launch.input_bytes) {
        return Err(Refusal::Other);
    }
    let message = launch.message()?;

    // This thread starts the program, and lives until it has ended: its death would end it.
    let mut child = Command::new(ITSELF)
        .args([COMMAND, &std::process::id().to_string()])
        .env_clear()
        .process_group(0)
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(Refusal::Other)?;
    if let Some(to) = child.stdin.take() {
        thread::Builder::new().spawn(move || feed(to, &[message, input]))?;
    }
    let group = Arc::new(Mutex::new(Some(pid)));
    let end = Arc::clone(&group);
    thread::Builder::new().spawn(move || {
        // Nothing more is sent: any end of this read is the end of the server's interest.
        drop(io::copy(&mut io::stdin().lock(), &mut io::sink()));
        kill(&end);
    })?;
    // Until it is reaped, its process id is also the id of its group and of nothing else.
    let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    let waited = retry_on_intr(|| waitid(WaitId::Pid(pid), ended));
    kill(&group);
    waited.map_err(io::Error::from)?;
    child.wait()?;
    sweep(fenced);
    Ok(())
}

/// Ends what left the group (`setsid`, `setpgid`), until nothing is left: each time may orphan their
/// children. Orphans become children of this process, so their process ids can't belong to others
/// until they are reaped here.
///
/// One by one, what forks without end can stay ahead. So behind a fence all are killed at once: a
/// signal to everybody reaches what is behind it, but for this process, and no fork escapes it.
fn sweep(fenced: bool) {
    loop {
        if fenced {
            // The group of process 1 is, in the system call, everybody.
            let _ = kill_process_group(Pid::INIT, Signal::KILL);
        }
        let orphans = children();
        if orphans.is_empty() {
            return;
        }
        for orphan in orphans {
            let _ = kill_process(orphan, Signal::KILL);
            let _ = retry_on_intr(|| waitid(WaitId::Pid(orphan), WaitIdOptions::EXITED));
        }
    }
}

/// The children of all threads of this process, as far as the kernel tells.
fn children() -> Vec<Pid> {
    let Ok(threads) = fs::read_dir("/proc/self/task") else { return Vec::new() };
    let lists = threads.flatten().flat_map(|it| fs::read_to_string(it.path().join("children")));
    let list = lists.collect::<String>();
    list.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}

/// Ends the program and its group, at most once.
fn kill(group: &Mutex<Option<Pid>>) {
    if let Some(pid) = group.lock().unwrap_or_else(PoisonError::into_inner).take() {
        // The program by itself too: it may have joined another group. If one of them is already
        // gone, nothing is left to kill there.
        let _ = kill_process(pid, Signal::KILL);
        let _ = kill_process_group(pid, Signal::KILL);
    }
}

/// Writes the program's input and closes it. A program that doesn't read has ended, or will be.
fn feed(mut to: ChildStdin, parts: &[Vec<u8>]) {
    for part in parts {
        if to.write_all(part).is_err() {
            return;
        }
    }
}

/// What the program inherits: no new rights by executing a file, no core dump, no descriptor but
/// the three standard ones. And this process, which holds the input and the token, can't be looked
/// into by others of its user.
fn harden() -> rustix::io::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    set_child_subreaper(Some(getpid()))?;
    rustix::thread::set_no_new_privs(true)?;
    // With 1 nothing is dumped to a file, which needs a page at least, nor to a program that the
    // kernel's `core_pattern` names, which 0 doesn't prevent. A bound of 0 can't be raised.
    if getrlimit(Resource::Core).maximum != Some(0) {
        setrlimit(Resource::Core, Rlimit { current: Some(1), maximum: Some(1) })?;
    }
    umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    close_fds::set_fds_cloexec(3, &[]);
    Ok(())
}
