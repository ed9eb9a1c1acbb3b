//! What keeps the program from this server's files, whatever it is told: another user, Landlock, or
//! both. Without any of them it isn't started.

use crate::confined::readable_for;
use rustix::process::geteuid;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Why Max Plan can't be had here.
#[derive(Debug, thiserror::Error)]
pub enum MaxPlanError {
    #[error(
        "max_plan needs a kernel with Landlock (Linux 5.13 or newer), or max_plan_user: without either, a user's prompt could read this server's files"
    )]
    Unguarded,
    #[error(
        "max_plan needs a kernel with filters for system calls (seccomp, CONFIG_SECCOMP_FILTER): without them, the claude program could change the permissions of this server's files"
    )]
    Unfiltered,
    #[error(
        "max_plan needs the claude program, and {program} {found}: install it, name it with claude_bin, or switch max_plan off"
    )]
    NoProgram { program: String, found: &'static str },
    #[error(
        "max_plan_user needs a server that runs as root, which alone may start a program as another user"
    )]
    NotRoot,
    #[error("max_plan_user must be neither root nor this server's own user")]
    SameUser,
    #[error(
        "max_plan_user needs max_plan_dir, a directory outside the data directory that this user can reach"
    )]
    NoDirectory,
    #[error("the claude program may read {readable}, where {private} is: move one of them")]
    Exposed { readable: String, private: String },
    #[error("the directory of the claude program's settings cannot be made")]
    Directory(#[source] io::Error),
}

/// What the operator's settings ask for.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// User and group of the program.
    pub user: Option<(u32, u32)>,
    /// The directory of its settings, if it isn't the one below the data directory.
    pub directory: Option<&'a Path>,
    pub data_dir: &'a Path,
    /// Files that hold keys.
    pub private: &'a [&'a Path],
}

/// The guards of one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guards {
    landlock: bool,
    user: Option<(u32, u32)>,
}

impl Guards {
    /// Chooses what this system has, and the directory of the program's settings, which is made.
    ///
    /// # Errors
    /// [`MaxPlanError`], which says what to change.
    pub fn choose(
        has_landlock: bool,
        wanted: &Wanted<'_>,
        (program, path): (&Path, &Path),
    ) -> Result<(Self, PathBuf), MaxPlanError> {
        let own = geteuid();
        match wanted.user {
            None if !has_landlock => return Err(MaxPlanError::Unguarded),
            Some(_) if !own.is_root() => return Err(MaxPlanError::NotRoot),
            Some((0, _) | (_, 0)) => return Err(MaxPlanError::SameUser),
            None | Some(_) => {}
        }
        let absolute = |path: &Path| std::path::absolute(path).map_err(MaxPlanError::Directory);
        let data_dir = absolute(wanted.data_dir)?;
        let directory = match (wanted.directory, wanted.user) {
            (Some(directory), _) => absolute(directory)?,
            (None, None) => data_dir.join("claude"),
            (None, Some(_)) => return Err(MaxPlanError::NoDirectory),
        };
        if wanted.user.is_some() && directory.starts_with(&data_dir) {
            return Err(MaxPlanError::NoDirectory);
        }
        let mut private = vec![data_dir];
        for file in wanted.private {
            private.push(absolute(file)?);
        }
        let mut open = readable_for(program, path);
        open.push(directory.clone());
        refuse_exposed(&open, &private)?;
        // The users' directories are private; this one is only passed through.
        let passable = if wanted.user.is_some() { 0o711 } else { 0o700 };
        let made = DirBuilder::new().recursive(true).mode(passable).create(&directory);
        made.map_err(MaxPlanError::Directory)?;
        Ok((Self { landlock: has_landlock, user: wanted.user }, directory))
    }

    /// Whether Landlock is one of them.
    pub const fn has_landlock(self) -> bool {
        self.landlock
    }

    /// Starts the command as the program's user.
    pub(super) fn apply(self, command: &mut Command) {
        if let Some((user, group)) = self.user {
            // Of root, the standard library takes the other groups as well.
            command.uid(user).gid(group);
        }
    }

    /// Makes a directory and some below it, which only the program's user may enter.
    pub(super) fn make_private(self, path: &Path, below: &[&str]) -> io::Result<()> {
        for path in std::iter::once(path.to_owned()).chain(below.iter().map(|name| path.join(name)))
        {
            DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
            if let Some((user, group)) = self.user {
                chown(&path, Some(user), Some(group))?;
            }
        }
        Ok(())
    }
}

/// What is private may lie below nothing that the program may read. Links are followed, as the
/// kernel follows them.
fn refuse_exposed(open: &[PathBuf], private: &[PathBuf]) -> Result<(), MaxPlanError> {
    let real = |path: &PathBuf| std::fs::canonicalize(path).unwrap_or_else(|_| path.clone());
    let private: Vec<PathBuf> = private.iter().map(real).collect();
    for open in open.iter().map(real) {
        if let Some(private) = private.iter().find(|private| private.starts_with(&open)) {
            let (readable, private) = (open.display().to_string(), private.display().to_string());
            return Err(MaxPlanError::Exposed { readable, private });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is refused, by its words.
    fn refused(has_landlock: bool, wanted: &Wanted<'_>) -> Option<String> {
        let of = (Path::new("/nowhere/claude"), Path::new("/usr/bin"));
        Guards::choose(has_landlock, wanted, of).err().map(|error| error.to_string())
    }

    #[test]
    fn what_would_leave_a_file_open_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let wanted = Wanted { user: None, directory: None, data_dir: &data, private: &[] };
        assert_eq!(refused(true, &wanted), None);
        assert!(data.join("claude").is_dir());
        let within =
            |private: &Path| refused(true, &Wanted { private: &[private], ..wanted.clone() });
        assert!(within(Path::new("/usr/lib/master.key")).unwrap().contains("/usr/lib"));
        assert!(within(&data.join("claude/master.key")).unwrap().contains("claude"));
        assert_eq!(within(Path::new("/usr/share/master.key")), None);
        let exposed =
            refused(true, &Wanted { data_dir: Path::new("/usr/lib/x"), ..wanted.clone() });
        assert!(exposed.unwrap().contains("move one"));
        let contains = refused(true, &Wanted { directory: Some(dir.path()), ..wanted.clone() });
        assert!(contains.unwrap().contains("move one"), "the data directory is below the settings");
        assert!(refused(false, &wanted).unwrap().contains("Landlock"));
        let other = |user| refused(false, &Wanted { user: Some(user), ..wanted.clone() }).unwrap();
        if geteuid().is_root() {
            assert!(
                other((0, 9)).contains("neither root") && other((9, 0)).contains("neither root")
            );
            assert!(other((9, 9)).contains("max_plan_dir"));
        } else {
            assert!(other((9, 9)).contains("as root"));
        }
    }
}
