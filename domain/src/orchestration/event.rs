//! What happens to a run. Facts are readable to auditors and hold no text of anybody's; content is sealed for the owner.
//!
//! Every event of a run but the first carries `prev_d`: how many rows of text deltas were durable since the event before it. A reader
//! passes on only when it holds exactly those, so text and events have one order (`DESIGN.md`, section 8).

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
    /// An agent's turn in a sequence, in a debate.
    Turn,
    /// The moderator's last word in a debate.
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
    /// The word stored and shown.
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

/// A step that has its place in the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// Its id.
    pub step: StepId,
    /// Whose, by the place in the definition; absent where no agent is named (a design).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<u32>,
    /// What that agent is in its team.
    pub role: AgentRole,
    /// What for.
    pub purpose: Purpose,
    /// In which round, from 1, where there are rounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<u32>,
    /// Place among the steps of its purpose (and round), from 0; of a part of the work, the place in the manager's plan.
    pub item: u32,
    /// The model it is done with.
    pub model: String,
    /// Most tokens of its reply.
    pub max_tokens: u32,
}

/// Text of an attempt that is valid although its call goes on no more, or not yet again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The step.
    pub step: StepId,
    /// Which attempt.
    pub attempt: u32,
    /// Bytes over all valid rows of deltas since the attempt began.
    pub bytes: u64,
}

/// What becomes of a step whose attempt has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Next {
    /// It is tried again at this time.
    Retry {
        /// When, at the earliest.
        at: Timestamp,
    },
    /// It has failed.
    GiveUp,
    /// It is tried again once the run is resumed.
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

/// What was done instead of what a reply should have led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fallback {
    /// JSON stood in other text, and was taken out of it.
    JsonInText,
    /// The manager's plan can't be read: every worker gets the whole task.
    EveryWorker,
    /// The plan names a worker that there isn't: that part is left out.
    UnknownWorker,
    /// No part of the plan is for a worker that there is: every worker gets the whole task.
    NoKnownWorker,
    /// The router's choice can't be read: the first specialist gets the task.
    FirstSpecialist,
    /// The router names a specialist that there isn't: left out.
    UnknownSpecialist,
    /// No specialist that there is was chosen: the first gets the task.
    NoKnownSpecialist,
}

/// Why a run stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseReason {
    /// Somebody asked.
    Requested,
    /// A limit of spending was reached.
    SpendLimit,
    /// Its key is deleted, inactive or expired.
    KeyUnavailable,
}

/// Codes in facts are words like all others there.
mod lower_case {
    use crate::code::ErrorCode;
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands in a reference")]
    pub(super) fn serialize<S: Serializer>(
        code: &ErrorCode,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&code.as_str().to_ascii_lowercase())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<ErrorCode, D::Error> {
        let word = String::deserialize(deserializer)?;
        let known =
            ErrorCode::ALL.iter().copied().find(|code| code.as_str().to_ascii_lowercase() == word);
        known.ok_or_else(|| de::Error::custom("not a code"))
    }
}

facts! {
    about run: RunId = "The run.";

    /// A run was asked for.
    Requested {
        /// How its agents work together.
        pattern: Pattern,
        /// How many they are.
        agents: u32,
        /// The model where an agent names none.
        model: String,
        /// Most tokens of a reply where an agent names none.
        max_tokens: u32,
        /// Most calls at once.
        max_concurrency: u32,
        /// Most attempts of a step that count.
        max_attempts: u32,
        /// Version of the price table that its cost is reckoned by.
        price_table: String,
        /// Version of the words in which agents are spoken to.
        renderer: u32,
        /// Keyed hash of the context.
        context_tag: ContextTag,
        /// The key that the request named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        named_key: Option<KeyId>,
        /// Which credential it uses, and why.
        resolution: Resolution,
    }
    /// A process works on the run from here on, and no other does.
    Claimed {
        /// See the module.
        prev_d: u64,
        /// Counts up with every claim, from 1.
        epoch: u64,
        /// The process.
        owner: BootId,
        /// The attempts that were running, with the text that is valid of each.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        kept: Vec<Kept>,
    }
    /// Steps got their places.
    Planned {
        /// See the module.
        prev_d: u64,
        /// In the order in which they are shown.
        steps: Vec<PlannedStep>,
    }
    /// A call begins: committed before the secret is opened and the request is sent.
    AttemptStarted {
        /// See the module.
        prev_d: u64,
        /// The step.
        step: StepId,
        /// Counts up, from 1.
        attempt: u32,
        /// The credential.
        credential: Credential,
        /// The model.
        model: String,
        /// Keyed hash of the request.
        request_hash: String,
    }
    /// A call came to nothing.
    AttemptFailed {
        /// See the module.
        prev_d: u64,
        /// The step.
        step: StepId,
        /// Which attempt.
        attempt: u32,
        /// The credential.
        credential: Credential,
        /// The model.
        model: String,
        /// How the agents of its run work together: who adds up what calls used reads this event alone.
        pattern: Pattern,
        /// Why.
        class: FailureClass,
        /// What the upstream's HTTP status was, if it answered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        /// Bytes of text that were received; they are void.
        partial_bytes: u64,
        /// What it used, as far as is known.
        usage: Usage,
        /// What that cost; absent where that isn't known.
        #[serde(default = "Cost::unknown", skip_serializing_if = "Cost::is_unknown")]
        cost: Cost,
        /// It may have cost more than is known here.
        maybe_billed: bool,
        /// What becomes of the step.
        next: Next,
    }
    /// A step is done.
    Completed {
        /// See the module.
        prev_d: u64,
        /// The step.
        step: StepId,
        /// Which attempt.
        attempt: u32,
        /// The credential.
        credential: Credential,
        /// The model.
        model: String,
        /// How the agents of its run work together: who adds up what calls used reads this event alone.
        pattern: Pattern,
        /// Why the reply ended.
        stop_reason: StopReason,
        /// What it used.
        usage: Usage,
        /// What that cost; absent where that isn't known.
        #[serde(default = "Cost::unknown", skip_serializing_if = "Cost::is_unknown")]
        cost: Cost,
        /// From the request to the first text; absent for a reply without text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        first_token_ms: Option<u64>,
        /// From the request to the end.
        duration_ms: u64,
    }
    /// A step is left out.
    Skipped {
        /// See the module.
        prev_d: u64,
        /// The step.
        step: StepId,
        /// Why.
        reason: SkipReason,
    }
    /// Something else was done than a reply should have led to.
    FellBack {
        /// See the module.
        prev_d: u64,
        /// Whose reply.
        step: StepId,
        /// What was done.
        fallback: Fallback,
    }
    /// The run stands still, owned by nobody.
    Paused {
        /// See the module.
        prev_d: u64,
        /// Why.
        reason: PauseReason,
        /// Version of the control stream up to which requests are spent.
        control: u64,
    }
    /// The run goes on.
    Resumed {
        /// See the module.
        prev_d: u64,
        /// Version of the control stream up to which requests are spent.
        control: u64,
        /// Which credential it uses from here on, and why.
        resolution: Resolution,
    }
    /// The run was stopped for good.
    Cancelled {
        /// See the module.
        prev_d: u64,
        /// Version of the control stream up to which requests are spent.
        control: u64,
    }
    /// The run is done. Its result is rendered from the definition and the replies.
    Done {
        /// See the module.
        prev_d: u64,
    }
    /// The run came to nothing.
    Failed {
        /// See the module.
        prev_d: u64,
        /// The code of the contract.
        #[serde(with = "lower_case")]
        code: ErrorCode,
        /// The step it failed by, if by one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<StepId>,
    }
    /// The run alone says it all.
    RunOnly {}
}

/// What a run is asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// What its owner calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The context in clear.
    pub context: String,
    /// Agents and work.
    pub definition: Definition,
}

/// The words around a failed call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// One sentence for a person.
    pub message: String,
    /// `request-id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_request_id: Option<String>,
}

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// Its text, which may be empty.
    pub text: String,
    /// `request-id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_request_id: Option<String>,
}

/// A name that a reply spoke of in vain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpokenOf {
    /// As it stood there, cut to 200 characters.
    pub name: String,
}

/// Why a run came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Because {
    /// One sentence for a person.
    pub message: String,
}

events! {
    /// What happens to a run.
    RunEvent {
        /// It was asked for.
        RunRequested = 1 (Requested; content: Asked),
        /// A process works on it.
        RunClaimed = 1 (Claimed),
        /// Steps got their places.
        StepsPlanned = 1 (Planned),
        /// A call begins.
        StepAttemptStarted = 1 (AttemptStarted),
        /// A call came to nothing.
        StepAttemptFailed = 1 (AttemptFailed; content: Trouble),
        /// A step is done.
        StepCompleted = 1 (Completed; content: Reply),
        /// A step is left out.
        StepSkipped = 1 (Skipped),
        /// Something else was done than a reply should have led to.
        FallbackApplied = 1 (FellBack; content: SpokenOf),
        /// It stands still.
        RunPaused = 1 (Paused),
        /// It goes on.
        RunResumed = 1 (Resumed),
        /// It was stopped for good.
        RunCancelled = 1 (Cancelled),
        /// It is done.
        RunCompleted = 1 (Done),
        /// It came to nothing.
        RunFailed = 1 (Failed; content: Because),
    }
}

events! {
    /// What is asked of a run from outside, in the stream `run-control/<run>`, so that any process may ask and one writer decides.
    RunControlEvent {
        /// Stop for good.
        CancelRequested = 1 (RunOnly),
        /// Stand still.
        PauseRequested = 1 (RunOnly),
        /// Go on.
        ResumeRequested = 1 (RunOnly),
    }
}

impl RunEvent {
    /// Says how many rows of text deltas were durable since the event before. The first event of a run has none before it.
    pub fn set_prev_d(&mut self, rows: u64) {
        match self {
            Self::RunRequested(..) => {}
            Self::RunClaimed(facts) => facts.prev_d = rows,
            Self::StepsPlanned(facts) => facts.prev_d = rows,
            Self::StepAttemptStarted(facts) => facts.prev_d = rows,
            Self::StepAttemptFailed(facts, _) => facts.prev_d = rows,
            Self::StepCompleted(facts, _) => facts.prev_d = rows,
            Self::StepSkipped(facts) => facts.prev_d = rows,
            Self::FallbackApplied(facts, _) => facts.prev_d = rows,
            Self::RunPaused(facts) => facts.prev_d = rows,
            Self::RunResumed(facts) => facts.prev_d = rows,
            Self::RunCancelled(facts) => facts.prev_d = rows,
            Self::RunCompleted(facts) => facts.prev_d = rows,
            Self::RunFailed(facts, _) => facts.prev_d = rows,
        }
    }

    /// How many rows of text deltas were durable since the event before.
    pub const fn prev_d(&self) -> u64 {
        match self {
            Self::RunRequested(..) => 0,
            Self::RunClaimed(facts) => facts.prev_d,
            Self::StepsPlanned(facts) => facts.prev_d,
            Self::StepAttemptStarted(facts) => facts.prev_d,
            Self::StepAttemptFailed(facts, _) => facts.prev_d,
            Self::StepCompleted(facts, _) => facts.prev_d,
            Self::StepSkipped(facts) => facts.prev_d,
            Self::FallbackApplied(facts, _) => facts.prev_d,
            Self::RunPaused(facts) => facts.prev_d,
            Self::RunResumed(facts) => facts.prev_d,
            Self::RunCancelled(facts) => facts.prev_d,
            Self::RunCompleted(facts) => facts.prev_d,
            Self::RunFailed(facts, _) => facts.prev_d,
        }
    }
}
