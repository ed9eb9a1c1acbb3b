//! Folds events into the row. Every attempt that ended was a call, even one that failed: it may
//! have used tokens.

use super::view::{EndedCall, UsageFacts, day_of, start_of};
use crate::follower::{FollowedView, Touch};
use crate::ports::{PoisonReason, StoredEvent, USAGE, ViewRow};
use claviger_domain::event::Payload;
use claviger_domain::id::{RunId, UserId};
use claviger_domain::orchestration::RunEvent;
use claviger_domain::stream::StreamName;
use claviger_domain::timestamp::Timestamp;

/// The usage view, as a follower maintains it.
#[derive(Clone, Copy, Debug, Default)]
pub struct UsageView;

impl UsageView {
    /// Decodes a row.
    ///
    /// # Errors
    /// [`PoisonReason::UnreadableRow`].
    pub fn read(row: &ViewRow) -> Result<UsageFacts, PoisonReason> {
        serde_json::from_slice(&row.facts).map_err(|_| PoisonReason::UnreadableRow)
    }

    fn row(owner: UserId, facts: &UsageFacts) -> Result<ViewRow, PoisonReason> {
        Ok(ViewRow {
            view: USAGE,
            owner,
            id: UsageFacts::id(facts.run, facts.day),
            sort: start_of(facts.day).0,
            stream: StreamName::Run(facts.run.0),
            facts: serde_json::to_vec(facts).map_err(|_| PoisonReason::UnwritableRow)?,
            content: None,
        })
    }
}

fn decoded(event: &StoredEvent) -> Result<RunEvent, PoisonReason> {
    let envelope = &event.envelope;
    RunEvent::decode(&envelope.kind, envelope.schema, &event.facts, None)
        .map_err(|_| PoisonReason::UnknownEvent)
}

fn ended(event: &RunEvent, at: Timestamp) -> Option<EndedCall<'_>> {
    match event {
        RunEvent::StepCompleted(facts, _) => Some(EndedCall {
            run: facts.run,
            at,
            pattern: facts.pattern,
            credential: facts.credential,
            model: &facts.model,
            usage: facts.usage,
            cost: facts.cost,
        }),
        RunEvent::StepAttemptFailed(facts, _) => Some(EndedCall {
            run: facts.run,
            at,
            pattern: facts.pattern,
            credential: facts.credential,
            model: &facts.model,
            usage: facts.usage,
            cost: facts.cost,
        }),
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
        | RunEvent::RunFailed(..) => None,
    }
}

impl FollowedView for UsageView {
    fn name(&self) -> &'static str {
        USAGE
    }

    fn touch(&self, event: &StoredEvent) -> Touch {
        let envelope = &event.envelope;
        let Some(owner) = envelope.owner else { return Touch::Nothing };
        match envelope.stream {
            StreamName::Account(_) if envelope.kind == "AccountErased" => Touch::Owner(owner),
            StreamName::Run(run) => match decoded(event) {
                Ok(event) if ended(&event, envelope.at).is_none() => Touch::Nothing,
                // An event that cannot be decoded may be a call of its run.
                Ok(_) | Err(_) => {
                    Touch::Row(owner, UsageFacts::id(RunId(run), day_of(envelope.at)))
                }
            },
            StreamName::Account(_)
            | StreamName::KeyRing(_)
            | StreamName::RunControl(_)
            | StreamName::System => Touch::Nothing,
        }
    }

    fn fold(
        &self,
        before: Option<&ViewRow>,
        event: &StoredEvent,
    ) -> Result<Option<ViewRow>, PoisonReason> {
        let (StreamName::Run(run), Some(owner)) = (event.envelope.stream, event.envelope.owner)
        else {
            return Ok(before.cloned());
        };
        let decoded = decoded(event)?;
        let Some(call) = ended(&decoded, event.envelope.at) else { return Ok(before.cloned()) };
        let call = EndedCall { run: RunId(run), ..call };
        let mut facts =
            before.map(Self::read).transpose()?.unwrap_or_else(|| UsageFacts::new(&call));
        if (facts.run, facts.day) != (call.run, day_of(call.at)) {
            return Err(PoisonReason::UnreadableRow);
        }
        facts.add(&call);
        Self::row(owner, &facts).map(Some)
    }
}
