//! The secret that a command takes.

use super::{CliError, output};
use crate::socket::MAX_SECRET;
use claviger_domain::code::ErrorCode;
use claviger_domain::secret::SecretText;
use claviger_domain::text::without_mark;
use std::io::{BufRead as _, IsTerminal as _, Read as _};

/// Where a secret comes from. Once it is read it is kept: standard input has it once.
pub(super) enum Input {
    /// Standard input of this process, read when a command needs it.
    Standard,
    /// Read already, here or by the process that asks.
    Given(Option<SecretText>),
}

impl Input {
    /// The secret; `what` names it to the person who types it.
    pub(super) fn read(&mut self, what: &str) -> Result<SecretText, CliError> {
        if matches!(self, Self::Standard) {
            *self = Self::Given(Some(read_secret(what)?));
        }
        self.secret().cloned().ok_or_else(|| missing(what))
    }

    /// What was read so far.
    pub(super) const fn secret(&self) -> Option<&SecretText> {
        match self {
            Self::Given(secret) => secret.as_ref(),
            Self::Standard => None,
        }
    }
}

fn missing(what: &str) -> CliError {
    let message = format!("{what} must be given on standard input, which is empty");
    CliError::new(ErrorCode::Validation, message)
}

/// Reads one line, without its line end.
pub(super) fn read_secret(what: &str) -> Result<SecretText, CliError> {
    let mut text = zeroize::Zeroizing::new(String::new());
    let unreadable = |_| {
        CliError::new(ErrorCode::Validation, format!("{what} on standard input is not UTF-8 text"))
    };
    let input = std::io::stdin();
    if input.is_terminal() {
        output::prompt(&format!(
            "{what}, then Enter (it shows as you type; from a file: < FILE): "
        ));
    }
    input.lock().take(MAX_SECRET as u64).read_line(&mut text).map_err(unreadable)?;
    let line = without_mark(&text).lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err(missing(what));
    }
    Ok(SecretText::new(line.to_owned()))
}
