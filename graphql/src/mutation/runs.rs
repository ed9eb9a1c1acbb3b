//! Commands on orchestrations: parse, hand on, read the orchestration as it is now.

use super::call::{call, model};
use super::patterns::whole;
use super::payloads::OrchestrationPayload;
use super::run_inputs::{OrchestrationInput, StartOrchestrationInput};
use crate::error::{UserError, user_error};
use crate::ids::{self, IdKind};
use crate::ports::{Caller, RunCommand, StartRun};
use crate::types::{CredentialResolution, Orchestration, caller, context_of, ports};
use async_graphql::{Context, Error, ID, Object};
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::{Failure, FailureDetail};
use claviger_domain::id::{KeyId, RunId};
use claviger_domain::orchestration::ControlRequest;
use claviger_domain::text::Title;

/// Commands on orchestrations.
#[derive(Default)]
pub(crate) struct RunMutations;

/// What the answer needs of the input besides the command.
struct Asked {
    idempotency_key: Option<ID>,
    client_mutation_id: Option<String>,
    /// In whose name a default key was looked for.
    context: Option<String>,
    /// The pattern's field in the input, where the command has one.
    pattern: Option<&'static str>,
}

impl Asked {
    fn of(input: &OrchestrationInput) -> Self {
        let (idempotency_key, client_mutation_id) =
            (input.idempotency_key.clone(), input.client_mutation_id.clone());
        Self { idempotency_key, client_mutation_id, context: None, pattern: None }
    }
}

/// Where in the whole input a fault in a pattern's own input lies. A path that begins with "input" says it already.
fn placed(mut failure: Failure, pattern: Option<&'static str>) -> Failure {
    if let (Some(path), Some(pattern)) = (&mut failure.path, pattern)
        && path.first().is_none_or(|first| first != "input")
    {
        path.splice(0..0, ["input", "pattern", pattern].map(str::to_owned));
    }
    failure
}

fn start(input: StartOrchestrationInput) -> Result<RunCommand, Failure> {
    let max_concurrency = input.max_concurrency.map(|most| {
        let at = ["input", "maxConcurrency"];
        match whole(most, &at)? {
            0 => Err(Failure::new(
                ErrorCode::Validation,
                "0 calls at once do nothing: write a number from 1 on",
            )
            .at(&at)),
            most => Ok(most),
        }
    });
    let title = input.title.as_deref().map(Title::parse).transpose();
    Ok(RunCommand::Start(Box::new(StartRun {
        draft: input.pattern.draft()?,
        title: title.map_err(|error| Failure::text(&error, &["input", "title"]))?,
        model: input.model.as_deref().map(model).transpose()?,
        // An id that isn't one of ours names a key that doesn't exist: the answer is the same as for a foreign one.
        key: input.key_id.map(|id| KeyId(ids::decode_as(IdKind::ApiKey, &id).unwrap_or_default())),
        context: context_of(input.context.as_deref(), &["input", "context"])?,
        max_concurrency: max_concurrency.transpose()?,
    })))
}

/// Runs a command and answers with its orchestration.
async fn payload(
    ctx: &Context<'_>,
    command: Result<RunCommand, Failure>,
    asked: Asked,
) -> Result<OrchestrationPayload, Error> {
    let caller = caller(ctx)?;
    let done = match (call(ctx, asked.idempotency_key.as_ref())?, command) {
        (Ok(call), Ok(command)) => {
            ports(ctx)?.run_commands.run(call, caller.clone(), command).await
        }
        (Err(failure), _) | (_, Err(failure)) => Err(failure),
    };
    let Asked { client_mutation_id, context, pattern, .. } = asked;
    Ok(match done {
        Ok(done) => OrchestrationPayload {
            orchestration: Orchestration::load(ctx, caller.user, done.run).await?,
            user_errors: Vec::new(),
            commit: Some(done.commit.into()),
            client_mutation_id,
        },
        Err(failure) => {
            let error = refusal(ctx, caller, &placed(failure, pattern), context.as_deref()).await?;
            OrchestrationPayload {
                orchestration: None,
                user_errors: vec![error],
                commit: None,
                client_mutation_id,
            }
        }
    })
}

/// A refusal; one for want of a credential lists what was tried.
async fn refusal(
    ctx: &Context<'_>,
    caller: &Caller,
    failure: &Failure,
    context: Option<&str>,
) -> Result<UserError, Error> {
    let mut error = user_error(failure)?;
    if let (UserError::CredentialError(error), FailureDetail::Resolution(tried)) =
        (&mut error, &failure.detail)
    {
        error.candidates =
            CredentialResolution::recorded(ctx, caller.user, &tried.considered, context)
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
    // The answer for an id that isn't one of ours is that for a foreign one.
    let run = RunId(ids::decode_as(IdKind::Orchestration, &input.id).unwrap_or_default());
    payload(ctx, Ok(RunCommand::Ask { run, ask }), Asked::of(&input)).await
}

#[Object]
impl RunMutations {
    /// Starts an orchestration on the viewer's credential. Everything that can be known before is checked before: what is refused never
    /// began. It runs on whether anybody listens or not.
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
    /// Stops an orchestration for good: calls under way are broken off, and what they used is recorded. The commit is that of the request;
    /// the orchestration follows in a moment.
    async fn cancel_orchestration(
        &self,
        ctx: &Context<'_>,
        input: OrchestrationInput,
    ) -> Result<OrchestrationPayload, Error> {
        ask(ctx, input, ControlRequest::Cancel).await
    }
    /// Lets an orchestration stand still: no call begins, those under way finish. The commit is that of the request.
    async fn pause_orchestration(
        &self,
        ctx: &Context<'_>,
        input: OrchestrationInput,
    ) -> Result<OrchestrationPayload, Error> {
        ask(ctx, input, ControlRequest::Pause).await
    }
    /// Lets a paused orchestration go on; its credential is looked for anew. The commit is that of the request.
    async fn resume_orchestration(
        &self,
        ctx: &Context<'_>,
        input: OrchestrationInput,
    ) -> Result<OrchestrationPayload, Error> {
        ask(ctx, input, ControlRequest::Resume).await
    }
}
