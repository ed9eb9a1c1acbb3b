//! Inline views, which are written with their events.

use super::inline_runs::Runs;
use super::replay::Replay;
use super::{account_row, key_row, open_account, open_key};
use crate::keychain::{Keychain, decode, open_event};
use crate::system::environment::Environment;
use crate::system::failure::store_failure;
use claviger_domain::account::AccountEvent;
use claviger_domain::failure::Failure;
use claviger_domain::id::UserId;
use claviger_domain::key_ring::KeyRingEvent;
use claviger_domain::stream::StreamName;
use claviger_projections::accounts::AccountView;
use claviger_projections::keys::KeysView;
use claviger_projections::ports::{
    ACCOUNTS, Basis, Direction, HistoryFilter, KEYS, OPEN_RUNS, Page, Placed, RUNS, Replace, Store,
    StoreError, StoredEvent, ViewRow,
};
use claviger_vault::ContentKey;
use std::sync::Arc;

/// Events or rows read at a time.
pub(super) const BATCH: usize = 500;

/// Views that are written with their events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InlineView {
    Keys,
    Accounts,
    Runs,
    OpenRuns,
}

impl InlineView {
    const fn is_of_runs(self) -> bool {
        match self {
            Self::Runs | Self::OpenRuns => true,
            Self::Keys | Self::Accounts => false,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Keys => KEYS,
            Self::Accounts => ACCOUNTS,
            Self::Runs => RUNS,
            Self::OpenRuns => OPEN_RUNS,
        }
    }
}

/// One owner's state for one view, folded from the log up to the last read.
pub(super) struct Inline {
    view: InlineView,
    store: Arc<dyn Store>,
    keychain: Arc<Keychain>,
    env: Environment,
    owner: UserId,
    ring: KeysView,
    account: Option<AccountView>,
    runs: Runs,
    erased: bool,
    ring_key: Option<ContentKey>,
    account_key: Option<ContentKey>,
    /// Position of the last event folded.
    last: u64,
}

impl Inline {
    pub(super) fn new(view: InlineView, replay: &Replay, owner: UserId) -> Self {
        let Replay { store, keychain, env, .. } = replay.clone();
        let runs = Runs::new(Arc::clone(&keychain), owner);
        let (ring, account, ring_key, account_key) = (KeysView::default(), None, None, None);
        Self {
            view,
            store,
            keychain,
            env,
            owner,
            ring,
            account,
            runs,
            erased: false,
            ring_key,
            account_key,
            last: 0,
        }
    }

    /// Folds the new events of the log. Returns whether there were any.
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
                self.take(event).await?;
            }
            if events.len() < BATCH {
                return Ok(self.last > from);
            }
        }
    }

    /// New events may bring keys, and an erasure removes them.
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

    async fn take(&mut self, event: &StoredEvent) -> Result<(), Failure> {
        let envelope = &event.envelope;
        let placed = Placed {
            id: envelope.id,
            position: envelope.position,
            version: envelope.version,
            at: envelope.at,
        };
        match envelope.stream {
            StreamName::KeyRing(_) => {
                let content = open_event(event, self.ring_key.as_ref())?;
                let decoded = decode::<KeyRingEvent>(
                    event,
                    content.as_ref().map(|content| content.as_slice()),
                )?;
                self.ring.apply(&decoded, &placed);
            }
            StreamName::Account(_) => {
                let content = open_event(event, self.account_key.as_ref())?;
                let decoded = decode::<AccountEvent>(
                    event,
                    content.as_ref().map(|content| content.as_slice()),
                )?;
                self.account.get_or_insert_default().apply(&decoded, &placed);
                if matches!(decoded, AccountEvent::AccountErased(_)) {
                    self.erased = true;
                    self.runs.erase();
                }
            }
            StreamName::Run(run) if self.view.is_of_runs() && !self.erased => {
                self.runs.take(run, event).await?;
            }
            StreamName::Run(_) | StreamName::RunControl(_) | StreamName::System => {}
        }
        self.last = envelope.position;
        Ok(())
    }

    /// Whether the view agrees with the log. Valid only if no event came meanwhile.
    pub(super) async fn agrees(&self) -> Result<bool, Failure> {
        let mut rows = rows_of(&*self.store, self.view.name(), self.owner).await?;
        match self.view {
            InlineView::Keys => self.keys_agree(&rows).await,
            InlineView::Accounts => Ok(self.account_agrees(&rows)),
            InlineView::Runs => self.runs.agree(&rows).await,
            InlineView::OpenRuns => {
                rows.sort_by_key(|row| row.id);
                Ok(rows == self.runs.open_rows()?)
            }
        }
    }

    async fn keys_agree(&self, rows: &[ViewRow]) -> Result<bool, Failure> {
        let defaults =
            self.store.defaults(self.owner).await.map_err(|error| store_failure(&error))?;
        let ring = self.shown_ring();
        let row_agrees = |row: &ViewRow| {
            let stored = open_key(row, self.ring_key.as_ref());
            let should = stored.as_ref().ok().and_then(|stored| ring.keys().get(&stored.id));
            should.is_some_and(|should| {
                stored.as_ref().ok() == Some(should)
                    && (row.sort, row.stream)
                        == (should.facts.created_at.0, StreamName::KeyRing(self.owner))
            })
        };
        let same_defaults = defaults.into_iter().eq(ring.defaults());
        Ok(rows.len() == ring.keys().len() && rows.iter().all(row_agrees) && same_defaults)
    }

    fn account_agrees(&self, rows: &[ViewRow]) -> bool {
        let (Some(should), [row]) = (&self.account, rows) else {
            return self.account.is_none() && rows.is_empty();
        };
        let place = (self.owner.0, should.facts.created_at.0, StreamName::Account(self.owner));
        (row.id, row.sort, row.stream) == place
            && open_account(row, self.account_key.as_ref()).as_ref().ok() == Some(should)
            && row.content.is_some() == should.content.is_some()
    }

    /// An erasure removes all of a user's keys.
    fn shown_ring(&self) -> KeysView {
        if self.erased { KeysView::default() } else { self.ring.clone() }
    }

    /// The rows the view should have.
    pub(super) async fn replacement(&self) -> Result<Replace, Failure> {
        let (owner, view) = (self.owner, self.view.name());
        let mut defaults = None;
        let rows = match self.view {
            InlineView::Keys => {
                let ring = self.shown_ring();
                defaults = Some(ring.defaults().into_iter().collect());
                let rows = ring
                    .keys()
                    .values()
                    .map(|key| key_row(owner, key, self.ring_key.as_ref(), &self.env));
                rows.collect::<Result<_, StoreError>>().map_err(|error| store_failure(&error))?
            }
            InlineView::Accounts => {
                let account = self.account.iter();
                let rows = account.map(|account| {
                    account_row(owner, account, self.account_key.as_ref(), &self.env)
                });
                rows.collect::<Result<_, StoreError>>().map_err(|error| store_failure(&error))?
            }
            InlineView::Runs => self.runs.rows(&self.env).await?,
            InlineView::OpenRuns => self.runs.open_rows()?,
        };
        Ok(Replace {
            view,
            owner,
            basis: Basis::Inline { last: self.last },
            rows,
            defaults,
            quarantined: Vec::new(),
        })
    }
}

/// All rows of an owner in a view.
pub(super) async fn rows_of(
    store: &dyn Store,
    view: &'static str,
    owner: UserId,
) -> Result<Vec<ViewRow>, Failure> {
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
