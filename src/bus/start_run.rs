//! How the request of a run is decided, sealed and answered.

use super::Bus;
use super::control_run::run_refusal;
use super::executor::{Appended, Changes, Recipe};
use super::records::Repeat;
use super::runs::{RunBus, replayed};
use crate::aggregates::Folds;
use crate::keychain::UserKeys;
use crate::keychain::seal_events;
use crate::views::RunRows;
use claviger_application::{CommandContext, Commit, RunDone};
use claviger_domain::actor::Role;
use claviger_domain::failure::Failure;
use claviger_domain::id::{KeyId, RunId};
use claviger_domain::orchestration::{Definition, RequestRun, Run, RunCommand, RunEvent, Work};
use claviger_domain::stream::StreamName;
use claviger_domain::text::{Context, ModelId, Title};
use claviger_projections::ports::ClaimKind;
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

/// A run to request, with a checked definition.
pub(super) struct Begun {
    pub(super) definition: Definition,
    pub(super) title: Option<Title>,
    pub(super) model: Option<ModelId>,
    pub(super) key: Option<KeyId>,
    pub(super) context: Context,
    pub(super) max_concurrency: u32,
}

pub(super) struct StartRecipe {
    pub(super) runs: RunBus,
    pub(super) context: CommandContext,
    pub(super) keys: Arc<UserKeys>,
    pub(super) run: RunId,
    pub(super) begun: Begun,
    /// Version of the owner's key ring, read before the credential was resolved.
    pub(super) ring: u64,
}

impl Recipe for StartRecipe {
    type State = Run;
    type Output = RunDone;

    fn stream(&self) -> StreamName {
        StreamName::Run(self.run.0)
    }

    fn folds(_: &Bus) -> Option<&Folds<Run>> {
        None
    }

    fn caller_has(&mut self, roles: &BTreeSet<Role>) {
        self.context.roles.clone_from(roles);
    }

    /// The credential is resolved from the rows of keys. They are read after the ring's version, so
    /// if they are newer, the append is refused.
    fn relied_on(&self) -> Vec<(StreamName, u64)> {
        vec![(StreamName::KeyRing(self.keys.owner), self.ring)]
    }

    async fn decide(&mut self, bus: &Bus, run: &Run) -> Result<Vec<RunEvent>, Failure> {
        let ring = StreamName::KeyRing(self.keys.owner);
        (self.ring, _) = bus.aggregates.rings.load(&*bus.store, ring).await?;
        let (begun, settings) = (&self.begun, &self.runs.settings);
        let resolution = self.runs.resolved(&self.context, &begun.context, begun.key).await?;
        let model = self.runs.model(begun.model.clone(), &begun.definition, &resolution).await?;
        let is_design = matches!(begun.definition.work, Work::Design { .. });
        let request = RequestRun {
            run: self.run,
            definition: begun.definition.clone(),
            title: begun.title.clone(),
            context_tag: self.keys.index.context_tag(begun.context.as_str()),
            context: begun.context.clone(),
            named_key: begun.key,
            resolution,
            model,
            max_tokens: if is_design { settings.design_max_tokens } else { settings.max_tokens },
            max_concurrency: begun.max_concurrency,
            max_attempts: settings.max_attempts,
            price_table: settings.price_table.clone(),
        };
        RunCommand::from(request).decide(run).map_err(run_refusal)
    }

    async fn changes(
        &mut self,
        bus: &Bus,
        (version, _): (u64, &Run),
        events: &[RunEvent],
    ) -> Result<Changes, Failure> {
        let (owner, stream) = (self.keys.owner, self.stream());
        let (key, row) = bus.keychain.new_content_key(&self.keys, stream)?;
        Ok(Changes {
            events: seal_events(events, &key, (owner, stream, version), &bus.env)?,
            rows: vec![row],
            claims: Vec::new(),
            inline: Some(Arc::new(RunRows {
                before: None,
                events: events.to_vec(),
                owner,
                key: Arc::new(key),
                env: bus.env.clone(),
            })),
        })
    }

    fn subject(&self, _: &[RunEvent]) -> Option<Uuid> {
        Some(self.run.0)
    }

    async fn keys_moved(&mut self, bus: &Bus) -> Result<(), Failure> {
        self.keys = bus.keys_of(self.keys.owner).await?;
        Ok(())
    }

    /// Runs claim no unique values.
    fn claim_taken(&self, _: ClaimKind, _: Uuid) -> Failure {
        Failure::internal()
    }

    fn appended(&mut self, _: &Bus, commit: Commit, _: Appended<RunEvent>) -> RunDone {
        self.runs.engine.wake(self.keys.owner, self.run);
        RunDone { commit, run: self.run }
    }

    async fn unchanged(&mut self, _: &Bus, commit: Commit) -> Result<RunDone, Failure> {
        Ok(RunDone { commit, run: self.run })
    }

    fn replayed(&self, repeat: Repeat) -> Result<RunDone, Failure> {
        replayed(repeat)
    }
}
