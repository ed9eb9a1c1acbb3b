//! The state of a run, built from the messages of its feed and ready to draw. No clock, no
//! terminal.
//!
//! The rules of a client: keep the bytes of each attempt, drop a repeated overlap by its `offset`,
//! cut text that is superseded, and use full texts where pieces are missing. A piece that starts
//! after the end of the kept text can't be placed: a new snapshot is needed.

use super::message::{
    Message, RunState, RunTrouble, StepState, StepText, Usage, WireEvent, WireRun, WireStep,
    WireWaiting,
};
use serde_json::Value;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct StepScreen {
    pub(in crate::cli) id: String,
    /// Its agent's name; its purpose if it has no agent.
    pub(in crate::cli) agent: String,
    pub(in crate::cli) purpose: String,
    /// The round, if the pattern has rounds.
    pub(in crate::cli) round: Option<u32>,
    pub(in crate::cli) state: StepState,
    /// The attempt the text belongs to, from 1; 0 before the first.
    pub(in crate::cli) attempt: u32,
    /// The attempt's text received so far.
    pub(in crate::cli) text: String,
    /// The usage of all attempts together.
    pub(in crate::cli) usage: Usage,
    /// When this attempt was first seen running.
    pub(in crate::cli) began_ms: Option<u64>,
    /// From the request to the end.
    pub(in crate::cli) duration_ms: Option<u64>,
    /// The last error.
    pub(in crate::cli) trouble: Option<RunTrouble>,
    /// Why it waits for another attempt.
    pub(in crate::cli) waiting: Option<WireWaiting>,
}

/// A change that the line format may report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Change {
    /// The first snapshot arrived.
    Known,
    /// The run's state changed.
    State(RunState),
    /// The run was paused, for this reason.
    Paused(String),
    /// An attempt of this step started.
    Began(usize),
    /// This step has more text.
    Text(usize),
    /// This step's text after this many bytes is void, for this reason.
    Void(usize, usize, String),
    /// This step waits for another attempt.
    Waiting(usize),
    /// This step reached a final state.
    Settled(usize),
    /// A fallback replaced what this step's reply should have led to.
    FellBack(Option<usize>, String),
    /// A piece of text can't be placed: a new snapshot is needed.
    Lost,
    Ended,
}

/// The state of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::cli) struct RunScreen {
    /// The run of the last snapshot; its steps are in `steps`.
    pub(in crate::cli) run: Option<WireRun>,
    /// The steps, in the order in which they became known.
    pub(in crate::cli) steps: Vec<StepScreen>,
    /// The number of planned steps.
    pub(in crate::cli) planned: usize,
    /// Why the run is paused.
    pub(in crate::cli) paused: Option<String>,
    /// The cursor of the last message.
    pub(in crate::cli) cursor: Option<String>,
    /// When the first message arrived.
    pub(in crate::cli) began_ms: Option<u64>,
    /// Since when the connection is broken.
    pub(in crate::cli) cut_ms: Option<u64>,
    pub(in crate::cli) is_over: bool,
}

impl RunScreen {
    /// The run's state, as far as it is known.
    pub(in crate::cli) fn state(&self) -> RunState {
        self.run.as_ref().map_or(RunState::Queued, |run| run.state)
    }

    /// Applies a message that arrived at `now_ms`. Returns the changes.
    pub(in crate::cli) fn apply(&mut self, message: &Message, now_ms: u64) -> Vec<Change> {
        let mut changes = Vec::new();
        self.began_ms.get_or_insert(now_ms);
        match message {
            Message::Snapshot { orchestration, partial, .. } => {
                self.snapshot(orchestration, partial, now_ms, &mut changes);
            }
            Message::Event { event, step, .. } => {
                if let Some(step) = step {
                    self.update(step, now_ms, &mut changes);
                }
                self.event(event, &mut changes);
            }
            Message::TextDelta { step_id, attempt, offset, text, .. } => {
                self.delta((step_id, *attempt), (*offset, text), now_ms, &mut changes);
            }
            Message::AttemptSuperseded { step_id, attempt, keep_bytes, reason, .. } => {
                self.supersede(step_id, *attempt, (*keep_bytes, reason), &mut changes);
            }
            Message::GapMarker { steps, .. } => {
                for text in steps {
                    self.whole(text, &mut changes);
                }
            }
            Message::Terminal { orchestration, .. } => {
                self.snapshot(orchestration, &[], now_ms, &mut changes);
                self.is_over = true;
                changes.push(Change::Ended);
            }
        }
        if changes.contains(&Change::Lost) {
            // Messages after this cursor could not be placed either.
            self.cursor = None;
        } else {
            self.cursor = Some(message.cursor().to_owned());
        }
        changes
    }

    fn place(&self, id: &str) -> Option<usize> {
        self.steps.iter().position(|step| step.id == id)
    }

    fn snapshot(
        &mut self,
        run: &WireRun,
        partial: &[StepText],
        now_ms: u64,
        changes: &mut Vec<Change>,
    ) {
        if self.run.is_none() {
            changes.push(Change::Known);
        }
        let before = self.state();
        for step in &run.steps {
            self.update(step, now_ms, changes);
        }
        for text in partial {
            self.whole(text, changes);
        }
        self.planned = run.steps.len().max(self.planned);
        self.run = Some(WireRun { steps: Vec::new(), ..run.clone() });
        if run.state != before && !self.is_over {
            changes.push(Change::State(run.state));
        }
        if run.state != RunState::Paused {
            self.paused = None;
        } else if let Some(waiting) = &run.waiting {
            self.paused = Some(waiting.reason.to_lowercase().replace('_', " "));
        }
    }

    /// Applies the state of a step. A state older than the known one is ignored.
    fn update(&mut self, wire: &WireStep, now_ms: u64, changes: &mut Vec<Change>) {
        let at = self.place(&wire.id).unwrap_or_else(|| {
            self.steps.push(StepScreen {
                id: wire.id.clone(),
                agent: wire.agent.clone().unwrap_or_else(|| wire.purpose.clone()),
                purpose: wire.purpose.clone(),
                round: wire.round,
                state: StepState::Planned,
                attempt: 0,
                text: String::new(),
                usage: Usage::default(),
                began_ms: None,
                duration_ms: None,
                trouble: None,
                waiting: None,
            });
            self.steps.len() - 1
        });
        self.planned = self.planned.max(self.steps.len());
        let Some(step) = self.steps.get_mut(at) else { return };
        let is_old =
            wire.attempt < step.attempt || wire.attempt == step.attempt && step.state.is_settled();
        if is_old {
            return;
        }
        let is_new_attempt = wire.attempt > step.attempt;
        let before = step.state;
        if is_new_attempt {
            step.attempt = wire.attempt;
            step.began_ms = None;
            if !step.text.is_empty() {
                step.text.clear();
                changes.push(Change::Void(at, 0, "tried again".to_owned()));
            }
        }
        step.state = wire.state;
        step.usage = wire.usage.clone();
        step.duration_ms = wire.duration_ms;
        step.trouble.clone_from(&wire.error);
        step.waiting.clone_from(&wire.waiting);
        match wire.state {
            StepState::Running if before != StepState::Running || is_new_attempt => {
                step.began_ms = Some(now_ms);
                changes.push(Change::Began(at));
            }
            StepState::Waiting if before != StepState::Waiting || is_new_attempt => {
                changes.push(Change::Waiting(at));
            }
            StepState::Completed | StepState::Failed | StepState::Skipped => {
                if let Some(output) = &wire.output {
                    step.take_whole(output, at, changes);
                }
                changes.push(Change::Settled(at));
            }
            StepState::Planned | StepState::Running | StepState::Waiting => {}
        }
    }

    fn event(&mut self, event: &WireEvent, changes: &mut Vec<Change>) {
        let word = |name: &str| {
            event.facts.get(name).and_then(Value::as_str).unwrap_or_default().replace('_', " ")
        };
        let state = match event.kind.as_str() {
            "StepsPlanned" => {
                let planned =
                    event.facts.get("steps").and_then(Value::as_array).map_or(0, Vec::len);
                self.planned = self.planned.saturating_add(planned).max(self.steps.len());
                return;
            }
            "FallbackApplied" => {
                let step =
                    event.facts.get("step").and_then(Value::as_str).and_then(|id| self.place(id));
                changes.push(Change::FellBack(step, word("fallback")));
                return;
            }
            "RunHalted" => {
                self.paused = Some("interrupted".to_owned());
                changes.push(Change::Paused("interrupted".to_owned()));
                RunState::Paused
            }
            "PartsGiven" => {
                let step =
                    event.facts.get("step").and_then(Value::as_str).and_then(|id| self.place(id));
                changes.push(Change::FellBack(step, "parts as they are".to_owned()));
                return;
            }
            "RunPaused" | "RunStalled" => {
                self.paused = Some(word("reason"));
                changes.push(Change::Paused(word("reason")));
                RunState::Paused
            }
            "RunClaimed" | "RunResumed" => RunState::Running,
            // The other events concern steps, or come with the end of the run, whose message
            // contains the complete state.
            _ => return,
        };
        let Some(run) = &mut self.run else { return };
        if run.state != state {
            run.state = state;
            if state == RunState::Running {
                self.paused = None;
                changes.push(Change::State(state));
            }
        }
    }

    fn delta(
        &mut self,
        of: (&str, u32),
        said: (usize, &str),
        now_ms: u64,
        changes: &mut Vec<Change>,
    ) {
        let ((id, attempt), (offset, text)) = (of, said);
        let Some(at) = self.place(id) else { return changes.push(Change::Lost) };
        let Some(step) = self.steps.get_mut(at) else { return };
        if attempt < step.attempt || step.state.is_settled() {
            return;
        }
        if attempt > step.attempt {
            if !step.text.is_empty() {
                changes.push(Change::Void(at, 0, "tried again".to_owned()));
            }
            (step.attempt, step.state, step.began_ms) = (attempt, StepState::Running, Some(now_ms));
            step.text.clear();
            changes.push(Change::Began(at));
        }
        let held = step.text.len();
        let Some(known) = held.checked_sub(offset) else { return changes.push(Change::Lost) };
        if known >= text.len() {
            return;
        }
        // An overlap that ends inside a character belongs to another text.
        let Some(new) = text.get(known..) else { return changes.push(Change::Lost) };
        step.text.push_str(new);
        changes.push(Change::Text(at));
    }

    fn supersede(
        &mut self,
        id: &str,
        attempt: u32,
        (keep_bytes, reason): (usize, &str),
        changes: &mut Vec<Change>,
    ) {
        let Some(at) = self.place(id) else { return };
        let Some(step) = self
            .steps
            .get_mut(at)
            .filter(|step| step.attempt == attempt && !step.state.is_settled())
        else {
            return;
        };
        if step.text.len() > keep_bytes {
            let mut keep = keep_bytes;
            while !step.text.is_char_boundary(keep) {
                keep -= 1;
            }
            step.text.truncate(keep);
            changes.push(Change::Void(at, keep, reason.replace('_', " ")));
        }
    }

    /// Applies the whole text of an attempt so far.
    fn whole(&mut self, text: &StepText, changes: &mut Vec<Change>) {
        let Some(at) = self.place(&text.step_id) else { return };
        if let Some(step) = self.steps.get_mut(at).filter(|step| step.attempt <= text.attempt) {
            step.attempt = text.attempt;
            step.take_whole(&text.text, at, changes);
        }
    }
}

impl StepScreen {
    /// A text that starts with the kept one extends it; any other replaces it.
    fn take_whole(&mut self, text: &str, at: usize, changes: &mut Vec<Change>) {
        if self.text == text {
            return;
        }
        if !text.starts_with(&self.text) {
            changes.push(Change::Void(at, 0, "the full text differs".to_owned()));
        }
        text.clone_into(&mut self.text);
        changes.push(Change::Text(at));
    }

    /// How long the attempt has been running, or took.
    pub(in crate::cli) fn took_ms(&self, now_ms: u64) -> Option<u64> {
        let so_far = self
            .began_ms
            .filter(|_| self.state == StepState::Running)
            .map(|began| now_ms.saturating_sub(began));
        so_far.or(self.duration_ms)
    }
}

#[cfg(test)]
mod tests;
