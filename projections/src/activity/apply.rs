//! From events to the row. Another kind of call is one more event that becomes a [`Call`].

use super::view::{Call, CallFault, KeyActivity};
use crate::follower::{FollowedView, Touch};
use crate::ports::{ACTIVITY, PoisonReason, StoredEvent, ViewRow};
use claviger_domain::event::Halved;
use claviger_domain::id::UserId;
use claviger_domain::key_ring::KeyRingEvent;
use claviger_domain::stream::StreamName;

/// The view, as a follower keeps it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ActivityView;

/// What an event does to the row of its key.
enum Effect {
    Begin,
    Called(Call),
    End,
}

impl ActivityView {
    /// What a row says.
    ///
    /// # Errors
    /// [`PoisonReason::UnreadableRow`].
    pub fn read(row: &ViewRow) -> Result<KeyActivity, PoisonReason> {
        serde_json::from_slice(&row.facts).map_err(|_| PoisonReason::UnreadableRow)
    }

    fn row(owner: UserId, event: &StoredEvent, activity: &KeyActivity) -> Result<ViewRow, PoisonReason> {
        Ok(ViewRow {
            view: ACTIVITY,
            owner,
            id: event.subject.unwrap_or(owner.0),
            sort: activity.since.0,
            stream: event.envelope.stream,
            facts: serde_json::to_vec(activity).map_err(|_| PoisonReason::UnwritableRow)?,
            content: None,
        })
    }

    fn effect(event: &StoredEvent) -> Result<Option<Effect>, PoisonReason> {
        let envelope = &event.envelope;
        let decoded = KeyRingEvent::from_halves(&envelope.kind, envelope.schema, &event.facts, None);
        Ok(match decoded.map_err(|_| PoisonReason::UnknownEvent)? {
            KeyRingEvent::KeyAdded(..) => Some(Effect::Begin),
            KeyRingEvent::KeyTested(facts, _) => Some(Effect::Called(Call {
                at: envelope.at,
                fault: CallFault::of_verdict(&facts.verdict),
                rate_limited_until: facts.verdict.rate_limited_until,
            })),
            KeyRingEvent::KeyDeleted(_) => Some(Effect::End),
            KeyRingEvent::KeyRenamed(..)
            | KeyRingEvent::KeyTestStarted(_)
            | KeyRingEvent::DefaultSet(..)
            | KeyRingEvent::DefaultCleared(..)
            | KeyRingEvent::KeyActivated(_)
            | KeyRingEvent::KeyDeactivated(_)
            | KeyRingEvent::KeySecretReplaced(..)
            | KeyRingEvent::KeyExpirySet(_)
            | KeyRingEvent::KeyExpired(_) => None,
        })
    }
}

impl FollowedView for ActivityView {
    fn name(&self) -> &'static str {
        ACTIVITY
    }

    fn touch(&self, event: &StoredEvent) -> Touch {
        match event.envelope.stream {
            // An event that can't be read may be about anything of its key.
            StreamName::KeyRing(owner) => match Self::effect(event) {
                Ok(None) => Touch::Nothing,
                Ok(Some(_)) | Err(_) => Touch::Row(owner, event.subject.unwrap_or(owner.0)),
            },
            StreamName::Account(owner) if event.envelope.kind == "AccountErased" => Touch::Owner(owner),
            StreamName::Account(_) | StreamName::Run(_) | StreamName::RunControl(_) | StreamName::System => Touch::Nothing,
        }
    }

    fn fold(&self, before: Option<&ViewRow>, event: &StoredEvent) -> Result<Option<ViewRow>, PoisonReason> {
        let StreamName::KeyRing(owner) = event.envelope.stream else { return Ok(before.cloned()) };
        match (Self::effect(event)?, before) {
            (None, before) => Ok(before.cloned()),
            (Some(Effect::Begin), _) => Self::row(owner, event, &KeyActivity::new(event.envelope.at)).map(Some),
            (Some(Effect::Called(call)), Some(row)) => {
                let mut activity = Self::read(row)?;
                activity.call(&call);
                Self::row(owner, event, &activity).map(Some)
            }
            // A test that ended after its key was deleted.
            (Some(Effect::Called(_)), None) | (Some(Effect::End), _) => Ok(None),
        }
    }
}
