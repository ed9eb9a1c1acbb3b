//! Why a socket is closed. Stock clients come back after 1001, 1012, 1013, 4403 and 4408, and give up after the others.

use std::borrow::Cow;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// Why a socket is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Close {
    /// The server is going down.
    Restarting,
    /// The client answers no ping.
    Silent,
    /// The frames are no WebSocket's.
    Broken,
    /// The client takes nothing.
    Stalled,
    /// It can't be said now whether the client may.
    TryLater,
    /// What the client sent is no message of the protocol.
    BadMessage(&'static str),
    /// The token is none, or its session has ended.
    Unauthorized,
    /// The token has expired.
    Expired,
    /// No `connection_init` in time.
    InitTimeout,
    /// An operation of this id runs.
    SubscriberExists(String),
    /// A second `connection_init`.
    TooManyInits,
    /// The user has too many sockets.
    TooManySockets,
}

impl Close {
    /// The frame. Reasons have at most 123 bytes.
    pub(super) fn frame(&self) -> CloseFrame {
        let (code, reason): (u16, Cow<'_, str>) = match self {
            Self::Restarting => (1012, "the server restarts: connect again".into()),
            Self::Silent => (1001, "no answer to pings".into()),
            Self::Broken => (1002, "not a WebSocket's frame".into()),
            Self::Stalled => (
                1013,
                "nothing was taken for too long: connect again and go on from the last cursor"
                    .into(),
            ),
            Self::TryLater => (1013, "try again in a moment".into()),
            Self::BadMessage(what) => (4400, (*what).into()),
            Self::Unauthorized => {
                (4401, "Unauthorized: the token is not valid or its session has ended".into())
            }
            Self::Expired => {
                (4403, "Forbidden: the token has expired, connect again with a new one".into())
            }
            Self::InitTimeout => (4408, "Connection initialisation timeout".into()),
            // Of an id at most 20 characters, which may be 80 bytes.
            Self::SubscriberExists(id) => (
                4409,
                format!(
                    "Subscriber for {} already exists",
                    id.chars().take(20).collect::<String>()
                )
                .into(),
            ),
            Self::TooManyInits => (4429, "Too many initialisation requests".into()),
            Self::TooManySockets => (4429, "Too many sockets and streams of one user".into()),
        };
        CloseFrame { code: CloseCode::from(code), reason: reason.into_owned().into() }
    }
}
