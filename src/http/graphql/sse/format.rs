//! The two ways in which a stream is written: events, which pages read by themselves, and parts of a
//! multipart response (Apollo's protocol `subscriptionSpec=1.0`), which Apollo's clients read.
//!
//! A boundary ends each part instead of beginning the next one, because clients hand a part over when
//! they see it.

use crate::http::graphql::complete_errors;
use async_graphql::{Response, ServerError};
use axum::http::HeaderValue;
use bytes::Bytes;
use claviger_domain::code::ErrorCode;
use serde::Serialize;
use uuid::Uuid;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http::graphql) enum Format {
    Events,
    Multipart,
}

/// Why the server ends a stream that isn't complete: a client may subscribe again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    Restarting,
    Revoked,
    Expired,
    /// The ticket was used again.
    Replaced,
    NoRoom,
}

impl Why {
    const fn message(self) -> &'static str {
        match self {
            Self::Restarting => "the server is restarting",
            Self::Revoked => "the session has ended",
            Self::Expired => "the token has expired",
            Self::Replaced => "the ticket was used again",
            Self::NoRoom => "no room for the next event: connect again",
        }
    }

    const fn code(self) -> ErrorCode {
        match self {
            Self::Restarting => ErrorCode::ShuttingDown,
            Self::Revoked | Self::Expired => ErrorCode::Unauthenticated,
            Self::Replaced => ErrorCode::Conflict,
            Self::NoRoom => ErrorCode::RateLimited,
        }
    }
}

#[derive(Serialize)]
struct Part<'a> {
    payload: Option<&'a Response>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ServerError>,
}

fn part(json: &str) -> Bytes {
    Bytes::from(format!("\r\ncontent-type: application/json\r\n\r\n{json}\r\n--graphql"))
}

impl Format {
    pub(super) const fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Events => "text/event-stream; charset=utf-8",
            Self::Multipart => "multipart/mixed;boundary=\"graphql\";subscriptionSpec=1.0",
        })
    }

    /// The first bytes of a stream. `id` is where it begins, on the stream of a ticket.
    pub(super) fn open(self, id: Option<&str>) -> Option<Bytes> {
        match self {
            Self::Events => {
                id.map(|id| Bytes::from(format!("event: open\nid: {id}\ndata: {{}}\n\n")))
            }
            Self::Multipart => Some(Bytes::from_static(b"\r\n--graphql")),
        }
    }

    /// Shows that the stream is alive.
    pub(super) fn heartbeat(self) -> Bytes {
        match self {
            // A comment, which clients ignore.
            Self::Events => Bytes::from_static(b":\n\n"),
            Self::Multipart => part("{}"),
        }
    }

    pub(super) fn next(self, id: Option<&str>, response: &Response) -> Bytes {
        // JSON has no raw line breaks: those in strings are written as \n.
        match self {
            Self::Events => {
                let data = serde_json::to_string(response).unwrap_or_default();
                let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
                Bytes::from(format!("event: next\n{id}data: {data}\n\n"))
            }
            Self::Multipart => {
                let payload = Part { payload: Some(response), errors: Vec::new() };
                part(&serde_json::to_string(&payload).unwrap_or_default())
            }
        }
    }

    /// The end of the subscription: the client need not subscribe again.
    pub(super) const fn complete(self) -> Bytes {
        Bytes::from_static(match self {
            Self::Events => b"event: complete\ndata:\n\n",
            Self::Multipart => b"--\r\n",
        })
    }

    /// The end of a stream whose subscription could go on. Readers of events connect again after any
    /// end but a complete one; the others need an error.
    pub(super) fn end(self, why: Why, request_id: Uuid) -> Bytes {
        match self {
            Self::Events => Bytes::from(format!(":{}\n\n", why.message())),
            Self::Multipart => {
                let mut error = ServerError::new(why.message(), None);
                error.extensions.get_or_insert_default().set("code", why.code().as_str());
                let mut errors = vec![error];
                complete_errors(&mut errors, request_id);
                let last = Part { payload: None, errors };
                let last = part(&serde_json::to_string(&last).unwrap_or_default());
                Bytes::from([&last, &*self.complete()].concat())
            }
        }
    }
}
