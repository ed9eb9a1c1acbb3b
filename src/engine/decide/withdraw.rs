//! Attempts that were decided and could not be appended.

use super::state::WorkState;
use super::turn::PreparedCall;
use claviger_domain::orchestration::RunEvent;

/// Takes back the attempts of prepared calls, because the key that they were decided on has changed
/// before the events that announce them were appended. `events` are all those that were decided and
/// not appended: the others stay. The steps keep their tickets.
pub(crate) fn withdraw(
    state: &mut WorkState,
    events: &mut Vec<RunEvent>,
    calls: Vec<PreparedCall>,
) {
    for PreparedCall { step, before, .. } in calls {
        let attempt = before.attempts + 1;
        events.retain(|event| {
            let RunEvent::StepAttemptStarted(facts) = event else { return true };
            (facts.step, facts.attempt) != (step, attempt)
        });
        state.remove_call(step);
        state.run.take_back(before);
        state.granted.insert(step);
    }
}
