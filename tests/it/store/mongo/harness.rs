//! Runs the contract suite on MongoDB.

use super::super::broken::Broken;
use super::super::harness::readable;
use super::gate::Gate;
use super::rewriting::Rewriting;
use crate::harness::bent::Over;
use crate::harness::mongo::TestServer;
use crate::harness::stores::mongo_config;
use crate::store::how::How;
use claviger_projections::ports::{BoxFuture, Store};
use claviger_store::address::MongoUri;
use claviger_store::mongo::{MongoConfig, MongoStore};
use claviger_suite::{Failure, FaultHooks, Harness};
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex};

/// Makes stores on a database of its own, whole ones or broken ones.
pub(super) struct MongoHarness {
    uri: MongoUri,
    pub(super) database: String,
    pub(super) gate: Arc<Gate>,
    /// Older ones stay open, as a process that was killed would not close them either.
    opened: Mutex<Vec<Arc<MongoStore>>>,
    broken: Option<How>,
}

impl MongoHarness {
    pub(super) fn new(server: &'static TestServer) -> Self {
        let (database, gate, opened) = (server.database(), Arc::default(), Mutex::default());
        Self { uri: server.uri(&database), database, gate, opened, broken: None }
    }

    /// Stores that reach the server through a proxy.
    pub(super) fn behind(server: &'static TestServer, proxy: &Rewriting) -> Self {
        let new = Self::new(server);
        Self { uri: proxy.uri(server, &new.database), ..new }
    }

    pub(super) fn broken(server: &'static TestServer, how: How) -> Self {
        Self { broken: Some(how), ..Self::new(server) }
    }

    pub(super) fn config(&self) -> MongoConfig {
        let faults = Arc::clone(&self.gate) as _;
        MongoConfig { faults, reads: readable(), ..mongo_config(self.uri.clone()) }
    }

    /// Opens the database once more, as another process would.
    pub(super) async fn open(&self) -> Result<Arc<MongoStore>, Failure> {
        let store =
            MongoStore::open(&self.config()).await.map_err(|error| Failure(error.to_string()))?;
        let store = Arc::new(store);
        self.opened.lock().unwrap().push(Arc::clone(&store));
        Ok(store)
    }

    async fn store(&self) -> Result<Arc<dyn Store>, Failure> {
        let store = self.open().await?;
        Ok(match self.broken {
            None => store,
            Some(how) => Over::store(&Arc::new(Broken::new(store, how))),
        })
    }

    /// Closes everything and removes the database.
    pub(super) async fn finish(self) {
        let opened = std::mem::take(&mut *self.opened.lock().unwrap());
        let Some(last) = opened.last() else { return };
        last.database().drop().await.unwrap();
        futures::future::join_all(opened.iter().map(|store| store.close())).await;
    }
}

impl Harness for MongoHarness {
    fn fresh(&self) -> BoxFuture<'_, Result<Arc<dyn Store>, Failure>> {
        Box::pin(self.store())
    }

    fn reopen(&self) -> BoxFuture<'_, Result<Arc<dyn Store>, Failure>> {
        Box::pin(async {
            self.gate.kill();
            self.store().await
        })
    }

    fn another(&self) -> BoxFuture<'_, Result<Option<Arc<dyn Store>>, Failure>> {
        Box::pin(async { Ok(Some(self.store().await?)) })
    }

    fn sha256(&self, bytes: &[u8]) -> [u8; 32] {
        Sha256::digest(bytes).into()
    }

    fn faults(&self) -> Option<&dyn FaultHooks> {
        Some(self.gate.as_ref())
    }
}
