//! Files of the operator's that are read whole at the start: configuration, keys, prices.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use zeroize::Zeroizing;

/// Most bytes of such a file.
const MOST: u64 = 1024 * 1024;

/// Opens a regular file. A pipe or a device under this name is refused and not waited for: nobody
/// may ever write to it.
///
/// # Errors
/// As for opening; and if it is no regular file.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))
}

/// Reads all of an open file, 1 MiB at most. Its buffer is wiped, as it may hold keys.
///
/// # Errors
/// As for reading; and if it is larger or not UTF-8.
pub(crate) fn read_whole(file: &File) -> io::Result<Zeroizing<String>> {
    // With its final capacity: a buffer that grows leaves copies behind.
    let room = usize::try_from(file.metadata()?.len().min(MOST)).unwrap_or_default();
    let mut text = Zeroizing::new(String::with_capacity(room + 1));
    file.take(MOST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MOST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it has more than 1 MiB"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_of_a_bounded_size_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("file"), "text").unwrap();
        std::fs::write(path("large"), vec![b' '; 1024 * 1024 + 1]).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, path("pipe"), 0o600.into()).unwrap();
        std::os::unix::fs::symlink(path("pipe"), path("link")).unwrap();
        let read = |path: &Path| open_regular(path).and_then(|file| read_whole(&file));
        assert_eq!(read(&path("file")).unwrap().as_str(), "text");
        for (bad, why) in [
            (path("pipe"), "it is not a regular file"),
            (path("link"), "it is not a regular file"),
            (dir.path().to_owned(), "it is not a regular file"),
            (Path::new("/dev/zero").to_owned(), "it is not a regular file"),
            (path("large"), "it has more than 1 MiB"),
        ] {
            assert_eq!(read(&bad).unwrap_err().to_string(), why, "{}", bad.display());
        }
        assert_eq!(read(&path("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
