//! Folds events into the row. To support another kind of call, map one more event to a [`Call`].

use super::view::{Call, CallEnd, KeyActivity};
use crate::follower::{FollowedView, Touch};
use crate::ports::{ACTIVITY, PoisonReason, StoredEvent, ViewRow};
use claviger_domain::event::Payload;
use claviger_domain::id::{KeyId, UserId};
use claviger_domain::key_ring::KeyRingEvent;
use claviger_domain::orchestration::{Credential, RunEvent};
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;
use serde::Deserialize;

/// The activity view, as a follower maintains it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ActivityView;

/// What an event changes in the row of a key.
enum Effect {
    Begin(KeyId),
    /// A test of the key.
    Called(KeyId, Call),
    /// A call of a run.
    Used(KeyId, Call),
    End(KeyId),
}

impl Effect {
    const fn key(&self) -> KeyId {
        match self {
            Self::Begin(key) | Self::Called(key, _) | Self::Used(key, _) | Self::End(key) => *key,
        }
    }
}

/// The only part needed of an event that cannot be decoded.
#[derive(Deserialize)]
struct Naming {
    credential: Credential,
}

impl ActivityView {
    /// Decodes a row.
    ///
    /// # Errors
    /// [`PoisonReason::UnreadableRow`].
    pub fn read(row: &ViewRow) -> Result<KeyActivity, PoisonReason> {
        serde_json::from_slice(&row.facts).map_err(|_| PoisonReason::UnreadableRow)
    }

    fn row(owner: UserId, key: KeyId, activity: &KeyActivity) -> Result<ViewRow, PoisonReason> {
        Ok(ViewRow {
            view: ACTIVITY,
            owner,
            id: key.0,
            sort: activity.since.0,
            stream: StreamName::KeyRing(owner),
            facts: serde_json::to_vec(activity).map_err(|_| PoisonReason::UnwritableRow)?,
            content: None,
        })
    }

    fn effect(event: &StoredEvent) -> Result<Option<Effect>, PoisonReason> {
        let envelope = &event.envelope;
        match envelope.stream {
            StreamName::KeyRing(_) => {
                let decoded =
                    KeyRingEvent::decode(&envelope.kind, envelope.schema, &event.facts, None);
                decoded
                    .map(|event| of_ring(&event, envelope.at))
                    .map_err(|_| PoisonReason::UnknownEvent)
            }
            StreamName::Run(_) => {
                let decoded = RunEvent::decode(&envelope.kind, envelope.schema, &event.facts, None);
                decoded
                    .map(|event| of_run(&event, envelope.at))
                    .map_err(|_| PoisonReason::UnknownEvent)
            }
            StreamName::Account(_) | StreamName::RunControl(_) | StreamName::System => Ok(None),
        }
    }
}

fn of_ring(event: &KeyRingEvent, at: Timestamp) -> Option<Effect> {
    match event {
        KeyRingEvent::KeyAdded(facts, _) => Some(Effect::Begin(facts.key)),
        KeyRingEvent::KeyTested(facts, _) => {
            Some(Effect::Called(facts.key, Call { at, end: CallEnd::of_verdict(&facts.verdict) }))
        }
        KeyRingEvent::KeyDeleted(facts) => Some(Effect::End(facts.key)),
        KeyRingEvent::KeyRenamed(..)
        | KeyRingEvent::KeyTestStarted(_)
        | KeyRingEvent::DefaultSet(..)
        | KeyRingEvent::DefaultCleared(..)
        | KeyRingEvent::KeyActivated(_)
        | KeyRingEvent::KeyDeactivated(_)
        | KeyRingEvent::KeySecretReplaced(..)
        | KeyRingEvent::KeyExpirySet(_)
        | KeyRingEvent::KeyExpired(_) => None,
    }
}

/// The operator's credentials have no row.
fn of_run(event: &RunEvent, at: Timestamp) -> Option<Effect> {
    let (key, end) = match event {
        RunEvent::StepCompleted(facts, _) => (facts.credential.key?, CallEnd::Well),
        RunEvent::StepAttemptFailed(facts, _) => {
            (facts.credential.key?, CallEnd::of_attempt(facts.class, facts.next))
        }
        RunEvent::RunRequested(..)
        | RunEvent::RunClaimed(_)
        | RunEvent::StepsPlanned(_)
        | RunEvent::StepAttemptStarted(_)
        | RunEvent::StepSkipped(_)
        | RunEvent::FallbackApplied(..)
        | RunEvent::RunPaused(_)
        | RunEvent::RunHalted(_)
        | RunEvent::RunStalled(_)
        | RunEvent::PartsGiven(_)
        | RunEvent::RunResumed(_)
        | RunEvent::RunCancelled(_)
        | RunEvent::RunCompleted(_)
        | RunEvent::RunFailed(..) => return None,
    };
    Some(Effect::Used(key, Call { at, end }))
}

/// The row that an undecodable event may concern: that of its key, or one that does not exist, so
/// that the event is reported in any case.
fn guessed(owner: UserId, event: &StoredEvent) -> Touch {
    let named = serde_json::from_slice::<Naming>(&event.facts)
        .ok()
        .and_then(|naming| naming.credential.key);
    Touch::Row(owner, named.map(|key| key.0).or(event.subject).unwrap_or(owner.0))
}

impl FollowedView for ActivityView {
    fn name(&self) -> &'static str {
        ACTIVITY
    }

    fn touch(&self, event: &StoredEvent) -> Touch {
        let Some(owner) = event.envelope.owner else { return Touch::Nothing };
        if matches!(event.envelope.stream, StreamName::Account(_))
            && event.envelope.kind == "AccountErased"
        {
            return Touch::Owner(owner);
        }
        match Self::effect(event) {
            Ok(None) => Touch::Nothing,
            Ok(Some(effect)) => Touch::Row(owner, effect.key().0),
            Err(_) => guessed(owner, event),
        }
    }

    fn fold(
        &self,
        before: Option<&ViewRow>,
        event: &StoredEvent,
    ) -> Result<Option<ViewRow>, PoisonReason> {
        let Some(owner) = event.envelope.owner else { return Ok(before.cloned()) };
        match (Self::effect(event)?, before) {
            (None, before) => Ok(before.cloned()),
            (Some(Effect::Begin(key)), _) => {
                Self::row(owner, key, &KeyActivity::new(event.envelope.at)).map(Some)
            }
            (Some(Effect::Called(key, call)), Some(row)) => {
                let mut activity = Self::read(row)?;
                activity.call(&call);
                Self::row(owner, key, &activity).map(Some)
            }
            (Some(Effect::Used(key, call)), Some(row)) => {
                let mut activity = Self::read(row)?;
                activity.used(&call);
                Self::row(owner, key, &activity).map(Some)
            }
            // The call ended after its key was deleted.
            (Some(Effect::Called(..) | Effect::Used(..)), None) | (Some(Effect::End(_)), _) => {
                Ok(None)
            }
        }
    }
}
