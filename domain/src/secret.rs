//! Text that must never be shown.

use zeroize::Zeroizing;

/// A secret as received: a password, an API key, a refresh token. Has no `Debug`, `Display` or
/// `Serialize`, so that it can't reach a log, an error or an event by accident; its memory is wiped
/// when it is dropped.
#[expect(missing_debug_implementations, reason = "a secret that can be printed will be printed")]
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Takes the text over; the caller keeps no copy.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself. Every caller of this is a place to review.
    pub fn expose(&self) -> &str {
        &self.0
    }
}
