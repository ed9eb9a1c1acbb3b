//! What the keys of one client must look like after its commands. Each client has keys and a
//! context of its own, and waits for each answer, so the order of its commands is the order of
//! their env.

use super::orders::{Order, Payload, text};
use crate::harness::dice::Dice;
use claviger::simulator::keys::{Scenario, key};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Most keys of one client: all of them together stay below the server's bound.
const MOST_KEYS: usize = 10;

/// A key as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    name: String,
    is_active: bool,
    default_for: Vec<String>,
}

impl Key {
    /// A node of `keys { nodes { id name isActive defaultFor } }` with its id.
    pub(super) fn read(node: &Value) -> (String, Self) {
        let default_for = node["defaultFor"].as_array().unwrap().iter().map(text).collect();
        (
            text(&node["id"]),
            Self { name: text(&node["name"]), is_active: node["isActive"] == true, default_for },
        )
    }
}

#[derive(Clone, Debug)]
enum Effect {
    Add { name: String, make_default: Option<bool> },
    Rename { id: String, name: String },
    SetDefault { id: String },
    ClearDefault,
    Activate { id: String },
    Deactivate { id: String },
    Delete { id: String },
}

/// A command that was sent or is about to be.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) order: Order,
    effect: Effect,
}

/// One client: what it has, and what it does next.
pub(super) struct Model {
    context: String,
    dice: Dice,
    keys: BTreeMap<String, Key>,
    sent: u64,
    n: u64,
}

impl Model {
    pub(super) fn new(n: u64, seed: u64) -> Self {
        Self {
            context: format!("context {n}"),
            dice: Dice::new(seed ^ (n << 40)),
            keys: BTreeMap::new(),
            sent: 0,
            n,
        }
    }

    pub(super) const fn keys(&self) -> &BTreeMap<String, Key> {
        &self.keys
    }

    /// The next command, with an idempotency key that no other has.
    pub(super) fn next(&mut self) -> Step {
        self.sent += 1;
        let (effect, secret) = (self.choose(), key(Scenario::Good, self.n * 1_000_000 + self.sent));
        let context = &self.context;
        let (mutation, mut input) = match &effect {
            Effect::Add { name, make_default } => {
                let input = json!({"name": name, "secret": secret, "makeDefault": make_default, "context": context});
                ("addKey", input)
            }
            Effect::Rename { id, name } => ("renameKey", json!({"id": id, "name": name})),
            Effect::SetDefault { id } => ("setDefaultKey", json!({"id": id, "context": context})),
            Effect::ClearDefault => ("clearDefaultKey", json!({"context": context})),
            Effect::Activate { id } => ("activateKey", json!({"id": id})),
            Effect::Deactivate { id } => ("deactivateKey", json!({"id": id})),
            Effect::Delete { id } => ("deleteKey", json!({"id": id})),
        };
        input["idempotencyKey"] = json!(format!("client {} command {}", self.n, self.sent));
        Step { order: Order::new(mutation, input), effect }
    }

    fn choose(&mut self) -> Effect {
        let ids: Vec<String> = self.keys.keys().cloned().collect();
        let active: Vec<String> =
            self.keys.iter().filter(|(_, key)| key.is_active).map(|(id, _)| id.clone()).collect();
        let name = format!("name {}", self.sent);
        if ids.is_empty() {
            return Effect::Add { name, make_default: None };
        }
        let id = self.dice.pick(&ids).clone();
        match self.dice.below(10) {
            0..=2 if ids.len() < MOST_KEYS => Effect::Add {
                name,
                make_default: *self.dice.pick(&[None, Some(false), Some(true)]),
            },
            0..=3 => Effect::Delete { id },
            4 => Effect::Rename { id, name },
            5 | 6 if !active.is_empty() => {
                Effect::SetDefault { id: self.dice.pick(&active).clone() }
            }
            7 => Effect::ClearDefault,
            8 => Effect::Activate { id },
            _ => Effect::Deactivate { id },
        }
    }

    /// The command was done: once, whether this is its first answer or that to its repeat.
    pub(super) fn settle(&mut self, step: Step, payload: &Payload) {
        let context = self.context.clone();
        match step.effect {
            Effect::Add { name, make_default } => {
                let is_free = self.keys.values().all(|key| key.default_for.is_empty());
                let id = text(&payload.0["key"]["id"]);
                let new = Key { name, is_active: true, default_for: Vec::new() };
                assert_eq!(self.keys.insert(id.clone(), new), None, "a key was added twice");
                if make_default.unwrap_or(is_free) {
                    self.make_default(&id, context);
                }
            }
            Effect::Rename { id, name } => self.key(&id).name = name,
            Effect::SetDefault { id } => self.make_default(&id, context),
            Effect::ClearDefault => self.clear(),
            Effect::Activate { id } => self.key(&id).is_active = true,
            Effect::Deactivate { id } => {
                let key = self.key(&id);
                key.is_active = false;
                key.default_for.clear();
            }
            Effect::Delete { id } => assert!(self.keys.remove(&id).is_some()),
        }
    }

    fn key(&mut self, id: &str) -> &mut Key {
        self.keys.get_mut(id).unwrap()
    }

    fn clear(&mut self) {
        self.keys.values_mut().for_each(|key| key.default_for.clear());
    }

    fn make_default(&mut self, id: &str, context: String) {
        self.clear();
        self.key(id).default_for.push(context);
    }
}
