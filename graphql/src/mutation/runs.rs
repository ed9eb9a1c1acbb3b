//! Mutations on orchestrations: parse the input, run the command, read the orchestration's current
//! state.

use super::call::{command_context, model};
use super::patterns::whole;
use super::payloads::OrchestrationPayload;
use super::run_inputs::{OrchestrationInput, StartOrchestrationInput};
use super::user_errors::{UserError, user_error};
use crate::context::{ports, principal};
use crate::types::{CredentialResolution, Orchestration, context_of};
use async_graphql::{Context, Error, ID, Object};
use claviger_application::ids::{self, IdKind};
use claviger_application::{Principal, RunCommand, StartRun};
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::{Failure, FailureDetail};
use claviger_domain::id::{KeyId, RunId};
use claviger_domain::orchestration::ControlRequest;
use claviger_domain::text::Title;

/// Mutations on orchestrations.
#[derive(Default)]
pub(crate) struct RunMutations;

/// The parts of the input that the payload needs, besides the command.
struct Asked {
    idempotency_key: Option<ID>,
    client_mutation_id: Option<String>,
    /// The context whose default key was looked up.
    context: Option<String>,
    /// The pattern's field in the input, for commands that have one.
    pattern: Option<&'static str>,
}

impl Asked {
    fn of(input: &OrchestrationInput) -> Self {
        let (idempotency_key, client_mutation_id) =
            (input.idempotency_key.clone(), input.client_mutation_id.clone());
        Self { idempotency_key, client_mutation_id, context: None, pattern: None }
    }
}

/// Inserts the pattern's own field into a path that begins at the pattern.
fn placed(mut failure: Failure, pattern: Option<&'static str>) -> Failure {
    if let (Some(path), Some(pattern)) = (&mut failure.path, pattern)
        && path.first().is_some_and(|first| first == "pattern")
    {
        path.insert(1, pattern.to_owned());
    }
    failure
}

/// Turns a path relative to the pattern's own input into one that begins at the pattern.
fn in_pattern(mut failure: Failure) -> Failure {
    if let Some(path) = &mut failure.path {
        path.insert(0, "pattern".to_owned());
    }
    failure
}

fn start(input: StartOrchestrationInput) -> Result<RunCommand, Failure> {
    let max_concurrency = input.max_concurrency.map(|most| {
        let at = ["maxConcurrency"];
        match whole(most, &at)? {
            0 => {
                Err(Failure::new(ErrorCode::Validation, "maxConcurrency must be 1 or more, got 0")
                    .at(&at))
            }
            most => Ok(most),
        }
    });
    let title = input.title.as_deref().map(Title::parse).transpose();
    Ok(RunCommand::Start(Box::new(StartRun {
        draft: input.pattern.draft().map_err(in_pattern)?,
        title: title.map_err(|error| Failure::text(&error, &["title"]))?,
        model: input.model.as_deref().map(model).transpose()?,
        // An invalid id becomes one that no key has, so it gives the same answer as another user's
        // key.
        key: input.key_id.map(|id| KeyId(ids::decode_as(IdKind::ApiKey, &id).unwrap_or_default())),
        context: context_of(input.context.as_deref(), &["context"])?,
        max_concurrency: max_concurrency.transpose()?,
    })))
}

/// Runs a command and returns its orchestration.
async fn payload(
    ctx: &Context<'_>,
    command: Result<RunCommand, Failure>,
    asked: Asked,
) -> Result<OrchestrationPayload, Error> {
    let principal = principal(ctx)?;
    let done = match (command_context(ctx, asked.idempotency_key.as_ref())?, command) {
        (Ok(context), Ok(command)) => ports(ctx)?.run_commands.run(context, command).await,
        (Err(failure), _) | (_, Err(failure)) => Err(failure),
    };
    let Asked { client_mutation_id, context, pattern, .. } = asked;
    Ok(match done {
        Ok(done) => OrchestrationPayload {
            orchestration: Orchestration::load(ctx, principal.user, done.run).await?,
            user_errors: Vec::new(),
            commit: Some(done.commit.into()),
            client_mutation_id,
        },
        Err(failure) => {
            let error =
                refusal(ctx, principal, &placed(failure, pattern), context.as_deref()).await?;
            OrchestrationPayload {
                orchestration: None,
                user_errors: vec![error],
                commit: None,
                client_mutation_id,
            }
        }
    })
}

/// A refusal. One for lack of a credential lists the credentials that were considered.
async fn refusal(
    ctx: &Context<'_>,
    principal: &Principal,
    failure: &Failure,
    context: Option<&str>,
) -> Result<UserError, Error> {
    let mut error = user_error(failure)?;
    if let (UserError::CredentialError(error), FailureDetail::Resolution(tried)) =
        (&mut error, &failure.detail)
    {
        error.candidates =
            CredentialResolution::recorded(ctx, principal.user, &tried.considered, context)
                .await?
                .candidates;
    }
    Ok(error)
}

async fn ask(
    ctx: &Context<'_>,
    input: OrchestrationInput,
    ask: ControlRequest,
) -> Result<OrchestrationPayload, Error> {
    // An invalid id becomes one that no run has, so it gives the same answer as another user's run.
    let run = RunId(ids::decode_as(IdKind::Orchestration, &input.id).unwrap_or_default());
    payload(ctx, Ok(RunCommand::Ask { run, ask }), Asked::of(&input)).await
}

#[Object]
impl RunMutations {
    /// Starts an orchestration with the viewer's credential. Everything that can be checked in
    /// advance is checked first: a refused orchestration never began. It keeps running whether or
    /// not anybody subscribes.
    async fn start_orchestration(
        &self,
        ctx: &Context<'_>,
        input: StartOrchestrationInput,
    ) -> Result<OrchestrationPayload, Error> {
        let asked = Asked {
            idempotency_key: input.idempotency_key.clone(),
            client_mutation_id: input.client_mutation_id.clone(),
            context: Some(input.context.clone().unwrap_or_else(|| "default".to_owned())),
            pattern: Some(input.pattern.name()),
        };
        payload(ctx, start(input), asked).await
    }
    /// Stops an orchestration permanently: calls in progress are aborted, and their usage is
    /// recorded. The commit is that of the request; the orchestration stops a moment later.
    async fn cancel_orchestration(
        &self,
        ctx: &Context<'_>,
        input: OrchestrationInput,
    ) -> Result<OrchestrationPayload, Error> {
        ask(ctx, input, ControlRequest::Cancel).await
    }
    /// Pauses an orchestration: no new call begins, and calls in progress finish. The commit is
    /// that of the request.
    async fn pause_orchestration(
        &self,
        ctx: &Context<'_>,
        input: OrchestrationInput,
    ) -> Result<OrchestrationPayload, Error> {
        ask(ctx, input, ControlRequest::Pause).await
    }
    /// Resumes a paused orchestration. Its credential is resolved again. The commit is that of the
    /// request.
    async fn resume_orchestration(
        &self,
        ctx: &Context<'_>,
        input: OrchestrationInput,
    ) -> Result<OrchestrationPayload, Error> {
        ask(ctx, input, ControlRequest::Resume).await
    }
}
