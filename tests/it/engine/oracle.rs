//! An oracle: it makes a run up, with all that upstream will answer and all that will be asked of it, and foresees how it goes. It has its
//! own, simple idea of each pattern and knows nothing of the planners'.

use super::world::{agent, task};
use crate::endurance::Dice;
use claviger::simulator::gate::Gate;
use claviger::simulator::script::{Act, Ending, Refusal, Reply, Script};
use claviger_domain::code::ErrorCode;
use claviger_domain::orchestration::{
    AgentDraft, AgentRole, Draft, FailureClass, Fallback, OnFailure, Phase, Purpose,
};
use serde_json::{Value, json};

/// Attempts that count.
const MOST: u32 = 4;

/// How a step ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Said(String),
    Failed(FailureClass),
    Skipped,
    /// It depends on who was faster.
    Any,
}

/// A step as it will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Foreseen {
    pub(super) agent: Option<String>,
    pub(super) purpose: Purpose,
    pub(super) round: Option<u32>,
    pub(super) attempts: u32,
    pub(super) outcome: Outcome,
}

/// A run as it will be.
#[derive(Debug)]
pub(super) struct Story {
    pub(super) draft: Draft,
    pub(super) steps: Vec<Foreseen>,
    pub(super) fallbacks: Vec<Fallback>,
    pub(super) phase: Phase,
    pub(super) code: Option<ErrorCode>,
    /// The final text, where the pattern has one.
    pub(super) output: Option<String>,
    /// It is paused as soon as it was asked for.
    pub(super) is_paused: bool,
    /// It is cancelled once a call has come to this gate.
    pub(super) cancel_at: Option<Gate>,
}

/// What a step's reply must be.
enum Wanted {
    Text,
    /// Of these, in JSON: what reads them is told apart by its first word.
    Json(Vec<Value>),
}

/// Makes stories up.
pub(super) struct Oracle<'a> {
    dice: Dice,
    /// Tells the agents of one story from those of others.
    number: usize,
    script: &'a Script,
    steps: Vec<Foreseen>,
    /// Nothing goes on behind the step that holds it.
    cancel_at: Option<Gate>,
    /// The step, counted from 0, at which it is cancelled.
    cancels: Option<usize>,
}

/// What no repeat mends.
const FATAL: [FailureClass; 2] = [FailureClass::Permission, FailureClass::Refusal];

/// What is tried again, so many times; everything else is waited for and doesn't count.
const TRANSIENT: [FailureClass; 2] = [FailureClass::Overloaded, FailureClass::Connection];

const CODE_OF: [(FailureClass, ErrorCode); 5] = [
    (FailureClass::Permission, ErrorCode::KeyUnavailable),
    (FailureClass::Refusal, ErrorCode::Upstream),
    (FailureClass::Overloaded, ErrorCode::Upstream),
    (FailureClass::Connection, ErrorCode::Upstream),
    (FailureClass::InvalidOutput, ErrorCode::Upstream),
];

fn shown(text: &str) -> String {
    if text.trim().is_empty() { "No response".to_owned() } else { text.to_owned() }
}

impl<'a> Oracle<'a> {
    pub(super) fn new(dice: Dice, number: usize, script: &'a Script) -> Self {
        Self { dice, number, script, steps: Vec::new(), cancel_at: None, cancels: None }
    }

    fn agent(&self, name: &str) -> AgentDraft {
        agent(&format!("{name}-{}", self.number))
    }

    /// What the next call of this agent, or with this text, is answered.
    fn answers(&self, who: Option<&str>, act: Act) {
        let marker = who
            .map_or_else(|| format!("Design {}.", self.number), |name| format!("You are {name}."));
        self.script.on_prompt(&marker, act);
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.dice.below(n) == 0
    }

    /// A fault of the upstream, and its class.
    fn fault(&mut self, may_fail: bool, counted: u32) -> (Act, FailureClass) {
        let refuse = |status, kind, code, retry_after: Option<&str>| {
            let retry_after = retry_after.map(str::to_owned);
            Act::Refuse(Refusal { code, retry_after, ..Refusal::new(status, kind, "Simulated.") })
        };
        let is_last = counted >= MOST;
        loop {
            let found = match self.dice.below(12) {
                0..5 => (refuse(529, "overloaded_error", None, None), FailureClass::Overloaded),
                5..7 => {
                    let cut = Reply {
                        ending: Ending::CutAfter(1),
                        ..Reply::text("This will be cut off somewhere in its middle.")
                    };
                    (Act::Reply(cut), FailureClass::Connection)
                }
                7..9 => {
                    (refuse(429, "rate_limit_error", None, Some("0.01")), FailureClass::RateLimit)
                }
                9 => (
                    refuse(429, "rate_limit_error", Some("enforced_spend_limit_reached"), None),
                    FailureClass::SpendLimit,
                ),
                10 => (refuse(403, "permission_error", None, None), FailureClass::Permission),
                _ => {
                    let silent =
                        Reply { stop_reason: Some("refusal".to_owned()), ..Reply::text("No.") };
                    (Act::Reply(silent), FailureClass::Refusal)
                }
            };
            if may_fail || !(FATAL.contains(&found.1) || TRANSIENT.contains(&found.1) && is_last) {
                return found;
            }
        }
    }

    /// A step: all its attempts up to its end.
    fn step(
        &mut self,
        who: Option<&str>,
        (purpose, round): (Purpose, Option<u32>),
        wanted: &Wanted,
        may_fail: bool,
    ) -> Outcome {
        let (mut attempts, mut counted, mut is_repaired) = (0, 0, false);
        let is_held = self.cancels == Some(self.steps.len());
        let is_stormy = self.one_in(5);
        let outcome = loop {
            attempts += 1;
            counted += 1;
            if self.one_in(4) || (is_stormy && !self.one_in(4)) {
                let (act, class) = self.fault(may_fail, counted);
                self.answers(who, act);
                if FATAL.contains(&class) || TRANSIENT.contains(&class) && counted == MOST {
                    break Outcome::Failed(class);
                }
                if !TRANSIENT.contains(&class) {
                    counted -= 1;
                }
                continue;
            }
            if is_held {
                let gate = Gate::default();
                self.answers(
                    who,
                    Act::Reply(Reply { gate: Some((0, gate.clone())), ..Reply::default() }),
                );
                self.cancel_at = Some(gate);
                break Outcome::Failed(FailureClass::Cancelled);
            }
            let is_garbage = matches!(wanted, Wanted::Json(_)) && self.one_in(3);
            let text = match wanted {
                Wanted::Text if self.one_in(6) => String::new(),
                Wanted::Text => format!("Said “{}” ñ✓𝄞 by {who:?}.", self.dice.next()),
                Wanted::Json(_) if is_garbage => format!("no json {}", self.dice.next()),
                Wanted::Json(values) => {
                    let json = self.dice.pick(values).to_string();
                    if self.one_in(3) { format!("Here it is:\n```json\n{json}\n```") } else { json }
                }
            };
            let chunk_chars = 1 + self.dice.below(40);
            self.answers(who, Act::Reply(Reply { chunk_chars, ..Reply::text(text.as_str()) }));
            if !is_garbage {
                break Outcome::Said(text);
            }
            if is_repaired {
                let is_design = purpose == Purpose::Design;
                break if is_design {
                    Outcome::Failed(FailureClass::InvalidOutput)
                } else {
                    Outcome::Said(text)
                };
            }
            is_repaired = true;
        };
        let foreseen = Foreseen {
            agent: who.map(str::to_owned),
            purpose,
            round,
            attempts,
            outcome: outcome.clone(),
        };
        self.steps.push(foreseen);
        outcome
    }

    fn skip(&mut self, who: &str, purpose: Purpose, round: Option<u32>) {
        let agent = Some(who.to_owned());
        self.steps.push(Foreseen { agent, purpose, round, attempts: 0, outcome: Outcome::Skipped });
    }

    /// Steps one after another; `false` once one came to nothing: the others of these are left out.
    fn in_turn(&mut self, who: &[(String, Purpose)], round: Option<u32>) -> bool {
        let mut goes_on = true;
        for (name, purpose) in who {
            if goes_on {
                let outcome = self.step(Some(name), (*purpose, round), &Wanted::Text, true);
                goes_on = matches!(outcome, Outcome::Said(_));
            } else {
                self.skip(name, *purpose, round);
            }
        }
        goes_on
    }

    /// Steps side by side, of which one may come to nothing: then nobody knows how far the others got.
    fn side_by_side(&mut self, who: &[String]) -> bool {
        let from = self.steps.len();
        let may_fail = self.dice.below(2 * who.len());
        let mut failed = false;
        for (n, name) in who.iter().enumerate() {
            let outcome =
                self.step(Some(name), (Purpose::Work, None), &Wanted::Text, n == may_fail);
            failed |= matches!(outcome, Outcome::Failed(_));
        }
        if failed {
            for step in self
                .steps
                .iter_mut()
                .skip(from)
                .filter(|step| matches!(step.outcome, Outcome::Said(_)))
            {
                step.outcome = Outcome::Any;
            }
        }
        !failed
    }

    /// The story, as far as it follows from its steps alone.
    fn told(self, draft: Draft, fallbacks: Vec<Fallback>, output: Option<String>) -> Story {
        let failed = self.steps.iter().find_map(|step| match step.outcome {
            Outcome::Failed(class) => Some(class),
            Outcome::Said(_) | Outcome::Skipped | Outcome::Any => None,
        });
        let code = failed.and_then(|class| Some(CODE_OF.iter().find(|(of, _)| *of == class)?.1));
        let phase = match (&self.cancel_at, failed) {
            (Some(_), _) => Phase::Cancelled,
            (None, Some(_)) => Phase::Failed,
            (None, None) => Phase::Completed,
        };
        let (code, output) = if phase == Phase::Completed { (None, output) } else { (code, None) };
        Story {
            draft,
            steps: self.steps,
            fallbacks,
            phase,
            code,
            output,
            is_paused: false,
            cancel_at: self.cancel_at,
        }
    }

    fn said(&self, at: usize) -> Option<String> {
        match &self.steps.get(at)?.outcome {
            Outcome::Said(text) => Some(text.clone()),
            Outcome::Failed(_) | Outcome::Skipped | Outcome::Any => None,
        }
    }

    pub(super) fn sequential(mut self) -> Story {
        let agents: Vec<_> = ["Ann", "Ben", "Cid"][..=self.dice.below(3)]
            .iter()
            .map(|name| self.agent(name))
            .collect();
        self.cancels = Some(self.dice.below(8));
        let turns: Vec<_> =
            agents.iter().map(|agent| (agent.name.clone(), Purpose::Turn)).collect();
        self.in_turn(&turns, None);
        let output = self.said(self.steps.len() - 1).map(|text| shown(&text));
        self.told(
            Draft::Sequential { task: task("Count."), agents, sequence: None },
            vec![],
            output,
        )
    }

    pub(super) fn debate(mut self) -> Story {
        let (rounds, is_moderated) =
            (1 + u32::try_from(self.dice.below(2)).unwrap(), self.one_in(2));
        let mut agents = vec![self.agent("Pro"), self.agent("Con")];
        if is_moderated {
            // Named first, and yet the last to speak.
            agents.insert(0, AgentDraft { role: AgentRole::Moderator, ..self.agent("Mod") });
        }
        self.cancels = Some(self.dice.below(12));
        for round in 1..=rounds {
            let mut turns = vec![
                (self.agent("Pro").name, Purpose::Turn),
                (self.agent("Con").name, Purpose::Turn),
            ];
            if is_moderated {
                turns.push((
                    self.agent("Mod").name,
                    if round == rounds { Purpose::Verdict } else { Purpose::Turn },
                ));
            }
            if !self.in_turn(&turns, Some(round)) {
                break;
            }
        }
        let output =
            self.said(self.steps.len() - 1).filter(|_| is_moderated).map(|text| shown(&text));
        self.told(
            Draft::Debate { topic: "Tabs?".to_owned(), agents, participants: None, rounds },
            vec![],
            output,
        )
    }

    pub(super) fn hierarchical(mut self) -> Story {
        let (boss, workers) =
            (self.agent("Boss"), ["Wall", "Roof"].map(|name| self.agent(name)).to_vec());
        let names: Vec<_> = workers.iter().map(|worker| worker.name.clone()).collect();
        let plan = |who: &[&str]| json!({"subtasks": who.iter().map(|who| json!({"worker": who, "task": "A part."})).collect::<Vec<_>>()});
        let plans = vec![
            plan(&[&names[0], &names[1]]),
            plan(&[&names[1]]),
            plan(&["Nobody", &names[0]]),
            plan(&["Nobody", "No one"]),
            plan(&[]),
        ];
        let outcome =
            self.step(Some(&boss.name), (Purpose::Delegate, None), &Wanted::Json(plans), true);
        let (mut fallbacks, mut output) = (vec![], None);
        if let Outcome::Said(text) = outcome {
            let mut chosen = vec![];
            match Self::json_of(&text, &mut fallbacks) {
                None => fallbacks.push(Fallback::EveryWorker),
                Some(value) => {
                    for part in value["subtasks"].as_array().unwrap() {
                        let worker = part["worker"].as_str().unwrap().to_owned();
                        if names.contains(&worker) {
                            chosen.push(worker)
                        } else {
                            fallbacks.push(Fallback::UnknownWorker)
                        }
                    }
                    if chosen.is_empty() {
                        fallbacks.push(Fallback::NoKnownWorker);
                    }
                }
            }
            let chosen = if chosen.is_empty() { names } else { chosen };
            if self.side_by_side(&chosen) {
                self.step(Some(&boss.name), (Purpose::Synthesize, None), &Wanted::Text, true);
                output = self.said(self.steps.len() - 1).map(|text| shown(&text));
            } else {
                self.skip(&boss.name, Purpose::Synthesize, None);
            }
        }
        let draft = Draft::Hierarchical {
            task: "Build.".to_owned(),
            manager: boss,
            workers,
            worker_names: None,
        };
        self.told(draft, fallbacks, output)
    }

    /// What a structured reply says, and that it stood in other text.
    fn json_of(text: &str, fallbacks: &mut Vec<Fallback>) -> Option<Value> {
        if text.starts_with("Here it is") {
            fallbacks.push(Fallback::JsonInText);
        }
        let (from, to) = (text.find('{')?, text.rfind('}')?);
        serde_json::from_str(text.get(from..=to)?).ok()
    }

    pub(super) fn routing(mut self) -> Story {
        let (router, specialists) =
            (self.agent("Router"), ["Plumber", "Painter"].map(|name| self.agent(name)).to_vec());
        let names: Vec<_> = specialists.iter().map(|one| one.name.clone()).collect();
        let choice = |who: &[&str]| json!({"selected_agents": who, "reasoning": "Because."});
        let choices = vec![
            choice(&[&names[1], &names[0], &names[1]]),
            choice(&[&names[1]]),
            choice(&["Nobody", &names[1], "Nobody"]),
            choice(&["Nobody"]),
            choice(&[]),
        ];
        let outcome =
            self.step(Some(&router.name), (Purpose::Route, None), &Wanted::Json(choices), true);
        let (mut fallbacks, mut output) = (vec![], None);
        if let Outcome::Said(text) = outcome {
            let mut chosen: Vec<String> = vec![];
            match Self::json_of(&text, &mut fallbacks) {
                None => fallbacks.push(Fallback::FirstSpecialist),
                Some(value) => {
                    for name in value["selected_agents"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(|name| name.as_str().unwrap().to_owned())
                    {
                        if !names.contains(&name) {
                            if !fallbacks.contains(&Fallback::UnknownSpecialist) {
                                fallbacks.push(Fallback::UnknownSpecialist);
                            }
                        } else if !chosen.contains(&name) {
                            chosen.push(name);
                        }
                    }
                    if chosen.is_empty() {
                        fallbacks.push(Fallback::NoKnownSpecialist);
                    }
                }
            }
            let chosen = if chosen.is_empty() { vec![names[0].clone()] } else { chosen };
            if self.side_by_side(&chosen) && chosen.len() == 1 {
                output = self.said(1).map(|text| shown(&text));
            }
        }
        let draft = Draft::Routing {
            task: "Mend.".to_owned(),
            router,
            specialists,
            specialist_names: None,
        };
        self.told(draft, fallbacks, output)
    }

    pub(super) fn parallel(mut self) -> Story {
        let agents = ["One", "Two", "Three"].map(|name| self.agent(name)).to_vec();
        let names: Vec<_> = agents.iter().map(|agent| agent.name.clone()).collect();
        let aggregator = self.one_in(2).then(|| self.agent("Sum"));
        let on_failure =
            [OnFailure::Fail, OnFailure::Continue, OnFailure::Quorum(2)][self.dice.below(3)];
        let (mut is_fine, mut code) = (true, None);
        if on_failure == OnFailure::Fail {
            is_fine = self.side_by_side(&names);
        } else {
            for name in &names {
                self.step(Some(name), (Purpose::Work, None), &Wanted::Text, true);
            }
            let lost =
                self.steps.iter().filter(|step| matches!(step.outcome, Outcome::Failed(_))).count();
            let most = if on_failure == OnFailure::Continue { 2 } else { 1 };
            if lost > most {
                (is_fine, code) = (false, Some(ErrorCode::Upstream));
                // Who failed first decides; whoever was slower was stopped.
                if most == 1 {
                    self.steps.iter_mut().for_each(|step| step.outcome = Outcome::Any);
                }
            }
        }
        let (mut output, mut aggregate) = (None, Outcome::Said(String::new()));
        if let Some(sum) = &aggregator {
            if is_fine {
                aggregate =
                    self.step(Some(&sum.name), (Purpose::Aggregate, None), &Wanted::Text, true);
                output = self.said(3).map(|text| shown(&text));
            } else {
                self.skip(&sum.name, Purpose::Aggregate, None);
            }
        }
        let draft = Draft::Parallel {
            task: "Name one.".to_owned(),
            agents,
            agent_names: None,
            aggregator,
            on_failure,
        };
        let mut story = self.told(draft, vec![], None);
        if on_failure != OnFailure::Fail {
            let of_class =
                |class| CODE_OF.iter().find(|(of, _)| *of == class).map(|(_, code)| *code);
            (story.phase, story.code) = match (is_fine, aggregate) {
                (false, _) => (Phase::Failed, code),
                (true, Outcome::Failed(class)) => (Phase::Failed, of_class(class)),
                (true, Outcome::Said(_) | Outcome::Skipped | Outcome::Any) => {
                    (Phase::Completed, None)
                }
            };
        }
        story.output = output.filter(|_| story.phase == Phase::Completed);
        story
    }

    pub(super) fn design(mut self) -> Story {
        let design = json!({"name": "n", "description": "d", "connections": [],
            "blocks": [{"id": "b", "type": "debate", "position": {"x": 50, "y": 50}, "data": {"label": "l", "agents": [], "task": "t"}}]});
        let outcome = self.step(None, (Purpose::Design, None), &Wanted::Json(vec![design]), true);
        let (mut fallbacks, mut output) = (vec![], None);
        if let Outcome::Said(text) = outcome {
            Self::json_of(&text, &mut fallbacks);
            output = Some(text);
        }
        let draft = Draft::Design { prompt: format!("Design {}.", self.number), current: None };
        self.told(draft, fallbacks, output)
    }
}
