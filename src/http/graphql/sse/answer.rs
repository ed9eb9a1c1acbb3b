//! Turns a request into an event stream, or into an error response that a client can distinguish
//! from one.

use super::format::Format;
use super::frames;
use super::pump::{Cursors, OfTicket, Pump};
use crate::auth::{Denied, Grant, Ticket};
use crate::http::edge::body::{no_room, read_body};
use crate::http::edge::envelope::RequestIds;
use crate::http::edge::problem::{Problem, challenge};
use crate::http::edge::sender::{client, payer};
use crate::http::graphql::streams::LiveFace;
use crate::http::graphql::{
    Executor, Media, Reply, RequestContext, from_json, from_uri, json_of, mutation_over_get,
    require_json,
};
use crate::limits::{Held, NoRoom, Payer};
use async_graphql::Response as Answer;
use async_graphql_parser::types::OperationType;
use axum::body::Body;
use axum::extract::{Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::secret::SecretText;
use claviger_graphql::limits::kept_bytes;
use claviger_graphql::progress::Progress;
use futures::stream::{self, BoxStream, StreamExt};
use std::sync::Arc;
use tokio::time::timeout;
use tracing::Instrument;

/// Most characters of a `Last-Event-ID`.
const MAX_EVENT_ID: usize = 200;

/// The caller of a stream, and where it resumes.
struct Asked {
    grant: Option<Grant>,
    resume: Option<String>,
    ticket: Option<Ticket>,
}

/// Handles one request for a stream.
pub(in crate::http::graphql) async fn answer(
    face: &Arc<LiveFace>,
    request: Request,
    format: Format,
) -> Response {
    let ids = face.ids_of(&request);
    let (parts, body) = request.into_parts();
    let media = match format {
        // 200 would signal that the stream has begun.
        Format::Events => Media::GraphqlResponse,
        Format::Multipart => Media::accepted(&parts.headers).unwrap_or(Media::GraphqlResponse),
    };
    let answered = begin(face, &parts, body, Call { ids, format, media }).await;
    answered.unwrap_or_else(|problem| match format {
        Format::Events => problem.into_response(),
        Format::Multipart => Reply::problem(problem, ids.request).alone(media),
    })
}

/// What is known of a request before it is read.
#[derive(Clone, Copy)]
struct Call {
    ids: RequestIds,
    format: Format,
    /// Of an answer that is no stream.
    media: Media,
}

async fn begin(
    face: &Arc<LiveFace>,
    parts: &Parts,
    body: Body,
    call: Call,
) -> Result<Response, Problem> {
    let context = RequestContext::from_parts(parts, call.ids)?;
    let (mut request, held) = read(face, parts, body).await?;
    let kind = match face.parts.admission.admit(&mut request) {
        Ok(OperationType::Mutation) if parts.method == Method::GET => {
            return Err(mutation_over_get());
        }
        Ok(kind) => kind,
        Err(refusal) => {
            return Ok(Reply::refused(refusal, call.media, call.ids.request).alone(call.media));
        }
    };
    if call.format == Format::Multipart && kind != OperationType::Subscription {
        return Ok(at_once(face, (request, held), context, call.media).await);
    }
    let mut seat = face.seats.take().map_err(|full| {
        Problem::new(ErrorCode::LimitExceeded, full.to_string())
            .with_status(StatusCode::SERVICE_UNAVAILABLE)
    })?;
    let asked = asked(face, parts, &context, kind).await?;
    if let Some(grant) = &asked.grant {
        let too_many = |full: crate::limits::Full| {
            Problem::new(ErrorCode::LimitExceeded, full.to_string())
                .with_status(StatusCode::TOO_MANY_REQUESTS)
        };
        seat.claim(grant.principal.user).map_err(too_many)?;
    }
    let kept = keep(face, &mut request, asked.grant.as_ref(), held)?;
    let ticket = match asked.ticket {
        Some(ticket) => Some(of_ticket(face, ticket, asked.resume.is_none()).await?),
        None => None,
    };
    let cursors = Arc::new(Cursors::default());
    let answers = match (kind, &asked.grant) {
        (OperationType::Subscription, Some(grant)) => {
            let passing = Arc::clone(&cursors);
            let progress = Progress {
                resume: asked.resume.clone(),
                passed: Arc::new(move |cursor| passing.passed(cursor)),
            };
            face.parts.executor.subscribe(
                request,
                &context,
                grant.principal.clone(),
                Some(progress),
            )
        }
        (OperationType::Subscription, None) => return Err(unauthenticated(&sign_in())),
        (OperationType::Query | OperationType::Mutation, _) => once(face, request, context),
    };
    let is_resumed = asked.resume.is_some();
    let guard = asked.grant.map(|grant| face.parts.watch.over(grant));
    let pump = Pump {
        face: Arc::clone(face),
        answers,
        cursors,
        guard,
        seat,
        ticket,
        request_id: call.ids.request,
        format: call.format,
        kept,
    };
    Ok(started(pump, is_resumed, call.media).await)
}

/// The request, and the memory held for it.
async fn read(
    face: &LiveFace,
    parts: &Parts,
    body: Body,
) -> Result<(async_graphql::Request, Held), Problem> {
    let held = face.parts.memory.requests.hold(payer(client(parts)));
    if parts.method == Method::GET {
        return Ok((from_uri(&parts.uri)?, held));
    }
    if parts.method != Method::POST {
        return Err(Problem::method_not_allowed("GET, POST"));
    }
    require_json(&parts.headers)?;
    let settings = &face.parts.settings;
    let (most, within) = (settings.max_message_bytes, settings.timeout);
    let mut body = read_body(body, most, within, held).await?;
    body.parsing()?;
    Ok((from_json(json_of(body.as_slice())?)?, body.into_held()))
}

/// Holds memory for what the stream keeps of its request: for the user, or for the address of a
/// client that isn't signed in, as what has arrived already is.
fn keep(
    face: &LiveFace,
    request: &mut async_graphql::Request,
    grant: Option<&Grant>,
    arrived: Held,
) -> Result<Held, Problem> {
    let Some(grant) = grant else { return Ok(arrived) };
    let payer = Payer::User(grant.principal.user);
    face.parts.memory.streams.take(payer, kept_bytes(request)).map_err(|error| match error {
        NoRoom::InAll => no_room(error),
        NoRoom::OfOne => Problem::new(ErrorCode::LimitExceeded, error.to_string())
            .with_status(StatusCode::TOO_MANY_REQUESTS),
    })
}

/// Starts the stream. A subscription that can't begin gets an error status, because an
/// `EventSource` reconnects after a 200. For the same reason a stream resumed after its end gets
/// 204, which tells the client that there is nothing more.
async fn started(mut pump: Pump, is_resumed: bool, media: Media) -> Response {
    let (first, is_over) = {
        let cursors = Arc::clone(&pump.cursors);
        let begun = std::future::poll_fn(|cx| match pump.answers.poll_next_unpin(cx) {
            std::task::Poll::Ready(answer) => {
                let is_over = answer.is_none();
                std::task::Poll::Ready((answer, is_over))
            }
            std::task::Poll::Pending if cursors.start().is_some() => {
                std::task::Poll::Ready((None, false))
            }
            std::task::Poll::Pending => std::task::Poll::Pending,
        });
        begun.await
    };
    let began = pump.cursors.start().is_some();
    if let Some(refused) = first
        .as_ref()
        .filter(|answer| !began && answer.is_err() && answer.data == async_graphql::Value::Null)
    {
        let errors = refused
            .errors
            .iter()
            .cloned()
            .map(|error| async_graphql::ServerError { path: Vec::new(), ..error });
        let refused = Answer::from_errors(errors.collect());
        return Reply::executed(refused, media, pump.request_id).alone(media);
    }
    if is_over && is_resumed {
        let mut nothing = Response::new(Body::empty());
        *nothing.status_mut() = StatusCode::NO_CONTENT;
        return nothing;
    }
    let settings = &pump.face.parts.settings;
    let (frames, body) = frames::channel(
        settings.max_waiting_frames,
        settings.max_waiting_bytes,
        pump.kept.sibling(),
    );
    let tasks = pump.face.tasks.clone();
    let content_type = pump.format.content_type();
    let span = tracing::info_span!("sse.stream", request_id = %pump.request_id);
    tasks.spawn(pump.run(frames, first).instrument(span));
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies such as nginx would buffer the response until it is complete.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// A query or mutation of a client that accepts parts: it sends the same headers with every
/// operation, and only subscriptions have more than one answer.
async fn at_once(
    face: &Arc<LiveFace>,
    (request, _held): (async_graphql::Request, Held),
    context: RequestContext,
    media: Media,
) -> Response {
    let id = context.request_id;
    let answer = once(face, request, context).next().await.unwrap_or_default();
    Reply::executed(answer, media, id).alone(media)
}

fn once(
    face: &Arc<LiveFace>,
    request: async_graphql::Request,
    context: RequestContext,
) -> BoxStream<'static, Answer> {
    let (executor, within) = (face.parts.executor.clone(), face.parts.settings.timeout);
    stream::once(async move {
        timeout(within, executor.execute(request, context)).await.unwrap_or_else(|_| {
            let mut error = async_graphql::ServerError::new("the request took too long", None);
            error.extensions.get_or_insert_default().set("code", ErrorCode::Timeout.as_str());
            Answer::from_errors(vec![error])
        })
    })
    .boxed()
}

/// Authenticates by header, or by a ticket for clients that can't send one.
async fn asked(
    face: &Arc<LiveFace>,
    parts: &Parts,
    context: &RequestContext,
    kind: OperationType,
) -> Result<Asked, Problem> {
    let last = parts
        .headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok())
        .filter(|id| !id.is_empty());
    if last.is_some_and(|id| id.len() > MAX_EVENT_ID) {
        return Err(Problem::new(ErrorCode::CursorInvalid, "the Last-Event-ID is invalid"));
    }
    let auth = &face.parts.watch.auth;
    if let Some(text) = ticket_in(&parts.uri)? {
        if kind != OperationType::Subscription {
            return Err(Problem::new(
                ErrorCode::Forbidden,
                "a ticket is valid for subscriptions only",
            ));
        }
        let (ticket, resume) =
            auth.ticket(&text, last).map_err(|failure| unauthenticated(&failure))?;
        let grant = auth.grant_by_ticket(&ticket).await.map_err(denied)?;
        return Ok(Asked { grant: Some(grant), resume, ticket: Some(ticket) });
    }
    let grant = match &context.token {
        Some(token) if kind == OperationType::Subscription => {
            Some(auth.grant(token).await.map_err(denied)?)
        }
        Some(_) | None => None,
    };
    Ok(Asked { grant, resume: last.map(str::to_owned), ticket: None })
}

/// Makes this stream the ticket's. A first use is spent only now that there is a seat for it: a
/// client that is refused before may come again with the same ticket.
async fn of_ticket(
    face: &Arc<LiveFace>,
    ticket: Ticket,
    is_first: bool,
) -> Result<OfTicket, Problem> {
    if is_first {
        face.parts.watch.auth.use_ticket(&ticket).await.map_err(|failure| {
            if failure.code == ErrorCode::Unauthenticated {
                unauthenticated(&failure)
            } else {
                Problem::new(failure.code, failure.message)
            }
        })?;
    }
    let own = face.take_over(ticket.id);
    Ok(OfTicket { ticket, own })
}

fn ticket_in(uri: &Uri) -> Result<Option<SecretText>, Problem> {
    let malformed = |_| Problem::new(ErrorCode::BadRequest, "the query string is malformed");
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(malformed)?;
    let mut tickets = pairs.into_iter().filter(|(name, text)| name == "ticket" && !text.is_empty());
    match (tickets.next(), tickets.next()) {
        (None, _) => Ok(None),
        (Some((_, ticket)), None) => Ok(Some(SecretText::new(ticket))),
        (Some(_), Some(_)) => {
            Err(Problem::new(ErrorCode::BadRequest, "the parameter \"ticket\" is given twice"))
        }
    }
}

fn sign_in() -> Failure {
    let message = "sign in first: send the access token as Authorization: Bearer TOKEN, or a ticket (createStreamTicket)";
    Failure::new(ErrorCode::Unauthenticated, message)
}

fn unauthenticated(failure: &Failure) -> Problem {
    Problem::new(failure.code, failure.message.clone())
        .with_header(header::WWW_AUTHENTICATE, challenge())
}

fn denied(denied: Denied) -> Problem {
    let failure = denied.failure();
    if failure.code == ErrorCode::Unauthenticated {
        unauthenticated(&failure)
    } else {
        Problem::new(failure.code, failure.message)
    }
}
