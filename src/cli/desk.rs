//! Both ends of the operator's socket: a command asks by it, and a server answers.

use super::CliError;
use super::input::Input;
use super::operation::{Control, Operation};
use crate::app::config::{Config, Given};
use crate::app::wiring::Core;
use crate::socket::{
    Answer, Asked, Bounds, Connected, Desk, LocalServer, Refusal, SocketError, ask as ask_server,
    connect,
};
use crate::system::panics::caught;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use claviger_domain::code::ErrorCode;
use claviger_domain::secret::SecretText;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::value::to_raw_value;
use std::sync::Arc;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

/// What a command asks of a server.
#[derive(Deserialize, Serialize)]
struct Ask {
    operation: Operation,
    json: bool,
    /// Settings of the command; the server uses its own, and refuses others.
    given: Given,
}

impl From<Refusal> for CliError {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.code, refusal.message)
    }
}

impl From<CliError> for Refusal {
    fn from(error: CliError) -> Self {
        Self::new(error.code, error.message)
    }
}

impl From<SocketError> for CliError {
    fn from(error: SocketError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

/// The server that runs a command; `None` if this process does. MongoDB is open to everybody.
pub(super) async fn reach(
    config: &Config,
    operation: &Operation,
) -> Result<Option<Connected>, CliError> {
    if config.mongodb_uri.is_some() || !operation.is_for_servers() {
        return Ok(None);
    }
    Ok(connect(&config.data_dir).await?)
}

/// Has a server run a command.
pub(super) async fn ask(
    server: Connected,
    (operation, config, json): (Operation, &Config, bool),
    input: &Input,
    control: &Control<'_>,
) -> Result<Answer, CliError> {
    let ask = Ask { operation, json, given: config.given.clone() };
    let unsaid = |_| CliError::new(ErrorCode::Internal, "the command cannot be written as JSON");
    let ask = to_raw_value(&ask).map_err(unsaid)?;
    Ok(ask_server(server, &ask, input.secret(), control.note, control.stop).await?)
}

/// Makes the socket for a server on the embedded store. A server that can't have one serves all the
/// same; one whose place somebody else has taken does not.
pub(super) fn open(core: &Core) -> Result<Option<LocalServer>, CliError> {
    if core.config.mongodb_uri.is_some() {
        return Ok(None);
    }
    let mut key = Zeroizing::new([0; 32]);
    core.env.entropy.fill(key.as_mut_slice());
    let key = SecretText::new(STANDARD.encode(key.as_slice()));
    match LocalServer::bind(&core.config.data_dir, Bounds::default(), &key) {
        Ok(server) => Ok(Some(server)),
        Err(error @ SocketError::Foreign { .. }) => Err(error.into()),
        Err(error) => {
            tracing::warn!(%error, "commands of the operator need this server stopped");
            Ok(None)
        }
    }
}

/// Runs the operator's commands on the store of a server.
pub(super) struct OperatorDesk {
    core: Arc<Core>,
    /// Held by a rotation: two would put two new keys into the file.
    rotating: Mutex<()>,
}

impl OperatorDesk {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core, rotating: Mutex::default() }
    }

    async fn work(&self, asked: Asked) -> Result<u8, CliError> {
        let Asked { ask, secret, to, over } = asked;
        // The error would quote what was sent.
        let Ok(Ask { operation, json, given }) = serde_json::from_str(&ask) else {
            let message = "the server does not know this command: restart it with this program";
            return Err(CliError::new(ErrorCode::BadRequest, message));
        };
        if let Some(name) = given.differs_from(&self.core.config) {
            let message = format!(
                "the server on this data directory runs with another {name}, and commands use its \
                 settings: leave this one out, or stop the server first"
            );
            return Err(CliError::new(ErrorCode::Validation, message));
        }
        let running = "a rotation is running already: wait for its end";
        let is_rotation = matches!(operation, Operation::VaultRotate(_));
        let held = is_rotation.then(|| self.rotating.try_lock()).transpose();
        let Ok(_rotating) = held else {
            return Err(CliError::new(ErrorCode::Conflict, running));
        };
        tracing::info!(command = operation.name(), "a command of the operator");
        let (mut input, note) = (Input::Given(secret), |line: &str| to.note(line));
        let control = Control { note: &note, stop: &over };
        let work = operation.execute(&self.core, &mut input, json, &control);
        let answer = if operation.ends_with_its_reader() {
            let ended = "the command was not done: its client went, or the server is stopping; try again later";
            let ended = || CliError::new(ErrorCode::ShuttingDown, ended);
            over.run_until_cancelled(work).await.ok_or_else(ended)??
        } else {
            work.await?
        };
        to.out(&answer.out);
        Ok(answer.exit)
    }
}

impl Desk for OperatorDesk {
    fn serve(&self, asked: Asked) -> BoxFuture<'_, Result<u8, Refusal>> {
        Box::pin(async move {
            let Ok(done) = caught(self.work(asked)).await else {
                let message = "the command failed inside the server: see its log";
                return Err(Refusal::new(ErrorCode::Internal, message));
            };
            Ok(done?)
        })
    }
}
