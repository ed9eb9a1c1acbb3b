//! `/api/orchestration/{pattern}` and `/api/orchestration-designs/generate`: starts a run, and
//! waits for it or streams it.

use super::call::{Call, token_of};
use super::events::Translator;
use super::patterns::Shape;
use super::problem::Refusal;
use super::stream::Place;
use super::{Answer, RestFace};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use claviger_application::ids::{self, IdKind};
use claviger_application::{RunCommand, StartRun};
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::id::{KeyId, RunId};
use claviger_domain::text::{Context, ModelId, Title};
use std::sync::Arc;

const MIB: usize = 1024 * 1024;
/// Most bytes of a body, and of one that may have pictures.
const BODY_MAX: (usize, usize) = (MIB, 16 * MIB);

impl RestFace {
    async fn begun(
        &self,
        call: &Call,
        parts: &Parts,
        body: Body,
        shape: Shape,
    ) -> Result<RunId, Refusal> {
        let max = if shape == Shape::Sequential { BODY_MAX.1 } else { BODY_MAX.0 };
        let (mut fields, _held) = self.fields(parts, body, max).await?;
        let draft = shape.draft(&mut fields)?;
        let (title, model) = (fields.maybe_text("title"), fields.maybe_text("model"));
        let (key, context) = (fields.maybe_text("key_id"), fields.maybe_text("context"));
        let max_concurrency = fields.maybe_whole("max_concurrency");
        fields.done()?;
        let start = StartRun {
            draft,
            title: title
                .as_deref()
                .map(Title::parse)
                .transpose()
                .map_err(|it| Failure::text(&it, &["title"]))?,
            model: model.as_deref().map(model_id).transpose()?,
            key: key.map(|key| KeyId(ids::decode_as(IdKind::ApiKey, &key).unwrap_or_default())),
            context: Context::parse(context.as_deref().unwrap_or("default"))
                .map_err(|error| Failure::text(&error, &["context"]))?,
            max_concurrency,
        };
        let command = RunCommand::Start(Box::new(start));
        Ok(self.ports.run_commands.run(call.context(), command).await?.run)
    }
}

fn model_id(text: &str) -> Result<ModelId, Refusal> {
    ModelId::parse(text).ok_or_else(|| {
        let message = "the model id is invalid: GET /api/settings/available-models lists valid ids";
        Failure::new(ErrorCode::Validation, message).into()
    })
}

async fn whole(face: &RestFace, request: Request, shape: Shape) -> Answer {
    let (parts, body) = request.into_parts();
    let call = face.enter(&parts).await?;
    let run = face.begun(&call, &parts, body, shape).await?;
    let owner = call.owner();
    // Its place among the requests that are worked on is others' while it only waits.
    drop(call);
    face.whole(owner, run).await
}

async fn streamed(face: &Arc<RestFace>, request: Request, shape: Shape) -> Answer {
    let (parts, body) = request.into_parts();
    let call = face.enter(&parts).await?;
    // Before the run is started: a client that gets no stream would not know of it.
    let seat = face.seat(&token_of(&parts)?).await?;
    let run = face.begun(&call, &parts, body, shape).await?;
    drop(call);
    let translator = Translator { run, is_design: shape == Shape::Design };
    face.streamed(seat, translator, Place::default()).await
}

macro_rules! endpoints {
    ($($shape:ident: $whole:ident $streamed:ident;)+) => {$(
        pub(super) async fn $whole(State(face): State<Arc<RestFace>>, request: Request) -> Answer {
            whole(&face, request, Shape::$shape).await
        }

        pub(super) async fn $streamed(State(face): State<Arc<RestFace>>, request: Request) -> Answer {
            streamed(&face, request, Shape::$shape).await
        }
    )+};
}

endpoints! {
    Sequential: sequential sequential_stream;
    Debate: debate debate_stream;
    Hierarchical: hierarchical hierarchical_stream;
    Parallel: parallel parallel_stream;
    Routing: routing routing_stream;
}

pub(super) async fn design(State(face): State<Arc<RestFace>>, request: Request) -> Answer {
    streamed(&face, request, Shape::Design).await
}
