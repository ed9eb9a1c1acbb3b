//! Messages as a server sends them, for the tests of this module.

use super::message::Message;
use super::screen::RunScreen;
use serde_json::{Value, json};

/// A step as the API returns it.
#[derive(Clone)]
pub(super) struct Step(pub(super) Value);

impl Step {
    fn of(id: &str, attempt: u32, state: &str) -> Self {
        Self(
            json!({ "id": id, "agent": format!("Agent {id}"), "purpose": "turn", "round": 1, "state": state, "attempt": attempt,
            "output": null, "usage": {}, "durationMs": null, "error": null }),
        )
    }

    pub(super) fn planned(id: &str) -> Self {
        Self::of(id, 0, "PLANNED")
    }

    pub(super) fn running(id: &str, attempt: u32) -> Self {
        Self::of(id, attempt, "RUNNING")
    }

    pub(super) fn waiting(id: &str, attempt: u32, why: &str) -> Self {
        let mut step = Self::of(id, attempt, "WAITING");
        step.0["error"] = json!({ "code": "UPSTREAM", "message": why });
        step
    }

    pub(super) fn failed(id: &str, why: &str) -> Self {
        let mut step = Self::waiting(id, 1, why);
        step.0["state"] = json!("FAILED");
        step
    }

    pub(super) fn done(id: &str, attempt: u32, output: &str) -> Self {
        let mut step = Self::of(id, attempt, "COMPLETED");
        step.0["output"] = json!(output);
        step.0["durationMs"] = json!(1234);
        step.0["usage"] = json!({ "inputTokens": "7", "outputTokens": "1500" });
        step
    }
}

/// A run as the API returns it.
pub(super) fn run(state: &str, steps: &[Step]) -> Value {
    let steps: Vec<_> = steps.iter().map(|step| step.0.clone()).collect();
    json!({ "id": "run-1", "pattern": "DEBATE", "state": state, "title": "Tea?", "output": null, "error": null,
        "usage": { "inputTokens": "10", "outputTokens": "2000", "cacheReadInputTokens": "5" }, "costNanoUsd": "1500000",
        "durationMs": 65000, "steps": steps })
}

pub(super) fn message(value: Value) -> Message {
    serde_json::from_value(value).unwrap()
}

pub(super) fn event(kind: &str, facts: &Value, step: Option<Step>) -> Message {
    let step = step.map(|step| step.0);
    message(
        json!({ "__typename": "EventMessage", "cursor": "e", "event": { "type": kind, "at": "x", "facts": facts }, "step": step }),
    )
}

/// The screen after a snapshot with these steps and texts.
pub(super) fn screen(steps: &[Step], texts: &[(&str, u32, &str)]) -> RunScreen {
    let partial: Vec<_> = texts
        .iter()
        .map(|(id, attempt, text)| json!({ "stepId": id, "attempt": attempt, "text": text }))
        .collect();
    let mut screen = RunScreen::default();
    let snapshot = json!({ "__typename": "Snapshot", "cursor": "c", "orchestration": run("RUNNING", steps), "partial": partial });
    screen.apply(&message(snapshot), 1000);
    screen
}
