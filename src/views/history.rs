//! One owner's part of an inline view, folded from the owner's history.

use super::check::{Checked, Expected, check};
use super::content_keys::ContentKeys;
use super::inline::InlineView;
use super::owner_state::{OwnerState, Taken};
use super::registry::View;
use crate::keychain::{decode, open_event};
use crate::system::environment::Environment;
use crate::system::failure::store_failure;
use claviger_domain::failure::Failure;
use claviger_domain::id::{RunId, UserId};
use claviger_domain::orchestration::RunEvent;
use claviger_domain::stream::StreamName;
use claviger_projections::ports::{
    Basis, Direction, HistoryFilter, Replace, Store, StoredEvent, ViewRow,
};
use uuid::Uuid;

/// Events read at a time.
const BATCH: usize = 500;

pub(super) struct InlineHistory<'a> {
    view: &'a View,
    inline: &'static dyn InlineView,
    store: &'a dyn Store,
    keys: ContentKeys,
    state: OwnerState,
    /// Position of the last event read.
    last: u64,
}

impl<'a> InlineHistory<'a> {
    /// Nothing is folded yet.
    pub(super) fn new(
        (view, inline): (&'a View, &'static dyn InlineView),
        store: &'a dyn Store,
        keys: ContentKeys,
        owner: UserId,
    ) -> Self {
        Self { view, inline, store, keys, state: OwnerState::new(owner), last: 0 }
    }

    pub(super) const fn store(&self) -> &'a dyn Store {
        self.store
    }

    pub(super) const fn owner(&self) -> UserId {
        self.state.owner()
    }

    /// Folds the new events of the log. Returns whether there were any.
    pub(super) async fn read_on(&mut self) -> Result<bool, Failure> {
        let from = self.last;
        loop {
            let filter = HistoryFilter { above: Some(self.last), ..HistoryFilter::default() };
            let events = self.store.history(self.owner(), filter, Direction::Forward, BATCH).await;
            let events = events.map_err(|error| store_failure(&error))?;
            if !events.is_empty() {
                self.keys.clear();
            }
            for event in &events {
                if self.inline.reads(event.envelope.stream) {
                    self.take(event).await?;
                }
                self.last = event.envelope.position;
            }
            if events.len() < BATCH {
                return Ok(self.last > from);
            }
        }
    }

    async fn take(&mut self, event: &StoredEvent) -> Result<(), Failure> {
        let stream = event.envelope.stream;
        let taken = if let StreamName::Run(run) = stream {
            self.take_run(RunId(run), event).await?
        } else {
            let content = open_event(event, self.keys.get(self.state.owner(), stream).await?)?;
            self.state.take(event, content.as_ref().map(|content| content.as_slice()))?
        };
        if let Taken::NoFirstEvent(_) = taken {
            let position = event.envelope.position;
            tracing::error!(position, "an event of a run that has no first event");
            return Err(Failure::internal());
        }
        Ok(())
    }

    /// Of all content of a run, only the first event's is part of a view.
    async fn take_run(&mut self, run: RunId, event: &StoredEvent) -> Result<Taken, Failure> {
        let mut decoded = decode::<RunEvent>(event, None)?;
        let stream = event.envelope.stream;
        if matches!(decoded, RunEvent::RunRequested(..)) && self.inline.has_content() {
            let content = open_event(event, self.keys.get(self.state.owner(), stream).await?)?;
            decoded = decode(event, content.as_ref().map(|content| content.as_slice()))?;
            self.keys.forget_run(stream);
        }
        Ok(self.state.take_run(run, &decoded, event.envelope.at))
    }

    /// Compares the view with the log. Valid only if no event was appended meanwhile.
    pub(super) async fn compare(&mut self) -> Result<Checked, Failure> {
        let Self { view, inline, store, keys, state, .. } = self;
        let expected = Expected::Inline { view: *inline, state, keys };
        check(*store, view, state.owner(), expected).await
    }

    /// The rows that the view should have.
    pub(super) async fn replacement(&mut self, env: &Environment) -> Result<Replace, Failure> {
        let mut rows = Vec::new();
        for id in self.inline.ids(&self.state) {
            rows.extend(self.encode(id, env).await?);
        }
        let defaults = self.inline.defaults(&self.state);
        Ok(Replace {
            view: self.view.name(),
            owner: self.owner(),
            basis: Basis::Inline { last: self.last },
            rows,
            defaults: defaults.map(|defaults| defaults.into_iter().collect()),
            quarantined: Vec::new(),
        })
    }

    async fn encode(&mut self, id: Uuid, env: &Environment) -> Result<Option<ViewRow>, Failure> {
        let stream = self.inline.stream(self.owner(), id);
        let key = if self.inline.has_content() {
            self.keys.get(self.state.owner(), stream).await?
        } else {
            None
        };
        let row = self.inline.encode(&self.state, id, key, env);
        self.keys.forget_run(stream);
        row.map_err(|error| store_failure(&error))
    }
}
