//! The messages that a subscriber of an orchestration receives. Each message is complete in itself.

use super::orchestration::Orchestration;
use super::step::{Step, StepText, step_id};
use super::words::OrchestrationState;
use crate::answer::Heavy;
use crate::scalars::{Cursor, int};
use crate::types::event::Event;
use async_graphql::{ID, SimpleObject, Union};
use claviger_application::cursor;
use claviger_application::{EventView, RunDetail};
use claviger_domain::event::Payload as _;

use claviger_domain::failure::Failure;
use claviger_domain::id::{RunId, StepId, UserId};
use claviger_projections::run_feed::{
    self, Body, FeedCursor, FeedMessage, RunRecord, RunView, StepView, Superseded,
};
use std::sync::Arc;

/// One message of an orchestration's feed.
#[derive(Union)]
#[expect(clippy::large_enum_variant, reason = "made once, and shown at once")]
pub(crate) enum OrchestrationMessage {
    Snapshot(Snapshot),
    Event(EventMessage),
    Delta(TextDelta),
    Superseded(AttemptSuperseded),
    Gap(GapMarker),
    Terminal(Terminal),
}

/// The state at the start of a feed without `after`.
#[derive(SimpleObject)]
pub(crate) struct Snapshot {
    /// Pass it as `after` to resume after this message.
    cursor: Cursor,
    /// The orchestration at this point.
    orchestration: Orchestration,
    /// The text so far of each running attempt.
    partial: Vec<StepText>,
}

/// An event of the orchestration.
#[derive(SimpleObject)]
pub(crate) struct EventMessage {
    /// Pass it as `after` to resume after this message.
    cursor: Cursor,
    /// The event.
    event: Event,
    /// The step that the event concerns, in its state after the event.
    step: Option<Step>,
}

/// More text of an attempt. A client that already holds more bytes than `offset` drops the overlap.
#[derive(SimpleObject)]
pub(crate) struct TextDelta {
    /// Pass it as `after` to resume after this message.
    cursor: Cursor,
    /// The step.
    step_id: ID,
    /// Number of the attempt, from 1.
    attempt: i32,
    /// The agent's name, if it has one.
    agent: Option<String>,
    /// UTF-8 bytes from the start of the attempt's text to this piece.
    offset: i32,
    /// The piece of text.
    text: Heavy<String>,
}

/// Text of this attempt beyond keepBytes is void.
#[derive(SimpleObject)]
pub(crate) struct AttemptSuperseded {
    /// Pass it as `after` to resume after this message.
    cursor: Cursor,
    /// The step.
    step_id: ID,
    /// Number of the attempt, from 1.
    attempt: i32,
    /// Bytes of UTF-8 text that remain valid, from the start of the attempt's text.
    keep_bytes: i32,
    /// `taken_over`, or the failure of the attempt.
    reason: String,
}

/// Deltas before this cursor have expired. The full texts of the finished steps replace them.
#[derive(SimpleObject)]
pub(crate) struct GapMarker {
    /// Pass it as `after` to resume after this message.
    cursor: Cursor,
    /// The full texts of the finished steps.
    steps: Vec<StepText>,
}

/// The orchestration has ended; no message follows.
#[derive(SimpleObject)]
pub(crate) struct Terminal {
    /// A subscription that resumes after this cursor ends immediately.
    cursor: Cursor,
    /// The final state.
    state: OrchestrationState,
    /// The orchestration in its final state.
    orchestration: Orchestration,
}

/// The orchestration that is followed, and its owner.
#[derive(Clone, Copy)]
pub(crate) struct Followed {
    pub(crate) owner: UserId,
    pub(crate) run: RunId,
}

impl Followed {
    /// A message as the schema shows it.
    pub(crate) fn show(self, message: FeedMessage) -> Result<OrchestrationMessage, Failure> {
        let (run, place) = (self.run, message.cursor);
        let cursor = Cursor(cursor::of_run_feed(run, place));
        Ok(match message.body {
            Body::Snapshot { view, partial } => {
                let shown = StepText::all(&partial);
                OrchestrationMessage::Snapshot(Snapshot {
                    cursor,
                    orchestration: self.orchestration(view, &partial, place),
                    partial: shown,
                })
            }
            Body::Event { event, step } => {
                let (event, step) = (
                    Event(Arc::new(opened(&event)?)),
                    step.map(|step| StepView::clone(&step).into()),
                );
                OrchestrationMessage::Event(EventMessage { cursor, event, step })
            }
            Body::Delta(delta) => OrchestrationMessage::Delta(text_delta(cursor, delta)),
            Body::AttemptSuperseded { step, attempt, keep_bytes, reason } => {
                OrchestrationMessage::Superseded(superseded(
                    cursor,
                    (step, attempt),
                    keep_bytes,
                    reason,
                ))
            }
            Body::Gap(steps) => {
                OrchestrationMessage::Gap(GapMarker { cursor, steps: StepText::all(&steps) })
            }
            Body::Terminal(view) => {
                let state = OrchestrationState::of(view.run.phase);
                // The orchestration's cursor never lies at or after its end, so that a client that
                // subscribes after it still receives the end.
                let before = FeedCursor { i: place.i.saturating_sub(1), ..place };
                let orchestration = self.orchestration(view, &[], before);
                OrchestrationMessage::Terminal(Terminal { cursor, state, orchestration })
            }
        })
    }

    fn orchestration(
        self,
        view: Arc<RunView>,
        partial: &[run_feed::StepText],
        cursor: FeedCursor,
    ) -> Orchestration {
        let view = Arc::unwrap_or_clone(view);
        Orchestration::whole(
            self.owner,
            Arc::new(RunDetail { id: self.run, view, partial: partial.to_vec(), cursor }),
        )
    }
}

fn text_delta(cursor: Cursor, delta: run_feed::TextDelta) -> TextDelta {
    TextDelta {
        cursor,
        step_id: step_id(delta.step),
        attempt: int(delta.attempt),
        agent: delta.agent,
        offset: int(delta.offset),
        text: Heavy(delta.text),
    }
}

fn superseded(
    cursor: Cursor,
    (step, attempt): (StepId, u32),
    keep_bytes: u64,
    reason: Superseded,
) -> AttemptSuperseded {
    AttemptSuperseded {
        cursor,
        step_id: step_id(step),
        attempt: int(attempt),
        keep_bytes: int(keep_bytes),
        reason: reason.as_str().to_owned(),
    }
}

/// The event as its owner sees it elsewhere in the schema.
fn opened(record: &RunRecord) -> Result<EventView, Failure> {
    let read = |json: &[u8]| serde_json::from_slice(json).map_err(|_| Failure::internal());
    let parts = record.event.parts().map_err(|_| Failure::internal())?;
    let mut envelope = record.stored.envelope.clone();
    // Stored bytes of the current schema are shown as they are: they may contain facts that a newer
    // program added.
    let is_current = envelope.schema == parts.schema;
    let facts = if is_current { &record.stored.facts } else { &parts.facts };
    envelope.schema = parts.schema;
    Ok(EventView {
        envelope,
        facts: read(facts)?,
        content: parts.content.as_deref().map(read).transpose()?,
    })
}
