//! A run and its text in progress, folded from events and rows. Snapshot, cursor and partial texts
//! all come from here.

use super::message::{Body, RunRecord, RunView, StepText, StepView, Superseded, TextDelta};
use super::text::DeltaItem;
use claviger_domain::id::StepId;
use claviger_domain::orchestration::{
    AttemptFailed, AttemptStarted, Claimed, Completed, Run, RunEvent, Step,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The text of a running attempt.
#[derive(Clone, Debug)]
struct Growing {
    attempt: u32,
    text: String,
    /// A piece is missing. Later pieces are held back, and the step's end brings the full text.
    has_hole: bool,
}

/// The last failure of a step whose text may have been seen.
#[derive(Clone, Copy, Debug)]
struct Void {
    attempt: u32,
    reason: Superseded,
}

/// The folded state of a run.
#[derive(Clone, Debug, Default)]
pub struct RunFold {
    /// Shared with the snapshots that were taken; copied when it changes while one of them lives.
    view: Arc<RunView>,
    growing: BTreeMap<StepId, Growing>,
    void: BTreeMap<StepId, Void>,
}

impl RunFold {
    /// The run.
    pub fn run(&self) -> &Run {
        &self.view.run
    }

    /// The run with its times.
    pub const fn view(&self) -> &Arc<RunView> {
        &self.view
    }

    /// The text so far of each running attempt, in plan order.
    pub fn partial(&self) -> Arc<[StepText]> {
        let text = |(step, attempt)| {
            let growing = self.growing.get(&step)?;
            Some(StepText { step, attempt, text: growing.text.clone() })
        };
        self.view.run.running().filter_map(text).collect()
    }

    /// Bytes of text of all running attempts.
    pub(super) fn partial_bytes(&self) -> usize {
        self.growing.values().map(|growing| growing.text.capacity()).sum()
    }

    /// Bytes of text of each running attempt: the number that a claim records as kept.
    pub fn kept(&self) -> Vec<(StepId, u64)> {
        self.growing.iter().map(|(step, growing)| (*step, growing.text.len() as u64)).collect()
    }

    /// The full texts of the completed steps.
    pub fn finished(&self) -> Arc<[StepText]> {
        self.view
            .run
            .steps
            .iter()
            .filter(|step| step.is_completed())
            .filter_map(full_text)
            .collect()
    }

    /// Folds an event and returns its messages for a subscriber, in a fixed order.
    pub fn event(&mut self, record: &Arc<RunRecord>) -> Vec<Body> {
        let view = Arc::make_mut(&mut self.view);
        view.apply(record.event.clone(), record.stored.envelope.at);
        let (step, more) = match &record.event {
            RunEvent::RunClaimed(facts) => (None, self.claimed(facts)),
            RunEvent::StepAttemptStarted(facts) => (Some(facts.step), self.started(facts)),
            RunEvent::StepAttemptFailed(facts, _) => (Some(facts.step), self.failed(facts)),
            RunEvent::StepCompleted(facts, _) => (Some(facts.step), self.completed(facts)),
            RunEvent::StepSkipped(facts) => (Some(facts.step), Vec::new()),
            RunEvent::FallbackApplied(facts, _) => (Some(facts.step), Vec::new()),
            RunEvent::RunHalted(facts) => (Some(facts.step), Vec::new()),
            RunEvent::RunStalled(facts) => (Some(facts.step), Vec::new()),
            RunEvent::PartsGiven(facts) => (Some(facts.step), Vec::new()),
            RunEvent::RunRequested(..)
            | RunEvent::StepsPlanned(_)
            | RunEvent::RunPaused(_)
            | RunEvent::RunResumed(_)
            | RunEvent::RunCancelled(_)
            | RunEvent::RunCompleted(_)
            | RunEvent::RunFailed(..) => (None, Vec::new()),
        };
        let view = &self.view;
        let step = step.and_then(|step| view.run.step(step));
        let step = step.map(|step| Arc::new(StepView::of(view, step)));
        let mut bodies = vec![Body::Event { event: Arc::clone(record), step }];
        bodies.extend(more);
        if self.view.run.phase.is_final() {
            bodies.push(Body::Terminal(Arc::clone(&self.view)));
        }
        bodies
    }

    /// Folds a piece of text; `None` if no subscriber should receive it.
    pub fn delta(&mut self, item: &DeltaItem) -> Option<Body> {
        let growing = self
            .growing
            .get_mut(&item.step)
            .filter(|growing| growing.attempt == item.attempt && !growing.has_hole)?;
        let held = growing.text.len() as u64;
        let known = held.checked_sub(item.offset).and_then(|known| usize::try_from(known).ok());
        let Some(new) = known.and_then(|known| item.text.get(known.min(item.text.len())..)) else {
            growing.has_hole = true;
            return None;
        };
        if new.is_empty() {
            return None;
        }
        growing.text.push_str(new);
        let text = new.to_owned();
        Some(Body::Delta(TextDelta {
            step: item.step,
            attempt: item.attempt,
            agent: self.agent(item.step),
            offset: held,
            text,
        }))
    }

    fn agent(&self, step: StepId) -> Option<String> {
        StepView::agent_of(&self.view.run, self.view.run.step(step)?)
    }

    /// Cuts off the text that the previous owner wrote after the new one had counted.
    fn claimed(&mut self, facts: &Claimed) -> Vec<Body> {
        let running: Vec<_> = self.view.run.running().collect();
        let cut = |(step, attempt)| {
            let kept = facts.kept.iter().find(|kept| kept.step == step && kept.attempt == attempt);
            let keep_bytes = kept.map_or(0, |kept| kept.bytes);
            if let Some(growing) = self.growing.get_mut(&step) {
                cut_off(&mut growing.text, keep_bytes);
            }
            Body::AttemptSuperseded { step, attempt, keep_bytes, reason: Superseded::TakenOver }
        };
        running.into_iter().map(cut).collect()
    }

    fn started(&mut self, facts: &AttemptStarted) -> Vec<Body> {
        let growing = Growing { attempt: facts.attempt, text: String::new(), has_hole: false };
        self.growing.insert(facts.step, growing);
        let superseded = |void: Void| Body::AttemptSuperseded {
            step: facts.step,
            attempt: void.attempt,
            keep_bytes: 0,
            reason: void.reason,
        };
        self.void.remove(&facts.step).map(superseded).into_iter().collect()
    }

    /// The event, not the fold, decides whether text of the attempt may have been seen: rows may
    /// have expired, and the sequence of messages must be the same without them.
    fn failed(&mut self, facts: &AttemptFailed) -> Vec<Body> {
        let seen = self.growing.remove(&facts.step).is_some_and(|growing| !growing.text.is_empty());
        if seen || facts.partial_bytes > 0 {
            let void = Void { attempt: facts.attempt, reason: Superseded::Failed(facts.class) };
            self.void.insert(facts.step, void);
        }
        Vec::new()
    }

    /// If the pieces do not add up to the reply, the whole reply is sent.
    fn completed(&mut self, facts: &Completed) -> Vec<Body> {
        let seen = self.growing.remove(&facts.step).map(|growing| growing.text).unwrap_or_default();
        let full = self.view.run.step(facts.step).and_then(full_text);
        full.filter(|full| full.text != seen)
            .map(|full| Body::Gap(Arc::from([full])))
            .into_iter()
            .collect()
    }
}

fn full_text(step: &Step) -> Option<StepText> {
    let text = step.reply.clone()?;
    Some(StepText { step: step.planned.step, attempt: step.attempts, text })
}

/// Keeps at most `keep_bytes` bytes, without splitting a character.
fn cut_off(text: &mut String, keep_bytes: u64) {
    let mut keep = usize::try_from(keep_bytes).unwrap_or(usize::MAX).min(text.len());
    while !text.is_char_boundary(keep) {
        keep -= 1;
    }
    text.truncate(keep);
}
