//! A row of the accounts view.

use claviger_domain::account::Identity;
use claviger_domain::actor::Role;
use claviger_domain::timestamp::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountView {
    /// The part that is stored in clear text.
    pub facts: AccountFacts,
    /// The part that is stored sealed; `None` once erased.
    pub content: Option<AccountContent>,
}

/// The part of an account's row that holds nothing personal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountFacts {
    /// The user's roles.
    pub roles: BTreeSet<Role>,
    /// Whether the user may sign in.
    pub is_active: bool,
    /// Whether the user signs in with tokens of an external issuer.
    #[serde(default)]
    pub is_external: bool,
    /// The issuer's tokens of this time and from before are refused.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    /// But for those of exactly this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_kept: Option<Timestamp>,
    /// When the account was created.
    pub created_at: Timestamp,
    /// When the user last signed in; `None` before the first time.
    pub last_sign_in_at: Option<Timestamp>,
    /// Version of the stream's last event that was not about sessions; `None` in a row from before
    /// this was recorded, until the next such event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
}

impl AccountFacts {
    /// Whether the account accepts a token of its external issuer that was issued at that time.
    /// Ending the session invalidates the tokens issued before, but for the one by which the
    /// others were ended; the next sign-in at the issuer makes newer ones.
    pub fn lets_in(&self, issued_at: Timestamp) -> bool {
        let is_later = self.ended_at.is_none_or(|ended_at| ended_at < issued_at);
        self.is_active && (is_later || self.tokens_kept == Some(issued_at))
    }
}

/// The personal part of an account's row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountContent {
    /// The name as typed at registration.
    pub username: String,
    /// The e-mail address in lower case; empty if the issuer supplied none.
    pub email: String,
    /// The name to display, as the user writes it.
    pub full_name: Option<String>,
    /// The user's identity at the external issuer.
    #[serde(default)]
    pub identity: Option<Identity>,
}
