//! The sessions of a user.

use super::event::Event;
use crate::answer::list;
use crate::loads;
use crate::scalars::DateTime;
use async_graphql::{Context, Error, ID, Object};
use claviger_application::ids::{self, IdKind};
use claviger_application::{Principal, SessionView};
use claviger_domain::id::UserId;

/// Most sessions of a user that are shown. A user has no more.
const MOST: usize = 100;

/// A user's sessions, newest first, as this viewer sees them.
pub(crate) async fn sessions(
    ctx: &Context<'_>,
    user: UserId,
    viewer: &Principal,
) -> Result<Vec<Session>, Error> {
    let sessions = loads::sessions(ctx, user).await?;
    let shown = sessions.iter().take(MOST);
    list(ctx, shown.len())?;
    Ok(shown.map(|view| Session::of(view.clone(), user, viewer)).collect())
}

/// A signed-in session.
#[derive(Clone)]
pub(crate) struct Session {
    view: SessionView,
    user: UserId,
    is_current: bool,
    /// The viewer is the user. Nobody else sees the content of events.
    is_own: bool,
}

impl Session {
    /// A session of a user, as this viewer sees it.
    pub(crate) fn of(view: SessionView, user: UserId, viewer: &Principal) -> Self {
        let is_current = Some(view.id) == viewer.session();
        Self { view, user, is_current, is_own: viewer.user == user }
    }

    async fn last_event_of(&self, ctx: &Context<'_>) -> Result<Option<Event>, Error> {
        let events = loads::last_events(ctx, self.user, self.is_own).await?;
        let found = events.iter().find(|(session, _)| *session == self.view.id);
        Ok(found.map(|(_, event)| Event(event.clone())))
    }
}

#[Object]
impl Session {
    /// The session's id.
    pub(crate) async fn id(&self) -> ID {
        ID(ids::encode(IdKind::Session, self.view.id.0))
    }
    /// When the session began.
    async fn created_at(&self) -> DateTime {
        DateTime(self.view.created_at)
    }
    /// When the refresh token was last used, or when the session began.
    async fn last_seen_at(&self) -> Option<DateTime> {
        Some(DateTime(self.view.last_seen_at))
    }
    /// The `User-Agent` of the client that began the session, as the client sent it.
    async fn user_agent(&self) -> Option<&str> {
        self.view.user_agent.as_deref()
    }
    /// Whether this request belongs to the session.
    async fn is_current(&self) -> bool {
        self.is_current
    }
    /// The last event that the session caused, among the newest thousand of the user's own events.
    async fn last_event(&self, ctx: &Context<'_>) -> Option<Result<Event, Error>> {
        self.last_event_of(ctx).await.transpose()
    }
}
