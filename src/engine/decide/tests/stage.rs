//! States of runs, built by deciding, and decisions written as lines.

use crate::anthropic::error::{Origin, RateLimits};
use crate::anthropic::prices::PriceTable;
use crate::anthropic::prices::Terms;
use crate::anthropic::stream::{CallEnd, CallFailure, CallItem};
use crate::engine::decide::{
    Decision, Effect, Flow, Given, Received, Rules, WorkState, claim, decide, interrupt, receive,
    suspend,
};
use claviger_domain::id::{BootId, ContextTag, RunId, StepId};
use claviger_domain::orchestration::{
    AgentDraft, Block, Bounds, Considered, ControlRequest, Credential, CredentialSource, Draft,
    FailureClass, Next, OnFailure, RequestRun, Resolution, Run, RunCommand, RunControl, RunEvent,
    StopReason, Usage, Why,
};
use claviger_domain::text::{Context, ModelId};
use claviger_domain::timestamp::Timestamp;
use claviger_vault::{Entropy, IndexKey};
use cqrs_es::Aggregate as _;
use std::cell::Cell;
use std::sync::Arc;
use uuid::Uuid;

pub(super) const NOW: Timestamp = Timestamp(1_790_000_000_000);
/// The same moment, by the timer.
pub(super) const TIMER_MS: u64 = 5_000_000;
pub(super) const RUN: RunId = RunId(Uuid::from_u128(1));
pub(super) const OURS: BootId = BootId(Uuid::from_u128(7));
pub(super) const CREDENTIAL: Credential =
    Credential { source: CredentialSource::EnvAnthropicApiKey, key: None, secret_version: None };

/// The step that was planned as the `n`-th, from 1.
pub(super) fn step(n: u128) -> StepId {
    StepId(Uuid::from_u128(n))
}

/// The input of a decision.
pub(super) enum Input {
    /// A decision is due.
    Decide(Outside),
    /// An item of a call arrives; `None` if the call ends without a last item.
    Item(StepId, Option<CallItem>),
    Interrupt,
    /// The owner was deactivated.
    Suspend,
}

/// The other inputs of a decision.
pub(super) struct Outside {
    pub(super) credential: Option<Credential>,
    pub(super) has_resolution: bool,
    pub(super) max_output_tokens: Option<u32>,
}

pub(super) const USUAL: Outside =
    Outside { credential: Some(CREDENTIAL), has_resolution: true, max_output_tokens: None };

pub(super) const DECIDE: Input = Input::Decide(USUAL);

/// Name, state, input, and the complete decision: events, effects, calls, flow, and the state
/// afterwards.
pub(super) type Row = (&'static str, Stage, Input, &'static [&'static str]);

pub(super) fn check<const N: usize>(rows: [Row; N]) {
    for (name, mut stage, input, expected) in rows {
        let decision = stage.decide(input);
        let mut lines = lines(&decision);
        lines.extend(stage.state.pausing.map(|reason| format!("pausing {}", word(reason))));
        lines.extend(stage.state.due.map(|due| format!("due +{}", due - TIMER_MS)));
        assert_eq!(lines, expected, "{name}");
    }
}

/// A run in progress.
#[derive(Clone)]
pub(super) struct Stage {
    pub(super) state: WorkState,
}

struct Zeros;

impl Entropy for Zeros {
    fn fill(&self, out: &mut [u8]) {
        out.fill(0);
    }
}

fn resolution() -> Resolution {
    let chosen = Considered { source: CREDENTIAL.source, key: None, why: Why::Chosen };
    Resolution { considered: vec![chosen] }
}

fn agents(names: &[&str]) -> Vec<AgentDraft> {
    let agent = |name: &&str| AgentDraft { name: (*name).to_owned(), ..AgentDraft::default() };
    names.iter().map(agent).collect()
}

pub(super) fn requested(draft: Draft, max_concurrency: u32) -> Run {
    let request = RequestRun {
        run: RUN,
        definition: draft.check(&Bounds::default()).unwrap(),
        title: None,
        context: Context::parse("c").unwrap(),
        context_tag: ContextTag([0; 16]),
        named_key: None,
        resolution: resolution(),
        model: ModelId::parse("claude-haiku-4-5").unwrap(),
        max_tokens: 1_000,
        max_concurrency,
        max_attempts: 2,
        price_table: "test".to_owned(),
    };
    let mut run = Run::default();
    for event in RunCommand::from(request).decide(&run).unwrap() {
        run.apply(event);
    }
    run
}

pub(super) fn two_in_turn() -> Draft {
    let task = vec![Block::Text { text: "task".to_owned() }];
    Draft::Sequential { task, agents: agents(&["a", "b"]), sequence: None }
}

impl Stage {
    /// Claimed, with nothing planned.
    pub(super) fn claimed(draft: Draft, max_concurrency: u32) -> Self {
        let rules =
            Rules { prices: Arc::new(PriceTable::builtin().unwrap()), retry_budget_ms: 60_000 };
        let run = requested(draft, max_concurrency);
        let mut state = WorkState::new(RUN, run, RunControl::default(), rules);
        claim(&mut state, OURS, Vec::new(), NOW).unwrap();
        Self { state }
    }

    /// Two agents, one after the other.
    pub(super) fn in_turn() -> Self {
        Self::claimed(two_in_turn(), 4)
    }

    /// Two agents at the same time.
    pub(super) fn at_once(on_failure: OnFailure, max_concurrency: u32) -> Self {
        let draft = Draft::Parallel {
            task: "task".to_owned(),
            agents: agents(&["a", "b"]),
            agent_names: None,
            aggregator: None,
            on_failure,
        };
        Self::claimed(draft, max_concurrency)
    }

    pub(super) fn design() -> Self {
        Self::claimed(Draft::Design { prompt: "p".to_owned(), current: None }, 4)
    }

    /// A manager and two workers.
    pub(super) fn managed() -> Self {
        let draft = Draft::Hierarchical {
            task: "task".to_owned(),
            manager: AgentDraft { name: "m".to_owned(), ..AgentDraft::default() },
            workers: agents(&["a", "b"]),
            worker_names: None,
        };
        Self::claimed(draft, 4)
    }

    pub(super) fn decide(&mut self, input: Input) -> Decision {
        let outside = match input {
            Input::Decide(outside) => outside,
            Input::Item(step, item) => {
                // A reply without text would be asked for again.
                let call = self.state.calls.iter_mut().find(|call| call.step == step);
                if let (Some(call), Some(CallItem::Ended(_))) = (call, &item)
                    && call.text.is_empty()
                {
                    call.text.push_str("said");
                }
                let received = Received {
                    step,
                    item,
                    now: NOW,
                    timer_ms: TIMER_MS,
                    elapsed_ms: 50,
                    random: 300,
                };
                return receive(&mut self.state, received).unwrap();
            }
            Input::Interrupt => return interrupt(&mut self.state, NOW).unwrap(),
            Input::Suspend => return suspend(&mut self.state, NOW).unwrap(),
        };
        let (resolution, ids) = (resolution(), Cell::new(self.state.run.steps.len() as u128));
        let given = Given {
            now: NOW,
            timer_ms: TIMER_MS,
            index: &IndexKey::generate(&Zeros),
            credential: outside.credential,
            resolution: outside.has_resolution.then_some(&resolution),
            max_output_tokens: &|_| outside.max_output_tokens,
            next_id: &|| {
                ids.set(ids.get() + 1);
                step(ids.get())
            },
        };
        decide(&mut self.state, &given).unwrap()
    }

    /// Decides with free tickets until nothing more follows: every call that may start is under
    /// way.
    pub(super) fn settled(mut self) -> Self {
        loop {
            let decision = self.decide(DECIDE);
            for effect in decision.effects {
                if let Effect::TakeTicket { step, .. } = effect {
                    self.state.granted.insert(step);
                }
            }
            if decision.flow != Flow::NeedsTickets {
                return self;
            }
        }
    }

    /// Decides once: steps are planned, and no ticket is taken.
    pub(super) fn planned(mut self) -> Self {
        self.decide(DECIDE);
        self
    }

    pub(super) fn after(mut self, step: StepId, item: CallItem) -> Self {
        self.decide(Input::Item(step, Some(item)));
        self
    }

    pub(super) fn requests(mut self, request: ControlRequest) -> Self {
        self.state.control.requests.push(request);
        self
    }

    pub(super) fn with(mut self, change: impl FnOnce(&mut WorkState)) -> Self {
        change(&mut self.state);
        self
    }

    /// Paused on request, with both steps planned.
    pub(super) fn paused() -> Self {
        Self::in_turn().requests(ControlRequest::Pause).settled()
    }
}

pub(super) fn text(text: &str) -> CallItem {
    CallItem::Text(text.to_owned())
}

pub(super) fn end() -> CallItem {
    CallItem::Ended(Box::new(CallEnd {
        stop_reason: StopReason::EndTurn,
        usage: Usage { output: 5, ..Usage::default() },
        terms: Terms::Usual,
        thinking_bytes: 0,
        origin: Origin::default(),
        limits: RateLimits::default(),
    }))
}

pub(super) fn failure(class: FailureClass) -> CallFailure {
    CallFailure::bare(class, "trouble")
}

pub(super) fn fails(class: FailureClass) -> CallItem {
    CallItem::Failed(Box::new(failure(class)))
}

/// The word that is stored for a value.
fn word(value: impl serde::Serialize) -> String {
    serde_json::to_value(value).unwrap().as_str().unwrap().to_owned()
}

pub(super) fn lines(decision: &Decision) -> Vec<String> {
    let events = decision.events.iter().map(event);
    let effects = decision.effects.iter().map(|effect| match effect {
        Effect::TakeTicket { step, .. } => format!("take ticket {}", number(*step)),
        Effect::LeaveQueue => "leave queue".to_owned(),
        Effect::Rest(rest) => format!("rest +{}", rest.until_ms - TIMER_MS),
        Effect::Learn { organization, .. } => format!("learn {organization}"),
        Effect::DropCall(step) => format!("drop call {}", number(*step)),
        Effect::WriteText(item) => {
            let (step, text) = (number(item.step), &item.text);
            format!("write {step}#{} at {}: {text}", item.attempt, item.offset)
        }
    });
    let calls = decision.calls.iter().map(|call| format!("call {}", number(call.step)));
    let flow = match decision.flow {
        Flow::Continues => "continues",
        Flow::Rests => "rests",
        Flow::NeedsTickets => "needs tickets",
    };
    events.chain(effects).chain(calls).chain([flow.to_owned()]).collect()
}

fn number(step: StepId) -> u128 {
    step.0.as_u128()
}

fn event(event: &RunEvent) -> String {
    match event {
        RunEvent::RunRequested(..) => "requested".to_owned(),
        RunEvent::RunClaimed(_) => "claimed".to_owned(),
        RunEvent::StepsPlanned(facts) => {
            let steps = facts.steps.iter().map(|step| format!(" {}", number(step.step)));
            format!("planned{}", steps.collect::<String>())
        }
        RunEvent::StepAttemptStarted(facts) => {
            format!("started {}#{}", number(facts.step), facts.attempt)
        }
        RunEvent::StepAttemptFailed(facts, _) => {
            let next = match facts.next {
                Next::Retry { at } => format!("retry +{}", at.ms_since(NOW)),
                Next::GiveUp => "give up".to_owned(),
                Next::Pause => "pause".to_owned(),
            };
            let class = facts.class.as_str();
            format!("failed {}#{} {class}: {next}", number(facts.step), facts.attempt)
        }
        RunEvent::StepCompleted(facts, _) => {
            format!("completed {}#{}", number(facts.step), facts.attempt)
        }
        RunEvent::StepSkipped(facts) => format!("skipped {}", number(facts.step)),
        RunEvent::FallbackApplied(facts, _) => format!("fallback {}", word(facts.fallback)),
        RunEvent::RunPaused(facts) => format!("run paused {}", word(facts.reason)),
        RunEvent::RunHalted(facts) => format!("run halted {}", number(facts.step)),
        RunEvent::RunStalled(facts) => {
            format!("run stalled {} {}", number(facts.step), word(facts.reason))
        }
        RunEvent::PartsGiven(facts) => format!("parts given {}", number(facts.step)),
        RunEvent::RunResumed(_) => "run resumed".to_owned(),
        RunEvent::RunCancelled(_) => "run cancelled".to_owned(),
        RunEvent::RunCompleted(_) => "run completed".to_owned(),
        RunEvent::RunFailed(facts, _) => format!("run failed {}", facts.code.as_str()),
    }
}
