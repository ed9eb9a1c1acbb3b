//! What crosses the socket: frames, each its length in four bytes, the highest first, and as many
//! bytes.

use claviger_domain::code::ErrorCode;
use claviger_domain::secret::SecretText;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use zeroize::Zeroizing;

/// Programs of different versions do not understand each other's requests.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Most bytes of a request, its secret not counted.
pub(super) const MAX_REQUEST: usize = 64 * 1024;
/// Most bytes of a secret.
pub const MAX_SECRET: usize = 64 * 1024;
/// Most bytes of a frame of an answer.
pub(super) const MAX_SAID: usize = 1024 * 1024;
/// Bytes of text in a frame of an answer: in JSON, each may become six.
pub(super) const PIECE: usize = 64 * 1024;

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub code: ErrorCode,
    /// For people.
    pub message: String,
}

impl Refusal {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// The first frame. What a program of another version adds is left alone, so that its version is
/// read.
#[derive(Serialize, Deserialize)]
pub(super) struct Head<'a> {
    pub(super) version: String,
    /// What the server wrote into the file beside the socket.
    pub(super) key: String,
    /// What is asked, as the desk reads it.
    #[serde(borrow)]
    pub(super) ask: &'a RawValue,
}

/// A frame of an answer.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Said {
    /// For standard output.
    Out(String),
    /// A line for standard error, at once.
    Note(String),
    /// The end, with the exit code.
    End(u8),
    Refused(Refusal),
}

/// Reads a frame of at most `most` bytes.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] for a longer one, which is not read.
pub(super) async fn read(
    from: &mut (impl AsyncRead + Unpin),
    most: usize,
) -> io::Result<Zeroizing<Vec<u8>>> {
    let length = usize::try_from(from.read_u32().await?).unwrap_or(usize::MAX);
    if length > most {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = Zeroizing::new(vec![0; length]);
    from.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// Writes a frame.
pub(super) async fn write(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidData)?;
    to.write_u32(length).await?;
    to.write_all(bytes).await?;
    to.flush().await
}

pub(super) async fn say(to: &mut (impl AsyncWrite + Unpin), said: &Said) -> io::Result<()> {
    write(to, &serde_json::to_vec(said)?).await
}

/// The text of a secret; `None` for an empty frame.
pub(super) fn secret(mut bytes: Zeroizing<Vec<u8>>) -> Result<Option<SecretText>, Refusal> {
    if bytes.is_empty() {
        return Ok(None);
    }
    // The text takes the bytes over: no copy stays behind.
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Ok(Some(SecretText::new(text))),
        Err(error) => {
            drop(Zeroizing::new(error.into_bytes()));
            Err(Refusal::new(ErrorCode::BadRequest, "the secret is not UTF-8 text"))
        }
    }
}

/// A text in pieces that fit into a frame.
pub(super) fn pieces(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let (piece, rest) = text.split_at(text.floor_char_boundary(PIECE));
        text = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::{PIECE, pieces};

    #[test]
    fn a_text_is_cut_between_its_letters() {
        let text = "ä漢🦀".repeat(PIECE / 4);
        let cut: Vec<&str> = pieces(&text).collect();
        assert!(cut.len() > 2 && cut.iter().all(|piece| piece.len() <= PIECE));
        assert_eq!(cut.concat(), text);
        assert_eq!(pieces("").count(), 0);
    }
}
