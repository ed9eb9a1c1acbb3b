//! The limit on this process's open files and sockets.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard limit and returns the resulting limit; `None` for no limit.
/// Child processes inherit it.
///
/// The usual soft limit (1,024) is for programs that call `select`. This one doesn't, and each
/// socket is a file.
pub fn raise() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum
        || setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_err()
    {
        return current;
    }
    maximum
}
