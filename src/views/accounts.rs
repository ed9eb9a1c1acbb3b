//! The view of accounts: its row, and what an account's events write in their transaction.

use super::inline::InlineView;
use super::owner_state::OwnerState;
use super::row::{open_row, row};
use super::sessions::session_changes;
use crate::keychain::Evidence;
use crate::system::environment::Environment;
use claviger_domain::account::AccountEvent;
use claviger_domain::failure::Failure;
use claviger_domain::id::UserId;
use claviger_domain::stream::StreamName;
use claviger_projections::accounts::AccountView;
use claviger_projections::ports::{ACCOUNTS, InlineViews, Placed, RowChange, StoreError, ViewRow};
use claviger_vault::{ContentKey, ViewAd};
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

/// Accounts: one row per owner, which stays after an erasure, without content.
pub(super) struct Accounts;

impl InlineView for Accounts {
    fn reads(&self, stream: StreamName) -> bool {
        match stream {
            StreamName::Account(_) => true,
            StreamName::KeyRing(_)
            | StreamName::Run(_)
            | StreamName::RunControl(_)
            | StreamName::System => false,
        }
    }

    fn stream(&self, owner: UserId, _: Uuid) -> StreamName {
        StreamName::Account(owner)
    }

    fn ids(&self, state: &OwnerState) -> BTreeSet<Uuid> {
        state.account().map(|_| state.owner().0).into_iter().collect()
    }

    fn agrees(&self, state: &OwnerState, row: &ViewRow, key: Option<&ContentKey>) -> bool {
        state.account().is_some_and(|should| {
            row.sort == should.facts.created_at.0
                && row.content.is_some() == should.content.is_some()
                && open_account(row, key).is_ok_and(|found| is_same(&found, should))
        })
    }

    fn encode(
        &self,
        state: &OwnerState,
        _: Uuid,
        key: Option<&ContentKey>,
        env: &Environment,
    ) -> Result<Option<ViewRow>, StoreError> {
        state.account().map(|account| account_row(state.owner(), account, key, env)).transpose()
    }
}

/// Whether a row is what the log says. A row from before versions were recorded has none until the
/// account's next change.
fn is_same(found: &AccountView, should: &AccountView) -> bool {
    let mut should = should.clone();
    if found.facts.version.is_none() {
        should.facts.version = None;
    }
    *found == should
}

/// Encodes a row of the view of accounts.
fn account_row(
    owner: UserId,
    view: &AccountView,
    key: Option<&ContentKey>,
    env: &Environment,
) -> Result<ViewRow, StoreError> {
    let ad = ViewAd { owner, stream: StreamName::Account(owner), view: ACCOUNTS, row: owner.0 };
    row(&ad, view.facts.created_at, (&view.facts, view.content.as_ref()), key, env)
}

/// Opens a row of the view of accounts.
pub(crate) fn open_account(
    row: &ViewRow,
    key: Option<&ContentKey>,
) -> Result<AccountView, Failure> {
    let (facts, content) = open_row(row, key)?;
    Ok(AccountView { facts, content })
}

/// The rows that an account's events write.
pub(crate) struct AccountRows {
    /// The account before the events.
    pub(crate) before: AccountView,
    pub(crate) events: Vec<AccountEvent>,
    pub(crate) owner: UserId,
    pub(crate) key: Arc<ContentKey>,
    pub(crate) env: Environment,
    /// Binds sessions to the owner.
    pub(crate) evidence: Arc<Evidence>,
}

impl InlineViews for AccountRows {
    fn rows(&self, placed: &[Placed]) -> Result<Vec<RowChange>, StoreError> {
        let mut view = self.before.clone();
        let mut rows = Vec::new();
        for (event, placed) in self.events.iter().zip(placed) {
            view.apply(event, placed);
            let sealing = (&*self.key, &self.env);
            rows.extend(session_changes(self.owner, (event, placed), sealing, &self.evidence)?);
        }
        if self.events.iter().any(|event| matches!(event, AccountEvent::AccountErased(_))) {
            // Only the account's existence is kept, so that its id is never reused.
            return Ok(vec![
                RowChange::EraseUser(self.owner),
                RowChange::PutView(self.account_row(&view)?),
            ]);
        }
        rows.push(RowChange::PutView(self.account_row(&view)?));
        Ok(rows)
    }
}

impl AccountRows {
    fn account_row(&self, view: &AccountView) -> Result<ViewRow, StoreError> {
        account_row(self.owner, view, Some(&self.key), &self.env)
    }
}
