//! A store that was looked at and not changed: nothing is made in its directory, and its file keeps
//! its format, until it is opened.

use super::config::SqliteConfig;
use super::connection::{DATABASE_FILE, make_dir, make_file, open_reader};
use super::error::OpenError;
use super::lock::{LOCK_FILE, Lock};
use super::store::{SqliteStore, damaged, read_gate};
use super::{read, schema, shape};
use crate::glance::Glance;
use std::path::Path;

/// A store that may be opened.
#[derive(Debug)]
pub struct Looked {
    config: SqliteConfig,
    /// `None` while there is no file: then there is nothing to keep others from.
    lock: Option<Lock>,
    glance: Glance,
}

impl Looked {
    pub(super) fn at(config: &SqliteConfig) -> Result<Self, OpenError> {
        let config = config.clone();
        let path = config.dir.join(DATABASE_FILE);
        let is_there =
            |path: &Path| path.try_exists().map_err(|source| OpenError::from_io(path, source));
        if !is_there(&path)? {
            // The lock is made after the file, and never removed.
            if is_there(&config.dir.join(LOCK_FILE))? {
                return Err(OpenError::Removed { path });
            }
            return Ok(Self { config, lock: None, glance: Glance::default() });
        }
        let lock = Some(Lock::take(&config.dir, &config.program, config.started_at)?);
        // Before anything opens it: that would put an empty log beside a file without its own.
        make_file(&path)?;
        let glance = glance(&config, &path)?;
        Ok(Self { config, lock, glance })
    }

    /// What was seen.
    pub const fn glance(&self) -> &Glance {
        &self.glance
    }

    /// Opens the store, creates it if it does not exist, and migrates an older format.
    ///
    /// # Errors
    /// [`OpenError`] names the obstacle and what to do about it.
    pub fn open(self) -> Result<SqliteStore, OpenError> {
        let Self { config, lock, .. } = self;
        let lock = if let Some(lock) = lock {
            lock
        } else {
            make_dir(&config.dir)?;
            make_file(&config.dir.join(DATABASE_FILE))?;
            Lock::take(&config.dir, &config.program, config.started_at)?
        };
        SqliteStore::over(&config, lock)
    }
}

fn glance(config: &SqliteConfig, path: &Path) -> Result<Glance, OpenError> {
    let connection = open_reader(&config.dir)?;
    let format = schema::format_of(&connection, path)?;
    let mut glance = Glance { is_there: true, ..Glance::default() };
    if format == 0 {
        return Ok(glance);
    }
    shape::check(&connection, path, format)?;
    if format >= schema::WITH_REQUIREMENTS {
        read_gate(&connection, path, &config.reads)?;
    }
    let failed = |error| damaged(path, error);
    glance.store_keys = read::store_keys(&connection).map_err(failed)?;
    let used = read::user_keys_by_kek(&connection, &config.skipped).map_err(failed)?;
    glance.user_keks = used.into_iter().map(|(kek, _)| kek).collect();
    glance.position = read::last_position(&connection).map_err(failed)?;
    Ok(glance)
}
