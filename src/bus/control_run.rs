//! How a request to control a run is decided and answered.

use super::Bus;
use super::executor::{Appended, Changes, Recipe};
use super::records::Repeat;
use super::runs::{RunBus, replayed};
use crate::aggregates::Folds;
use crate::keychain::plain_events;
use claviger_application::{CommandContext, Commit, RunDone};
use claviger_domain::actor::Role;
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::id::RunId;
use claviger_domain::orchestration::{
    ControlRequest, ControlRun, Run, RunControl, RunControlEvent, RunError,
};
use claviger_domain::stream::StreamName;
use claviger_domain::text::Context;
use claviger_projections::ports::ClaimKind;
use std::collections::BTreeSet;
use uuid::Uuid;

pub(super) struct ControlRecipe {
    runs: RunBus,
    context: CommandContext,
    run: RunId,
    request: ControlRequest,
    /// The run as it was read for the current try, before the requests made to it.
    state: Run,
}

impl ControlRecipe {
    pub(super) fn new(
        runs: RunBus,
        context: CommandContext,
        run: RunId,
        request: ControlRequest,
    ) -> Self {
        Self { runs, context, run, request, state: Run::default() }
    }

    fn wake(&self) {
        self.runs.engine.wake(self.context.owner, self.run);
    }

    /// A run without a credential would pause again at once, so resuming it is refused.
    async fn check_resumable(&self) -> Result<(), Failure> {
        let Some(detail) = self.runs.runs.run(self.context.owner, self.run).await? else {
            return Err(run_refusal(RunError::NotFound));
        };
        let run = &detail.view.run;
        let named = run.settings.as_ref().and_then(|settings| settings.named_key);
        let context = run.context.as_deref().and_then(|context| Context::parse(context).ok());
        let Some(context) = context else { return Ok(()) };
        self.runs.resolved(&self.context, &context, named).await.map(drop)
    }
}

impl Recipe for ControlRecipe {
    type State = RunControl;
    type Output = RunDone;

    fn stream(&self) -> StreamName {
        StreamName::RunControl(self.run.0)
    }

    fn folds(bus: &Bus) -> Option<&Folds<RunControl>> {
        Some(&bus.aggregates.controls)
    }

    async fn load(&mut self, bus: &Bus) -> Result<(), Failure> {
        let stream = StreamName::Run(self.run.0);
        (_, self.state) = bus.aggregates.runs.load(&*bus.store, stream).await?;
        Ok(())
    }

    fn caller_has(&mut self, roles: &BTreeSet<Role>) {
        self.context.roles.clone_from(roles);
    }

    /// Relies on the control stream alone: whatever the run does meanwhile, the process that works
    /// on it decides each request again, with the credential that there is then.
    async fn decide(
        &mut self,
        _: &Bus,
        control: &RunControl,
    ) -> Result<Vec<RunControlEvent>, Failure> {
        let command = ControlRun { run: self.run, request: self.request };
        let Some(event) = command.decide(&self.state, control).map_err(run_refusal)? else {
            // The run is already in the requested state, or the same request is pending.
            self.wake();
            return Ok(Vec::new());
        };
        if self.request == ControlRequest::Resume {
            self.check_resumable().await?;
        }
        Ok(vec![event])
    }

    async fn changes(
        &mut self,
        bus: &Bus,
        _: (u64, &RunControl),
        events: &[RunControlEvent],
    ) -> Result<Changes, Failure> {
        Ok(Changes {
            events: plain_events(events, &bus.env)?,
            rows: Vec::new(),
            claims: Vec::new(),
            inline: None,
        })
    }

    fn subject(&self, _: &[RunControlEvent]) -> Option<Uuid> {
        Some(self.run.0)
    }

    /// Requests have no content to seal.
    async fn keys_moved(&mut self, _: &Bus) -> Result<(), Failure> {
        Ok(())
    }

    /// Requests claim no unique values.
    fn claim_taken(&self, _: ClaimKind, _: Uuid) -> Failure {
        Failure::internal()
    }

    fn appended(&mut self, _: &Bus, commit: Commit, _: Appended<RunControlEvent>) -> RunDone {
        self.wake();
        RunDone { commit, run: self.run }
    }

    async fn unchanged(&mut self, _: &Bus, commit: Commit) -> Result<RunDone, Failure> {
        Ok(RunDone { commit, run: self.run })
    }

    fn replayed(&self, repeat: Repeat) -> Result<RunDone, Failure> {
        replayed(repeat)
    }
}

/// The aggregate's refusal, as every face shows it.
pub(super) fn run_refusal(error: RunError) -> Failure {
    if error.code() == ErrorCode::Internal {
        tracing::error!(%error, "a command on a run is inconsistent");
        return Failure::internal();
    }
    Failure::new(error.code(), error.to_string())
}
