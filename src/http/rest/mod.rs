//! The REST facade: the wire of the earlier service, so that its clients work with nothing changed
//! but the address. `ops/docs/BEHAVIOUR.md` is its specification.
//!
//! It stands on the application layer and has no rule of its own: an endpoint reads its input,
//! gives a command or asks a read, and writes the answer in the earlier service's shape.

mod accounts;
mod bounds;
mod call;
mod events;
mod input;
mod keys;
mod outcome;
mod patterns;
pub mod problem;
mod routes;
mod runs;
mod sent_texts;
mod settings;
mod start;
mod stream;
mod usage;

pub use self::bounds::RestSettings;
pub use self::routes::router;

use self::problem::Refusal;
use super::edge::envelope::IdSource;
use crate::limits::{AtWork, Memory, StreamSlots};
use crate::live::Watch;
use axum::response::Response;
use claviger_application::Ports;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The prefix of every path of this face.
pub const PREFIX: &str = "/api";

type Answer = Result<Response, Refusal>;

/// What the endpoints stand on.
#[expect(missing_debug_implementations, reason = "trait objects and keys")]
pub struct RestFace {
    pub ports: Ports,
    /// Bounds the requests of one user, on all faces together.
    pub at_work: Arc<AtWork>,
    /// Holds the requests that arrive and are worked on.
    pub memory: Arc<Memory>,
    /// Verifies tokens, and watches the sessions behind streams.
    pub watch: Watch,
    /// Bounds the streams of the process and of one user, on all faces together.
    pub slots: Arc<StreamSlots>,
    /// Cancelled when the server stops: streams end, and their clients come back.
    pub stop: CancellationToken,
    pub ids: IdSource,
    pub settings: RestSettings,
}
