//! Who waits says since when, until when and why.

use crate::scalars::DateTime;
use async_graphql::{Enum, SimpleObject};
use claviger_domain::orchestration::{Fallback, PauseReason};
use claviger_projections::run_feed::{Wait, WaitReason as Why};

/// Why something waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum WaitReason {
    /// Other calls go first, or a limit that another orchestration met has not ended.
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

impl From<Wait> for Waiting {
    fn from(wait: Wait) -> Self {
        let reason = match wait.reason {
            Why::Queue => WaitReason::Queue,
            Why::Hindrance(reason) => reason.into(),
        };
        let Wait { since, until, message, .. } = wait;
        Self { since: DateTime(since), until: until.map(DateTime), reason, message }
    }
}
