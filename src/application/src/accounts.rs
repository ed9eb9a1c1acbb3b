//! Accounts and sessions.

use crate::command::Answer;
use crate::principal::Principal;
use crate::principal::RequestInfo;
use claviger_domain::secret::SecretText;
use claviger_domain::text::Email;
use claviger_domain::text::FullName;
use claviger_domain::text::Password;
use claviger_domain::text::Username;
use claviger_domain::timestamp::Timestamp;

/// The tokens of a session.
#[expect(missing_debug_implementations, reason = "holds secrets")]
pub struct Tokens {
    /// The access token, for requests.
    pub access: SecretText,
    /// The refresh token, for the next tokens. Works once.
    pub refresh: SecretText,
    /// When the access token expires.
    pub expires_at: Timestamp,
    /// The user and session that the tokens are for.
    pub principal: Principal,
}

/// The port for accounts and sessions.
pub trait Accounts: Send + Sync {
    /// Creates an account and signs in.
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
    /// Issues the next tokens of a session.
    fn refresh(&self, info: RequestInfo, refresh_token: SecretText) -> Answer<'_, Tokens>;
    /// Ends the principal's session.
    fn logout(&self, info: RequestInfo, principal: Principal) -> Answer<'_, ()>;
    /// Changes the password. Every session ends, and a new one begins.
    fn change_password(
        &self,
        info: RequestInfo,
        principal: Principal,
        current: SecretText,
        new: Password,
    ) -> Answer<'_, Tokens>;
    /// Ends every other session of the user.
    fn revoke_sessions(&self, info: RequestInfo, principal: Principal) -> Answer<'_, ()>;
    /// Issues a ticket for a stream of the principal's session.
    fn stream_ticket(&self, principal: Principal) -> Answer<'_, StreamTicket>;
}

/// A ticket for clients that cannot send a header with a stream request.
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct StreamTicket {
    /// The ticket, for the URL.
    pub ticket: SecretText,
    /// When the ticket must have been used for the first time.
    pub expires_at: Timestamp,
}
