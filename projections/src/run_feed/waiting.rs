//! Who waits says since when, until when and why. Every face shows the same.

use super::message::RunView;
use claviger_domain::orchestration::{PauseReason, Phase, Step, StepState};
use claviger_domain::timestamp::Timestamp;

/// Why something waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// Other calls go first, or a limit that another run met has not ended.
    Queue,
    /// What would pause a run, or has paused it.
    Hindrance(PauseReason),
}

impl WaitReason {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Hindrance(reason) => reason.as_str(),
        }
    }
}

/// A wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// When it began.
    pub since: Timestamp,
    /// When it ends by itself; `None` where nobody can know.
    pub until: Option<Timestamp>,
    /// Why it waits.
    pub reason: WaitReason,
    /// One sentence for people, with what would help.
    pub message: String,
}

impl Wait {
    /// Of a step that may start once it is its turn. What other runs met is not in this one's log.
    fn of_turn(since: Timestamp) -> Self {
        let message = "its call is made when it is its turn: others go first, or the key rests after a limit that another orchestration met; it goes on by itself";
        let reason = WaitReason::Queue;
        Self { since, until: None, reason, message: message.to_owned() }
    }

    /// Of a step whose last attempt failed, or that waits for its turn, since this time.
    pub fn of_step(step: &Step, since: Option<Timestamp>) -> Option<Self> {
        if step.state == StepState::Planned {
            return since.map(Self::of_turn);
        }
        let StepState::Waiting { until } = step.state else { return None };
        let reason = step.hindrance().unwrap_or(PauseReason::SpendLimit);
        let help = if until.is_some() { by_itself(reason) } else { on_resume(reason) };
        let message = match &step.trouble {
            Some(trouble) => format!("{trouble}; {help}"),
            None => help.to_owned(),
        };
        let reason = WaitReason::Hindrance(reason);
        Some(Self { since: since?, until: until.or(step.until), reason, message })
    }

    /// Of a run in which no call is under way, and which has not ended.
    pub fn of_run(view: &RunView) -> Option<Self> {
        match view.run.phase {
            Phase::Queued => {
                let message = "other orchestrations are worked on first; it begins by itself";
                let (since, reason) = (view.created_at, WaitReason::Queue);
                Some(Self { since, until: None, reason, message: message.to_owned() })
            }
            Phase::Paused(reason) => Self::of_paused(view, reason),
            Phase::Running => Self::of_running(view),
            Phase::None | Phase::Completed | Phase::Failed | Phase::Cancelled => None,
        }
    }

    fn of_paused(view: &RunView, reason: PauseReason) -> Option<Self> {
        let (since, until) = view.paused?;
        let help = on_resume(reason);
        let stalled = view.run.steps.iter().find(|step| step.is_stalled());
        let message = match stalled.and_then(|step| step.trouble.as_ref()) {
            Some(trouble) if reason != PauseReason::Requested => format!("{trouble}; {help}"),
            Some(_) | None => help.to_owned(),
        };
        Some(Self { since, until, reason: WaitReason::Hindrance(reason), message })
    }

    /// If no step is worked on: the wait of the step that goes on first.
    fn of_running(view: &RunView) -> Option<Self> {
        if view.run.running().next().is_some() {
            return None;
        }
        let until = |step: &&Step| match step.state {
            StepState::Waiting { until } => until.unwrap_or(Timestamp::MAX),
            StepState::Planned
            | StepState::Running { .. }
            | StepState::Completed
            | StepState::Failed(_)
            | StepState::Skipped => Timestamp::MAX,
        };
        let waits = |step: &&Step| matches!(step.state, StepState::Waiting { .. });
        let Some(first) = view.run.steps.iter().filter(waits).min_by_key(until) else {
            return view.queued().map(|(_, since)| Self::of_turn(since));
        };
        Self::of_step(first, view.waiting_since.get(&first.planned.step).copied())
    }
}

/// What would help something that goes on by itself.
const fn by_itself(reason: PauseReason) -> &'static str {
    match reason {
        PauseReason::RateLimit => {
            "it goes on by itself when the limit ends, or at once with a new secret of the key or after a test that succeeds"
        }
        PauseReason::Overloaded
        | PauseReason::UpstreamFault
        | PauseReason::Interrupted
        | PauseReason::Credit
        | PauseReason::SpendLimit
        | PauseReason::KeyRefused
        | PauseReason::KeyUnavailable
        | PauseReason::OrganizationDisabled
        | PauseReason::Requested => "the call is made again by itself",
    }
}

/// What would help something that waits for a user.
pub const fn on_resume(reason: PauseReason) -> &'static str {
    match reason {
        PauseReason::Credit => {
            "add credit in Anthropic's console or choose another key, then resume"
        }
        PauseReason::SpendLimit => "raise the spend limit or choose another key, then resume",
        PauseReason::KeyRefused => "replace the key's secret or choose another key, then resume",
        PauseReason::KeyUnavailable => {
            "activate the key, set another expiry or choose another key, then resume"
        }
        PauseReason::OrganizationDisabled => {
            "ask Anthropic about the organisation or choose a key of another one, then resume"
        }
        PauseReason::RateLimit => "resume when the limit has ended, or choose another key",
        PauseReason::Overloaded => "resume when Anthropic has recovered",
        PauseReason::UpstreamFault => "resume when Anthropic can be reached again",
        PauseReason::Interrupted | PauseReason::Requested => "resume it to go on",
    }
}
