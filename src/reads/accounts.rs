//! Reads of accounts by which users are identified and admitted.

use super::StoreReads;
use crate::system::failure::store_failure;
use crate::views::open_account;
use claviger_domain::account::Identity;
use claviger_domain::failure::Failure;
use claviger_domain::id::UserId;
use claviger_projections::accounts::AccountView;
use claviger_projections::ports::{ACCOUNTS, ClaimKind};

impl StoreReads {
    /// The user with this username or e-mail address.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub async fn find_user(&self, username_or_email: &str) -> Result<Option<UserId>, Failure> {
        self.find_named(username_or_email).await.map(|(user, _)| user)
    }

    /// The same, and the hash of the name by which it was looked up: all spellings that name one
    /// account have one hash.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub async fn find_named(
        &self,
        username_or_email: &str,
    ) -> Result<(Option<UserId>, [u8; 32]), Failure> {
        let name = username_or_email.trim();
        let (kind, hash) = if name.contains('@') {
            (ClaimKind::Email, self.keychain.email_claim(&name.to_lowercase()))
        } else {
            (ClaimKind::Username, self.keychain.username_claim(name))
        };
        Ok((self.holder(kind, hash).await?, hash))
    }

    /// The user with this identity at an external issuer.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub async fn find_identity(&self, identity: &Identity) -> Result<Option<UserId>, Failure> {
        self.holder(ClaimKind::Identity, self.keychain.identity_claim(identity)).await
    }

    async fn holder(&self, kind: ClaimKind, hash: [u8; 32]) -> Result<Option<UserId>, Failure> {
        let holder = self.store.claim(kind, hash).await.map_err(|error| store_failure(&error))?;
        Ok(holder.map(|(user, _)| user))
    }

    /// The facts of a user's account, without its sealed content; `None` for an unknown user.
    ///
    /// # Errors
    /// When the store is unavailable or the row does not open.
    pub async fn account_facts(&self, user: UserId) -> Result<Option<AccountView>, Failure> {
        let row = self.store.row(ACCOUNTS, user, user.0).await;
        let row = row.map_err(|error| store_failure(&error))?;
        row.map(|row| open_account(&row, None)).transpose()
    }
}
