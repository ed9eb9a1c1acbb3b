//! Reads of accounts for administrators.

use super::StoreReads;
use crate::system::failure::store_failure;
use crate::views::open_account;
use claviger_application::{
    AccountDetail, AccountFilter, AccountPage, AccountSearch, AccountState, EventView, Holdings,
};
use claviger_domain::account::AccountEvent;
use claviger_domain::actor::ActingCredential;
use claviger_domain::failure::Failure;
use claviger_domain::id::{SessionId, UserId};
use claviger_domain::stream::StreamName;
use claviger_projections::ports::{
    ACCOUNTS, Direction, HistoryFilter, KEYS, OPEN_RUNS, Page, StoredEvent, ViewRow,
};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use uuid::Uuid;

/// Rows read at a time.
const ROWS: usize = 500;

/// Events read at a time.
const EVENTS: usize = 50;

/// How many of a user's newest events are searched for those of their sessions.
const NEWEST: usize = 1000;

impl StoreReads {
    /// An account, opened; `None` for an unknown user.
    pub(crate) async fn account_detail(
        &self,
        user: UserId,
    ) -> Result<Option<AccountDetail>, Failure> {
        let row = self.store.row(ACCOUNTS, user, user.0).await;
        match row.map_err(|error| store_failure(&error))? {
            Some(row) => self.detail_of(&row).await.map(Some),
            None => Ok(None),
        }
    }

    async fn detail_of(&self, row: &ViewRow) -> Result<AccountDetail, Failure> {
        let user = row.owner;
        let state = state_of(row)?;
        let keys = self.keychain.user(user).await?;
        let key = self.content_key(keys.as_ref(), StreamName::Account(user)).await?;
        let view = open_account(row, key.as_ref())?;
        let version = match view.facts.version {
            Some(version) => version,
            None => self.aggregates.account(user).await?.changed,
        };
        Ok(AccountDetail { user, view, state, version })
    }

    /// A page of accounts. Only the page's rows are opened.
    pub(crate) async fn accounts_page(
        &self,
        filter: AccountFilter,
        page: Page,
    ) -> Result<AccountPage, Failure> {
        let mut kept = Newest::new(page);
        match &filter.search {
            None => self.all_accounts(&filter.states, &mut kept).await?,
            Some(search) => {
                let user = match search {
                    AccountSearch::Id(user) => Some(*user),
                    AccountSearch::Name(name) => self.find_user(name).await?,
                };
                if let Some(user) = user {
                    let row = self.store.row(ACCOUNTS, user, user.0).await;
                    let row = row.map_err(|error| store_failure(&error))?;
                    kept.take_passing(row.into_iter().collect(), &filter.states)?;
                }
            }
        }
        let Newest { rows, total, more, .. } = kept;
        let mut accounts = Vec::with_capacity(rows.len());
        for row in rows.values().rev() {
            accounts.push(self.detail_of(row).await?);
        }
        Ok(AccountPage { accounts, total, more })
    }

    /// Accounts belong to different owners, so the store can't list them by age: all rows are read,
    /// and never more than a page and a batch are held.
    async fn all_accounts(
        &self,
        states: &BTreeSet<AccountState>,
        kept: &mut Newest,
    ) -> Result<(), Failure> {
        let mut after = None;
        loop {
            let rows = self.store.rows_of_all(ACCOUNTS, after, ROWS).await;
            let rows = rows.map_err(|error| store_failure(&error))?;
            after = rows.last().map(|row| (row.owner, row.id));
            let is_last = rows.len() < ROWS;
            kept.take_passing(rows, states)?;
            if is_last {
                return Ok(());
            }
        }
    }

    /// How much a user has.
    pub(crate) async fn holdings(&self, user: UserId) -> Result<Holdings, Failure> {
        let one = Page { limit: 1, ..Page::default() };
        let (keys, runs) =
            futures::join!(self.store.page(KEYS, user, one), self.store.page(OPEN_RUNS, user, one));
        let keys = keys.map_err(|error| store_failure(&error))?.total;
        let open_runs = runs.map_err(|error| store_failure(&error))?.total;
        Ok(Holdings { keys, open_runs })
    }

    /// The last event of each open session among the user's newest. Only these are opened. Events
    /// may be large, so a few are held at a time.
    pub(crate) async fn last_events_of(
        &self,
        user: UserId,
        with_content: bool,
    ) -> Result<Vec<(SessionId, EventView)>, Failure> {
        let open = self.store.sessions(user).await.map_err(|error| store_failure(&error))?;
        let mut open: HashSet<SessionId> = open.iter().map(|session| session.id).collect();
        let (mut sessions, mut last) = (Vec::new(), Vec::new());
        let mut filter = HistoryFilter::default();
        let mut left = NEWEST;
        while left > 0 && !open.is_empty() {
            let limit = left.min(EVENTS);
            let events = self.store.history(user, filter.clone(), Direction::Backward, limit).await;
            let events = events.map_err(|error| store_failure(&error))?;
            let Some(oldest) = events.last() else { break };
            filter.below = Some(oldest.envelope.position);
            left -= limit;
            for event in events {
                if let Some(session) = session_of(&event)?.filter(|session| open.remove(session)) {
                    sessions.push(session);
                    last.push(event);
                }
            }
        }
        let mut views = self.open_events(user, &last).await?;
        if !with_content {
            for view in &mut views {
                view.content = None;
            }
        }
        Ok(sessions.into_iter().zip(views).collect())
    }
}

/// The session that caused an event: that of its actor, or the one that it began.
fn session_of(event: &StoredEvent) -> Result<Option<SessionId>, Failure> {
    if let Some(ActingCredential::Session(session)) = event.envelope.actor.credential {
        return Ok(Some(session));
    }
    if !matches!(event.envelope.stream, StreamName::Account(_)) {
        return Ok(None);
    }
    Ok(match crate::keychain::decode(event, None)? {
        AccountEvent::SignedIn(facts, _) => Some(facts.session),
        AccountEvent::AccountRegistered(..)
        | AccountEvent::IdentityLinked(..)
        | AccountEvent::AccountRenamed(..)
        | AccountEvent::PasswordChanged(_)
        | AccountEvent::RoleGranted(_)
        | AccountEvent::RoleRevoked(_)
        | AccountEvent::AccountDeactivated(_)
        | AccountEvent::AccountReactivated(_)
        | AccountEvent::SignedOut(_)
        | AccountEvent::SessionsRevoked(_)
        | AccountEvent::RefreshTokenReused(_)
        | AccountEvent::AccountErased(_)
        | AccountEvent::SignInNamesChanged(..)
        | AccountEvent::PasswordResetCreated(_)
        | AccountEvent::PasswordReset(_) => None,
    })
}

/// Only an erased account has no content.
fn state_of(row: &ViewRow) -> Result<AccountState, Failure> {
    if row.content.is_none() {
        return Ok(AccountState::Erased);
    }
    let is_active = open_account(row, None)?.facts.is_active;
    Ok(if is_active { AccountState::Active } else { AccountState::Deactivated })
}

/// Selects a page, newest first, from rows in any order, and never holds more than the page may
/// show.
struct Newest {
    page: Page,
    rows: BTreeMap<(u64, Uuid), ViewRow>,
    total: u64,
    more: bool,
}

impl Newest {
    const fn new(page: Page) -> Self {
        Self { page, rows: BTreeMap::new(), total: 0, more: false }
    }

    fn take_passing(
        &mut self,
        rows: Vec<ViewRow>,
        states: &BTreeSet<AccountState>,
    ) -> Result<(), Failure> {
        for row in rows {
            if states.is_empty() || states.contains(&state_of(&row)?) {
                self.take(row);
            }
        }
        Ok(())
    }

    fn take(&mut self, row: ViewRow) {
        self.total += 1;
        let place = (row.sort, row.id);
        let is_within = self.page.after.is_none_or(|after| place < after)
            && self.page.before.is_none_or(|before| place > before);
        if !is_within {
            return;
        }
        self.rows.insert(place, row);
        if self.rows.len() > self.page.limit {
            // The last page keeps the oldest rows, every other one the newest.
            let _ = if self.page.from_end { self.rows.pop_last() } else { self.rows.pop_first() };
            self.more = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(n: u128) -> ViewRow {
        let id = Uuid::from_u128(n);
        let sort = u64::try_from(n / 2).unwrap();
        let (owner, stream) = (UserId(id), StreamName::Account(UserId(id)));
        ViewRow { view: ACCOUNTS, owner, id, sort, stream, facts: Vec::new(), content: None }
    }

    #[test]
    fn a_page_is_the_same_in_whatever_order_the_rows_come() {
        let place = |n: u128| Some((u64::try_from(n / 2).unwrap(), Uuid::from_u128(n)));
        let page = |after, before, from_end, limit| Page { after, before, from_end, limit };
        for (page, expected, more) in [
            (page(None, None, false, 2), vec![6, 5], true),
            (page(None, None, false, 6), vec![6, 5, 4, 3, 2, 1], false),
            (page(place(5), None, false, 2), vec![4, 3], true),
            (page(place(5), place(2), false, 2), vec![4, 3], false),
            (page(None, None, true, 2), vec![2, 1], true),
            (page(None, place(3), true, 2), vec![5, 4], true),
            (page(None, None, false, 0), vec![], true),
        ] {
            for order in [[1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1], [3, 6, 1, 5, 2, 4]] {
                let mut kept = Newest::new(page);
                for n in order {
                    kept.take(row(n));
                }
                let ids: Vec<u128> = kept.rows.values().rev().map(|row| row.id.as_u128()).collect();
                assert_eq!((ids, kept.more, kept.total), (expected.clone(), more, 6), "{page:?}");
            }
        }
    }
}
