//! The one set of error codes, for every face: GraphQL `extensions.code`, `UserError.code`, REST
//! status, exit code.

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal, $status:literal, $exit:literal;)+) => {
        /// What went wrong, in the words of the contract. Each has a page in `ops/docs/errors/`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ErrorCode { $($(#[$doc])* #[serde(rename = $text)] $variant),+ }

        impl ErrorCode {
            /// Every code, in the contract's order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The code as the contract spells it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The HTTP status that carries this code.
            pub const fn http_status(self) -> u16 {
                match self { $(Self::$variant => $status),+ }
            }

            /// The exit code of a command that ends with this code.
            pub const fn exit_code(self) -> u8 {
                match self { $(Self::$variant => $exit),+ }
            }
        }
    };
}

codes! {
    /// No valid token, or its session has ended.
    Unauthenticated = "UNAUTHENTICATED", 401, 10;
    /// Known, but lacks the role.
    Forbidden = "FORBIDDEN", 403, 11;
    /// Unknown, or somebody else's: the two answer alike.
    NotFound = "NOT_FOUND", 404, 12;
    /// A value breaks a rule that the message names.
    Validation = "VALIDATION", 400, 13;
    /// The thing has changed since the caller looked, or its state forbids this.
    Conflict = "CONFLICT", 409, 14;
    /// The value is taken.
    Duplicate = "DUPLICATE", 409, 15;
    /// The idempotency key was used before with another request.
    IdempotencyKeyReused = "IDEMPOTENCY_KEY_REUSED", 409, 16;
    /// A bound that the message names was passed.
    LimitExceeded = "LIMIT_EXCEEDED", 400, 17;
    /// Too many requests; the response contains the time to wait.
    RateLimited = "RATE_LIMITED", 429, 18;
    /// No usable credential; the response lists those that were tried.
    NoCredential = "NO_CREDENTIAL", 409, 19;
    /// The named key can't be used now.
    KeyUnavailable = "KEY_UNAVAILABLE", 409, 20;
    /// Anthropic returned a failure, or did not respond.
    Upstream = "UPSTREAM", 502, 21;
    /// The view has not reached the position asked for.
    ViewBehind = "VIEW_BEHIND", 503, 22;
    /// The cursor is not one of ours, or of another list.
    CursorInvalid = "CURSOR_INVALID", 400, 23;
    /// The request itself is malformed.
    BadRequest = "BAD_REQUEST", 400, 24;
    /// The hash of a persisted query is unknown: send the whole text once.
    PersistedQueryNotFound = "PERSISTED_QUERY_NOT_FOUND", 400, 25;
    /// Took longer than the server allows.
    Timeout = "TIMEOUT", 504, 26;
    /// The store can't be reached or can't keep its promises now.
    StoreUnavailable = "STORE_UNAVAILABLE", 503, 27;
    /// The server is going down; another, or the same a little later, will answer.
    ShuttingDown = "SHUTTING_DOWN", 503, 28;
    /// Our fault; the request id finds it in the log.
    Internal = "INTERNAL", 500, 29;
}
