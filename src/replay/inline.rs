//! Views that are written with their events.

use crate::bus::{Keychain, account_row, decode, key_row, open_account, open_event, open_key, store_failure};
use crate::effects::Effects;
use claviger_domain::account::AccountEvent;
use claviger_domain::failure::Failure;
use claviger_domain::id::UserId;
use claviger_domain::key_ring::KeyRingEvent;
use claviger_domain::stream::StreamName;
use claviger_projections::accounts::AccountView;
use claviger_projections::keys::KeysView;
use claviger_projections::ports::{
    ACCOUNTS, Basis, Direction, HistoryFilter, KEYS, Page, Placed, Replace, Store, StoreError, StoredEvent, ViewRow,
};
use claviger_vault::ContentKey;
use std::sync::Arc;

/// How many events or rows are read at a time.
pub(super) const BATCH: usize = 500;

/// One owner, folded from the log as far as it went when it was last read.
pub(super) struct Inline {
    store: Arc<dyn Store>,
    keychain: Arc<Keychain>,
    effects: Effects,
    owner: UserId,
    ring: KeysView,
    account: Option<AccountView>,
    erased: bool,
    ring_key: Option<ContentKey>,
    account_key: Option<ContentKey>,
    /// Position of the last event taken in.
    last: u64,
}

impl Inline {
    pub(super) fn new(store: Arc<dyn Store>, keychain: Arc<Keychain>, effects: Effects, owner: UserId) -> Self {
        let (ring, account, ring_key, account_key) = (KeysView::default(), None, None, None);
        Self { store, keychain, effects, owner, ring, account, erased: false, ring_key, account_key, last: 0 }
    }

    /// Takes in what is new in the log; whether there was anything.
    pub(super) async fn read_on(&mut self) -> Result<bool, Failure> {
        let from = self.last;
        loop {
            let filter = HistoryFilter { above: Some(self.last), ..HistoryFilter::default() };
            let events = self.store.history(self.owner, filter, Direction::Forward, BATCH).await;
            let events = events.map_err(|error| store_failure(&error))?;
            if !events.is_empty() {
                self.open_keys().await?;
            }
            for event in &events {
                self.take(event)?;
            }
            if events.len() < BATCH {
                return Ok(self.last > from);
            }
        }
    }

    /// Keys may come with new events, and go with erasure.
    async fn open_keys(&mut self) -> Result<(), Failure> {
        (self.ring_key, self.account_key) = match self.keychain.user(self.owner).await? {
            Some(keys) => (
                self.keychain.content_key(&keys, StreamName::KeyRing(self.owner)).await?,
                self.keychain.content_key(&keys, StreamName::Account(self.owner)).await?,
            ),
            None => (None, None),
        };
        Ok(())
    }

    fn take(&mut self, event: &StoredEvent) -> Result<(), Failure> {
        let envelope = &event.envelope;
        let placed = Placed { id: envelope.id, position: envelope.position, version: envelope.version, at: envelope.at };
        match envelope.stream {
            StreamName::KeyRing(_) => {
                let content = open_event(event, self.ring_key.as_ref())?;
                let decoded = decode::<KeyRingEvent>(event, content.as_ref().map(|content| content.as_slice()))?;
                self.ring.apply(&decoded, &placed);
            }
            StreamName::Account(_) => {
                let content = open_event(event, self.account_key.as_ref())?;
                let decoded = decode::<AccountEvent>(event, content.as_ref().map(|content| content.as_slice()))?;
                self.account.get_or_insert_default().apply(&decoded, &placed);
                self.erased |= matches!(decoded, AccountEvent::AccountErased(_));
            }
            StreamName::Run(_) | StreamName::RunControl(_) | StreamName::System => {}
        }
        self.last = envelope.position;
        Ok(())
    }

    /// Whether a view holds what it should. Right only if nothing new came meanwhile.
    pub(super) async fn agrees(&self, view: &'static str) -> Result<bool, Failure> {
        let rows = rows_of(&*self.store, view, self.owner).await?;
        if view == ACCOUNTS {
            return Ok(self.account_agrees(&rows));
        }
        let defaults = self.store.defaults(self.owner).await.map_err(|error| store_failure(&error))?;
        let ring = self.shown_ring();
        let row_agrees = |row: &ViewRow| {
            let stored = open_key(row, self.ring_key.as_ref());
            let should = stored.as_ref().ok().and_then(|stored| ring.keys().get(&stored.id));
            should.is_some_and(|should| {
                stored.as_ref().ok() == Some(should)
                    && (row.sort, row.stream) == (should.facts.created_at.0, StreamName::KeyRing(self.owner))
            })
        };
        let same_defaults = defaults.into_iter().eq(ring.defaults());
        Ok(rows.len() == ring.keys().len() && rows.iter().all(row_agrees) && same_defaults)
    }

    fn account_agrees(&self, rows: &[ViewRow]) -> bool {
        let (Some(should), [row]) = (&self.account, rows) else { return self.account.is_none() && rows.is_empty() };
        let place = (self.owner.0, should.facts.created_at.0, StreamName::Account(self.owner));
        (row.id, row.sort, row.stream) == place
            && open_account(row, self.account_key.as_ref()).as_ref().ok() == Some(should)
            && row.content.is_some() == should.content.is_some()
    }

    /// All of a user's keys go with their erasure.
    fn shown_ring(&self) -> KeysView {
        if self.erased { KeysView::default() } else { self.ring.clone() }
    }

    /// The view's rows as they should be.
    pub(super) fn replacement(&self, view: &'static str) -> Result<Replace, Failure> {
        let owner = self.owner;
        let ring = self.shown_ring();
        let rows: Result<Vec<ViewRow>, StoreError> = if view == KEYS {
            ring.keys().values().map(|key| key_row(owner, key, self.ring_key.as_ref(), &self.effects)).collect()
        } else {
            let account = self.account.iter();
            account.map(|account| account_row(owner, account, self.account_key.as_ref(), &self.effects)).collect()
        };
        let rows = rows.map_err(|error| store_failure(&error))?;
        let defaults = (view == KEYS).then(|| ring.defaults().into_iter().collect());
        Ok(Replace { view, owner, basis: Basis::Inline { last: self.last }, rows, defaults, quarantined: Vec::new() })
    }
}

/// All rows of an owner in a view.
pub(super) async fn rows_of(store: &dyn Store, view: &'static str, owner: UserId) -> Result<Vec<ViewRow>, Failure> {
    let mut rows = Vec::new();
    let mut page = Page { limit: BATCH, ..Page::default() };
    loop {
        let found = store.page(view, owner, page).await.map_err(|error| store_failure(&error))?;
        page.after = found.rows.last().map(|row| (row.sort, row.id));
        rows.extend(found.rows);
        if !found.more {
            return Ok(rows);
        }
    }
}
