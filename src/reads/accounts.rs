//! Reads of accounts by which users are identified and admitted.

use super::StoreReads;
use crate::keychain::HeldClaim;
use crate::system::failure::store_failure;
use crate::views::open_account;
use claviger_domain::account::Identity;
use claviger_domain::failure::Failure;
use claviger_domain::id::UserId;
use claviger_domain::stream::StreamName;
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
        let Some(holder) = self.claimed(kind, hash).await? else { return Ok(None) };
        let (evidence, row) = (self.keychain.evidence(), HeldClaim { kind, hash, holder });
        let version = match kind {
            ClaimKind::Username | ClaimKind::Email => {
                self.aggregates.account(holder).await?.changed
            }
            // Never released but by an erasure, and an erased account grants nothing.
            ClaimKind::Identity | ClaimKind::Secret => 0,
        };
        if evidence.knows(row, version) {
            return Ok(Some(holder));
        }
        let held = self.claims_held(holder).await?;
        let checked = evidence.check_claim_row((row, version), &held);
        // Unless the holder was erased between the two reads.
        if checked.is_err() && self.claimed(kind, hash).await? != Some(holder) {
            return Ok(None);
        }
        checked.map(|()| Some(holder)).map_err(|error| store_failure(&error))
    }

    /// The holder as the row of the claim names them.
    async fn claimed(&self, kind: ClaimKind, hash: [u8; 32]) -> Result<Option<UserId>, Failure> {
        let holder = self.store.claim(kind, hash).await.map_err(|error| store_failure(&error))?;
        Ok(holder.map(|(user, _)| user))
    }

    /// The values that a user holds, by the account's sealed content, which nobody without the
    /// user's key can make.
    async fn claims_held(&self, user: UserId) -> Result<Vec<(ClaimKind, [u8; 32])>, Failure> {
        let stream = StreamName::Account(user);
        let key = self.keychain.content_key_of(user, stream).await?;
        let row = self.store.row(ACCOUNTS, user, user.0).await;
        let row = row.map_err(|error| store_failure(&error))?;
        let account = row.map(|row| open_account(&row, key.as_ref())).transpose()?;
        let Some(content) = account.and_then(|account| account.content) else {
            return Ok(Vec::new());
        };
        let identity = content.identity.as_ref();
        Ok(self.keychain.claims_of(&content.username, &content.email, identity).to_vec())
    }
}
