//! What is to be started, and with which rights: one message on a standard input.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::io::{self, Read, Write as _};
use std::path::PathBuf;

/// Upper bound of a launch without its input, in bytes. The system prompt is the largest part.
const LAUNCH_MAX: u32 = 16 * 1024 * 1024;

/// Upper bound of the program's input, in bytes.
const INPUT_MAX: u64 = 256 * 1024 * 1024;

/// A program to be started. It goes as four bytes of length (big-endian), this as JSON, and then
/// `input_bytes` bytes for the program's standard input.
#[derive(Clone, Deserialize, Serialize)]
pub struct Launch {
    /// Absolute.
    pub program: PathBuf,
    pub arguments: Vec<String>,
    /// All of its environment.
    pub environment: Vec<(String, String)>,
    /// Its working directory; absolute.
    pub directory: PathBuf,
    /// What it may read and execute, with everything below; what does not exist is left out.
    pub readable: Vec<PathBuf>,
    /// What it may write too, with everything below.
    pub writable: Vec<PathBuf>,
    /// Whether Landlock holds it to these paths. Without it only the user id does.
    pub landlock: bool,
    /// A text that it reads from a file that only it has open; the file's name follows the last
    /// argument.
    pub file: String,
    pub input_bytes: u64,
}

impl fmt::Debug for Launch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Launch").field("program", &self.program).finish_non_exhaustive()
    }
}

impl Launch {
    /// The message without the input.
    ///
    /// # Errors
    /// A path that isn't UTF-8, or more than 16 MiB.
    pub fn message(&self) -> io::Result<Vec<u8>> {
        let body = serde_json::to_vec(self)?;
        let length = u32::try_from(body.len()).ok().filter(|length| *length <= LAUNCH_MAX);
        let length = length.ok_or(io::ErrorKind::ArgumentListTooLong)?;
        Ok([&length.to_be_bytes()[..], &body].concat())
    }

    /// Reads a message, and not a byte of what follows it.
    pub(super) fn read(from: &mut impl Read) -> io::Result<Self> {
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length);
        if length > LAUNCH_MAX {
            return Err(io::ErrorKind::ArgumentListTooLong.into());
        }
        let mut body = Vec::new();
        from.by_ref().take(length.into()).read_to_end(&mut body)?;
        let launch: Self = serde_json::from_slice(&body)?;
        if launch.input_bytes > INPUT_MAX {
            return Err(io::ErrorKind::ArgumentListTooLong.into());
        }
        Ok(launch)
    }
}

/// `type` of the one line that is written to standard output if nothing was started.
pub const REFUSAL: &str = "claviger_refusal";

/// Why nothing was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The program, or its working directory, does not exist.
    NotFound,
    /// It may not be executed.
    NotPermitted,
    /// Arguments or texts are too long.
    TooLong,
    /// A guard could not be set: nothing is started without it.
    Unguarded,
    /// The parent is gone, or anything else.
    Other,
}

impl Refusal {
    /// Writes the line. If nobody reads it, nobody has to be told.
    pub(super) fn write(self) {
        let line = serde_json::json!({ "type": REFUSAL, "reason": self });
        drop(writeln!(io::stdout(), "{line}"));
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        // A guard over the list of the standard library's kinds would have to be kept by hand.
        let kind = error.kind();
        if kind == io::ErrorKind::NotFound {
            Self::NotFound
        } else if kind == io::ErrorKind::PermissionDenied {
            Self::NotPermitted
        } else if kind == io::ErrorKind::ArgumentListTooLong {
            Self::TooLong
        } else {
            Self::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_to_its_last_byte_and_no_further() {
        let launch = Launch {
            program: "/bin/true".into(),
            arguments: vec!["-p".to_owned()],
            environment: vec![("NAME".to_owned(), "value".to_owned())],
            directory: "/".into(),
            readable: vec!["/usr".into()],
            writable: Vec::new(),
            landlock: true,
            file: "a text".to_owned(),
            input_bytes: 4,
        };
        assert!(!format!("{launch:?}").contains("value"), "it holds secrets");
        let bytes = [launch.message().unwrap(), b"next".to_vec()].concat();
        let mut rest = bytes.as_slice();
        let read = Launch::read(&mut rest).unwrap();
        assert_eq!((read.message().unwrap(), rest), (launch.message().unwrap(), &b"next"[..]));
        for cut in 0..bytes.len() - 4 {
            assert!(Launch::read(&mut &bytes[..cut]).is_err(), "{cut}");
        }
        assert!(Launch::read(&mut &[255, 255, 255, 255, b'{'][..]).is_err());
        let large = Launch { input_bytes: u64::MAX, ..launch };
        assert!(Launch::read(&mut large.message().unwrap().as_slice()).is_err());
    }
}
