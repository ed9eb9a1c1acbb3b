//! Accounts and sessions.

use crate::command::Answer;
use crate::principal::Caller;
use crate::principal::RequestInfo;
use claviger_domain::secret::SecretText;
use claviger_domain::text::Email;
use claviger_domain::text::FullName;
use claviger_domain::text::Password;
use claviger_domain::text::Username;
use claviger_domain::timestamp::Timestamp;

/// Tokens of a session.
#[expect(missing_debug_implementations, reason = "holds secrets")]
pub struct Tokens {
    /// For requests.
    pub access: SecretText,
    /// For the next tokens.
    pub refresh: SecretText,
    /// When the access token expires.
    pub expires_at: Timestamp,
    /// Who it is for.
    pub caller: Caller,
}

/// Accounts and sessions.
pub trait Accounts: Send + Sync {
    /// Makes an account and signs in.
    fn register(
        &self,
        info: RequestInfo,
        username: Username,
        email: Email,
        password: Password,
        full_name: Option<FullName>,
    ) -> Answer<'_, Tokens>;
    /// Signs in.
    fn login(
        &self,
        info: RequestInfo,
        username_or_email: String,
        password: SecretText,
    ) -> Answer<'_, Tokens>;
    /// Next tokens of a session.
    fn refresh(&self, info: RequestInfo, refresh_token: SecretText) -> Answer<'_, Tokens>;
    /// Ends the caller's session.
    fn logout(&self, info: RequestInfo, caller: Caller) -> Answer<'_, ()>;
    /// Changes the password: every session ends, and a new one begins.
    fn change_password(
        &self,
        info: RequestInfo,
        caller: Caller,
        current: SecretText,
        new: Password,
    ) -> Answer<'_, Tokens>;
    /// Ends every other session of the caller.
    fn revoke_sessions(&self, info: RequestInfo, caller: Caller) -> Answer<'_, ()>;
    /// A ticket for a stream of the caller's session.
    fn stream_ticket(&self, caller: Caller) -> Answer<'_, StreamTicket>;
}

/// For a client that can't send a header with its stream.
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct StreamTicket {
    /// Goes into the URL.
    pub ticket: SecretText,
    /// Until when it may be used first.
    pub expires_at: Timestamp,
}
