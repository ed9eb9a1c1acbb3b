//! Every pattern runs to its end on both stores, and every subscriber sees every character.

use super::world::one_of_each;
use crate::harness::stores::StoreKind;
use crate::harness::world::World;
use claviger::simulator::keys::Scenario;
use claviger_domain::orchestration::Phase;
use claviger_projections::run_feed::Body;
use futures::StreamExt as _;
use std::collections::BTreeMap;

#[tokio::test(flavor = "multi_thread")]
async fn every_pattern_runs_to_its_end_and_its_text_adds_up() {
    for kind in StoreKind::available().await {
        let world = World::with(*kind, |_| {}).await;
        let process = world.process().await;
        let ada = process.user("ada", Scenario::Good).await;
        for (name, draft) in one_of_each() {
            let run = process.start_run(&ada, draft).await;
            let (mut texts, mut messages) =
                (BTreeMap::new(), process.messages(&ada, run, None).await);
            while let Some(message) = messages.next().await {
                match message.unwrap().body {
                    Body::Snapshot { partial, .. } => {
                        texts.extend(
                            partial.iter().map(|one| ((one.step, one.attempt), one.text.clone())),
                        );
                    }
                    Body::Delta(delta) => {
                        let text = texts.entry((delta.step, delta.attempt)).or_default();
                        assert_eq!(text.len() as u64, delta.offset, "{name}: text follows text");
                        text.push_str(&delta.text);
                    }
                    Body::Event { .. }
                    | Body::AttemptSuperseded { .. }
                    | Body::Gap(_)
                    | Body::Terminal(_) => {}
                }
            }
            let detail = process.detail(&ada, run).await;
            assert_eq!(
                detail.view.run.phase,
                Phase::Completed,
                "{name}: {:?}",
                process.kinds(run).await
            );
            for step in &detail.view.run.steps {
                let seen = texts.get(&(step.planned.step, step.attempts));
                assert!(
                    seen.is_none() || seen == step.reply.as_ref(),
                    "{name}: what was streamed is the reply"
                );
            }
            assert!(claviger_domain::pattern::result(&detail.view.run).is_some(), "{name}");
            println!("{kind:?} {name}: {:?}", process.kinds(run).await);
        }
        process.stop().await;
        world.close().await;
    }
}
