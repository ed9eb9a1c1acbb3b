//! Why a socket is closed. Stock clients reconnect after 1001, 1012, 1013, 4403 and 4408, and give
//! up after the others.

use std::borrow::Cow;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Close {
    /// The server is shutting down.
    Restarting,
    /// The client doesn't respond to pings.
    Silent,
    /// The bytes aren't WebSocket frames.
    Broken,
    /// The client accepts no data.
    Stalled,
    /// The client's rights can't be checked now.
    TryLater,
    /// The client's message isn't in the protocol.
    BadMessage(&'static str),
    /// The token is invalid, or its session has ended.
    Unauthorized,
    /// No token came in any of the places where one is looked for.
    NoToken,
    Expired,
    /// No `connection_init` in time.
    InitTimeout,
    /// An operation with this id is running.
    SubscriberExists(String),
    /// A second `connection_init`.
    TooManyInits,
    TooManySockets,
}

impl Close {
    /// The close frame. Its reason has at most 123 bytes.
    pub(super) fn frame(&self) -> CloseFrame {
        let (code, reason): (u16, Cow<'_, str>) = match self {
            Self::Restarting => (1012, "the server is restarting: connect again".into()),
            Self::Silent => (1001, "no response to pings".into()),
            Self::Broken => (1002, "not a WebSocket frame".into()),
            Self::Stalled => (
                1013,
                "the client read nothing for too long: connect again and resume from the last \
                 cursor"
                    .into(),
            ),
            Self::TryLater => (1013, "try again in a moment".into()),
            Self::BadMessage(what) => (4400, (*what).into()),
            Self::Unauthorized => {
                (4401, "Unauthorized: the token is not valid or its session has ended".into())
            }
            Self::NoToken => (
                4401,
                "Unauthorized: no token found, send it in connection_init as token, Authorization \
                 or headers.Authorization"
                    .into(),
            ),
            Self::Expired => {
                (4403, "Forbidden: the token has expired, connect again with a new one".into())
            }
            Self::InitTimeout => (4408, "Connection initialisation timeout".into()),
            // At most 20 characters of the id, which may take 80 bytes.
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
