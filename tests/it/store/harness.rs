//! Runs the contract suite on the embedded store.

use super::broken::Broken;
use super::gate::Gate;
use super::how::How;
use crate::harness::bent::Over;
use crate::harness::stores::{left_by_a_kill, sqlite_config};
use claviger_domain::catalogue::{Readable, Requirement};
use claviger_projections::ports::{BoxFuture, Store};
use claviger_store::sqlite::{SqliteConfig, SqliteStore};
use claviger_suite::{Failure, FaultHooks, Harness};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// A store in `dir` with a gate.
pub(super) fn config(dir: &Path, gate: &Arc<Gate>) -> SqliteConfig {
    SqliteConfig { faults: Arc::clone(gate) as _, reads: readable(), ..sqlite_config(dir) }
}

/// What the suite appends: the events of this program, a schema that no program writes, and a type
/// whose name is an injection.
pub(super) fn readable() -> Arc<Readable> {
    let injection = Requirement::event("Key\"Tested' OR 1", 1);
    Arc::new(Readable::current().and(Requirement::event("DefaultSet", 7)).and(injection))
}

/// Makes stores, whole ones or broken ones.
#[derive(Default)]
pub(super) struct SqliteHarness {
    gate: Arc<Gate>,
    /// The newest last; older ones stay open, as a process that was killed would not close them
    /// either.
    opened: Mutex<Vec<(Arc<SqliteStore>, TempDir)>>,
    broken: Option<How>,
}

impl SqliteHarness {
    pub(super) fn broken(how: How) -> Self {
        Self { broken: Some(how), ..Self::default() }
    }

    fn open(&self, dir: TempDir) -> Result<Arc<dyn Store>, Failure> {
        let store = SqliteStore::open(&config(dir.path(), &self.gate))
            .map_err(|error| Failure(error.to_string()))?;
        let store = Arc::new(store);
        self.opened.lock().unwrap().push((Arc::clone(&store), dir));
        Ok(match self.broken {
            None => store,
            Some(how) => Over::store(&Arc::new(Broken::new(store, how))),
        })
    }
}

impl Harness for SqliteHarness {
    fn fresh(&self) -> BoxFuture<'_, Result<Arc<dyn Store>, Failure>> {
        Box::pin(async { self.open(tempfile::tempdir().unwrap()) })
    }

    fn reopen(&self) -> BoxFuture<'_, Result<Arc<dyn Store>, Failure>> {
        Box::pin(async {
            let copy =
                self.opened.lock().unwrap().last().map(|(_, dir)| left_by_a_kill(dir.path()));
            self.open(copy.unwrap())
        })
    }

    fn sha256(&self, bytes: &[u8]) -> [u8; 32] {
        Sha256::digest(bytes).into()
    }

    fn faults(&self) -> Option<&dyn FaultHooks> {
        Some(self.gate.as_ref())
    }
}
