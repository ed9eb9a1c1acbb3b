//! Plays a whole run: calls the planner repeatedly, replies to every call from a script, and
//! applies everything through the run's own commands, as the engine does.

use crate::example_run::CREDENTIAL;
use crate::given::{NOW, boot, fold, run, tag};
use crate::key_ring::{MODEL, context};
use claviger_domain::id::StepId;
use claviger_domain::orchestration::{
    AgentDraft, AgentRole, Block, Bounds, ClaimRun, CompleteStep, Considered, Cost,
    CredentialSource, Definition, Draft, FailAttempt, FailRun, FailureClass, FinishRun, Next,
    Phase, PlanSteps, PlannedStep, Purpose, Reply, RequestRun, Resolution, Run, RunCommand,
    RunEvent, StartAttempt, Step, StopReason, Trouble, Usage, Why,
};
use claviger_domain::pattern::{End, Judgement, judge, plan, prompt};
use claviger_domain::text::ModelId;
use claviger_domain::timestamp::Timestamp;
use cqrs_es::Aggregate as _;
use serde_json::Value;
use std::collections::BTreeMap;

pub(crate) fn agent(name: &str) -> AgentDraft {
    AgentDraft {
        name: name.to_owned(),
        system_prompt: format!("You are {name}."),
        ..AgentDraft::default()
    }
}

pub(crate) fn moderator(name: &str) -> AgentDraft {
    AgentDraft { role: AgentRole::Moderator, ..agent(name) }
}

pub(crate) fn agents<const N: usize>(names: [&str; N]) -> Vec<AgentDraft> {
    names.map(agent).to_vec()
}

pub(crate) fn task(text: &str) -> Vec<Block> {
    vec![Block::Text { text: text.to_owned() }]
}

/// What a call comes to.
pub(crate) enum Answer {
    Says(String),
    Fails,
}

pub(crate) fn says(text: &str) -> Answer {
    Answer::Says(text.to_owned())
}

/// A call that was made.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) agent: String,
    pub(crate) purpose: Purpose,
    pub(crate) text: String,
    pub(crate) is_json: bool,
}

/// A run and all that happened to it.
pub(crate) struct Played {
    pub(crate) run: Run,
    pub(crate) events: Vec<RunEvent>,
    pub(crate) calls: Vec<Call>,
}

pub(crate) fn request(definition: Definition) -> RequestRun {
    let chosen = Considered {
        source: CredentialSource::DefaultKey,
        key: Some(crate::given::key(2)),
        why: Why::Chosen,
    };
    RequestRun {
        run: run(1),
        definition,
        title: None,
        context: context(1),
        context_tag: tag(1),
        named_key: None,
        resolution: Resolution { considered: vec![chosen] },
        model: ModelId::parse(MODEL).unwrap(),
        max_tokens: 16_384,
        max_concurrency: 4,
        max_attempts: 3,
        price_table: "2026-11-01".to_owned(),
    }
}

impl Played {
    pub(crate) fn begin(draft: Draft) -> Self {
        let definition = draft.check(&Bounds::default()).unwrap();
        let mut played = Self { run: Run::default(), events: Vec::new(), calls: Vec::new() };
        played.take(request(definition));
        played.take(ClaimRun { run: run(1), owner: boot(1), kept: Vec::new(), now: NOW });
        played
    }

    pub(crate) fn take(&mut self, command: impl Into<RunCommand>) {
        for event in command.into().decide(&self.run).unwrap() {
            self.run.apply(event.clone());
            self.events.push(event);
        }
        // A process that takes over has only the events.
        assert_eq!(fold::<Run>(self.events.clone()), self.run);
    }

    fn name(&self, step: &Step) -> String {
        let definition = self.run.definition.as_ref().unwrap();
        step.planned.agent.map_or("", |place| definition.name(place)).to_owned()
    }

    /// Gives the steps of a plan their places.
    pub(crate) fn plan_steps(&mut self, plan: &claviger_domain::pattern::Plan) {
        let known = u8::try_from(self.run.steps.len()).unwrap();
        let steps = (known..).zip(&plan.steps).map(|(n, step)| PlannedStep {
            step: crate::given::step(n),
            agent: step.agent,
            role: AgentRole::Worker,
            purpose: step.purpose,
            round: step.round,
            item: step.item,
            model: MODEL.to_owned(),
            max_tokens: 16_384,
        });
        let steps = steps.collect();
        let fallbacks = plan
            .fallbacks
            .iter()
            .map(|fallback| (fallback.step, fallback.fallback, fallback.name.clone()));
        self.take(PlanSteps { run: run(1), fallbacks: fallbacks.collect(), steps });
    }

    pub(crate) fn start(&mut self, step: StepId) {
        self.take(StartAttempt {
            run: run(1),
            step,
            credential: CREDENTIAL(),
            request_hash: "00".repeat(32),
        });
    }

    pub(crate) fn fail(&mut self, step: StepId, class: FailureClass, next: Next, message: &str) {
        self.fail_with(step, class, next, (message, Usage::default()));
    }

    /// Fails after the upstream began to answer.
    pub(crate) fn fail_answered(
        &mut self,
        step: StepId,
        class: FailureClass,
        next: Next,
        message: &str,
    ) {
        let usage = Usage { input: 10, output: 1, ..Usage::default() };
        self.fail_with(step, class, next, (message, usage));
    }

    fn fail_with(
        &mut self,
        step: StepId,
        class: FailureClass,
        next: Next,
        (message, usage): (&str, Usage),
    ) {
        let attempt = self.run.step(step).unwrap().attempts;
        self.take(FailAttempt {
            run: run(1),
            step,
            attempt,
            class,
            status: None,
            partial_bytes: 0,
            usage,
            cost: Cost::default(),
            maybe_billed: false,
            next,
            until: None,
            trouble: Trouble { message: message.to_owned(), upstream_request_id: None },
        });
    }

    pub(crate) fn complete(&mut self, step: StepId, text: &str) {
        let attempt = self.run.step(step).unwrap().attempts;
        self.take(CompleteStep {
            run: run(1),
            step,
            attempt,
            reply: Reply { text: text.to_owned(), upstream_request_id: None },
            stop_reason: StopReason::EndTurn,
            usage: Usage { input: 10, output: 5, ..Usage::default() },
            cost: Cost(Some(100)),
            first_token_ms: Some(1),
            duration_ms: 20,
        });
    }

    fn call(&mut self, id: StepId) {
        self.start(id);
        let step = self.run.step(id).unwrap();
        let prompt = prompt(&self.run, step).unwrap();
        let texts = prompt.blocks.iter().map(|block| match block {
            Block::Text { text } => text.as_str(),
            Block::Image { .. } => "[picture]",
        });
        let text = texts.collect::<Vec<_>>().join("\n\n");
        let call = Call {
            agent: self.name(step),
            purpose: step.planned.purpose,
            text,
            is_json: prompt.schema.is_some(),
        };
        self.calls.push(call);
    }

    /// The prompt of each agent can still be shown at the end, when its step and later ones are
    /// done.
    fn check_told(&self, told: &BTreeMap<StepId, String>) {
        for (step, text) in told {
            let step = self.run.step(*step).unwrap();
            let shown = prompt(&self.run, step).unwrap().text();
            assert_eq!(shown.replace("[picture: image/png]", "[picture]"), *text);
        }
    }

    fn settle(&mut self, id: StepId, answer: Answer) {
        let text = match answer {
            Answer::Says(text) => text,
            Answer::Fails => {
                return self.fail(id, FailureClass::Overloaded, Next::GiveUp, "too busy");
            }
        };
        match judge(self.run.step(id).unwrap(), &text) {
            Judgement::Use => self.complete(id, &text),
            Judgement::Repair(why) => {
                self.fail(id, FailureClass::InvalidOutput, Next::Retry { at: NOW }, &why);
            }
            Judgement::Reject(why) => {
                self.fail(id, FailureClass::InvalidOutput, Next::GiveUp, &why);
            }
        }
    }
}

/// Plays a run to its end. Calls that may begin together do, and are answered in their order.
pub(crate) fn play(draft: Draft, mut answer: impl FnMut(&Call) -> Answer) -> Played {
    let mut played = Played::begin(draft);
    let mut told = BTreeMap::new();
    for _ in 0..1_000 {
        let next = plan(&played.run);
        if !next.steps.is_empty() || !next.fallbacks.is_empty() {
            played.plan_steps(&next);
        } else if let Some(end) = next.end {
            match end {
                End::Completed => played.take(FinishRun { run: run(1) }),
                End::Failed { code, step, message } => {
                    played.take(FailRun { run: run(1), code, step, message });
                }
            }
            assert!(played.run.phase.is_final());
            played.check_told(&told);
            return played;
        } else {
            assert!(!next.ready.is_empty(), "a run that neither ends nor goes on");
            let from = played.calls.len();
            next.ready.iter().for_each(|step| played.call(*step));
            told.extend(
                next.ready
                    .iter()
                    .copied()
                    .zip(played.calls[from..].iter().map(|call| call.text.clone())),
            );
            let answers: Vec<_> = played.calls[from..].iter().map(&mut answer).collect();
            next.ready.iter().zip(answers).for_each(|(step, answer)| played.settle(*step, answer));
        }
    }
    panic!("a run without an end");
}

impl Played {
    /// Who was asked for what, in order.
    pub(crate) fn asked(&self) -> Vec<(&str, Purpose)> {
        self.calls.iter().map(|call| (call.agent.as_str(), call.purpose)).collect()
    }

    pub(crate) fn text(&self, call: usize) -> &str {
        &self.calls[call].text
    }

    pub(crate) fn result(&self) -> Value {
        assert_eq!(self.run.phase, Phase::Completed);
        claviger_domain::pattern::result(&self.run).unwrap()
    }

    pub(crate) fn fallbacks(&self) -> Vec<claviger_domain::orchestration::Fallback> {
        self.run.fallbacks.iter().map(|(_, fallback)| *fallback).collect()
    }

    /// What the run failed by, in words.
    pub(crate) fn failure(&self) -> (claviger_domain::code::ErrorCode, &str) {
        let failure = self.run.failure.as_ref().unwrap();
        (failure.code, failure.message.as_deref().unwrap())
    }
}

pub(crate) const LATER: Timestamp = Timestamp(NOW.0 + 60_000);
