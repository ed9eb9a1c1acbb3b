//! One step of a run.

use super::again::CRASHES_MAX;
use super::call::{Cost, Credential, FailureClass, StopReason, Usage};
use super::event::{PauseReason, PlannedStep};
use crate::timestamp::Timestamp;
use serde::{Deserialize, Serialize};

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StepState {
    /// Planned, and not started.
    Planned,
    /// An attempt is under way.
    Running {
        /// Number of the attempt, from 1.
        attempt: u32,
    },
    /// The last attempt failed, and another follows.
    Waiting {
        /// When it may start; absent if it waits for the run to be resumed.
        until: Option<Timestamp>,
    },
    /// Ended with a reply.
    Completed,
    /// Ended without a reply.
    Failed(FailureClass),
    /// Never finished, because the run ended first.
    Skipped,
}

/// A step, as planners and readers see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its place in the plan, its model and bounds.
    pub planned: PlannedStep,
    /// Where the step stands.
    pub state: StepState,
    /// Attempts started.
    pub attempts: u32,
    /// Of those, the attempts since the run was last resumed.
    #[serde(default)]
    pub tried: u32,
    /// Of those since the run was last resumed, the attempts that count against the allowed maximum
    /// (see [`counts`]).
    pub counted: u32,
    /// Attempts that were under way when their process stopped, since the run was last resumed.
    #[serde(default)]
    pub crashes: u32,
    /// Attempts that the upstream restarted by itself.
    #[serde(default)]
    pub restarts: u32,
    /// The credential of the last attempt.
    pub credential: Option<Credential>,
    /// A reply in the wrong form was sent back once: the next such reply is final.
    pub is_repaired: bool,
    /// What was wrong with that reply, in words; the prompt of each later attempt contains it.
    /// Failures of other kinds leave it unchanged.
    pub repair: Option<String>,
    /// The reply; `None` before it, and after its content was erased.
    pub reply: Option<String>,
    /// Why the reply ended; `None` before it.
    pub stop_reason: Option<StopReason>,
    /// Tokens of all attempts together.
    pub usage: Usage,
    /// Cost of all attempts together.
    pub cost: Cost,
    /// Milliseconds from the request to the first text, in the attempt that completed.
    pub first_token_ms: Option<u64>,
    /// Milliseconds from the request to the end, in the attempt that completed.
    pub duration_ms: Option<u64>,
    /// The last failure, in words; `None` once the step completed.
    pub trouble: Option<String>,
    /// The class of the last failure; `None` before one, and once the step completed.
    #[serde(default)]
    pub failed_as: Option<FailureClass>,
    /// When what stood in the way of the last attempt ends, as far as the upstream said it.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// HTTP status of the upstream at the last failure, if it answered.
    pub upstream_status: Option<u16>,
    /// Header `request-id` of the upstream's last answer.
    pub upstream_request_id: Option<String>,
}

impl Step {
    pub(super) fn new(planned: PlannedStep) -> Self {
        Self {
            planned,
            state: StepState::Planned,
            attempts: 0,
            tried: 0,
            counted: 0,
            crashes: 0,
            restarts: 0,
            credential: None,
            is_repaired: false,
            repair: None,
            reply: None,
            stop_reason: None,
            usage: Usage::default(),
            cost: Cost::default(),
            first_token_ms: None,
            duration_ms: None,
            trouble: None,
            failed_as: None,
            until: None,
            upstream_status: None,
            upstream_request_id: None,
        }
    }

    /// The reply as it is shown and passed to other agents: never empty.
    pub fn reply_text(&self) -> &str {
        match self.reply.as_deref() {
            Some(text) if !text.trim().is_empty() => text,
            Some(_) | None => "No response",
        }
    }

    /// Its process stopped so often that the run pauses.
    pub const fn is_crashing(&self) -> bool {
        self.crashes >= CRASHES_MAX && self.is_stalled()
    }

    /// It goes on once the run is resumed.
    pub const fn is_stalled(&self) -> bool {
        matches!(self.state, StepState::Waiting { until: None })
    }

    /// What stands in its way, if its last attempt failed and another follows.
    pub fn hindrance(&self) -> Option<PauseReason> {
        if !matches!(self.state, StepState::Waiting { .. }) {
            return None;
        }
        Some(match self.failed_as? {
            FailureClass::Authentication | FailureClass::Permission => PauseReason::KeyRefused,
            FailureClass::Credit => PauseReason::Credit,
            FailureClass::Disabled => PauseReason::OrganizationDisabled,
            FailureClass::SpendLimit => PauseReason::SpendLimit,
            FailureClass::RateLimit => PauseReason::RateLimit,
            // Other statuses of this class are faults of the upstream's own.
            FailureClass::Overloaded
                if matches!(self.upstream_status, None | Some(200 | 429 | 529)) =>
            {
                PauseReason::Overloaded
            }
            FailureClass::Interrupted | FailureClass::Cancelled => PauseReason::Interrupted,
            FailureClass::Overloaded
            | FailureClass::Between
            | FailureClass::Connection
            | FailureClass::Timeout
            | FailureClass::Protocol
            | FailureClass::Request
            | FailureClass::TooLarge
            | FailureClass::InvalidOutput
            | FailureClass::Refusal
            | FailureClass::Restarted => PauseReason::UpstreamFault,
        })
    }

    /// Completed, failed or skipped.
    pub const fn is_settled(&self) -> bool {
        matches!(self.state, StepState::Completed | StepState::Failed(_) | StepState::Skipped)
    }

    /// Ended with a reply.
    pub const fn is_completed(&self) -> bool {
        matches!(self.state, StepState::Completed)
    }
}

/// Whether an attempt that failed with this class counts against the allowed maximum, if the
/// upstream began to answer: what it wrote is billed. Nothing else is bounded by number: the engine
/// bounds it by time. Waiting for a limit does not count, nor does a failure that the call didn't
/// cause.
pub const fn counts(class: FailureClass) -> bool {
    match class {
        FailureClass::RateLimit
        | FailureClass::SpendLimit
        | FailureClass::Interrupted
        | FailureClass::Restarted => false,
        FailureClass::Request
        | FailureClass::TooLarge
        | FailureClass::Authentication
        | FailureClass::Credit
        | FailureClass::Disabled
        | FailureClass::Permission
        | FailureClass::Between
        | FailureClass::Overloaded
        | FailureClass::Connection
        | FailureClass::Timeout
        | FailureClass::Protocol
        | FailureClass::InvalidOutput
        | FailureClass::Refusal
        | FailureClass::Cancelled => true,
    }
}
