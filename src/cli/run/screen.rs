//! What is known of a run, from the messages of its feed: messages in, a model to be drawn out. No clock, no terminal.
//!
//! The client's rule: hold the bytes of each attempt, drop what an overlap repeats by its `offset`, cut where text is superseded, take
//! full texts where pieces are gone. A piece that begins beyond what is held can't be placed: then only a new snapshot helps.

use super::message::{
    Message, RunState, RunTrouble, StepState, StepText, Usage, WireEvent, WireRun, WireStep,
};
use serde_json::Value;

/// A step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct StepScreen {
    /// Its id.
    pub(in crate::cli) id: String,
    /// Its agent's name; what it is for where there is none.
    pub(in crate::cli) agent: String,
    /// What for.
    pub(in crate::cli) purpose: String,
    /// In which round, where there are rounds.
    pub(in crate::cli) round: Option<u32>,
    /// Where it stands.
    pub(in crate::cli) state: StepState,
    /// The attempt whose text this is, from 1; 0 before the first.
    pub(in crate::cli) attempt: u32,
    /// The text held of it.
    pub(in crate::cli) text: String,
    /// What it used, all attempts together.
    pub(in crate::cli) usage: Usage,
    /// When this attempt was first seen running.
    pub(in crate::cli) began_ms: Option<u64>,
    /// From the request to the end.
    pub(in crate::cli) duration_ms: Option<u64>,
    /// What went wrong last.
    pub(in crate::cli) trouble: Option<RunTrouble>,
}

/// Something that a reader of plain lines is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Change {
    /// The run is known for the first time.
    Known,
    /// The run is in another state.
    State(RunState),
    /// It stands still, for this reason.
    Paused(String),
    /// An attempt of this step is under way.
    Began(usize),
    /// This step has more text.
    Text(usize),
    /// Text of this step beyond so many bytes is void, for this reason.
    Void(usize, usize, String),
    /// This step is tried again later.
    Waiting(usize),
    /// Nothing will happen to this step any more.
    Settled(usize),
    /// Something else was done than this step's reply should have led to.
    FellBack(Option<usize>, String),
    /// A piece of text can't be placed: a new snapshot is needed.
    Lost,
    /// The run has ended.
    Ended,
}

/// The model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::cli) struct RunScreen {
    /// The run as it was told whole last; its steps are in `steps`.
    pub(in crate::cli) run: Option<WireRun>,
    /// The steps, in the order in which they became known.
    pub(in crate::cli) steps: Vec<StepScreen>,
    /// How many steps have their places.
    pub(in crate::cli) planned: usize,
    /// Why it stands still.
    pub(in crate::cli) paused: Option<String>,
    /// The place of the last message.
    pub(in crate::cli) cursor: Option<String>,
    /// When the first message came.
    pub(in crate::cli) began_ms: Option<u64>,
    /// The connection is cut since then.
    pub(in crate::cli) cut_ms: Option<u64>,
    /// The run has ended.
    pub(in crate::cli) is_over: bool,
}

impl RunScreen {
    /// Where the run stands, as far as is known.
    pub(in crate::cli) fn state(&self) -> RunState {
        self.run.as_ref().map_or(RunState::Queued, |run| run.state)
    }

    /// Takes a message in that came now; what is new to whoever reads along.
    pub(in crate::cli) fn apply(&mut self, message: &Message, now_ms: u64) -> Vec<Change> {
        let mut changes = Vec::new();
        self.began_ms.get_or_insert(now_ms);
        match message {
            Message::Snapshot { orchestration, partial, .. } => {
                self.snapshot(orchestration, partial, now_ms, &mut changes)
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
            // What follows this place could not be placed either.
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
        }
    }

    /// Takes a step in as it stands. What is older than what is known says nothing.
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
        match wire.state {
            StepState::Running if before != StepState::Running || is_new_attempt => {
                step.began_ms = Some(now_ms);
                changes.push(Change::Began(at));
            }
            StepState::Waiting if before != StepState::Waiting || is_new_attempt => {
                changes.push(Change::Waiting(at))
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
            "RunPaused" => {
                self.paused = Some(word("reason"));
                changes.push(Change::Paused(word("reason")));
                RunState::Paused
            }
            "RunClaimed" | "RunResumed" => RunState::Running,
            // The others tell of steps, or come with the end, which tells all.
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
        // An overlap that ends inside a character is none of this text.
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

    /// Takes the whole text so far of an attempt in.
    fn whole(&mut self, text: &StepText, changes: &mut Vec<Change>) {
        let Some(at) = self.place(&text.step_id) else { return };
        if let Some(step) = self.steps.get_mut(at).filter(|step| step.attempt <= text.attempt) {
            step.attempt = text.attempt;
            step.take_whole(&text.text, at, changes);
        }
    }
}

impl StepScreen {
    /// A text that begins as the one held adds to it; another takes its place.
    fn take_whole(&mut self, text: &str, at: usize, changes: &mut Vec<Change>) {
        if self.text == text {
            return;
        }
        if !text.starts_with(&self.text) {
            changes.push(Change::Void(at, 0, "the whole text is another".to_owned()));
        }
        text.clone_into(&mut self.text);
        changes.push(Change::Text(at));
    }

    /// How long its attempt has run by now, or took.
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
