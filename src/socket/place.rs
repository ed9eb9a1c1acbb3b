//! The socket's file: made, found, removed. Neither side follows or replaces what is not a socket.

use claviger_domain::code::ErrorCode;
use claviger_domain::secret::SecretText;
use rustix::fs::{Mode, OFlags, open};
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{
    FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};
use tokio::net::{UnixListener, UnixSocket, UnixStream};

/// The socket's name in the data directory.
pub const FILE: &str = "claviger.sock";

/// The file beside it with what a command has to know: whoever reads the data directory does. To
/// connect takes less, for a program that runs as the server's user under Landlock too.
pub const KEY_FILE: &str = "claviger.sock.key";

/// Its name until it is closed to others and listens.
const NEW: &str = "claviger.sock.new";

/// Most bytes of a socket's path; the kernel takes 107 on Linux, 103 elsewhere.
const MAX_PATH: usize = 103;

/// Most bytes of the key.
const MAX_KEY: u64 = 256;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 64;

/// The socket can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error(
        "{path} is {what}, not a socket of this data directory: find out who put it there, move it \
         away, then try again", path = .path.display()
    )]
    Foreign { path: PathBuf, what: &'static str },
    /// Its mode keeps this user out.
    #[error(
        "{path} does not let this user in: run the command as the user that runs the server, or as \
         root", path = .path.display()
    )]
    Denied { path: PathBuf },
    /// Neither oneself nor root nor the owner of the directory listens.
    #[error(
        "the program that listens at {path} runs as user {uid}, who does not own the data \
         directory: nothing was sent to it; find out what it is", path = .path.display()
    )]
    Stranger { path: PathBuf, uid: u32 },
    #[error("too many commands wait for the server at {path}: try again", path = .path.display())]
    Busy { path: PathBuf },
    #[error("{path} cannot be used: {source}", path = .path.display())]
    Unusable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl SocketError {
    /// The code of the contract.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Foreign { .. } => ErrorCode::Validation,
            Self::Denied { .. } | Self::Stranger { .. } => ErrorCode::Forbidden,
            Self::Busy { .. } => ErrorCode::RateLimited,
            Self::Unusable { .. } => ErrorCode::StoreUnavailable,
        }
    }
}

/// A path for a socket in a directory, short enough for the kernel. A longer one leads through the
/// open directory, for as long as this is held.
struct Short {
    path: PathBuf,
    _dir: Option<OwnedFd>,
}

impl Short {
    fn of(dir: &Path, name: &str) -> io::Result<Self> {
        let path = dir.join(name);
        if path.as_os_str().as_bytes().len() <= MAX_PATH {
            return Ok(Self { path, _dir: None });
        }
        let dir = open(dir, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let path = PathBuf::from(format!("/proc/self/fd/{}/{name}", dir.as_raw_fd()));
        Ok(Self { path, _dir: Some(dir) })
    }
}

/// What stands at a path, if it is a socket.
fn socket_at(path: &Path) -> Result<Option<Metadata>, SocketError> {
    let foreign = |what| SocketError::Foreign { path: path.to_owned(), what };
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_symlink() => Err(foreign("a symbolic link")),
        Ok(meta) if meta.file_type().is_socket() => Ok(Some(meta)),
        Ok(_) => Err(foreign("another kind of file")),
        // Whoever may not look into the directory can't open the store either, and is told so.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound
                    | io::ErrorKind::NotADirectory
                    | io::ErrorKind::PermissionDenied
            ) =>
        {
            Ok(None)
        }
        Err(source) => Err(SocketError::Unusable { path: path.to_owned(), source }),
    }
}

/// The same for the process that holds the data directory: what it finds is left from a process
/// that was killed, unless somebody else made it.
fn left_over(path: &Path) -> Result<(), SocketError> {
    let own = rustix::process::geteuid().as_raw();
    match socket_at(path)? {
        Some(meta) if meta.uid() != own => {
            Err(SocketError::Foreign { path: path.to_owned(), what: "another user's socket" })
        }
        Some(_) | None => Ok(()),
    }
}

/// A socket that stands in the data directory until this is dropped.
#[derive(Debug)]
pub struct Stands {
    path: PathBuf,
    key: PathBuf,
    /// Device and inode: what another process put there is not removed.
    is: Option<(u64, u64)>,
}

impl Stands {
    /// Makes the socket, closed to other users from its first moment. The caller holds the lock of
    /// the data directory.
    ///
    /// # Errors
    /// [`SocketError`], whose message tells the operator what to do.
    pub(super) fn make(dir: &Path, key: &str) -> Result<(Self, UnixListener), SocketError> {
        let (path, new, key_path) = (dir.join(FILE), dir.join(NEW), dir.join(KEY_FILE));
        left_over(&path)?;
        left_over(&new)?;
        let unusable = |source| SocketError::Unusable { path: path.clone(), source };
        let made = || {
            without(&key_path)?;
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(&key_path)?;
            file.write_all(key.as_bytes())?;
            without(&new)?;
            let socket = UnixSocket::new_stream()?;
            socket.bind(Short::of(dir, NEW)?.path)?;
            // Nobody can connect before it listens, and by its name before it is closed to others.
            fs::set_permissions(&new, Permissions::from_mode(0o600))?;
            let listener = socket.listen(BACKLOG)?;
            fs::rename(&new, &path)?;
            Ok(listener)
        };
        let listener = made().map_err(unusable)?;
        let is = identity(&path);
        Ok((Self { path, key: key_path, is }, listener))
    }
}

impl Drop for Stands {
    fn drop(&mut self) {
        if self.is.is_some() && identity(&self.path) == self.is {
            drop(fs::remove_file(&self.path));
            drop(fs::remove_file(&self.key));
        }
    }
}

/// Removes a file, if there is one.
fn without(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

/// A connection to the server of a data directory.
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct Connected {
    pub(super) stream: UnixStream,
    pub(super) key: SecretText,
}

/// Connects to the server of a data directory; `None` if nobody listens.
///
/// # Errors
/// [`SocketError`], whose message tells the operator what to do.
pub async fn connect(dir: &Path) -> Result<Option<Connected>, SocketError> {
    let path = dir.join(FILE);
    if socket_at(&path)?.is_none() {
        return Ok(None);
    }
    let unusable = |source| SocketError::Unusable { path: path.clone(), source };
    let short = Short::of(dir, FILE).map_err(unusable)?;
    let stream = match UnixStream::connect(&short.path).await {
        Ok(stream) => stream,
        // Left from a server that was killed, or just removed.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound
            ) =>
        {
            return Ok(None);
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Err(SocketError::Denied { path });
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            return Err(SocketError::Busy { path });
        }
        Err(source) => return Err(unusable(source)),
    };
    let uid = stream.peer_cred().map_err(unusable)?.uid();
    let owner = fs::metadata(dir).map_err(unusable)?.uid();
    if ![0, owner, rustix::process::geteuid().as_raw()].contains(&uid) {
        return Err(SocketError::Stranger { path, uid });
    }
    match key(&dir.join(KEY_FILE)) {
        Ok(key) => Ok(Some(Connected { stream, key })),
        // The server has just stopped.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(SocketError::Denied { path })
        }
        Err(source) => Err(SocketError::Unusable { path, source }),
    }
}

fn key(path: &Path) -> io::Result<SecretText> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let mut text = String::new();
    File::from(open(path, flags, Mode::empty())?).take(MAX_KEY).read_to_string(&mut text)?;
    Ok(SecretText::new(text))
}
