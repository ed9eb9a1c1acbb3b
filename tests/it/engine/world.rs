//! Worlds for runs: short leases, an upstream that keeps what was sent to it, and one run of each
//! pattern.

use crate::harness::environment::system;
use crate::harness::runs::{agent, agents, line};
use crate::harness::stores::{StoreKind, TempPlace};
use crate::harness::world::World;
use claviger::app::config::Config;
use claviger::simulator::SimulatorConfig;
use claviger::simulator::script::{Act, Reply};
use claviger_domain::orchestration::{Draft, OnFailure};
use std::time::Duration;

/// The prompt of a design. The first [`DESIGNS`] replies to it are [`DESIGN`].
pub(super) const DESIGN_PROMPT: &str = "A team that writes.";
const DESIGNS: usize = 200;
const DESIGN: &str = r#"{"name":"Writers","description":"One writes, one reads.","blocks":[
    {"id":"b1","type":"sequential","position":{"x":50,"y":50},"data":{"label":"Write","agents":[],"task":"Write."}},
    {"id":"b2","type":"debate","position":{"x":450,"y":50},"data":{"label":"Read","agents":[],"task":"Read.","rounds":2}}],
    "connections":[{"id":"c1","source":"b1","target":"b2","type":"block"}]}"#;

impl World {
    /// An empty store, a lease of a second, and otherwise this configuration.
    pub(super) async fn with(kind: StoreKind, change: impl FnOnce(&mut Config)) -> Self {
        Self::paced(kind, Duration::ZERO, change).await
    }

    /// The same with text that comes a few characters at a time, with a pause before each.
    pub(super) async fn paced(
        kind: StoreKind,
        chunk_delay: Duration,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        Self::made(TempPlace::new(kind).await, chunk_delay, change).await
    }

    /// The same [apart](TempPlace::apart) from other tests.
    pub(super) async fn paced_apart(
        kind: StoreKind,
        chunk_delay: Duration,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        Self::made(TempPlace::apart(kind).await, chunk_delay, change).await
    }

    async fn made(
        place: TempPlace,
        chunk_delay: Duration,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let simulator = |simulator: SimulatorConfig| {
            let chunk_chars = if chunk_delay.is_zero() { simulator.chunk_chars } else { 6 };
            SimulatorConfig { record_bodies: true, chunk_delay, chunk_chars, ..simulator }
        };
        let mut world = Self::at(place, system(), simulator).await;
        // What a schema alone allows isn't a design yet: its connections must meet.
        for _ in 0..DESIGNS {
            world.simulator().script().on_prompt(DESIGN_PROMPT, Act::Reply(Reply::text(DESIGN)));
        }
        (world.config.lease_ms, world.config.drain_ms) = (1_000, 2_000);
        change(&mut world.config);
        world
    }
}

/// One run of each pattern, all of whose steps succeed.
pub(super) fn one_of_each() -> Vec<(&'static str, Draft)> {
    let of = |text: &str| text.to_owned();
    vec![
        ("sequential", line("Count to three.", ["Ann", "Ben", "Cid"])),
        (
            "debate",
            Draft::Debate {
                topic: of("Tabs?"),
                agents: agents(["Pro", "Con"]),
                participants: None,
                rounds: 2,
            },
        ),
        (
            "hierarchical",
            Draft::Hierarchical {
                task: of("Build a house."),
                manager: agent("Boss"),
                workers: agents(["Wall", "Roof"]),
                worker_names: None,
            },
        ),
        (
            "parallel",
            Draft::Parallel {
                task: of("Name a colour."),
                agents: agents(["One", "Two", "Three"]),
                agent_names: None,
                aggregator: Some(agent("Sum")),
                on_failure: OnFailure::Fail,
            },
        ),
        (
            "routing",
            Draft::Routing {
                task: of("Mend the pipe."),
                router: agent("Router"),
                specialists: agents(["Plumber", "Painter"]),
                specialist_names: None,
            },
        ),
        ("design", Draft::Design { prompt: of(DESIGN_PROMPT), current: None }),
    ]
}
