//! A row of the view.

use claviger_domain::account::Identity;
use claviger_domain::actor::Role;
use claviger_domain::timestamp::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountView {
    /// The part that is stored in clear.
    pub facts: AccountFacts,
    /// The part that is stored sealed; `None` once erased.
    pub content: Option<AccountContent>,
}

/// The part of an account's row that holds nothing personal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountFacts {
    /// What the user may do.
    pub roles: BTreeSet<Role>,
    /// May they sign in?
    pub is_active: bool,
    /// They come with tokens of an external issuer.
    #[serde(default)]
    pub is_external: bool,
    /// Their session was ended then: tokens that the issuer made before are refused.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    /// When they came.
    pub created_at: Timestamp,
    /// When they last signed in.
    pub last_sign_in_at: Option<Timestamp>,
}

/// The personal part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountContent {
    /// As typed.
    pub username: String,
    /// Lower-cased; empty where an issuer said none.
    pub email: String,
    /// As they write it.
    pub full_name: Option<String>,
    /// Who they are at the external issuer.
    #[serde(default)]
    pub identity: Option<Identity>,
}
