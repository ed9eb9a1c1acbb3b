//! The limits that the operating system sets on this process: core dumps, open files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Switches core dumps off: a dump would hold opened keys.
pub fn no_core_dumps() {
    if setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).is_err() {
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
