//! What the log of the process says about runs that wait.

use super::queue::{Lane, Queue};
use crate::live::EventHub;
use claviger_application::EventView;
use claviger_domain::event::Payload as _;
use claviger_domain::id::RunId;
use claviger_domain::key_ring::KeyRingEvent;
use claviger_domain::key_test::KeyTestStatus;
use claviger_domain::orchestration::{Next, RunEvent};
use claviger_projections::feed::{Told, Topic};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// One line for each wait and each pause.
pub(super) fn tell(run: RunId, events: &[RunEvent]) {
    for event in events {
        match event {
            RunEvent::StepAttemptFailed(facts, _) => {
                let (step, class) = (facts.step, facts.class.as_str());
                match facts.next {
                    Next::Retry { at } => {
                        tracing::info!(%run, %step, class, attempt = facts.attempt, until = %at, "a step waits");
                    }
                    Next::Pause => {
                        tracing::warn!(%run, %step, class, attempt = facts.attempt, "a step waits until its run is resumed");
                    }
                    Next::GiveUp => {}
                }
            }
            RunEvent::RunStalled(facts) => {
                let reason = facts.reason.as_str();
                let until = facts.until.map(tracing::field::display);
                tracing::warn!(%run, reason, until, "paused a run");
            }
            RunEvent::RunPaused(facts) => {
                tracing::info!(%run, reason = facts.reason.as_str(), "paused a run");
            }
            RunEvent::RunHalted(facts) => {
                tracing::warn!(%run, reason = "interrupted", step = %facts.step, "paused a run");
            }
            RunEvent::RunRequested(..)
            | RunEvent::RunClaimed(_)
            | RunEvent::StepsPlanned(_)
            | RunEvent::StepAttemptStarted(_)
            | RunEvent::StepCompleted(..)
            | RunEvent::StepSkipped(_)
            | RunEvent::FallbackApplied(..)
            | RunEvent::PartsGiven(_)
            | RunEvent::RunResumed(_)
            | RunEvent::RunCancelled(_)
            | RunEvent::RunCompleted(_)
            | RunEvent::RunFailed(..) => {}
        }
    }
}

/// Ends the rests of keys that got a new secret or passed a test, whichever process did that, until
/// shutdown.
pub(super) async fn follow_keys(
    hub: Arc<EventHub>,
    queue: Arc<Queue>,
    shutdown: CancellationToken,
) {
    let mut keys = hub.register(Topic::Keys);
    while let Some(told) = shutdown.run_until_cancelled(keys.told()).await {
        match told {
            Told::Span(span) if span.items.is_empty() => queue.freshen_all(),
            Told::Span(span) => {
                for (_, event) in &span.items {
                    freshen(&queue, event);
                }
            }
            // What was missed may have ended any of them. A call too many is answered by another
            // limit.
            Told::Lagged => queue.freshen_all(),
        }
    }
}

fn freshen(queue: &Arc<Queue>, event: &EventView) {
    let envelope = &event.envelope;
    let Ok(facts) = serde_json::to_vec(&event.facts) else { return };
    match KeyRingEvent::decode(&envelope.kind, envelope.schema, &facts, None) {
        Ok(KeyRingEvent::KeySecretReplaced(facts, _)) => {
            queue.freshen(Lane::Key(facts.key), Some(facts.secret_version));
        }
        Ok(KeyRingEvent::KeyTested(facts, _)) if facts.verdict.status == KeyTestStatus::Success => {
            queue.freshen(Lane::Key(facts.key), Some(facts.secret_version));
        }
        Ok(_) | Err(_) => {}
    }
}
