//! The command line's side.

use super::frames::{self, Head, MAX_SAID, Refusal, Said, VERSION};
use super::place::Connected;
use claviger_domain::code::ErrorCode;
use claviger_domain::secret::SecretText;
use serde_json::value::RawValue;
use std::io;
use tokio::io::AsyncWriteExt as _;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

/// The end of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// For standard output: whole, because a reader that is slow must not hold the server.
    pub out: String,
    /// The exit code.
    pub exit: u8,
}

/// Asks, and waits for the end. Cancelling `stop` tells the server that no more is wanted; what it
/// answers then is still the answer.
///
/// # Errors
/// What the server refused, or that it went away.
pub async fn ask(
    server: Connected,
    ask: &RawValue,
    secret: Option<&SecretText>,
    note: &(dyn Fn(&str) + Sync),
    stop: &CancellationToken,
) -> Result<Answer, Refusal> {
    let (mut from, mut to) = server.stream.into_split();
    let head = Head { version: VERSION.to_owned(), key: server.key.expose().to_owned(), ask };
    let head =
        serde_json::to_vec(&head).map(Zeroizing::new).map_err(|error| gone(&error.into()))?;
    let sent = async {
        frames::write(&mut to, &head).await?;
        frames::write(&mut to, secret.map_or(b"", |secret| secret.expose().as_bytes())).await
    };
    // A server that refuses doesn't read to the end, and says why.
    let sent = sent.await;
    let mut answer = Answer::default();
    let read = async {
        loop {
            let bytes = match frames::read(&mut from, MAX_SAID).await {
                Ok(bytes) => bytes,
                Err(error) => return Err(gone(sent.as_ref().err().unwrap_or(&error))),
            };
            match serde_json::from_slice(&bytes) {
                Ok(Said::Out(text)) => answer.out.push_str(&text),
                Ok(Said::Note(line)) => note(&line),
                Ok(Said::End(exit)) => return Ok(Answer { exit, ..std::mem::take(&mut answer) }),
                Ok(Said::Refused(refusal)) => return Err(refusal),
                Err(error) => return Err(gone(&error.into())),
            }
        }
    };
    let stopping = async {
        stop.cancelled().await;
        drop(to.shutdown().await);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        answer = read => answer,
        () = stopping => Err(gone(&io::ErrorKind::Interrupted.into())),
    }
}

fn gone(error: &io::Error) -> Refusal {
    let message = format!(
        "the server went away before it answered ({}): a change may have been made, so look before \
         you repeat it",
        error.kind()
    );
    Refusal::new(ErrorCode::Timeout, message)
}
