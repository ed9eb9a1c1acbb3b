//! A run as a stream of server-sent events, in the earlier service's form: unnamed events, each one
//! line `data: ` of JSON.
//!
//! The id of an event is a place in the run's feed, and how many events of the message after it
//! have been sent. Whoever comes back with it gets exactly the rest.

use super::events::{Told, Translator};
use super::outcome;
use super::problem::Refusal;
use super::sent_texts::{Rest, SentTexts};
use super::{Answer, RestFace};
use crate::auth::{Denied, Grant};
use crate::http::edge::problem::Problem;
use crate::limits::StreamSlot;
use crate::live::Guard;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use claviger_application::cursor;
use claviger_domain::code::ErrorCode;
use claviger_domain::failure::Failure;
use claviger_domain::id::RunId;
use claviger_projections::run_feed::{FeedCursor, FeedMessage};
use futures::stream::{self, BoxStream, StreamExt};
use serde_json::Value;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::time::sleep;

/// Where a stream goes on: after this place of the feed and so many events of the next message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    after: FeedCursor,
    sent: usize,
    /// How much of the text under way has been sent.
    texts: SentTexts,
}

impl Place {
    /// Reads a `Last-Event-ID`.
    ///
    /// # Errors
    /// 400 for what is no id of this run's stream.
    pub(super) fn parse(text: &str, run: RunId) -> Result<Self, Refusal> {
        let wrong = || Failure::new(ErrorCode::CursorInvalid, "the Last-Event-ID is invalid");
        let (after, rest) = text.split_once('.').ok_or_else(wrong)?;
        let (sent, texts) = rest.split_once('.').unwrap_or((rest, ""));
        let sent = sent.parse().map_err(|_| wrong())?;
        let texts = SentTexts::parse(texts).ok_or_else(wrong)?;
        Ok(Self { after: cursor::to_run_feed(after, run)?, sent, texts })
    }

    fn id(&self, run: RunId) -> String {
        let (after, texts) = (cursor::of_run_feed(run, self.after), self.texts.to_string());
        let dot = if texts.is_empty() { "" } else { "." };
        format!("{after}.{}{dot}{texts}", self.sent)
    }
}

/// A slot among the streams of the process and the user, for who may follow a run.
pub(super) struct Seat {
    grant: Grant,
    slot: StreamSlot,
}

impl RestFace {
    /// # Errors
    /// 401 for a token that is no longer valid, 429 or 503 for too many streams.
    pub(super) async fn seat(
        &self,
        token: &claviger_domain::secret::SecretText,
    ) -> Result<Seat, Refusal> {
        let full = |full: crate::limits::Full, status| {
            Problem::new(ErrorCode::LimitExceeded, full.to_string()).with_status(status)
        };
        let free = self.slots.take();
        let mut slot = free.map_err(|it| full(it, StatusCode::SERVICE_UNAVAILABLE))?;
        let grant = self.watch.auth.grant(token).await.map_err(Denied::failure)?;
        let claimed = slot.claim(grant.principal.user);
        claimed.map_err(|it| full(it, StatusCode::TOO_MANY_REQUESTS))?;
        Ok(Seat { grant, slot })
    }

    /// Streams a run from a place on.
    ///
    /// # Errors
    /// 404 for a run that is not the caller's.
    pub(super) async fn streamed(
        self: &Arc<Self>,
        seat: Seat,
        translator: Translator,
        place: Place,
    ) -> Answer {
        let (owner, run) = (seat.grant.principal.user, translator.run);
        let messages = self.ports.run_feeds.follow(owner, run, Some(place.after)).await?;
        let messages = messages.ok_or_else(|| Refusal::not_found("orchestration"))?.messages;
        let state = Flow {
            face: Arc::clone(self),
            guard: self.watch.over(seat.grant),
            _slot: seat.slot,
            messages,
            translator,
            skip: place.sent,
            place,
            ready: VecDeque::new(),
            is_over: false,
        };
        let frames = stream::unfold(state, |mut flow| async move {
            let frame = flow.next().await?;
            Some((Ok::<_, Infallible>(frame), flow))
        });
        let mut response = Response::new(Body::from_stream(frames));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        Ok(response)
    }
}

/// A stream under way.
struct Flow {
    face: Arc<RestFace>,
    guard: Guard,
    _slot: StreamSlot,
    messages: BoxStream<'static, Result<FeedMessage, Failure>>,
    translator: Translator,
    place: Place,
    /// Events of the next message that the client has already.
    skip: usize,
    ready: VecDeque<Bytes>,
    is_over: bool,
}

enum Turn {
    Message(Option<Result<FeedMessage, Failure>>),
    Heartbeat,
    /// The session ended, the token expired, or the server stops: the client may come back.
    Cut,
}

impl Flow {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Some(frame);
            }
            if self.is_over {
                return None;
            }
            match self.turn().await {
                Turn::Message(Some(Ok(message))) => self.take(&message).await,
                // The reader of the run fails only for good. The stream ends without its last
                // event, and the client comes back with the last id.
                Turn::Message(Some(Err(_)) | None) | Turn::Cut => return None,
                Turn::Heartbeat => return Some(Bytes::from_static(b": heartbeat\n\n")),
            }
        }
    }

    async fn turn(&mut self) -> Turn {
        let left = self.guard.left();
        tokio::select! {
            biased;
            () = self.face.stop.cancelled() => Turn::Cut,
            _ = self.guard.ended() => Turn::Cut,
            () = sleep(left) => Turn::Cut,
            message = self.messages.next() => Turn::Message(message),
            () = sleep(self.face.settings.heartbeat) => Turn::Heartbeat,
        }
    }

    async fn take(&mut self, message: &FeedMessage) {
        let now = self.face.watch.clock.now();
        let rest;
        let message = match self.place.texts.rest_of(message) {
            Rest::All => message,
            Rest::Some(part) => {
                rest = part;
                &rest
            }
            Rest::Nothing => return,
        };
        let events = match self.translator.told(message, now) {
            Told::Events(events) => events,
            Told::Last(event) => {
                self.is_over = true;
                vec![event]
            }
            Told::Paused => match self.pause().await {
                Some(event) => {
                    self.is_over = true;
                    vec![event]
                }
                // It went on since.
                None => Vec::new(),
            },
        };
        let run = self.translator.run;
        let before = self.place.clone();
        self.place = Place { after: message.cursor, sent: 0, texts: before.texts.clone() };
        for (n, event) in events.iter().enumerate().skip(self.skip) {
            // After its last event a message has been sent whole. Pieces of text may be joined when
            // they are read again, so the place before them would not do.
            let id = if n + 1 == events.len() {
                self.place.id(run)
            } else {
                Place { sent: n + 1, ..before.clone() }.id(run)
            };
            self.ready.push_back(frame(&id, event));
        }
        self.skip = 0;
    }

    /// The last event of a run that is paused now.
    fn pause(&self) -> impl Future<Output = Option<Value>> + Send + use<> {
        let (owner, run) = (self.guard.principal().user, self.translator.run);
        let face = Arc::clone(&self.face);
        async move {
            let reason = face.pause_of(owner, run).await.ok().flatten()?;
            Some(outcome::paused_event(run, reason))
        }
    }
}

fn frame(id: &str, event: &Value) -> Bytes {
    Bytes::from(format!("id: {id}\ndata: {event}\n\n"))
}
