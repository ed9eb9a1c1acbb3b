//! How many files and sockets this process may have open at once.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit as far as the system lets this user, and answers with what it is then; `None` for no limit. Children inherit it.
///
/// The usual first limit (1,024) is for programs that call `select`; this one doesn't, and each socket is a file.
pub fn raise() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum
        || setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_err()
    {
        return current;
    }
    maximum
}
