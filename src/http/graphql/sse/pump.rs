//! The task behind one event stream.

use super::format::{Format, Why};
use super::frames::Frames;
use crate::auth::Ticket;
use crate::http::graphql::complete_errors;
use crate::http::graphql::streams::{LiveFace, OnlyStream};
use crate::limits::{Held, StreamSlot};
use crate::live::{End, Guard};
use async_graphql::{Response, Value};
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::{Instant, sleep_until, timeout};
use uuid::Uuid;

/// The position of a subscription, as it reports it.
#[derive(Debug, Default)]
pub(super) struct Cursors {
    /// Where the subscription began.
    pub(super) start: Mutex<Option<String>>,
    /// The cursor of the last item.
    pub(super) last: Mutex<Option<String>>,
}

impl Cursors {
    pub(super) fn passed(&self, cursor: String) {
        let mut start = self.start.lock().unwrap_or_else(PoisonError::into_inner);
        if start.is_none() {
            *start = Some(cursor);
        } else {
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(cursor);
        }
    }

    pub(super) fn start(&self) -> Option<String> {
        self.start.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn last(&self) -> Option<String> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A ticket, and its stream.
pub(super) struct OfTicket {
    pub(super) ticket: Ticket,
    pub(super) own: OnlyStream,
}

pub(super) struct Pump {
    pub(super) face: Arc<LiveFace>,
    pub(super) answers: BoxStream<'static, Response>,
    pub(super) cursors: Arc<Cursors>,
    /// `None` for an anonymous request, which has nothing to revoke.
    pub(super) guard: Option<Guard>,
    pub(super) seat: StreamSlot,
    pub(super) ticket: Option<OfTicket>,
    pub(super) request_id: Uuid,
    pub(super) format: Format,
    /// What the operation keeps of its request; frames are held for the same client.
    pub(super) kept: Held,
}

enum Turn {
    Answer(Option<Box<Response>>),
    /// Ended by the server: not as complete, so that the client reconnects.
    End(Why),
    Gone,
    Tick,
}

impl Pump {
    /// Fills the body until the end. `first` is a response that came before the stream began.
    pub(super) async fn run(mut self, frames: Frames, first: Option<Response>) {
        let id = self
            .ticket
            .as_ref()
            .zip(self.cursors.start())
            .map(|(of, start)| self.face.parts.watch.auth.ticket_event_id(&of.ticket, &start));
        if let Some(first) = self.format.open(id.as_deref()) {
            self.send(&frames, first).await;
        }
        let mut turn = first.map_or(Turn::Tick, |response| Turn::Answer(Some(Box::new(response))));
        while self.take(turn, &frames).await {
            turn = self.turn(&frames).await;
        }
        drop(self.seat);
    }

    async fn turn(&mut self, frames: &Frames) -> Turn {
        let settings = self.face.parts.settings;
        let heartbeat = Instant::now() + settings.heartbeat;
        let left = self.guard.as_ref().map(|guard| Instant::now() + guard.left());
        let Self { face, answers, guard, ticket, .. } = self;
        tokio::select! {
            end = ended(face, guard.as_mut(), ticket.as_ref()) => Turn::End(end),
            () = frames.closed() => Turn::Gone,
            answer = answers.next() => Turn::Answer(answer.map(Box::new)),
            () = sleep_until(left.map_or(heartbeat, |left| left.min(heartbeat))) => Turn::Tick,
        }
    }

    /// Handles a turn; `false` at the end.
    async fn take(&mut self, turn: Turn, frames: &Frames) -> bool {
        match turn {
            Turn::Gone => false,
            Turn::End(why) => {
                self.send(frames, self.format.end(why, self.request_id)).await;
                false
            }
            Turn::Tick if self.guard.as_ref().is_some_and(Guard::has_expired) => {
                self.send(frames, self.format.end(Why::Expired, self.request_id)).await;
                false
            }
            Turn::Tick => self.send(frames, self.format.heartbeat()).await,
            Turn::Answer(None) => {
                self.send(frames, self.format.complete()).await;
                false
            }
            Turn::Answer(Some(mut response)) => {
                complete_errors(&mut response.errors, self.request_id);
                let is_end = response.data == Value::Null && !response.errors.is_empty();
                let id = self.cursors.last().map(|cursor| match &self.ticket {
                    Some(of) => self.face.parts.watch.auth.ticket_event_id(&of.ticket, &cursor),
                    None => cursor,
                });
                let sent = self.send(frames, self.format.next(id.as_deref(), &response)).await;
                if is_end {
                    self.send(frames, self.format.complete()).await;
                }
                sent && !is_end
            }
        }
    }
}

/// Waits for a reason to end the stream: of the server, of the caller's rights, of its ticket.
async fn ended(face: &LiveFace, guard: Option<&mut Guard>, ticket: Option<&OfTicket>) -> Why {
    let ended = async {
        match guard {
            Some(guard) => guard.ended().await,
            None => std::future::pending().await,
        }
    };
    let replaced = async {
        match ticket {
            Some(of) => of.own.replaced().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = face.stop.cancelled() => Why::Restarting,
        end = ended => match end {
            End::Revoked => Why::Revoked,
            End::Expired => Why::Expired,
        },
        () = replaced => Why::Replaced,
    }
}

impl Pump {
    /// Sends a frame, unless the client accepts no data for too long, or there is no memory for the
    /// frame: then the stream ends as if the server restarted, and the client resumes.
    async fn send(&mut self, frames: &Frames, bytes: Bytes) -> bool {
        let Self { face, guard, ticket, format, request_id, .. } = self;
        let bytes = match frames.paid(bytes) {
            Ok(bytes) => bytes,
            Err(no_room) => {
                tracing::debug!(%no_room, "ended a stream");
                frames.send(format.end(Why::NoRoom, *request_id)).await;
                return false;
            }
        };
        let stall = face.parts.settings.stall;
        let left = guard.as_ref().map_or(stall, Guard::left).min(stall);
        // While a frame waits for room, everything that ends the stream must still get through.
        tokio::select! {
            biased;
            sent = timeout(left, frames.send(bytes)) => sent.unwrap_or(false),
            _ = ended(face, guard.as_mut(), ticket.as_ref()) => false,
            () = frames.closed() => false,
        }
    }
}
