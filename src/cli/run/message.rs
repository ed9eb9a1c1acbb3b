//! The server's messages about a run, in the shape that [`super::queries`] requests.

use serde::Deserialize;
use serde_json::Value;

/// The state of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(in crate::cli) enum RunState {
    /// No process works on it yet.
    Queued,
    Running,
    Paused,
    Completed,
    Failed,
    Cancelled,
}

impl RunState {
    /// The word to show.
    pub(in crate::cli) const fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The state of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(in crate::cli) enum StepState {
    Planned,
    /// An attempt is running.
    Running,
    /// Waiting for its next attempt.
    Waiting,
    Completed,
    Failed,
    Skipped,
}

impl StepState {
    /// Whether this state is final.
    pub(in crate::cli) const fn is_settled(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Skipped)
    }

    /// The word to show.
    pub(in crate::cli) const fn word(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// Token counts, as decimal text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(in crate::cli) struct Usage {
    #[serde(rename = "inputTokens")]
    input: String,
    #[serde(rename = "outputTokens")]
    output: String,
    #[serde(rename = "cacheCreationInputTokens")]
    cache_creation: String,
    #[serde(rename = "cacheReadInputTokens")]
    cache_read: String,
}

impl Usage {
    /// Input tokens, including those of caches, and output tokens.
    pub(in crate::cli) fn in_and_out(&self) -> (u64, u64) {
        let number = |text: &String| text.parse::<u64>().unwrap_or_default();
        let read = [&self.input, &self.cache_creation, &self.cache_read];
        (read.into_iter().map(number).fold(0, u64::saturating_add), number(&self.output))
    }
}

/// An error of a run or step.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(in crate::cli) struct RunTrouble {
    pub(in crate::cli) code: String,
    pub(in crate::cli) message: String,
}

/// Why something waits.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(in crate::cli) struct WireWaiting {
    pub(in crate::cli) since: String,
    pub(in crate::cli) until: Option<String>,
    pub(in crate::cli) reason: String,
    pub(in crate::cli) message: String,
}

impl WireWaiting {
    /// Until when, why, and what would help.
    pub(in crate::cli) fn words(&self) -> String {
        let until = self.until.as_ref().map(|until| format!(" until {until}")).unwrap_or_default();
        let reason = self.reason.to_lowercase().replace('_', " ");
        format!("waits{until} ({reason}): {}", self.message)
    }
}

/// The current state of a step.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct WireStep {
    pub(in crate::cli) id: String,
    pub(in crate::cli) agent: Option<String>,
    pub(in crate::cli) purpose: String,
    pub(in crate::cli) round: Option<u32>,
    pub(in crate::cli) state: StepState,
    pub(in crate::cli) attempt: u32,
    pub(in crate::cli) output: Option<String>,
    #[serde(default)]
    pub(in crate::cli) usage: Usage,
    pub(in crate::cli) duration_ms: Option<u64>,
    pub(in crate::cli) error: Option<RunTrouble>,
    pub(in crate::cli) waiting: Option<WireWaiting>,
    /// What was done instead of using its reply.
    pub(in crate::cli) fallback: Option<String>,
}

/// The current state of a run.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct WireRun {
    pub(in crate::cli) id: String,
    pub(in crate::cli) pattern: String,
    pub(in crate::cli) state: RunState,
    pub(in crate::cli) title: Option<String>,
    pub(in crate::cli) output: Option<String>,
    pub(in crate::cli) error: Option<RunTrouble>,
    #[serde(default)]
    pub(in crate::cli) usage: Usage,
    pub(in crate::cli) cost_nano_usd: Option<String>,
    pub(in crate::cli) duration_ms: Option<u64>,
    pub(in crate::cli) waiting: Option<WireWaiting>,
    #[serde(default)]
    pub(in crate::cli) steps: Vec<WireStep>,
}

/// The whole text of an attempt so far.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct StepText {
    pub(in crate::cli) step_id: String,
    pub(in crate::cli) attempt: u32,
    pub(in crate::cli) text: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(in crate::cli) struct WireEvent {
    #[serde(rename = "type")]
    pub(in crate::cli) kind: String,
    #[serde(default)]
    pub(in crate::cli) facts: Value,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "__typename")]
#[serde(rename_all_fields = "camelCase")]
pub(in crate::cli) enum Message {
    /// The current state of the run.
    Snapshot {
        cursor: String,
        orchestration: Box<WireRun>,
        #[serde(default)]
        partial: Vec<StepText>,
    },
    /// An event, and the state after it of the step it concerns.
    #[serde(rename = "EventMessage")]
    Event { cursor: String, event: WireEvent, step: Option<Box<WireStep>> },
    /// More text of an attempt, from this byte on.
    TextDelta { cursor: String, step_id: String, attempt: u32, offset: usize, text: String },
    /// The attempt's text after `keepBytes` bytes is void.
    AttemptSuperseded {
        cursor: String,
        step_id: String,
        attempt: u32,
        keep_bytes: usize,
        reason: String,
    },
    /// Text was lost; the full texts of finished steps replace it.
    GapMarker {
        cursor: String,
        #[serde(default)]
        steps: Vec<StepText>,
    },
    /// The run has ended.
    Terminal { cursor: String, orchestration: Box<WireRun> },
}

impl Message {
    /// The message's position in the feed.
    pub(in crate::cli) fn cursor(&self) -> &str {
        match self {
            Self::Snapshot { cursor, .. }
            | Self::Event { cursor, .. }
            | Self::TextDelta { cursor, .. }
            | Self::AttemptSuperseded { cursor, .. }
            | Self::GapMarker { cursor, .. }
            | Self::Terminal { cursor, .. } => cursor,
        }
    }
}
