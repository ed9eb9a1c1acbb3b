//! The hidden command.

use super::{entrance, supervisor};
use std::ffi::OsString;
use std::process::ExitCode;

/// The hidden command. It is no command of [`crate::cli`]: it parses nothing, logs nothing and
/// starts no runtime.
pub const COMMAND: &str = "__child";

/// The program by which a process starts itself again: the same file, even if it was replaced.
pub const ITSELF: &str = "/proc/self/exe";

/// Runs the hidden command, if these arguments are its.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments.into_iter().skip(1);
    if arguments.next()? != COMMAND {
        return None;
    }
    let refusal = match arguments.next() {
        None => match supervisor::run() {
            Ok(()) => return Some(ExitCode::SUCCESS),
            Err(refusal) => refusal,
        },
        Some(parent) => entrance::run(parent.to_str().and_then(|parent| parent.parse().ok())),
    };
    refusal.write();
    Some(ExitCode::FAILURE)
}
