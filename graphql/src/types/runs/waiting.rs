//! Who waits says since when, until when and why.

use crate::scalars::DateTime;
use async_graphql::{Enum, SimpleObject};
use claviger_domain::orchestration::{self as domain, Fallback, PauseReason, Phase};
use claviger_domain::timestamp::Timestamp;
use claviger_projections::run_feed::RunView;

/// Why something waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum WaitReason {
    /// Other orchestrations are worked on first.
    Queue,
    /// A rate limit of the key's organisation.
    RateLimit,
    /// Anthropic is overloaded.
    Overloaded,
    /// Anthropic, or something on the way to it, failed.
    UpstreamFault,
    /// The server stopped during a call.
    Interrupted,
    /// The key's organisation has no credit left.
    Credit,
    /// A spend limit of the key's organisation or workspace.
    SpendLimit,
    /// Anthropic refuses the key, or what it is to be used for.
    KeyRefused,
    /// The key was deactivated or deleted, or has expired, or its user was deactivated.
    KeyUnavailable,
    /// Anthropic has disabled the key's organisation.
    OrganizationDisabled,
    /// It was paused on request.
    Requested,
    /// The server is shutting down.
    Shutdown,
}

impl From<PauseReason> for WaitReason {
    fn from(reason: PauseReason) -> Self {
        match reason {
            PauseReason::Requested => Self::Requested,
            PauseReason::SpendLimit => Self::SpendLimit,
            PauseReason::KeyUnavailable => Self::KeyUnavailable,
            PauseReason::Interrupted => Self::Interrupted,
            PauseReason::RateLimit => Self::RateLimit,
            PauseReason::Overloaded => Self::Overloaded,
            PauseReason::UpstreamFault => Self::UpstreamFault,
            PauseReason::Credit => Self::Credit,
            PauseReason::KeyRefused => Self::KeyRefused,
            PauseReason::OrganizationDisabled => Self::OrganizationDisabled,
        }
    }
}

/// What was done instead, where a reply could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum StepFallback {
    /// Every worker got the whole task.
    EveryWorker,
    /// The first specialist got the task.
    FirstSpecialist,
    /// The replies that were to be put together are the result as they are.
    PartsAsTheyAre,
    /// A part of the reply was left out.
    WithoutReply,
}

impl StepFallback {
    pub(super) const fn of(fallback: Fallback) -> Option<Self> {
        match fallback {
            Fallback::JsonInText => None,
            Fallback::EveryWorker | Fallback::NoKnownWorker => Some(Self::EveryWorker),
            Fallback::FirstSpecialist | Fallback::NoKnownSpecialist => Some(Self::FirstSpecialist),
            Fallback::PartsAsTheyAre => Some(Self::PartsAsTheyAre),
            Fallback::UnknownWorker | Fallback::UnknownSpecialist => Some(Self::WithoutReply),
        }
    }
}

/// A wait.
#[derive(Clone, Debug, SimpleObject)]
pub(crate) struct Waiting {
    /// When it began.
    since: DateTime,
    /// When it ends by itself; null where nobody can know.
    until: Option<DateTime>,
    /// Why it waits.
    reason: WaitReason,
    /// One sentence for people, with what would help.
    message: String,
}

impl Waiting {
    fn new(
        since: Timestamp,
        until: Option<Timestamp>,
        reason: WaitReason,
        message: String,
    ) -> Self {
        Self { since: DateTime(since), until: until.map(DateTime), reason, message }
    }

    /// Of a step whose last attempt failed.
    pub(super) fn of_step(step: &domain::Step, since: Option<Timestamp>) -> Option<Self> {
        let domain::StepState::Waiting { until } = step.state else { return None };
        let reason: WaitReason = step.hindrance().unwrap_or(PauseReason::SpendLimit).into();
        let help = if until.is_some() { by_itself(reason) } else { on_resume(reason) };
        let message = match &step.trouble {
            Some(trouble) => format!("{trouble}; {help}"),
            None => help.to_owned(),
        };
        Some(Self::new(since?, until.or(step.until), reason, message))
    }

    /// Of a run as its row in a list has it.
    pub(super) fn of_run(view: &RunView) -> Option<Self> {
        match view.run.phase {
            Phase::Queued => {
                let message = "other orchestrations are worked on first; it begins by itself";
                Some(Self::new(view.created_at, None, WaitReason::Queue, message.to_owned()))
            }
            Phase::Paused(reason) => Self::of_paused(view, reason),
            Phase::Running => Self::of_running(view),
            Phase::None | Phase::Completed | Phase::Failed | Phase::Cancelled => None,
        }
    }

    fn of_paused(view: &RunView, reason: PauseReason) -> Option<Self> {
        let (since, until) = view.paused?;
        let help = on_resume(reason.into());
        let stalled = view.run.steps.iter().find(|step| step.is_stalled());
        let message = match stalled.and_then(|step| step.trouble.as_ref()) {
            Some(trouble) if reason != PauseReason::Requested => format!("{trouble}; {help}"),
            Some(_) | None => help.to_owned(),
        };
        Some(Self::new(since, until, reason.into(), message))
    }

    /// If no step is worked on: the wait of the step that goes on first.
    fn of_running(view: &RunView) -> Option<Self> {
        if view.run.running().next().is_some() {
            return None;
        }
        let until = |step: &&domain::Step| match step.state {
            domain::StepState::Waiting { until } => until.unwrap_or(Timestamp::MAX),
            domain::StepState::Planned
            | domain::StepState::Running { .. }
            | domain::StepState::Completed
            | domain::StepState::Failed(_)
            | domain::StepState::Skipped => Timestamp::MAX,
        };
        let waits = |step: &&domain::Step| matches!(step.state, domain::StepState::Waiting { .. });
        let first = view.run.steps.iter().filter(waits).min_by_key(until)?;
        Self::of_step(first, view.waiting_since.get(&first.planned.step).copied())
    }
}

/// What would help something that goes on by itself.
const fn by_itself(reason: WaitReason) -> &'static str {
    match reason {
        WaitReason::RateLimit => {
            "it goes on by itself when the limit ends, or at once with a new secret of the key or after a test that succeeds"
        }
        WaitReason::Overloaded
        | WaitReason::UpstreamFault
        | WaitReason::Interrupted
        | WaitReason::Queue
        | WaitReason::Credit
        | WaitReason::SpendLimit
        | WaitReason::KeyRefused
        | WaitReason::KeyUnavailable
        | WaitReason::OrganizationDisabled
        | WaitReason::Requested
        | WaitReason::Shutdown => "the call is made again by itself",
    }
}

/// What would help something that waits for a user.
const fn on_resume(reason: WaitReason) -> &'static str {
    match reason {
        WaitReason::Credit => {
            "add credit in Anthropic's console or choose another key, then resume"
        }
        WaitReason::SpendLimit => "raise the spend limit or choose another key, then resume",
        WaitReason::KeyRefused => "replace the key's secret or choose another key, then resume",
        WaitReason::KeyUnavailable => {
            "activate the key, set another expiry or choose another key, then resume"
        }
        WaitReason::OrganizationDisabled => {
            "ask Anthropic about the organisation or choose a key of another one, then resume"
        }
        WaitReason::RateLimit => "resume when the limit has ended, or choose another key",
        WaitReason::Overloaded => "resume when Anthropic has recovered",
        WaitReason::UpstreamFault => "resume when Anthropic can be reached again",
        WaitReason::Interrupted
        | WaitReason::Requested
        | WaitReason::Queue
        | WaitReason::Shutdown => "resume it to go on",
    }
}
