//! An oracle: it makes a run up, with all answers of the upstream and all requests made of the run,
//! and foresees how it goes. It has its own, simple idea of each pattern and knows nothing of the
//! planners'.

use crate::harness::dice::Dice;
use crate::harness::runs::agent;
use claviger::simulator::gate::Gate;
use claviger::simulator::script::{Act, Ending, Refusal, Reply, Script};
use claviger_domain::code::ErrorCode;
use claviger_domain::orchestration::{AgentDraft, Draft, FailureClass, Fallback, Phase, Purpose};
use serde_json::Value;

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
    /// It is paused as soon as it was started.
    pub(super) is_paused: bool,
    /// It is cancelled once a call has come to this gate.
    pub(super) cancel_at: Option<Gate>,
}

/// What a step's reply must be.
pub(super) enum Wanted {
    Text,
    /// One of these, in JSON.
    Json(Vec<Value>),
}

/// Makes stories up.
pub(super) struct Oracle<'a> {
    pub(super) dice: Dice,
    /// Distinguishes the agents of one story from those of others.
    pub(super) number: usize,
    script: &'a Script,
    pub(super) steps: Vec<Foreseen>,
    /// Nothing goes on behind the step that holds it.
    cancel_at: Option<Gate>,
    /// The step, counted from 0, at which it is cancelled.
    pub(super) cancels: Option<usize>,
}

/// What no repeat mends. Everything else is waited for, or pauses a run that is then resumed.
const FATAL: FailureClass = FailureClass::Refusal;

pub(super) const CODE_OF: [(FailureClass, ErrorCode); 2] = [
    (FailureClass::Refusal, ErrorCode::Upstream),
    (FailureClass::InvalidOutput, ErrorCode::Upstream),
];

pub(super) fn shown(text: &str) -> String {
    if text.trim().is_empty() { "No response".to_owned() } else { text.to_owned() }
}

impl<'a> Oracle<'a> {
    pub(super) fn new(dice: Dice, number: usize, script: &'a Script) -> Self {
        Self { dice, number, script, steps: Vec::new(), cancel_at: None, cancels: None }
    }

    pub(super) fn agent(&self, name: &str) -> AgentDraft {
        agent(&format!("{name}-{}", self.number))
    }

    /// What the next call of this agent, or with this text, is answered.
    fn answers(&self, who: Option<&str>, act: Act) {
        let marker = who
            .map_or_else(|| format!("Design {}.", self.number), |name| format!("You are {name}."));
        self.script.on_prompt(&marker, act);
    }

    pub(super) fn one_in(&mut self, n: usize) -> bool {
        self.dice.below(n) == 0
    }

    /// A fault of the upstream, and its class.
    fn fault(&mut self, may_fail: bool) -> (Act, FailureClass) {
        let refuse = |status, kind, code, retry_after: Option<&str>| {
            let retry_after = retry_after.map(str::to_owned);
            Act::Refuse(Refusal { code, retry_after, ..Refusal::new(status, kind, "Simulated.") })
        };
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
            if may_fail || found.1 != FATAL {
                return found;
            }
        }
    }

    /// A step: all its attempts up to its end.
    pub(super) fn step(
        &mut self,
        who: Option<&str>,
        (purpose, round): (Purpose, Option<u32>),
        wanted: &Wanted,
        may_fail: bool,
    ) -> Outcome {
        let (mut attempts, mut is_repaired) = (0, false);
        let is_held = self.cancels == Some(self.steps.len());
        let is_stormy = self.one_in(5);
        let outcome = loop {
            attempts += 1;
            if self.one_in(4) || (is_stormy && !self.one_in(4)) {
                let (act, class) = self.fault(may_fail);
                self.answers(who, act);
                if class == FATAL {
                    break Outcome::Failed(class);
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
            // A reply without text is asked for again, like one that isn't JSON.
            let is_garbage = match wanted {
                Wanted::Json(_) => self.one_in(3),
                Wanted::Text => !is_repaired && self.one_in(6),
            };
            let text = match wanted {
                Wanted::Text if is_garbage => String::new(),
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

    pub(super) fn skip(&mut self, who: &str, purpose: Purpose, round: Option<u32>) {
        let agent = Some(who.to_owned());
        self.steps.push(Foreseen { agent, purpose, round, attempts: 0, outcome: Outcome::Skipped });
    }

    /// Steps one after another; `false` once one came to nothing: the others of these are left out.
    pub(super) fn in_turn(&mut self, who: &[(String, Purpose)], round: Option<u32>) -> bool {
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

    /// Steps side by side, of which one may come to nothing: then nobody knows how far the others
    /// got.
    pub(super) fn side_by_side(&mut self, who: &[String]) -> bool {
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
    pub(super) fn told(
        self,
        draft: Draft,
        fallbacks: Vec<Fallback>,
        output: Option<String>,
    ) -> Story {
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

    pub(super) fn said(&self, at: usize) -> Option<String> {
        match &self.steps.get(at)?.outcome {
            Outcome::Said(text) => Some(text.clone()),
            Outcome::Failed(_) | Outcome::Skipped | Outcome::Any => None,
        }
    }

    /// The JSON of a structured reply; notes the fallback where it stood in other text.
    pub(super) fn json_of(text: &str, fallbacks: &mut Vec<Fallback>) -> Option<Value> {
        if text.starts_with("Here it is") {
            fallbacks.push(Fallback::JsonInText);
        }
        let (from, to) = (text.find('{')?, text.rfind('}')?);
        serde_json::from_str(text.get(from..=to)?).ok()
    }
}
