//! What happens to a run. Facts are readable to auditors and hold no text of anybody's; content is
//! sealed for the owner.
//!
//! Every event of a run but the first carries `prev_d`: how many rows of text deltas were durable
//! since the event before it. A reader passes on only when it holds exactly those, so text and
//! events have one order (`ops/docs/adr/0021-run-feed.md`).

use super::call::{Cost, Credential, FailureClass, Resolution, StopReason, Usage};
use super::definition::{AgentRole, Definition, Pattern};
use crate::code::ErrorCode;
use crate::event::{events, facts};
use crate::id::{BootId, ContextTag, KeyId, RunId, StepId};
use crate::timestamp::Timestamp;
use serde::{Deserialize, Serialize};

/// What a step is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// An agent's turn in a sequence or a debate.
    Turn,
    /// The moderator's conclusion of a debate.
    Verdict,
    /// The manager splits the task.
    Delegate,
    /// A part of the work.
    Work,
    /// The manager puts the parts together.
    Synthesize,
    /// The router chooses.
    Route,
    /// Replies to the same task are put together.
    Aggregate,
    /// A design is made.
    Design,
}

impl Purpose {
    /// The word that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Turn => "turn",
            Self::Verdict => "verdict",
            Self::Delegate => "delegate",
            Self::Work => "work",
            Self::Synthesize => "synthesize",
            Self::Route => "route",
            Self::Aggregate => "aggregate",
            Self::Design => "design",
        }
    }
}

/// A step that was added to the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// Id of the step.
    pub step: StepId,
    /// Index of its agent in the definition; absent where no agent is named (a design).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<u32>,
    /// The agent's role in its team.
    pub role: AgentRole,
    /// What the step is for.
    pub purpose: Purpose,
    /// The round, from 1; absent where there are no rounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<u32>,
    /// Index among the steps of its purpose (and round), from 0; for a part of the work, the index
    /// in the manager's plan.
    pub item: u32,
    /// The model that it calls.
    pub model: String,
    /// Bound of its reply, in tokens.
    pub max_tokens: u32,
}

/// Text of an attempt that stays valid although its call has stopped or not yet restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The step.
    pub step: StepId,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// UTF-8 bytes of all valid delta rows since the attempt began.
    pub bytes: u64,
}

/// What happens next to a step whose attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Next {
    /// It is retried at a set time.
    Retry {
        /// The earliest time of the retry.
        at: Timestamp,
    },
    /// The step has failed.
    GiveUp,
    /// It is retried once the run is resumed.
    Pause,
}

/// Why a step was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// The run failed before it began.
    RunFailed,
    /// The run was cancelled before it began.
    RunCancelled,
}

/// What was done in place of what a reply should have led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fallback {
    /// The JSON was surrounded by other text and was extracted from it.
    JsonInText,
    /// The manager's plan can't be read: every worker gets the whole task.
    EveryWorker,
    /// The plan names a worker that does not exist: that part is left out.
    UnknownWorker,
    /// No part of the plan is for an existing worker: every worker gets the whole task.
    NoKnownWorker,
    /// The router's choice can't be read: the first specialist gets the task.
    FirstSpecialist,
    /// The router names a specialist that does not exist: left out.
    UnknownSpecialist,
    /// No existing specialist was chosen: the first gets the task.
    NoKnownSpecialist,
    /// The parts could not be put together: they are the result as they are. Recorded as
    /// [`RunEvent::PartsGiven`], never as a fact.
    PartsAsTheyAre,
}

/// Why a run is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseReason {
    /// The user asked for it.
    Requested,
    /// A spending limit was reached.
    SpendLimit,
    /// Its key is deleted, inactive or expired, or its user is deactivated.
    KeyUnavailable,
    /// The processes that worked on it stopped again and again during a call of the same step.
    Interrupted,
    /// A rate limit that did not end within the retry budget.
    RateLimit,
    /// The upstream was overloaded for the whole retry budget.
    Overloaded,
    /// The upstream, or something on the way to it, failed for the whole retry budget.
    UpstreamFault,
    /// The key's organisation has no credit left.
    Credit,
    /// The upstream refuses the key, or does not allow it what the run needs.
    KeyRefused,
    /// The upstream has disabled the key's organisation.
    OrganizationDisabled,
}

impl PauseReason {
    /// The word that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::SpendLimit => "spend_limit",
            Self::KeyUnavailable => "key_unavailable",
            Self::Interrupted => "interrupted",
            Self::RateLimit => "rate_limit",
            Self::Overloaded => "overloaded",
            Self::UpstreamFault => "upstream_fault",
            Self::Credit => "credit",
            Self::KeyRefused => "key_refused",
            Self::OrganizationDisabled => "organization_disabled",
        }
    }
}

facts! {
    about run: RunId = "The run.";

    /// A run was requested.
    Requested {
        /// How its agents work together.
        pattern: Pattern,
        /// Number of agents.
        agents: u32,
        /// The model of agents that name none.
        model: String,
        /// Bound of a reply in tokens, for agents that name none.
        max_tokens: u32,
        /// Bound of concurrent calls.
        max_concurrency: u32,
        /// Bound of counted attempts per step.
        max_attempts: u32,
        /// Version of the price table that its cost is computed with.
        price_table: String,
        /// Version of the prompt templates.
        renderer: u32,
        /// Keyed hash of the context.
        context_tag: ContextTag,
        /// The key that the request named, if it named one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        named_key: Option<KeyId>,
        /// The credential that it uses, and why.
        resolution: Resolution,
    }
    /// From here on one process works on the run, and no other does.
    Claimed {
        /// Delta rows since the event before; see the module.
        prev_d: u64,
        /// The claim's epoch: counts up with every claim, from 1.
        epoch: u64,
        /// The process that claimed the run.
        owner: BootId,
        /// The attempts that were running, each with its valid text.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        kept: Vec<Kept>,
    }
    /// Steps were added to the plan.
    Planned {
        /// Delta rows since the event before; see the module.
        prev_d: u64,
        /// The steps, in the order in which they are shown.
        steps: Vec<PlannedStep>,
    }
    /// A call begins. Committed before the secret is opened and the request is sent.
    AttemptStarted {
        /// Delta rows since the event before; see the module.
        prev_d: u64,
        /// The step.
        step: StepId,
        /// Number of the attempt, from 1.
        attempt: u32,
        /// The credential of the call.
        credential: Credential,
        /// The model that was called.
        model: String,
        /// Keyed hash of the request.
        request_hash: String,
    }
    /// A call failed.
    AttemptFailed {
        /// Delta rows since the event before; see the module.
        prev_d: u64,
        /// The step.
        step: StepId,
        /// Number of the attempt, from 1.
        attempt: u32,
        /// The credential of the call.
        credential: Credential,
        /// The model that was called.
        model: String,
        /// The pattern of its run, repeated here because the view of usage reads this event alone.
        pattern: Pattern,
        /// Why.
        class: FailureClass,
        /// The upstream's HTTP status, if it answered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        /// UTF-8 bytes of text that were received and are void now.
        partial_bytes: u64,
        /// Tokens used, as far as known.
        usage: Usage,
        /// Cost of those tokens; absent where it isn't known.
        #[serde(default = "Cost::unknown", skip_serializing_if = "Cost::is_unknown")]
        cost: Cost,
        /// The call may have cost more than is recorded here.
        maybe_billed: bool,
        /// What happens next to the step.
        next: Next,
        /// When what stands in the way ends, as far as the upstream says it; absent where it
        /// doesn't.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    }
    /// A step is done.
    Completed {
        /// Delta rows since the event before; see the module.
        prev_d: u64,
        /// The step.
        step: StepId,
        /// Number of the attempt, from 1.
        attempt: u32,
        /// The credential of the call.
        credential: Credential,
        /// The model that was called.
        model: String,
        /// The pattern of its run, repeated here because the view of usage reads this event alone.
        pattern: Pattern,
        /// Why the reply ended.
        stop_reason: StopReason,
        /// Tokens used.
        usage: Usage,
        /// Cost of those tokens; absent where it isn't known.
        #[serde(default = "Cost::unknown", skip_serializing_if = "Cost::is_unknown")]
        cost: Cost,
        /// Time from the request to the first text; absent for a reply without text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        first_token_ms: Option<u64>,
        /// Time from the request to the end of the reply.
        duration_ms: u64,
    }
    /// A step is left out.
    Skipped {
        /// Delta rows since the event before; see the module.
        prev_d: u64,
        /// The step.
        step: StepId,
        /// Why.
        reason: SkipReason,
    }
    /// A fallback took the place of what a reply should have led to.
    FellBack {
        /// Delta rows since the event before; see the module.
        prev_d: u64,
        /// The step whose reply it was.
        step: StepId,
        /// The fallback.
        fallback: Fallback,
    }
    /// The run is paused and has no owner.
    Paused {
        /// Delta rows since the event before; see the module.
        prev_d: u64,
        /// Why.
        reason: PauseReason,
        /// Version of the control stream up to which requests have been handled.
        control: u64,
    }
    /// The run is paused and has no owner, because each process that called a model for this step
    /// stopped before the end of the call.
    Halted {
        /// Delta rows since the event before; see the module.
        prev_d: u64,
        /// The step.
        step: StepId,
        /// How often that happened since the run was last resumed.
        crashes: u32,
        /// Version of the control stream up to which requests have been handled.
        control: u64,
    }
    /// The run is paused and has no owner, because nothing but a user's action, or time, lets a
    /// step go on.
    Stalled {
        /// Delta rows since the event before; see the module.
        prev_d: u64,
        /// The step.
        step: StepId,
        /// What stands in its way.
        reason: PauseReason,
        /// When that ends, as far as the upstream says it; absent where it doesn't.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
        /// Version of the control stream up to which requests have been handled.
        control: u64,
    }
    /// The replies that were to be put together are the result as they are.
    Given {
        /// Delta rows since the event before; see the module.
        prev_d: u64,
        /// The step that was to put them together.
        step: StepId,
    }
    /// The run was resumed.
    Resumed {
        /// Delta rows since the event before; see the module.
        prev_d: u64,
        /// Version of the control stream up to which requests have been handled.
        control: u64,
        /// The credential that it uses from here on, and why.
        resolution: Resolution,
    }
    /// The run was cancelled.
    Cancelled {
        /// Delta rows since the event before; see the module.
        prev_d: u64,
        /// Version of the control stream up to which requests have been handled.
        control: u64,
    }
    /// The run completed. Its result is rendered from the definition and the replies.
    Done {
        /// Delta rows since the event before; see the module.
        prev_d: u64,
    }
    /// The run failed.
    Failed {
        /// Delta rows since the event before; see the module.
        prev_d: u64,
        /// Error code, as in the API.
        #[serde(with = "super::lower_case")]
        code: ErrorCode,
        /// The step that made it fail, if one did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<StepId>,
    }
    /// No facts beyond the run.
    RunOnly {}
}

/// What a run is asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The title that the owner gave it; absent for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The context, in clear.
    pub context: String,
    /// Agents and work.
    pub definition: Definition,
}

/// Texts about a failed call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// One sentence for a person.
    pub message: String,
    /// The upstream's `request-id`; absent where it sent none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_request_id: Option<String>,
}

/// Content of a reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The text, which may be empty.
    pub text: String,
    /// The upstream's `request-id`; absent where it sent none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_request_id: Option<String>,
}

/// A name in a reply that belongs to no agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpokenOf {
    /// As the reply had it, cut to 200 characters.
    pub name: String,
}

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Because {
    /// One sentence for a person.
    pub message: String,
}

events! {
    /// What happens to a run.
    RunEvent {
        /// It was requested.
        RunRequested = 1 (Requested; content: Asked),
        /// A process claimed it.
        RunClaimed = 1 (Claimed),
        /// Steps were added to the plan.
        StepsPlanned = 1 (Planned),
        /// A call begins.
        StepAttemptStarted = 1 (AttemptStarted),
        /// A call failed.
        StepAttemptFailed = 2 (AttemptFailed; content: Trouble)
            from { 1 => (AttemptFailed; content: Trouble) by RunEvent::StepAttemptFailed },
        /// A step is done.
        StepCompleted = 1 (Completed; content: Reply),
        /// A step is left out.
        StepSkipped = 1 (Skipped),
        /// A fallback took the place of what a reply should have led to.
        FallbackApplied = 1 (FellBack; content: SpokenOf),
        /// It was paused.
        RunPaused = 1 (Paused),
        /// It was paused, because the processes that called a model for one of its steps stopped.
        RunHalted = 1 (Halted),
        /// It was paused, because something stands in the way of a step.
        RunStalled = 1 (Stalled),
        /// The replies that were to be put together are the result as they are.
        PartsGiven = 1 (Given),
        /// It was resumed.
        RunResumed = 1 (Resumed),
        /// It was cancelled.
        RunCancelled = 1 (Cancelled),
        /// It completed.
        RunCompleted = 1 (Done),
        /// It failed.
        RunFailed = 1 (Failed; content: Because),
    }
}

events! {
    /// Requests to a run, in the stream `run-control/<run>`: any process may append one, and the
    /// run's one writer decides.
    RunControlEvent {
        /// Cancel the run.
        CancelRequested = 1 (RunOnly),
        /// Pause the run.
        PauseRequested = 1 (RunOnly),
        /// Resume the run.
        ResumeRequested = 1 (RunOnly),
    }
}
