//! The limits that the operating system sets on this process: core dumps, open files.

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};

/// Keeps this process's memory and environment, which hold keys, from other processes of its user
/// (`/proc/<pid>/mem` and `environ`, debuggers), and switches core dumps off.
pub fn keep_memory_private() {
    if set_dumpable_behavior(DumpableBehavior::NotDumpable).is_err() {
        tracing::warn!("other processes of this user can read this process's memory");
    }
    // Not 0: with 1, a program that `core_pattern` names gets no dump either, nor do programs that
    // this one starts.
    let one = Rlimit { current: Some(1), maximum: Some(1) };
    if getrlimit(Resource::Core).maximum != Some(0) && setrlimit(Resource::Core, one).is_err() {
        tracing::warn!("core dumps cannot be switched off");
    }
}

/// Raises the soft limit on open files and sockets to the hard limit and returns the resulting
/// limit; `None` for no limit. Child processes inherit it.
///
/// The usual soft limit (1,024) is for programs that call `select`. This one doesn't, and each
/// socket is a file.
pub fn raise_open_files() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum
        || setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_err()
    {
        return current;
    }
    maximum
}
