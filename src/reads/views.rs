//! [`Reads`] over views.

use super::StoreReads;
use crate::system::failure::store_failure;
use crate::views::{open_account, open_key, open_user_agent};
use claviger_application::{Answer, EventView, KeyPage, Reads, SessionView};
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::id::{EventId, KeyId, UserId};
use claviger_domain::stream::StreamName;
use claviger_domain::text::Context;
use claviger_projections::accounts::AccountView;
use claviger_projections::activity::KeyActivity;
use claviger_projections::keys::KeyView;
use claviger_projections::ports::{ACCOUNTS, Direction, HistoryFilter, KEYS, Page};

/// How often a default is looked up again because a commit came between its two reads. Each such
/// commit costs its writer an fsync, so a reader that meets this many in a row has found a damaged
/// view.
const MOST_LOOKS: usize = 100;

impl Reads for StoreReads {
    /// Inline views are always at the log's position, so waiting for a position means waiting for
    /// its commit.
    fn reach(&self, position: u64) -> Answer<'_, ()> {
        Box::pin(async move {
            if self.head_position().await? >= position {
                return Ok(());
            }
            let mut commits = self.store.watch();
            let reached =
                tokio::time::timeout(self.view_wait, commits.wait_for(|head| *head >= position))
                    .await;
            if reached.is_ok_and(|changed| changed.is_ok())
                || self.head_position().await? >= position
            {
                return Ok(());
            }
            let message = format!(
                "position {position} is not committed yet: try again later, or leave out \
                 minPosition"
            );
            Err(Failure::new(ErrorCode::ViewBehind, message))
        })
    }

    fn head(&self) -> Answer<'_, u64> {
        Box::pin(self.head_position())
    }

    fn account(&self, user: UserId) -> Answer<'_, Option<AccountView>> {
        Box::pin(async move {
            let row = self
                .store
                .row(ACCOUNTS, user, user.0)
                .await
                .map_err(|error| store_failure(&error))?;
            let Some(row) = row else { return Ok(None) };
            let keys = self.keychain.user(user).await?;
            let key = self.content_key(keys.as_ref(), StreamName::Account(user)).await?;
            open_account(&row, key.as_ref()).map(Some)
        })
    }

    fn activity(
        &self,
        user: UserId,
        key: KeyId,
        position: Option<u64>,
    ) -> Answer<'_, Option<KeyActivity>> {
        Box::pin(self.key_activity(user, key, position))
    }

    fn keys(&self, user: UserId, page: Page) -> Answer<'_, KeyPage> {
        Box::pin(async move {
            // Concurrently: most users who list keys have some, so the key is needed.
            let (found, key) =
                futures::join!(self.store.page(KEYS, user, page), self.ring_key(user));
            let (found, key) = (found.map_err(|error| store_failure(&error))?, key?);
            let keys = found
                .rows
                .iter()
                .map(|row| open_key(row, key.as_ref()))
                .collect::<Result<_, _>>()?;
            Ok(KeyPage { keys, total: found.total, more: found.more })
        })
    }

    fn key(&self, user: UserId, key: KeyId) -> Answer<'_, Option<KeyView>> {
        Box::pin(async move {
            let row =
                self.store.row(KEYS, user, key.0).await.map_err(|error| store_failure(&error))?;
            let Some(row) = row else { return Ok(None) };
            let key = self.ring_key(user).await?;
            open_key(&row, key.as_ref()).map(Some)
        })
    }

    fn default_key(&self, user: UserId, context: Context) -> Answer<'_, Option<KeyView>> {
        Box::pin(async move {
            let Some(keys) = self.keychain.user(user).await? else { return Ok(None) };
            let tag = keys.index.context_tag(context.as_str());
            for _ in 0..MOST_LOOKS {
                let default = self
                    .store
                    .default_key(user, tag)
                    .await
                    .map_err(|error| store_failure(&error))?;
                let Some(key) = default else { return Ok(None) };
                // A commit may come between the two reads: a row that isn't the default was written
                // by such a commit.
                let view = self
                    .key(user, key)
                    .await?
                    .filter(|view| view.facts.default_tags.contains(&tag));
                if view.is_some() {
                    return Ok(view);
                }
            }
            tracing::error!(
                looks = MOST_LOOKS,
                "the default of a context and the row of its key disagree"
            );
            Err(Failure::internal())
        })
    }

    fn history(
        &self,
        user: UserId,
        filter: HistoryFilter,
        direction: Direction,
        limit: usize,
    ) -> Answer<'_, Vec<EventView>> {
        Box::pin(async move {
            let events = self
                .store
                .history(user, filter, direction, limit)
                .await
                .map_err(|error| store_failure(&error))?;
            self.open_events(user, &events).await
        })
    }

    fn event(&self, user: UserId, id: EventId) -> Answer<'_, Option<EventView>> {
        Box::pin(async move {
            let event = self.store.event(id).await.map_err(|error| store_failure(&error))?;
            let Some(event) = event.filter(|event| event.envelope.owner == Some(user)) else {
                return Ok(None);
            };
            Ok(self.open_events(user, &[event]).await?.pop())
        })
    }

    fn sessions(&self, user: UserId) -> Answer<'_, Vec<SessionView>> {
        Box::pin(async move {
            let now = self.env.clock.now();
            let rows = self.store.sessions(user).await.map_err(|error| store_failure(&error))?;
            let keys = self.keychain.user(user).await?;
            let key = self.content_key(keys.as_ref(), StreamName::Account(user)).await?;
            let live = rows.iter().filter(|row| row.expires_at > now);
            live.map(|row| {
                Ok(SessionView {
                    id: row.id,
                    created_at: row.created_at,
                    last_seen_at: row.last_seen_at,
                    user_agent: open_user_agent(row, key.as_ref())?,
                })
            })
            .collect()
        })
    }
}
