//! What a subscriber of an orchestration is told. Each message is whole in itself.

use super::orchestration::Orchestration;
use super::step::{Step, StepText, int, step_id};
use super::words::OrchestrationState;
use crate::cursor;
use crate::ports::{EventView, RunDetail};
use crate::scalars::Cursor;
use crate::types::event::Event;
use async_graphql::{ID, SimpleObject, Union};
use claviger_domain::event::Payload as _;
use claviger_domain::failure::Failure;
use claviger_domain::id::{RunId, StepId, UserId};
use claviger_projections::run_feed::{
    self, Body, FeedCursor, FeedMessage, RunRecord, RunView, Superseded,
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

/// partial: the text so far of each running attempt.
#[derive(SimpleObject)]
pub(crate) struct Snapshot {
    /// For resuming behind this.
    cursor: Cursor,
    /// The orchestration as it is here.
    orchestration: Orchestration,
    /// The text so far of each running attempt.
    partial: Vec<StepText>,
}

/// Something happened.
#[derive(SimpleObject)]
pub(crate) struct EventMessage {
    /// For resuming behind this.
    cursor: Cursor,
    /// What happened.
    event: Event,
    /// The step it is about, as it stands after it.
    step: Option<Step>,
}

/// offset: UTF-8 bytes from the start of this attempt's text. A client that holds more bytes of the attempt already drops the overlap.
#[derive(SimpleObject)]
pub(crate) struct TextDelta {
    /// For resuming behind this.
    cursor: Cursor,
    /// The step.
    step_id: ID,
    /// Which attempt.
    attempt: i32,
    /// The name of its agent, where it has one.
    agent: Option<String>,
    /// Where the text begins.
    offset: i32,
    /// The text.
    text: String,
}

/// Text of this attempt beyond keepBytes is void.
#[derive(SimpleObject)]
pub(crate) struct AttemptSuperseded {
    /// For resuming behind this.
    cursor: Cursor,
    /// The step.
    step_id: ID,
    /// Which attempt.
    attempt: i32,
    /// What stays, in UTF-8 bytes from its beginning.
    keep_bytes: i32,
    /// Why: `taken_over`, or what the attempt failed by.
    reason: String,
}

/// Deltas before this cursor have expired; the finished steps' full texts stand in for them.
#[derive(SimpleObject)]
pub(crate) struct GapMarker {
    /// For resuming behind this.
    cursor: Cursor,
    /// The texts of the finished steps.
    steps: Vec<StepText>,
}

/// The orchestration has ended: nothing follows.
#[derive(SimpleObject)]
pub(crate) struct Terminal {
    /// Subscribing behind this ends at once.
    cursor: Cursor,
    /// How it ended.
    state: OrchestrationState,
    /// The orchestration as it stays.
    orchestration: Orchestration,
}

/// Whose orchestration is followed.
#[derive(Clone, Copy)]
pub(crate) struct Followed {
    pub(crate) owner: UserId,
    pub(crate) run: RunId,
}

impl Followed {
    /// A message as it is shown.
    pub(crate) fn show(self, message: FeedMessage) -> Result<OrchestrationMessage, Failure> {
        let (run, place) = (self.run, message.cursor);
        let cursor = Cursor(cursor::of_run_feed(run, place));
        Ok(match message.body {
            Body::Snapshot { view, partial } => {
                let shown = StepText::all(&partial);
                OrchestrationMessage::Snapshot(Snapshot {
                    cursor,
                    orchestration: self.orchestration(*view, partial, place),
                    partial: shown,
                })
            }
            Body::Event { event, step } => {
                let (event, step) =
                    (Event(Arc::new(opened(&event)?)), step.map(|step| (*step).into()));
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
                // What is shown of an orchestration never stands behind its end, so that whoever subscribes after it is told of the end.
                let before = FeedCursor { i: place.i.saturating_sub(1), ..place };
                let orchestration = self.orchestration(*view, Vec::new(), before);
                OrchestrationMessage::Terminal(Terminal { cursor, state, orchestration })
            }
        })
    }

    fn orchestration(
        self,
        view: RunView,
        partial: Vec<run_feed::StepText>,
        cursor: FeedCursor,
    ) -> Orchestration {
        Orchestration::whole(self.owner, RunDetail { id: self.run, view, partial, cursor })
    }
}

fn text_delta(cursor: Cursor, delta: run_feed::TextDelta) -> TextDelta {
    TextDelta {
        cursor,
        step_id: step_id(delta.step),
        attempt: int(delta.attempt),
        agent: delta.agent,
        offset: int(delta.offset),
        text: delta.text,
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

/// The event as its owner sees it everywhere.
fn opened(record: &RunRecord) -> Result<EventView, Failure> {
    let read = |json: &[u8]| serde_json::from_slice(json).map_err(|_| Failure::internal());
    let parts = record.event.parts().map_err(|_| Failure::internal())?;
    let mut envelope = record.stored.envelope.clone();
    // Facts that a newer program added are shown too, so stored bytes of the current schema are shown as they are.
    let is_current = envelope.schema == parts.schema;
    let facts = if is_current { &record.stored.facts } else { &parts.facts };
    envelope.schema = parts.schema;
    Ok(EventView {
        envelope,
        facts: read(facts)?,
        content: parts.content.as_deref().map(read).transpose()?,
    })
}
