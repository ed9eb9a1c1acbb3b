//! A socket's life: one task that waits for all of its sources at once.

use super::close::Close;
use super::operations::{Begun, Operations, Step, What};
use super::protocol::{self, FromClient};
use super::wire::{Io, Wire};
use crate::auth::Denied;
use crate::http::edge::body::wipe;
use crate::http::edge::envelope::RequestIds;
use crate::http::graphql::executor::error_of;
use crate::http::graphql::streams::LiveFace;
use crate::http::graphql::{Executor, Refusal, RequestContext, complete_errors};
use crate::limits::{Held, Payer, StreamSlot};
use crate::live::{End, Guard};
use async_graphql::{Request, Response, ServerError, Value};
use async_graphql_parser::types::OperationType;
use claviger_application::Principal;
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::secret::SecretText;
use claviger_graphql::answer::AnswerBudget;
use claviger_graphql::limits::kept_bytes;
use futures::stream::{self, BoxStream, StreamExt};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_tungstenite::tungstenite::Message;
use tracing::Instrument as _;
use uuid::Uuid;

pub(super) struct Socket<S> {
    face: Arc<LiveFace>,
    wire: Wire<S>,
    context: RequestContext,
    /// The token of the handshake, for a client that sends none after it.
    offered: Option<SecretText>,
    seat: StreamSlot,
    /// Watches the caller's session, once the client has authenticated.
    holder: Option<Guard>,
    operations: Operations,
    opened: Instant,
    heard: Instant,
    pinged: Instant,
}

enum Turn {
    Stop,
    End(End),
    Io(Io),
    Step(Step),
    Tick,
}

/// `Err` ends the socket: with a reason, or without one when the client is gone.
type Go = Result<(), Option<Close>>;

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    pub(super) fn new(
        face: Arc<LiveFace>,
        wire: Wire<S>,
        (context, offered): (RequestContext, Option<SecretText>),
        seat: StreamSlot,
    ) -> Self {
        let now = Instant::now();
        let operations = Operations::default();
        Self {
            face,
            wire,
            context,
            offered,
            seat,
            holder: None,
            operations,
            opened: now,
            heard: now,
            pinged: now,
        }
    }

    /// Serves until the socket ends.
    pub(super) async fn run(mut self: Box<Self>) {
        let why = loop {
            let turn = self.turn().await;
            if let Err(why) = self.take(turn).await {
                break why;
            }
            if self.wire.is_swollen() {
                Box::pin(self.wire.rest()).await;
            }
            self.wire.settle();
        };
        // Dropped first: nothing reads from the store any more, however long the closing handshake
        // takes.
        let Self { face, wire, operations, holder, context, .. } = *self;
        drop((operations, holder));
        if let Some(close) = why {
            tracing::debug!(request_id = %context.request_id, ?close, "socket closed");
            // Boxed, as are all steps that run once: a socket's task is as large as the largest
            // future it may hold.
            Box::pin(farewell(wire, &close, face.parts.settings.closing)).await;
        }
    }

    async fn turn(&mut self) -> Turn {
        let deadline = self.deadline();
        let Self { face, wire, holder, operations, .. } = self;
        let has_room = wire.has_room();
        let ended = async {
            match holder {
                Some(holder) => holder.ended().await,
                None => std::future::pending().await,
            }
        };
        // Polled in random order, so that a source that is always ready starves no other.
        tokio::select! {
            () = face.stop.cancelled() => Turn::Stop,
            end = ended => Turn::End(end),
            io = poll_fn(|cx| wire.poll(cx, has_room)) => Turn::Io(io),
            step = operations.next(), if has_room && !operations.is_idle() => Turn::Step(step),
            () = sleep_until(deadline) => Turn::Tick,
        }
    }

    /// The time of the next periodic check.
    fn deadline(&mut self) -> Instant {
        let (now, settings) = (Instant::now(), self.face.parts.settings);
        let mut deadline = self.pinged + settings.ping;
        match &self.holder {
            Some(holder) => deadline = deadline.min(now + holder.left()),
            None => deadline = deadline.min(self.opened + settings.init_timeout),
        }
        self.wire.stalls_at(now, settings.stall).map_or(deadline, |stalls| deadline.min(stalls))
    }

    async fn take(&mut self, turn: Turn) -> Go {
        match turn {
            Turn::Stop => Err(Some(Close::Restarting)),
            Turn::End(End::Revoked) => Err(Some(Close::Unauthorized)),
            Turn::End(End::Expired) => Err(Some(Close::Expired)),
            Turn::Io(Io::Sent) => Ok(()),
            Turn::Io(Io::Gone) => Err(None),
            Turn::Io(Io::Refused(close)) => Err(Some(close)),
            // Boxed: thousands of idle sockets needn't hold the state that verifying a token takes.
            Turn::Io(Io::Got(message)) => {
                let span = tracing::info_span!("ws.message", request_id = %self.context.request_id);
                Box::pin(self.hear(message).instrument(span)).await
            }
            Turn::Step(step) => {
                self.pass_on(step);
                // Sent now instead of in another turn: an event with thousands of subscribers saves
                // as many turns.
                let sent = poll_fn(|cx| Poll::Ready(self.wire.poll_all(cx))).await;
                if let Poll::Ready(Io::Gone) = sent { Err(None) } else { Ok(()) }
            }
            Turn::Tick => self.look_around(),
        }
    }

    fn look_around(&mut self) -> Go {
        let (now, settings) = (Instant::now(), self.face.parts.settings);
        match &self.holder {
            Some(holder) if holder.has_expired() => return Err(Some(Close::Expired)),
            None if now >= self.opened + settings.init_timeout => {
                return Err(Some(Close::InitTimeout));
            }
            Some(_) | None => {}
        }
        if self.wire.stalls_at(now, settings.stall).is_some_and(|stalls| now >= stalls) {
            return Err(Some(Close::Stalled));
        }
        if now >= self.pinged + settings.ping {
            // A client with much to read may respond late: the write timeout above covers that
            // case.
            if now >= self.heard + settings.silence && !self.wire.has_unsent() {
                return Err(Some(Close::Silent));
            }
            self.pinged = now;
            if self.holder.is_some() && self.wire.has_room() {
                self.wire.push(protocol::ping());
            }
        }
        Ok(())
    }

    async fn hear(&mut self, message: Message) -> Go {
        self.heard = Instant::now();
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => {
                return Err(Some(Close::BadMessage("messages must be text frames")));
            }
            Message::Close(_) => return Err(None),
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => return Ok(()),
        };
        if !self.wire.parsing(protocol::values(text.as_str()).map_err(Some)?) {
            return Err(Some(Close::TryLater));
        }
        let read = protocol::read(text.as_str());
        wipe(text.into());
        match read.map_err(Some)? {
            FromClient::Init(token) => self.greet(token).await,
            FromClient::Ping(None) => {
                self.wire.push(protocol::pong(None));
                Ok(())
            }
            FromClient::Ping(Some(token)) => self.renew(token).await,
            FromClient::Pong => Ok(()),
            FromClient::Subscribe(id, request) => self.begin(id, *request),
            FromClient::Complete(id) => {
                self.operations.end(&id);
                Ok(())
            }
        }
    }

    async fn greet(&mut self, token: Option<SecretText>) -> Go {
        if self.holder.is_some() {
            return Err(Some(Close::TooManyInits));
        }
        let token = token.or(self.offered.take()).ok_or(Some(Close::NoToken))?;
        let watch = &self.face.parts.watch;
        let deadline = self.opened + self.face.parts.settings.init_timeout;
        let granted = timeout_at(deadline, watch.auth.grant(&token))
            .await
            .map_err(|_| Some(Close::InitTimeout))?;
        let grant = granted.map_err(|denied| Some(close_of(&denied)))?;
        self.seat.claim(grant.principal.user).map_err(|_| Some(Close::TooManySockets))?;
        let (settings, memory) = (self.face.parts.settings, &self.face.parts.memory.streams);
        let hold = || memory.hold(Payer::User(grant.principal.user));
        self.wire.belongs_to(settings.max_message_bytes, hold(), hold());
        self.wire.push(protocol::ack(grant.until.to_string()));
        self.holder = Some(watch.over(grant));
        Ok(())
    }

    /// Continues the socket under another token of the same user.
    async fn renew(&mut self, token: SecretText) -> Go {
        let Some(holder) = &mut self.holder else { return Err(Some(Close::Unauthorized)) };
        let parts = &self.face.parts;
        // An issuer whose keys are unavailable delays the socket no longer than at its start.
        let granted = timeout(parts.settings.init_timeout, parts.watch.auth.grant(&token)).await;
        let before = holder.principal();
        let grant = match granted {
            // An operation that began with roles since removed must not continue.
            Ok(Ok(grant))
                if grant.principal.user == before.user
                    && before.roles.is_subset(&grant.principal.roles) =>
            {
                grant
            }
            Err(_) | Ok(Err(Denied::Fault(_))) => return Err(Some(Close::TryLater)),
            Ok(Ok(_) | Err(Denied::Expired | Denied::Bad(_))) => return Err(Some(Close::Expired)),
        };
        self.wire.push(protocol::pong(Some(grant.until.to_string())));
        holder.renew(grant);
        Ok(())
    }

    fn begin(&mut self, id: String, mut request: Request) -> Go {
        let Some(holder) = &self.holder else { return Err(Some(Close::Unauthorized)) };
        if holder.has_expired() {
            return Err(Some(Close::Expired));
        }
        if self.operations.has(&id) {
            return Err(Some(Close::SubscriberExists(id)));
        }
        let (principal, ids) = (holder.principal().clone(), RequestIds::new(&self.face.parts.ids));
        match self.admit(&mut request, &principal) {
            Err(error) => self.refuse(&id, error, ids.request),
            Ok((kind, kept)) => {
                // Queries and mutations have bounds of their own on how many are made at once.
                let budget = (kind == OperationType::Subscription).then(AnswerBudget::default);
                let context = RequestContext {
                    request_id: ids.request,
                    correlation_id: ids.correlation,
                    budget: budget.clone(),
                    ..self.context.clone()
                };
                let answers = self.answers(kind, request, context, principal);
                self.operations.begin(id, ids.request, Begun { answers, budget, kept });
            }
        }
        Ok(())
    }

    /// Checks an operation, and holds memory for what it keeps.
    fn admit(
        &self,
        request: &mut Request,
        principal: &Principal,
    ) -> Result<(OperationType, Held), ServerError> {
        let (parts, too_many) = (&self.face.parts, |message: String| -> ServerError {
            Refusal { code: ErrorCode::LimitExceeded, message, locations: Vec::new() }.into()
        });
        let most = parts.settings.max_operations;
        if self.operations.len() >= most {
            return Err(too_many(format!(
                "this socket has reached the limit of {most} running operations: end some first"
            )));
        }
        let kind = parts.admission.admit(request)?;
        let (kept, most) = (kept_bytes(request), parts.settings.max_kept_bytes);
        if self.operations.kept().saturating_add(kept) > most {
            return Err(too_many(format!(
                "the operations of this socket keep more than {most} bytes: end some first, or send \
                 shorter documents"
            )));
        }
        let held = parts.memory.streams.take(Payer::User(principal.user), kept);
        Ok((kind, held.map_err(|no_room| error_of(&no_room.failure()))?))
    }

    fn answers(
        &self,
        kind: OperationType,
        request: Request,
        context: RequestContext,
        principal: Principal,
    ) -> BoxStream<'static, Response> {
        let parts = &self.face.parts;
        match kind {
            OperationType::Subscription => {
                parts.executor.subscribe(request, &context, principal, None)
            }
            OperationType::Query | OperationType::Mutation => {
                // Authenticated again for each operation, as over HTTP.
                let context = RequestContext { holder: Some(Box::new(principal)), ..context };
                let (executor, within) = (parts.executor.clone(), parts.settings.timeout);
                stream::once(async move {
                    timeout(within, executor.execute(request, context))
                        .await
                        .unwrap_or_else(|_| took_too_long())
                })
                .boxed()
            }
        }
    }

    fn refuse(&mut self, id: &str, error: ServerError, request_id: Uuid) {
        let mut errors = vec![error];
        complete_errors(&mut errors, request_id);
        self.wire.push(protocol::error(id, &errors));
    }

    /// Ends an operation whose answer has no room. A subscription can be resumed from the last
    /// cursor.
    fn give_up(&mut self, step: &Step, failure: &Failure) {
        self.operations.end(&step.id);
        self.refuse(&step.id, error_of(failure), step.request_id);
    }

    fn pass_on(&mut self, mut step: Step) {
        match std::mem::replace(&mut step.what, What::Done) {
            What::Answer(mut response) => {
                complete_errors(&mut response.errors, step.request_id);
                // Nothing was executed, or a subscription can't begin or continue: this is the
                // protocol's `error` message, after which the operation sends nothing.
                let is_end = response.data == Value::Null && !response.errors.is_empty();
                if is_end {
                    self.operations.end(&step.id);
                    self.wire.push(protocol::error(&step.id, &response.errors));
                } else {
                    let next = protocol::next(&step.id, &response);
                    if let Err((_, no_room)) = self.wire.try_push(next) {
                        self.give_up(&step, &no_room.failure());
                    }
                }
            }
            What::Failed => {
                self.operations.end(&step.id);
                self.refuse(&step.id, ServerError::new("internal error", None), step.request_id);
            }
            What::Done => {
                if self.operations.end(&step.id) {
                    self.wire.push(protocol::complete(&step.id));
                }
            }
        }
    }
}

const fn close_of(denied: &Denied) -> Close {
    match denied {
        Denied::Expired => Close::Expired,
        Denied::Bad(_) => Close::Unauthorized,
        Denied::Fault(_) => Close::TryLater,
    }
}

fn took_too_long() -> Response {
    let message = "the request took too long".to_owned();
    Response::from_errors(vec![
        Refusal { code: ErrorCode::Timeout, message, locations: Vec::new() }.into(),
    ])
}

/// `false` if the other end is gone.
async fn send_all<S: AsyncRead + AsyncWrite + Unpin>(wire: &mut Wire<S>) -> bool {
    while wire.has_unsent() {
        if let Io::Gone = poll_fn(|cx| wire.poll(cx, false)).await {
            return false;
        }
    }
    true
}

/// Sends the reason, and waits for the other end to close: cutting a connection with unread data
/// would lose the reason.
async fn farewell<S: AsyncRead + AsyncWrite + Unpin>(
    mut wire: Wire<S>,
    close: &Close,
    within: Duration,
) {
    wire.forget_queue();
    // A client that was refused gives its memory back at once, also one that reads nothing.
    let sent = poll_fn(|cx| Poll::Ready(wire.poll_all(cx))).await;
    if matches!(sent, Poll::Ready(Io::Gone)) || (wire.is_refused() && wire.has_unsent()) {
        return;
    }
    let said = async {
        if !send_all(&mut wire).await {
            return Ok(());
        }
        wire.let_go().await;
        wire.push(Message::Close(Some(close.frame())));
        if !send_all(&mut wire).await {
            return Ok(());
        }
        while let Io::Sent | Io::Got(_) = poll_fn(|cx| wire.poll(cx, true)).await {}
        wire.hang_up().await
    };
    // A client that doesn't respond in time is cut off; an error here means that it has already
    // gone.
    let _ = timeout(within, said).await;
}
