//! One story of each pattern, by the oracle's own, simple idea of the pattern.

use super::oracle::{CODE_OF, Oracle, Outcome, Story, Wanted, shown};
use crate::harness::runs::task;
use claviger_domain::code::ErrorCode;
use claviger_domain::orchestration::{
    AgentDraft, AgentRole, Draft, Fallback, OnFailure, Phase, Purpose,
};
use serde_json::json;

impl Oracle<'_> {
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
                            chosen.push(worker);
                        } else {
                            fallbacks.push(Fallback::UnknownWorker);
                        }
                    }
                    if chosen.is_empty() {
                        fallbacks.push(Fallback::NoKnownWorker);
                    }
                }
            }
            let chosen = if chosen.is_empty() { names } else { chosen };
            if self.side_by_side(&chosen) {
                self.step(Some(&boss.name), (Purpose::Synthesize, None), &Wanted::Text, false);
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
                // The first failure decides; slower steps were stopped.
                if most == 1 {
                    self.steps.iter_mut().for_each(|step| step.outcome = Outcome::Any);
                }
            }
        }
        let (mut output, mut aggregate) = (None, Outcome::Said(String::new()));
        if let Some(sum) = &aggregator {
            if is_fine {
                aggregate =
                    self.step(Some(&sum.name), (Purpose::Aggregate, None), &Wanted::Text, false);
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
