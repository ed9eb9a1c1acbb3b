//! A run's feed as the events of the earlier service's streams.

use super::call::execution;
use claviger_domain::id::RunId;
use claviger_domain::orchestration::{Definition, Pattern, Phase, Purpose, RunEvent, Work};
use claviger_domain::pattern;
use claviger_domain::timestamp::Timestamp;
use claviger_projections::run_feed::{Body, FeedMessage, RunRecord, RunView, StepView};
use serde_json::{Map, Value, json};

/// Under this name a design's one call speaks.
pub(super) const DESIGNER: &str = "Design Generator";

/// What a message of the feed is at this face.
pub(super) enum Told {
    /// Events, which may be none.
    Events(Vec<Value>),
    /// The run was paused by this event. Whether it still is only its state can say.
    Paused,
    /// The last event of the stream.
    Last(Value),
}

/// Translates a run's messages. Each depends on its message alone, so a stream that is resumed goes
/// on as if it had never been cut.
pub(super) struct Translator {
    pub(super) run: RunId,
    /// A design's stream has other events.
    pub(super) is_design: bool,
}

/// The pattern's name where a stream starts.
const fn opening_name(work: &Work) -> &'static str {
    match work {
        Work::Sequential { .. } => "sequential",
        Work::Debate { .. } => "debate",
        Work::Hierarchical { .. } => "hierarchical",
        Work::Parallel { .. } => "parallel",
        Work::Routing { .. } => "routing",
        Work::Design { .. } => "design",
    }
}

impl Translator {
    pub(super) fn told(&self, message: &FeedMessage, now: Timestamp) -> Told {
        match &message.body {
            Body::Event { event, step } => self.event(event, step.as_deref()),
            Body::Delta(delta) => {
                let agent = delta.agent.as_deref().unwrap_or(DESIGNER);
                Told::Events(vec![self.chunk(agent, &delta.text, now)])
            }
            // The start of the next attempt says so. Text that expired while nobody listened is in
            // the result.
            Body::AttemptSuperseded { .. } | Body::Snapshot { .. } | Body::Gap(_) => {
                Told::Events(Vec::new())
            }
            Body::Terminal(view) => Told::Last(self.last(view)),
        }
    }

    fn chunk(&self, agent: &str, text: &str, now: Timestamp) -> Value {
        let mut chunk = json!({ "type": "chunk", "data": text, "timestamp": now.to_string() });
        if !self.is_design {
            set(&mut chunk, "agent", json!(agent));
        }
        chunk
    }

    fn event(&self, record: &RunRecord, step: Option<&StepView>) -> Told {
        let at = record.stored.envelope.at;
        match &record.event {
            RunEvent::RunRequested(_, Some(asked)) if !self.is_design => {
                Told::Events(self.opening(&asked.definition, at))
            }
            RunEvent::StepAttemptStarted(facts) => {
                Told::Events(status(step, at, |step| begun(step, facts.attempt), None))
            }
            RunEvent::StepCompleted(facts, _) => {
                let is_timed = matches!(facts.pattern, Pattern::Parallel | Pattern::Routing);
                let ms = is_timed.then_some(facts.duration_ms);
                Told::Events(status(step, at, ended, ms))
            }
            RunEvent::RunPaused(_) | RunEvent::RunHalted(_) | RunEvent::RunStalled(_) => {
                Told::Paused
            }
            RunEvent::RunRequested(..)
            | RunEvent::RunClaimed(_)
            | RunEvent::StepsPlanned(_)
            | RunEvent::StepAttemptFailed(..)
            | RunEvent::StepSkipped(_)
            | RunEvent::FallbackApplied(..)
            | RunEvent::PartsGiven(_)
            | RunEvent::RunResumed(_)
            | RunEvent::RunCancelled(_)
            | RunEvent::RunCompleted(_)
            | RunEvent::RunFailed(..) => Told::Events(Vec::new()),
        }
    }

    /// The start, and for all patterns but the sequence everybody who waits.
    fn opening(&self, definition: &Definition, at: Timestamp) -> Vec<Value> {
        let names: Vec<&str> = definition.agents.iter().map(|agent| &*agent.name).collect();
        let mut start = json!({
            "type": "start",
            "pattern": opening_name(&definition.work),
            "agents": names,
            "execution_id": execution(self.run),
        });
        let waiting: Vec<&str> = match &definition.work {
            Work::Sequential { .. } | Work::Design { .. } => Vec::new(),
            Work::Debate { participants, rounds, .. } => {
                set(&mut start, "rounds", json!(rounds));
                participants.iter().map(|place| definition.name(*place)).collect()
            }
            Work::Hierarchical { manager, .. } => {
                set(&mut start, "manager", json!(definition.name(*manager)));
                names
            }
            Work::Parallel { .. } | Work::Routing { .. } => names,
        };
        let waits = waiting.into_iter().map(|agent| {
            json!({ "type": "status", "agent": agent, "data": "waiting", "timestamp": at.to_string() })
        });
        std::iter::once(start).chain(waits).collect()
    }

    /// `complete` with the result, or `error` with the reason.
    fn last(&self, view: &RunView) -> Value {
        let run = &view.run;
        let Some(result) = pattern::result(run) else {
            return failed(self.run, view);
        };
        if self.is_design {
            return json!({ "type": "complete", "design": result });
        }
        let ms = duration_ms(view);
        json!({
            "type": "complete",
            "pattern": result.get("pattern"),
            "result": streamed(result, run.definition.as_ref(), ms),
            "duration_ms": ms,
        })
    }
}

/// Sets a field of an object.
pub(super) fn set(object: &mut Value, name: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
}

/// The result as streams carry it.
fn streamed(mut result: Value, definition: Option<&Definition>, ms: u64) -> Value {
    match definition.map(|definition| &definition.work) {
        Some(Work::Sequential { .. }) => {
            let steps = result.get_mut("steps").and_then(Value::as_array_mut);
            for step in steps.into_iter().flatten().filter_map(Value::as_object_mut) {
                step.remove("input");
            }
        }
        Some(Work::Hierarchical { .. } | Work::Parallel { .. } | Work::Routing { .. }) => {
            set(&mut result, "duration_ms", json!(ms));
        }
        Some(Work::Debate { .. } | Work::Design { .. }) | None => {}
    }
    result
}

/// From the request to the end.
pub(super) fn duration_ms(view: &RunView) -> u64 {
    view.finished_at.map_or(0, |end| end.ms_since(view.created_at))
}

/// The last event of a run that has no result.
fn failed(run: RunId, view: &RunView) -> Value {
    let mut error = why_none(view);
    error.insert("type".to_owned(), json!("error"));
    error.insert("execution_id".to_owned(), json!(execution(run)));
    Value::Object(error)
}

/// Why a run that has ended has no result.
pub(super) fn why_none(view: &RunView) -> Map<String, Value> {
    let run = &view.run;
    let sentence = if run.phase == Phase::Cancelled {
        "the orchestration was cancelled".to_owned()
    } else {
        let failure = run.failure.as_ref().and_then(|failure| failure.message.clone());
        failure.unwrap_or_else(|| "the orchestration failed".to_owned())
    };
    let mut error = Map::new();
    error.insert("error".to_owned(), json!(sentence));
    if let Some(failure) = &run.failure {
        error.insert("code".to_owned(), json!(failure.code.as_str()));
    }
    error
}

fn status(
    step: Option<&StepView>,
    at: Timestamp,
    word: impl FnOnce(&StepView) -> &'static str,
    duration_ms: Option<u64>,
) -> Vec<Value> {
    let Some(step) = step else { return Vec::new() };
    let agent = step.agent.as_deref().unwrap_or(DESIGNER);
    let mut status = json!({
        "type": "status", "agent": agent, "data": word(step), "timestamp": at.to_string(),
    });
    if let Some(ms) = duration_ms {
        set(&mut status, "duration_ms", json!(ms));
    }
    vec![status]
}

const fn begun(step: &StepView, attempt: u32) -> &'static str {
    if attempt > 1 {
        return "retrying";
    }
    match step.step.planned.purpose {
        Purpose::Delegate => "delegating",
        Purpose::Synthesize => "synthesizing",
        Purpose::Route => "routing",
        Purpose::Aggregate => "aggregating",
        Purpose::Turn | Purpose::Verdict | Purpose::Work | Purpose::Design => "executing",
    }
}

const fn ended(step: &StepView) -> &'static str {
    match step.step.planned.purpose {
        Purpose::Delegate => "delegation_complete",
        Purpose::Route => "routing_complete",
        Purpose::Synthesize
        | Purpose::Aggregate
        | Purpose::Turn
        | Purpose::Verdict
        | Purpose::Work
        | Purpose::Design => "completed",
    }
}
