//! `verify`: reads the whole log, checks every leaf and the tree, folds the log from scratch and
//! compares the result with the views.

use super::runs::{Runs, Taken};
use crate::keychain::{Keychain, decode, open_event};
use crate::system::failure::store_failure;
use crate::views::{open_account, open_key};
use claviger_domain::account::AccountEvent;
use claviger_domain::failure::Failure;
use claviger_domain::id::{ContextTag, KeyId, UserId};
use claviger_domain::key_ring::KeyRingEvent;
use claviger_domain::orchestration::{RunControlEvent, RunEvent};
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::accounts::AccountView;
use claviger_projections::keys::{KeyView, KeysView};
use claviger_projections::ports::{ACCOUNTS, KEYS, Page, Placed, Store, StoredEvent};
use claviger_proof::Frontier;
use claviger_proof::leaf_hash;
use claviger_vault::ContentKey;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use uuid::Uuid;

/// Events read at a time.
const BATCH: usize = 1000;

/// Most problems listed in a report.
const MOST_PROBLEMS: usize = 100;

/// The result of a verification.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    pub events: u64,
    /// Streams the events belong to.
    pub streams: u64,
    pub accounts: u64,
    pub keys: u64,
    pub runs: u64,
    /// Root of the tree over all events, in hex.
    pub root: String,
    /// The problems found, each with its location; at most a hundred.
    pub problems: Vec<String>,
    /// The number of all problems.
    pub problem_count: u64,
}

impl Report {
    pub(super) fn problem(&mut self, text: String) {
        self.problem_count += 1;
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(text);
        }
    }
}

/// A verification in progress.
struct Verify {
    store: Arc<dyn Store>,
    keychain: Arc<Keychain>,
    report: Report,
    frontier: Frontier,
    last_at: Timestamp,
    versions: HashMap<StreamName, u64>,
    content_keys: HashMap<StreamName, Option<ContentKey>>,
    rings: BTreeMap<UserId, KeysView>,
    accounts: BTreeMap<UserId, AccountView>,
    runs: Runs,
    erased: HashSet<UserId>,
}

/// Verifies a store. Nothing may write to it meanwhile.
///
/// # Errors
/// When the store is unavailable. Problems in the store's content are in the report.
pub async fn verify(store: Arc<dyn Store>, keychain: Arc<Keychain>) -> Result<Report, Failure> {
    let mut verify = Verify {
        store,
        keychain,
        report: Report::default(),
        frontier: Frontier::default(),
        last_at: Timestamp(0),
        versions: HashMap::new(),
        content_keys: HashMap::new(),
        rings: BTreeMap::new(),
        accounts: BTreeMap::new(),
        runs: Runs::default(),
        erased: HashSet::new(),
    };
    verify.log().await?;
    verify.head().await?;
    verify.accounts().await?;
    verify.keys().await?;
    verify.runs().await?;
    verify.report.streams = verify.versions.len() as u64;
    Ok(verify.report)
}

impl Verify {
    async fn log(&mut self) -> Result<(), Failure> {
        loop {
            let events = self
                .store
                .read(self.report.events, BATCH)
                .await
                .map_err(|error| store_failure(&error))?;
            for event in &events {
                self.event(event).await?;
            }
            if events.len() < BATCH {
                return Ok(());
            }
        }
    }

    async fn event(&mut self, event: &StoredEvent) -> Result<(), Failure> {
        let envelope = &event.envelope;
        let position = envelope.position;
        self.report.events += 1;
        if position != self.report.events {
            self.report
                .problem(format!("found position {position} instead of {}", self.report.events));
        }
        if envelope.at < self.last_at {
            self.report.problem(format!("position {position} is earlier than the one before it"));
        }
        self.last_at = envelope.at;
        let version = self.versions.entry(envelope.stream).or_default();
        *version += 1;
        if envelope.version != *version {
            let message = format!(
                "position {position}: {} has version {} instead of {version}",
                envelope.stream, envelope.version
            );
            self.report.problem(message);
        }
        let hash = leaf_hash(envelope, &event.facts, &event.content);
        if hash != event.leaf {
            self.report.problem(format!("position {position}: the event does not match its leaf"));
        }
        self.frontier.push(hash);
        self.fold(event).await
    }

    async fn fold(&mut self, event: &StoredEvent) -> Result<(), Failure> {
        let envelope = &event.envelope;
        let Some(owner) = envelope.owner else { return Ok(()) };
        let placed = Placed {
            id: envelope.id,
            position: envelope.position,
            version: envelope.version,
            at: envelope.at,
        };
        let Ok(content) = self.open(owner, event).await else {
            self.report
                .problem(format!("position {}: the content does not open", envelope.position));
            return Ok(());
        };
        let content = content.as_ref().map(|content| content.as_slice());
        match envelope.stream {
            StreamName::KeyRing(_) => match decode::<KeyRingEvent>(event, content) {
                Ok(decoded) => self.rings.entry(owner).or_default().apply(&decoded, &placed),
                Err(_) => self
                    .report
                    .problem(format!("position {}: unknown key ring event", envelope.position)),
            },
            StreamName::Account(_) => match decode::<AccountEvent>(event, content) {
                Ok(decoded) => {
                    self.accounts.entry(owner).or_default().apply(&decoded, &placed);
                    if matches!(decoded, AccountEvent::AccountErased(_)) {
                        self.erased.insert(owner);
                    }
                }
                Err(_) => self
                    .report
                    .problem(format!("position {}: unknown account event", envelope.position)),
            },
            StreamName::Run(run) => match decode::<RunEvent>(event, content) {
                Ok(decoded) => self.run_event(owner, run, &decoded, event),
                Err(_) => self
                    .report
                    .problem(format!("position {}: unknown run event", envelope.position)),
            },
            StreamName::RunControl(_) => {
                if decode::<RunControlEvent>(event, content).is_err() {
                    self.report
                        .problem(format!("position {}: unknown run request", envelope.position));
                }
            }
            StreamName::System => {}
        }
        Ok(())
    }

    fn run_event(&mut self, owner: UserId, run: Uuid, decoded: &RunEvent, event: &StoredEvent) {
        let envelope = &event.envelope;
        match self.runs.take(owner, run, decoded, envelope.at) {
            Taken::Open => {}
            // There may be as many keys as runs, so each is kept only while its run's events come.
            Taken::Ended => drop(self.content_keys.remove(&envelope.stream)),
            Taken::Nothing => {
                self.report.problem(format!(
                    "position {}: the first event of run {run} is missing",
                    envelope.position
                ));
            }
        }
    }

    async fn open(
        &mut self,
        owner: UserId,
        event: &StoredEvent,
    ) -> Result<Option<zeroize::Zeroizing<Vec<u8>>>, Failure> {
        if event.content.is_empty() {
            return Ok(None);
        }
        let stream = event.envelope.stream;
        if !self.content_keys.contains_key(&stream) {
            let key = match self.keychain.user(owner).await? {
                Some(keys) => self.keychain.content_key(&keys, stream).await?,
                None => None,
            };
            self.content_keys.insert(stream, key);
        }
        open_event(event, self.content_keys.get(&stream).and_then(Option::as_ref))
    }

    async fn head(&mut self) -> Result<(), Failure> {
        let head = self.store.head().await.map_err(|error| store_failure(&error))?;
        if head.position != self.report.events {
            self.report.problem(format!(
                "the head is at {}, the log at {}",
                head.position, self.report.events
            ));
        }
        if head.frontier.as_slice() != self.frontier.roots() {
            self.report.problem("the head's tree is not the tree of the log".to_owned());
        }
        let mut root = String::new();
        if claviger_domain::id::write_hex(&mut root, &self.frontier.root()).is_ok() {
            self.report.root = root;
        }
        Ok(())
    }

    async fn accounts(&mut self) -> Result<(), Failure> {
        let folded = std::mem::take(&mut self.accounts);
        for (owner, mut account) in folded {
            self.report.accounts += 1;
            if self.erased.contains(&owner) {
                account.content = None;
            }
            let row = self
                .store
                .row(ACCOUNTS, owner, owner.0)
                .await
                .map_err(|error| store_failure(&error))?;
            let key = self.content_keys.get(&StreamName::Account(owner)).and_then(Option::as_ref);
            let stored = row.map(|row| open_account(&row, key)).transpose();
            if stored != Ok(Some(account)) {
                self.report.problem(format!(
                    "the account {owner} in the view does not agree with the log"
                ));
            }
        }
        Ok(())
    }

    async fn keys(&mut self) -> Result<(), Failure> {
        let folded = std::mem::take(&mut self.rings);
        let owners: Vec<UserId> =
            self.versions.keys().filter_map(|stream| owner_of_ring(*stream)).collect();
        for owner in owners {
            let ring = if self.erased.contains(&owner) { None } else { folded.get(&owner) };
            let expected = ring.map(|ring| ring.keys().clone()).unwrap_or_default();
            let defaults = ring.map(KeysView::defaults).unwrap_or_default();
            self.compare_keys(owner, expected).await?;
            self.compare_defaults(owner, defaults).await?;
        }
        Ok(())
    }

    async fn runs(&mut self) -> Result<(), Failure> {
        let folded = std::mem::take(&mut self.runs);
        folded.compare(&*self.store, &self.keychain, &self.erased, &mut self.report).await
    }

    async fn compare_keys(
        &mut self,
        owner: UserId,
        expected: BTreeMap<KeyId, KeyView>,
    ) -> Result<(), Failure> {
        let mut stored = BTreeMap::new();
        let mut page = Page { limit: BATCH, ..Page::default() };
        loop {
            let found =
                self.store.page(KEYS, owner, page).await.map_err(|error| store_failure(&error))?;
            page.after = found.rows.last().map(|row| (row.sort, row.id));
            let key = self.content_keys.get(&StreamName::KeyRing(owner)).and_then(Option::as_ref);
            for row in &found.rows {
                match open_key(row, key) {
                    Ok(view) => drop(stored.insert(view.id, view)),
                    Err(_) => {
                        self.report.problem(format!("cannot read the key {} in the view", row.id));
                    }
                }
            }
            if !found.more {
                break;
            }
        }
        self.report.keys += stored.len() as u64;
        for id in expected.keys().chain(stored.keys()).collect::<HashSet<_>>() {
            if expected.get(id) != stored.get(id) {
                self.report
                    .problem(format!("the key {id} in the view does not agree with the log"));
            }
        }
        Ok(())
    }

    async fn compare_defaults(
        &mut self,
        owner: UserId,
        expected: BTreeMap<ContextTag, KeyId>,
    ) -> Result<(), Failure> {
        let stored = self.store.defaults(owner).await.map_err(|error| store_failure(&error))?;
        if stored.into_iter().collect::<BTreeMap<_, _>>() != expected {
            self.report
                .problem(format!("the defaults of {owner} in the view do not agree with the log"));
        }
        Ok(())
    }
}

const fn owner_of_ring(stream: StreamName) -> Option<UserId> {
    match stream {
        StreamName::KeyRing(owner) => Some(owner),
        StreamName::Account(_)
        | StreamName::Run(_)
        | StreamName::RunControl(_)
        | StreamName::System => None,
    }
}
